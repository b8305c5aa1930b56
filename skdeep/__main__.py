"""``python -m skdeep demo``: each estimator on bundled data, beside a baseline."""

import argparse
import sys
import time


def main(arguments=None):
    """Run the command line and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m skdeep", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("demo", help="fit the estimators on small real data")
    commands.add_parser("versions", help="what to paste into a bug report")
    options = parser.parse_args(arguments)
    if options.command == "versions":
        from skdeep import show_versions

        show_versions()
        return 0
    for title, rows in DEMOS:
        sys.stdout.write(f"\n{title}\n")
        _write_table(rows())
    return 0


def demo_metric_learning():
    """Unseen handwritten characters, compared by one distance threshold."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    from skdeep.datasets import load_omniglot100
    from skdeep.metric_learning import TCMEmbedder
    from skdeep.metrics import opis_score, recall_at_k_score

    X, y = load_omniglot100(split="train", return_X_y=True, flatten=False)
    X_test, y_test = load_omniglot100(split="test", return_X_y=True, flatten=False)
    X, X_test = X[:, None], X_test[:, None]  # one channel
    models = {
        "pixels": None,
        "LinearDiscriminantAnalysis": LinearDiscriminantAnalysis(),
        "TCMEmbedder(tcm_weight=0)": TCMEmbedder(tcm_weight=0, random_state=0),
        "TCMEmbedder()": TCMEmbedder(random_state=0),
    }
    rows = []
    for name, model in models.items():
        start = time.process_time()
        embeddings = X_test.reshape(len(X_test), -1)
        if isinstance(model, LinearDiscriminantAnalysis):
            model.fit(X.reshape(len(X), -1), y)
            embeddings = model.transform(embeddings)
        elif model is not None:
            embeddings = model.fit(X, y).transform(X_test)
        opis = opis_score(y_test, embeddings, return_details=True)
        rows.append(
            {
                "embedding": name,
                "recall@1": recall_at_k_score(y_test, embeddings),
                "OPIS": opis.opis,
                "mean utility": opis.mean_utility,
                "CPU seconds": time.process_time() - start,
            }
        )
    return rows


def demo_multilabel():
    """Spoken requests, and the kinds of information that they hold."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import accuracy_score, f1_score
    from sklearn.multioutput import ClassifierChain

    from skdeep.datasets import load_snips
    from skdeep.multilabel import DynamicChainClassifier

    texts, Y = load_snips("slots", split="train", return_X_y=True)
    texts_test, Y_test = load_snips("slots", split="test", return_X_y=True)
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), min_df=2).fit(texts)
    X, X_test = vectorizer.transform(texts), vectorizer.transform(texts_test)
    models = {
        "RandomForestClassifier": RandomForestClassifier(random_state=0),
        "ClassifierChain(LogisticRegression)": ClassifierChain(
            LogisticRegression(C=30, max_iter=300), random_state=0
        ),
        "DynamicChainClassifier()": DynamicChainClassifier(random_state=0),
    }
    rows = []
    for name, model in models.items():
        start = time.process_time()
        found = model.fit(X, Y).predict(X_test)
        rows.append(
            {
                "classifier": name,
                "whole sets": accuracy_score(Y_test, found),
                "F1 of a row": f1_score(
                    Y_test, found, average="samples", zero_division=1
                ),
                "CPU seconds": time.process_time() - start,
            }
        )
    return rows


def demo_clustering():
    """Characters of alphabets never seen, in a heap."""
    import numpy as np
    from sklearn.cluster import HDBSCAN, AgglomerativeClustering
    from sklearn.model_selection import GroupKFold, ParameterGrid

    from skdeep.cluster import HiLanderClusterer
    from skdeep.datasets import load_omniglot100
    from skdeep.metric_learning import TCMEmbedder
    from skdeep.metrics import bcubed_f_score, pairwise_f_score
    from skdeep.model_selection import CrossFitTransformer

    data = load_omniglot100(split="train", flatten=False)
    X, y = data.data[:, None], data.target
    X_test, y_test = load_omniglot100(split="test", return_X_y=True, flatten=False)
    alphabet = [name.split("/")[0] for name in data.target_names[y]]
    embedder = TCMEmbedder(
        module="conv",
        module_params={"channels": (8, 16, 32, 32)},
        lr=3e-3,
        max_epochs=8,
        random_state=0,
    )
    encoder = CrossFitTransformer(
        embedder, cv=list(GroupKFold(2).split(X, y, alphabet))
    )
    X, X_test = encoder.fit_transform(X, y), encoder.transform(X_test[:, None])

    def scores(y, labels):
        alone = labels.max() + 1 + np.arange(len(labels))
        labels = np.where(labels < 0, alone, labels)  # noise
        return pairwise_f_score(y, labels), bcubed_f_score(y, labels)

    def tuned(model, grid):
        def quality(params):
            return sum(scores(y, model.set_params(**params).fit_predict(X)))

        return model.set_params(**max(ParameterGrid(grid), key=quality))

    sizes = {"min_cluster_size": [5, 10], "cluster_selection_method": ["eom", "leaf"]}
    thresholds = {"distance_threshold": np.arange(0.4, 2, 0.1)}
    models = {
        "HDBSCAN, tuned": lambda: tuned(HDBSCAN(min_samples=1, copy=True), sizes),
        "AgglomerativeClustering, tuned": lambda: tuned(
            AgglomerativeClustering(None), thresholds
        ),
        "HiLanderClusterer()": lambda: HiLanderClusterer(random_state=0).fit(X, y),
    }
    rows = []
    for name, make in models.items():
        start = time.process_time()
        model = make()
        predict = getattr(model, "predict", model.fit_predict)
        pairwise, bcubed = scores(y_test, predict(X_test))
        rows.append(
            {
                "clusterer": name,
                "pairwise F": pairwise,
                "BCubed F": bcubed,
                "CPU seconds": time.process_time() - start,
            }
        )
    return rows


def demo_few_shot():
    """Intents of requests, from one or five labelled ones of each and a pile."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.semi_supervised import LabelSpreading

    from skdeep.datasets import load_snips
    from skdeep.few_shot import FewShotClassifier, compare_few_shot

    texts, y = load_snips("intent", return_X_y=True)
    X = TfidfVectorizer(ngram_range=(1, 2), min_df=2).fit_transform(texts)
    models = {
        "LogisticRegression, no pile": LogisticRegression(C=10),
        "LabelSpreading": LabelSpreading(gamma=10, alpha=0.5),
        "FewShotClassifier()": FewShotClassifier(),
    }
    results = {
        n_shot: compare_few_shot(
            models, X, y, n_way=7, n_shot=n_shot, n_episodes=50, random_state=0
        )
        for n_shot in (1, 5)
    }
    return [
        {
            "classifier": one["name"],
            "1 label each": one["mean"],
            "5 labels each": five["mean"],
            "difference": five["difference"],
            "+-": five["difference_ci95"],
            "CPU seconds": 50 * (one["seconds"] + five["seconds"]),
        }
        for one, five in zip(*results.values())
    ]


def demo_transfer():
    """Two new digits for a classifier that knows eight, and none of its old data."""
    import numpy as np
    from sklearn.datasets import load_digits
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import SGDClassifier
    from sklearn.model_selection import train_test_split

    from skdeep.metrics import extension_scores
    from skdeep.transfer import AdapterExtender

    X, y = load_digits(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X, y, random_state=0)
    known = y < 8
    forest = RandomForestClassifier(random_state=0).fit(X[known], y[known])
    linear = SGDClassifier(random_state=0)
    linear.partial_fit(X[known], y[known], classes=np.arange(10))
    gate = AdapterExtender(forest, new_annotation="new_only", random_state=0)
    models = {
        "SGDClassifier.partial_fit": lambda: linear.partial_fit(X[~known], y[~known]),
        "AdapterExtender()": lambda: gate.fit(X[~known], y[~known]),
        "RandomForestClassifier, all data": lambda: RandomForestClassifier(
            random_state=0
        ).fit(X, y),
    }
    rows = []
    for name, fit in models.items():
        start = time.process_time()
        found = extension_scores(y_test, fit().predict(X_test), range(8))
        seconds = time.process_time() - start
        scores = {key: found[key] for key in ("old", "new", "all")}
        rows.append({"classifier": name, **scores, "CPU seconds": seconds})
    return rows


def demo_tagging():
    """Artists for a tagger of requests that does not know them."""
    from sklearn.utils import shuffle

    from skdeep.datasets import extension_split, load_snips
    from skdeep.metrics import extension_scores
    from skdeep.transfer import AdapterExtender, SequenceTagger

    sentences = load_snips("tagging", split="train", return_X_y=True)
    X_test, y_test = load_snips("tagging", split="test", return_X_y=True)
    source, target = extension_split(
        *shuffle(*sentences, random_state=0), "artist", n_samples=800
    )
    tagger = SequenceTagger(deep=False, random_state=0)
    models = {
        "SequenceTagger, old requests": lambda: tagger.fit(*source),
        "SequenceTagger, new requests": lambda: SequenceTagger(
            deep=False, random_state=0
        ).fit(*target),
        "AdapterExtender()": lambda: AdapterExtender(tagger, random_state=0).fit(
            *target
        ),
    }
    rows = []
    for name, fit in models.items():
        start = time.process_time()
        y_pred = fit().predict(X_test)
        seconds = time.process_time() - start
        found = extension_scores(y_test, y_pred, tagger.entity_types_)
        scores = {key: found[key] for key in ("old", "new", "all")}
        rows.append({"tagger": name, **scores, "CPU seconds": seconds})
    return rows


DEMOS = (
    (
        "DynamicChainClassifier: which of 39 kinds of information a request holds\n"
        "(Snips, bundled). Share of requests with the whole set right, and mean F1.\n",
        demo_multilabel,
    ),
    (
        "HiLanderClusterer: drawings of 40 characters of alphabets never seen, in a heap\n"
        "(Omniglot, bundled). All get the same embeddings; tuned: the best parameters\n"
        "on the known characters.\n",
        demo_clustering,
    ),
    (
        "FewShotClassifier: which of 7 intents a request has, from 1 or 5 labelled ones\n"
        "of each and a pile of 105 without a label (Snips, bundled). Accuracy over 50\n"
        "draws; difference: to the first line, with 5 labels, and its 95 % interval.\n",
        demo_few_shot,
    ),
    (
        "AdapterExtender: a forest that knows eight digits learns the other two, and sees\n"
        "nothing but these (scikit-learn's digits). Accuracy on the eight old ones, the\n"
        "two new ones, and all.\n",
        demo_transfer,
    ),
    (
        "SequenceTagger: which words of a request say what (Snips, bundled). 640 old\n"
        "requests have no artists marked, 160 new ones have. F1 of old types, of artists,\n"
        "and of all.\n",
        demo_tagging,
    ),
    (
        "TCMEmbedder: 40 characters never seen in training (Omniglot, bundled).\n"
        "Recall@1 and mean utility: more is better. OPIS, the spread of the classes\n"
        "at a common threshold: less is better.\n",
        demo_metric_learning,
    ),
)


def _write_table(rows):
    columns = list(rows[0])
    cells = [columns, *([_text(row[column]) for column in columns] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    for line in cells:
        first, *rest = (cell.rjust(width) for cell, width in zip(line, widths))
        sys.stdout.write("  ".join([first.strip().ljust(widths[0]), *rest]) + "\n")


def _text(value):
    return value if isinstance(value, str) else f"{value:.3f}"


if __name__ == "__main__":
    sys.exit(main())
