"""
Texts in, label sets out: a pipeline and a search over orders
=============================================================

Raw texts go into a pipeline, sets of labels come out, and the order of the labels is one
more parameter for `GridSearchCV`. Which order suits the data is found like any other
setting: by cross-validation on the training rows.
"""

# %%
# A vectorizer and a chain. The matrix of the vectorizer stays sparse all the way. A third of
# the training texts, two members and few epochs keep this page quick.

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import Pipeline

from skdeep.datasets import load_snips
from skdeep.multilabel import DynamicChainClassifier

train, test = load_snips(split="train"), load_snips(split="test")
texts, slots = train.data[::3], train.target[::3]
pipeline = Pipeline(
    [
        ("tfidf", TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)),
        (
            "clf",
            DynamicChainClassifier(n_estimators=2, max_epochs=8, random_state=0),
        ),
    ]
)

# %%
# Two orders and, as None, the network that decides on each label by itself. Two measures of the
# sets are watched; the fit to all training texts takes the order with most whole sets right.
# The texts stand by intent, so the folds have to be shuffled: else each would miss labels.

folds = KFold(2, shuffle=True, random_state=0)
search = GridSearchCV(
    pipeline,
    {"clf__order": ["dynamic", "frequent", None]},
    scoring={"subset accuracy": "accuracy", "example F1": "f1_samples"},
    refit="subset accuracy",
    cv=folds,
).fit(texts, slots)
print("chosen:", search.best_params_)

# %%
# A small dot is one fold, a large one their mean.

import matplotlib.pyplot as plt

results = search.cv_results_
orders = [order or "no chain" for order in results["param_clf__order"]]
fig, axes = plt.subplots(ncols=2, sharey=True, figsize=(8, 2.6), layout="constrained")
for ax, name in zip(axes, search.scorer_):
    for fold in range(2):
        ax.plot(results[f"split{fold}_test_{name}"], orders, "o", color="0.6", ms=5)
    ax.plot(results[f"mean_test_{name}"], orders, "o", color="tab:blue", ms=9)
    ax.set(title=name)
    ax.locator_params(axis="x", nbins=5)
    ax.margins(x=0.15, y=0.2)
    ax.grid(axis="x", alpha=0.3)
    ax.spines[["top", "right"]].set_visible(False)
axes[0].invert_yaxis()
plt.show()

# %%
# What was chosen, beside the plain alternative: one logistic regression per label, with the
# strength of the penalty chosen by the same search.

from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.multiclass import OneVsRestClassifier

plain = GridSearchCV(
    Pipeline(
        [
            pipeline.steps[0],
            ("clf", OneVsRestClassifier(LogisticRegression(max_iter=1000))),
        ]
    ),
    {"clf__estimator__C": [10, 100, 1000]},
    scoring="accuracy",
    cv=folds,
).fit(texts, slots)

for name, model in {"one per label": plain, "chain": search}.items():
    sets = model.predict(test.data)
    print(
        f"{name:14s} subset accuracy {accuracy_score(test.target, sets):.3f}   "
        f"example F1 {f1_score(test.target, sets, average='samples'):.3f}"
    )

# %%
# The whole pipeline answers for new texts.

requests = [
    "add this song to my summer playlist",
    "book a table for two in Boston at noon",
]
for text, row in zip(requests, search.predict(requests)):
    print(f"{text}: {', '.join(train.target_names[row == 1])}")
