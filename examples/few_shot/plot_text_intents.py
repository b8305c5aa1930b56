"""
Which intent has a request, from a few labelled ones?
=====================================================

A voice assistant is to tell seven kinds of requests apart. Nobody has time to label many of
them, but texts without labels are there. How far do one, two, or five labelled requests of
each kind go, and does the pile of others help?
"""

# %%
# Words make the features. A vectorizer needs no labels, so it may see all texts.

from sklearn.feature_extraction.text import TfidfVectorizer

from skdeep.datasets import load_snips

snips = load_snips("intent")
intents = snips.target_names[snips.target]
vectorizer = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
X = vectorizer.fit_transform(snips.data)
print(X.shape, *sorted(set(intents)))

# %%
# `LabelSpreading` of scikit-learn learns from a pile, too. All models see the same problems, and those
# two get 30 further requests of each intent as a pile; what is asked about is other ones again.

from sklearn.linear_model import LogisticRegression
from sklearn.semi_supervised import LabelSpreading

from skdeep import FewShotClassifier
from skdeep.metrics import FewShotDisplay

display = FewShotDisplay.from_estimators(
    {
        "LogisticRegression, no pile": LogisticRegression(C=10),
        "FewShotClassifier, prototypes only": FewShotClassifier(method="prototype"),
        "LabelSpreading": LabelSpreading(gamma=10, alpha=0.5),
        "FewShotClassifier": FewShotClassifier(),
    },
    X,
    intents,
    n_way=7,
    values=(1, 2, 5, 10),
    n_episodes=25,
    unlabeled=30,
    random_state=0,
)
for name, accuracies in display.mean.items():
    print(f"{name:35s}", *(f"{accuracy:.3f}" for accuracy in accuracies))

# %%
# In practice it is one pipeline. Requests without a label are marked by an empty text here; five
# of each intent keep theirs.

import numpy as np
from sklearn.pipeline import make_pipeline

rng = np.random.RandomState(0)
partly = np.full(len(intents), "", dtype=intents.dtype)
for intent in np.unique(intents):
    rows = rng.choice(np.flatnonzero(intents == intent), 5, replace=False)
    partly[rows] = intent

model = make_pipeline(
    TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True),
    FewShotClassifier(unlabeled_label=""),
)
model.fit(snips.data, partly)
pile = partly == ""
right = model[-1].transduction_[pile] == intents[pile]
print(f"35 labels, {pile.sum()} requests without: {right.mean():.3f} right")
for text in ("play something by the beatles", "is it going to snow on friday"):
    print(f"{model.predict([text])[0]}: {text}")
