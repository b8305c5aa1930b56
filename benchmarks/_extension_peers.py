"""A conditional random field of CRFsuite, alone and stacked on the tags of another.

Its features are the usual ones of named entity recognition: the word, affixes of one to
four letters, shape, case and digits, those of the neighbours up to two places away, and
pairs of words. Stacked, it also sees the tags that its frozen source predicts, up to two
places away.
"""

import re
import time
from importlib.util import find_spec

from _extension_data import n_tokens

from skdeep.metrics import entity_f1_score, entity_spans

N_CHOOSE = 4000  # sentences that the choice of c1 and c2 sees
GRID = [(0.0, 0.1), (0.1, 0.01), (0.1, 0.1), (0.5, 0.1)]


def installed():
    """Whether the peer can run."""
    return find_spec("sklearn_crfsuite") is not None


def shape(word):
    """ "Rock-42" -> "Xx-d"."""
    word = re.sub("[^\\W\\d_]", lambda m: "X" if m[0].isupper() else "x", word)
    return re.sub(r"(.)\1+", r"\1", re.sub(r"\d", "d", word))


def describe(word):
    """What is seen of a word, from plain to detailed."""
    low = word.lower()
    near = [f"w={low}", f"shape={shape(word)}", f"title={word.istitle()}"]
    near += [f"s3={low[-3:]}", f"p3={low[:3]}"]
    own = [f"case={word.isupper()}{word.islower()}", f"plain={word}"]
    own += [f"digit={word.isdigit()}{any(map(str.isdigit, word))}"]
    own += [f"hyphen={'-' in word}", f"length={min(len(word), 9)}"]
    own += [f"s{n}={low[-n:]}" for n in (1, 2, 4)]
    own += [f"p{n}={low[:n]}" for n in (1, 2, 4)]
    return near, own


def features(tokens, tags=None):
    """Features of each token of a sentence, as CRFsuite takes them."""
    described = [describe(word) for word in tokens]
    low = ["<s>", *(word.lower() for word in tokens), "</s>"]
    rows = []
    for i, (near, own) in enumerate(described):
        row = ["bias", *near, *own]
        for step in (-2, -1, 1, 2):
            if not 0 <= i + step < len(tokens):
                row.append(f"{step}:none")
                continue
            other = described[i + step][0]
            row += [
                f"{step}:{text}" for text in (other if abs(step) == 1 else other[:3])
            ]
        before, here, after = low[i : i + 3]
        row += [f"-10={before}|{here}", f"01={here}|{after}", f"-11={before}|{after}"]
        if tags is not None:
            row += [
                f"{step}:tag={tags[i + step]}"
                for step in (-2, -1, 0, 1, 2)
                if 0 <= i + step < len(tags)
            ]
        rows.append(row)
    return rows


class CrfTagger:
    """CRFsuite with the features above; an object such as `AdapterExtender` takes.

    Parameters
    ----------
    source : CrfTagger or None, default=None
        A fitted one, whose tags are features.

    c1, c2 : float or None, default=None
        Regularisation; None chooses both on the last fifth of the training sentences, of
        which there are `N_CHOOSE` at most, and fits again to all.
    """

    def __init__(self, source=None, c1=None, c2=None):
        self.source, self.c1, self.c2 = source, c1, c2

    def fit(self, X, y):
        """Learn; `seconds_` and `n_iter_` are those of the last fit alone."""
        rows = self.rows(X)
        self.chosen_ = self.c1, self.c2
        if self.c1 is None:
            self.chosen_ = self._choose(rows[:N_CHOOSE], y[:N_CHOOSE])
        start = time.process_time()
        self.crf_ = self._fitted(rows, y, *self.chosen_)
        self.seconds_ = time.process_time() - start
        self.n_iter_ = len(self.crf_.training_log_.iterations)
        self.classes_ = list(self.crf_.classes_)
        return self

    def predict(self, X):
        """Tags of each sentence."""
        return [list(tags) for tags in self.crf_.predict(self.rows(X))]

    def predict_marginals(self, X):
        """A dict of probabilities for each token of each sentence."""
        return self.crf_.predict_marginals(self.rows(X))

    def rows(self, X):
        """Features of sentences."""
        if self.source is None:
            return [features(tokens) for tokens in X]
        return [features(*pair) for pair in zip(X, self.source.predict(X))]

    def _choose(self, rows, y):
        cut = len(rows) * 4 // 5
        found = {}
        for c1, c2 in GRID:
            crf = self._fitted(rows[:cut], y[:cut], c1, c2)
            found[c1, c2] = entity_f1_score(y[cut:], crf.predict(rows[cut:]))
        return max(found, key=found.get)

    def _fitted(self, rows, y, c1, c2):
        import sklearn_crfsuite

        crf = sklearn_crfsuite.CRF(
            algorithm="lbfgs",
            c1=c1,
            c2=c2,
            max_iterations=100,
            all_possible_transitions=True,
        )
        return crf.fit(rows, y)


def filled(X, y, source):
    """Tags with the entities of a source where none is tagged."""
    tags = []
    for own, guess in zip(y, source.predict(X)):
        row = list(own)
        for first, stop, _ in entity_spans(guess):
            if all(tag == "O" for tag in own[first:stop]):
                row[first:stop] = guess[first:stop]
        tags.append(row)
    return tags


def peer_models(scenario):
    """Name, data annotated how, and a function that fits, of each peer.

    The functions get the source, which is fitted first, or None.
    """
    new_only = scenario.target_new_only
    yield "source", "full", lambda source: CrfTagger().fit(*scenario.source)
    yield "target only", "full", lambda source: CrfTagger().fit(*scenario.target)
    yield (
        "stacked on its source",
        "full",
        lambda source: CrfTagger(source).fit(*scenario.target),
    )
    yield (
        "all data",
        "full",
        lambda source: CrfTagger(None, *source.chosen_).fit(*scenario.together),
    )
    yield (
        "stacked on its source",
        "new_only",
        lambda source: CrfTagger(source).fit(*new_only),
    )
    yield (
        "stacked, source's entities filled in",
        "new_only",
        lambda source: CrfTagger(source).fit(new_only[0], filled(*new_only, source)),
    )


def train_speed(tagger, X):
    """Tokens of all passes a second."""
    return n_tokens(X) * tagger.n_iter_ / tagger.seconds_
