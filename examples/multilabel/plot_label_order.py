"""
Which label first? An order for each row
========================================

A classifier chain decides on one label after the other and knows what it has decided
before. An early mistake spreads, so labels that are easy to tell should come first. But
what is easy depends on the row: here a chain chooses for each row by itself.
"""

# %%
# Requests to a voice assistant, and the slots that each fills: what is a label here is the
# kind of thing that a request names, such as an artist, a city, or a time.

from sklearn.feature_extraction.text import TfidfVectorizer

from skdeep.datasets import load_snips

train, test = load_snips(split="train"), load_snips(split="test")
vectorizer = TfidfVectorizer(ngram_range=(1, 2), min_df=3, sublinear_tf=True)
X_train = vectorizer.fit_transform(train.data)
X_test = vectorizer.transform(test.data)
for text, row in zip(test.data[:3], test.target):
    print(f"{text}: {', '.join(test.target_names[row == 1])}")

# %%
# The plain alternative is the same network with one order for all rows, frequent labels
# first, which is how chains are often set up. The network, the number of epochs and the
# seed are the same. Small ones keep this page quick.

from skdeep.multilabel import DynamicChainClassifier

chains = {}
for order in ("frequent", "dynamic"):
    chains[order] = DynamicChainClassifier(
        order, n_estimators=2, max_epochs=6, random_state=0
    ).fit(X_train, train.target)
    accuracy = chains[order].score(X_test, test.target)
    print(f"{order:9s} whole sets right {accuracy:.3f}")

# %%
# `predict_order` gives the labels of each row in the order taken, and the probability of
# each step. Five rows of the test; the line above them counts over all 700 how often two
# labels come in the rarer of their two orders. The chain was told nothing about orders.
#
# The first step is often not the most certain one: several labels would be right there, and
# share its probability.

import matplotlib.pyplot as plt

from skdeep.metrics import LabelOrderDisplay

names = {"label_names": test.target_names, "row_names": test.data}
rows = [72, 189, 450, 477, 675]
LabelOrderDisplay.from_estimator(chains["dynamic"], X_test, rows=rows, **names)
plt.show()

# %%
# The same rows, frequent labels first. Where a book is rated, its name has to come first,
# which is hard to recognise; the dynamic chain begins with the rating. Few pairs are
# reversed here: labels that the chain had passed over, and takes up later.

LabelOrderDisplay.from_estimator(chains["frequent"], X_test, rows=rows, **names)
plt.show()

# %%
# Is what comes first really what is easy? Of the labels taken, the share that is right, by
# their place. Late mistakes are cheaper than early ones, since less is built on them.

import numpy as np

for order, chain in chains.items():
    places = [[] for _ in range(4)]
    for row, (labels, _) in enumerate(chain.predict_order(X_test)):
        for place, label in enumerate(labels):
            places[min(place, 3)].append(test.target[row, label])
    shares = "   ".join(f"{np.mean(right):.3f}" for right in places)
    print(f"{order:9s} right at the 1st, 2nd, 3rd, later places: {shares}")
