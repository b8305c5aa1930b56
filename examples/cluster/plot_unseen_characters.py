"""
Group handwritten characters of alphabets never seen
====================================================

Of the 60 characters of three alphabets we know which drawings show the same one. Now drawings
from two other alphabets arrive, in a heap, and nobody knows how many characters there are. An
embedder learns from the known ones what makes two drawings alike; `HiLanderClusterer` learns
from them what a group looks like.
"""

# %%
# An embedder separates the classes that it was trained on better than new ones, and who learns
# from its embeddings of just these classes expects groups that are too clean.
# `CrossFitTransformer` gives the clusterer embeddings of each character from a copy of the
# embedder that has never seen it. What is new here is whole alphabets, so the folds have to
# be of alphabets, too. In a pipeline both steps are one `fit`.

from sklearn.model_selection import GroupKFold

from skdeep import HiLanderClusterer, TCMEmbedder
from skdeep.datasets import load_omniglot100
from skdeep.model_selection import CrossFitTransformer

data = load_omniglot100(split="train", flatten=False)
X, y = data.data[:, None], data.target  # images have one channel
X_new, y_new = load_omniglot100(split="test", return_X_y=True, flatten=False)
alphabet = [name.split("/")[0] for name in data.target_names[y]]

embedder = TCMEmbedder(
    module="conv",
    module_params={"channels": (8, 16, 32, 32)},
    lr=3e-3,
    classes_per_batch=16,
    samples_per_class=8,
    max_epochs=15,
    random_state=0,
)
folds = list(GroupKFold(2).split(X, y, alphabet))
crossfit = CrossFitTransformer(embedder, cv=folds)
crossed, new = crossfit.fit_transform(X, y), crossfit.transform(X_new[:, None])
clusterer = HiLanderClusterer(random_state=0).fit(crossed, y)

# %%
# How often does the nearest drawing show the same character, among 20 characters each time? The
# cross-fitted characters are about as hard as new ones; those trained on are not.

import numpy as np

from skdeep.metrics import recall_at_k_score

seen = crossfit.estimator_.transform(X)
fold = crossed[:, 0] != 0  # rows of one fold share the columns that are not zero
for name, rows, labels in [
    ("trained on", seen, y),
    ("cross-fitted", crossed[fold], y[fold]),
    ("new", new, y_new),
]:
    twenty = np.random.RandomState(0).permutation(np.unique(labels))[:20]
    few = np.isin(labels, twenty)
    print(f"{name:12s} {recall_at_k_score(labels[few], rows[few]):.2f}")

# %%
# The naive way is to learn from the characters trained on. And what others find in the same
# embeddings: average linkage, at the threshold that is best on the cross-fitted characters,
# and k-means, which has to be told the number.

from sklearn.cluster import AgglomerativeClustering, KMeans

from skdeep.metrics import bcubed_f_score, pairwise_f_score


def link(rows, threshold):
    return AgglomerativeClustering(
        None, distance_threshold=threshold, metric="cosine", linkage="average"
    ).fit_predict(rows)


def both_scores(labels, clusters):
    return pairwise_f_score(labels, clusters), bcubed_f_score(labels, clusters)


thresholds = np.arange(0.02, 0.2, 0.02)
best = max(thresholds, key=lambda t: sum(both_scores(y, link(crossed, t))))
naive = HiLanderClusterer(random_state=0).fit(seen, y)
for name, clusters in {
    "cross-fitted": clusterer.predict(new),
    "naive": naive.predict(new[:, : seen.shape[1]]),
    "average linkage": link(new, best),
    "k-means, told 40": KMeans(40, random_state=0).fit_predict(new),
}.items():
    pairwise, bcubed = both_scores(y_new, clusters)
    n_clusters = len(np.unique(clusters))
    print(f"{name:17s}F {pairwise:.3f}  BCubed {bcubed:.3f}  {n_clusters} clusters")

# %%
# Here the naive way costs nothing, with other seeds neither: the clusterer reads the shape of the
# graph rather than distances, and that forgives a lot. Whether it does cannot be told beforehand;
# see the page on :ref:`texts <sphx_glr_auto_examples_cluster_fetch_text_intents.py>`.
#
# The clusters of the new characters as a tree. The strip beside a leaf shows how much of it is
# one character.

import matplotlib.pyplot as plt

from skdeep.metrics import ClusterTreeDisplay

ClusterTreeDisplay.from_estimator(clusterer, new, data.target_names[y_new])
plt.show()

# %%
# Both steps in one estimator, and a search whose folds keep classes apart: does TCM, which ties the
# drawings of a character together, help the clusterer? Its score is BCubed F. Few epochs do for
# the comparison.

from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skdeep.model_selection import ClassDisjointKFold

short = clone(embedder).set_params(max_epochs=5)
search = GridSearchCV(
    make_pipeline(CrossFitTransformer(short, cv=2), HiLanderClusterer(random_state=0)),
    {"crossfittransformer__estimator__tcm_weight": [0, 1]},
    cv=ClassDisjointKFold(2, shuffle=True, random_state=0),
).fit(X, y)
for params, score in zip(
    search.cv_results_["params"], search.cv_results_["mean_test_score"]
):
    print(params, f"{score:.3f}")
print(f"new alphabets: BCubed {search.score(X_new[:, None], y_new):.3f}")
