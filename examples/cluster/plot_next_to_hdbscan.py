"""
Next to HDBSCAN, without labels
===============================

Without `y`, `HiLanderClusterer` takes built-in networks, which have learned on other people's
data what a cluster looks like in a graph of nearest neighbours. They read the shape of the
graph, never a coordinate, so they take rows of any origin. Then it is a clusterer like any
other, and one line of existing code changes. What does that give?
"""

# %%
# Handwritten digits, ten large classes, and handwritten characters, forty small ones; plain pixels
# both times. HDBSCAN as it comes and with smaller clusters allowed, and k-means, which is told
# the true number.

from sklearn.cluster import HDBSCAN, KMeans
from sklearn.datasets import load_digits

from skdeep import HiLanderClusterer
from skdeep.datasets import load_omniglot100

sets = {
    "digits": load_digits(return_X_y=True),
    "characters": load_omniglot100(split="test", return_X_y=True),
}
models = {
    "HDBSCAN(10)": HDBSCAN(min_cluster_size=10, copy=True),
    "HDBSCAN(5)": HDBSCAN(min_cluster_size=5, copy=True),
    "k-means, told": None,
    "HiLanderClusterer()": HiLanderClusterer(random_state=0),
}

# %%
# HDBSCAN leaves rows out as noise. To compare all rows, each of these counts as a cluster of its own
# here. `HiLanderClusterer` makes clusters of one row itself, of rows that hang between others
# (`min_inside`), and tells by `outlier_scores_` how far a row is from being one with its neighbours.

import numpy as np
from sklearn.metrics import normalized_mutual_info_score

from skdeep.metrics import bcubed_f_score, pairwise_f_score

measures = {
    "pairwise F": pairwise_f_score,
    "BCubed F": bcubed_f_score,
    "NMI": normalized_mutual_info_score,
}
scores = {}
for data, (X, y) in sets.items():
    for name, model in models.items():
        model = KMeans(len(np.unique(y)), random_state=0) if model is None else model
        labels = model.fit_predict(X)
        noise = labels < 0
        alone = np.where(noise, labels.max() + 1 + np.arange(len(y)), labels)
        found = [measure(y, alone) for measure in measures.values()]
        scores[data, name] = found
        print(
            f"{data:10s}  {name:19s}  "
            + "  ".join(f"{key} {score:.3f}" for key, score in zip(measures, found))
            + f"  {labels.max() + 1:3d} clusters, {noise.mean():4.0%} noise"
        )

# %%
# One dot for each score.

import matplotlib.pyplot as plt

fig, axes = plt.subplots(ncols=2, sharey=True, figsize=(9, 2.8), layout="constrained")
for ax, data in zip(axes, sets):
    for place, name in enumerate(models):
        for color, score in zip(("#2b6cb0", "#1a202c", "#2f855a"), scores[data, name]):
            ax.plot(score, place, "o", color=color, ms=8, alpha=0.8)
    ax.set(title=data, xlim=(0, 1), yticks=range(len(models)), yticklabels=models)
    ax.margins(y=0.2)
    ax.grid(alpha=0.3)
    ax.spines[["top", "right"]].set_visible(False)
axes[0].invert_yaxis()
handles = axes[0].lines[:3]
fig.legend(handles, measures, loc="outside right center", frameon=False)
plt.show()

# %%
# Pixels of thin strokes say little about which character they show: no clusterer finds the forty
# classes in them. That is a matter of the embedding, not of the clusterer.
#
# The parameters keep their meaning: `n_neighbors` is the size of a neighbourhood, `resolution` and
# `tau` say how much has to speak for a link. With classes that are known, even few, `fit(X, y)`
# learns all that from the data; see `plot_unseen_characters`.

for resolution in (0.01, 0.02, 0.05):
    clusterer = HiLanderClusterer(resolution=resolution, random_state=0)
    for data, (X, y) in sets.items():
        labels = clusterer.fit_predict(X)
        f = bcubed_f_score(y, labels)
        print(
            f"resolution {resolution}  {data:10s}  BCubed F {f:.3f}  {labels.max() + 1} clusters"
        )
