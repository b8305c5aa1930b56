"""
Does the order of the labels matter, and to what?
=================================================

`compare_orders` fits the same network with every order of the labels: frequent ones first,
rare ones first, one random order, a new random order for each row and visit, and the order
that the chain finds for each row by itself. Here None is added, the network without a
chain, which decides on each label by itself: does chaining help at all?
"""

# %%
# A third of the training rows keeps this page quick. With `proba="path"` the scores are those
# of the chain; by default the shares of chain and first look are set on held-out rows, which
# is better for a ranking, but hides what the order does to it.

from sklearn.feature_extraction.text import TfidfVectorizer

from skdeep.datasets import load_snips
from skdeep.multilabel import DynamicChainClassifier, compare_orders

train, test = load_snips(split="train"), load_snips(split="test")
vectorizer = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
X_train, Y_train = vectorizer.fit_transform(train.data[::3]), train.target[::3]
X_test, Y_test = vectorizer.transform(test.data), test.target
rows = compare_orders(
    X_train,
    Y_train,
    X_test,
    Y_test,
    orders=("dynamic", "frequent", "rare", "random", "instance_random", None),
    estimator=DynamicChainClassifier(n_estimators=2, max_epochs=8, proba="path"),
    random_state=0,
)

# %%
# One dict an order, ready for a table.

import pandas as pd

table = pd.DataFrame(rows)
table["order"] = table["order"].fillna("no chain")
table = table.set_index("order")
print(table.drop(columns=["P@3", "P@5"]).round(3))

# %%
# The dashed line is the network without a chain; all panels have the same scale. With 700
# rows in the test and one seed, differences of a point (0.01) are noise.

import matplotlib.pyplot as plt

measures = ["subset accuracy", "example F1", "nDCG@3"]
fig, axes = plt.subplots(ncols=3, sharey=True, figsize=(10, 3), layout="constrained")
for ax, measure in zip(axes, measures):
    for place, (order, value) in enumerate(table[measure].items()):
        color = "tab:blue" if order == "dynamic" else "0.55"
        ax.plot(value, place, "o", color=color, markersize=9)
        ax.text(value, place - 0.28, f"{value:.3f}", ha="center", size=8, color="0.3")
    ax.axvline(table.loc["no chain", measure], color="0.55", ls="--", lw=1, zorder=0)
    ax.set(title=measure, yticks=range(len(table)), yticklabels=table.index)
    middle = (table[measure].min() + table[measure].max()) / 2
    ax.set_xlim(middle - 0.03, middle + 0.03)
    ax.locator_params(axis="x", nbins=4)
    ax.margins(y=0.16)
    ax.grid(axis="x", alpha=0.3)
    ax.spines[["top", "right"]].set_visible(False)
axes[0].invert_yaxis()
plt.show()

# %%
# The order matters to sets: whole ones, and their F1 score. One random order for all rows may be a
# good one, but which, nobody knows beforehand; with another seed it is another. The order does
# little to the ranking, for which no chain is needed here at all: a ranking asks how likely
# each label is, a set asks which labels go together.
