"""
Which questions do people ask that nobody has sorted yet?
=========================================================

Requests to an assistant were sorted into 100 intents. Then come 7,500 requests, 150 for each of
50 other intents, and nobody knows the number, let alone which is which. The sorted requests
teach two things: which words matter, and what a group looks like. (Needs a download of 2.5 MB.)
"""

# %%
# Pieces of words become 200 numbers a text. The intents with labels are not those to be found.

import numpy as np
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline

from skdeep.datasets import fetch_clinc150

data = fetch_clinc150()
texts, y = np.array(data.data), data.target
is_new = np.isin(y, np.random.RandomState(0).permutation(150)[:50])
vectorizer = make_pipeline(
    TfidfVectorizer(
        analyzer="char_wb", ngram_range=(2, 4), min_df=3, sublinear_tf=True
    ),
    TruncatedSVD(200, random_state=0),
)
X = vectorizer.fit_transform(texts[~is_new])
X_new = vectorizer.transform(texts[is_new])

# %%
# Linear discriminant analysis finds directions in which intents differ. On those that it was fitted
# to it is too good; `CrossFitTransformer` shows the clusterer each intent through the eyes of a
# fit that has not seen it. Any supervised transformer will do in its place.

from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from skdeep import HiLanderClusterer
from skdeep.model_selection import ClassDisjointKFold, CrossFitTransformer

directions = LinearDiscriminantAnalysis(solver="eigen", shrinkage=0.2, n_components=60)
clusterer = make_pipeline(
    CrossFitTransformer(directions, cv=ClassDisjointKFold(3)),
    HiLanderClusterer(random_state=0),
).fit(X, y[~is_new])
found = clusterer.predict(X_new)

# %%
# Beside it the usual ones, on the same directions, and k-means is even told the true number. What
# HDBSCAN calls noise counts as clusters of one. The naive pipeline leaves `CrossFitTransformer` out.

from sklearn.cluster import HDBSCAN, KMeans
from sklearn.metrics import normalized_mutual_info_score

from skdeep.metrics import bcubed_f_score, pairwise_f_score

projected = directions.fit(X, y[~is_new]).transform(X_new)
naive = make_pipeline(directions, HiLanderClusterer(random_state=0))
dense = HDBSCAN(min_cluster_size=10, copy=True).fit_predict(projected)
alone = np.where(dense < 0, dense.max() + 1 + np.arange(len(dense)), dense)
partitions = {
    "k-means on texts, told": KMeans(50, random_state=0).fit_predict(X_new),
    "k-means on directions, told": KMeans(50, random_state=0).fit_predict(projected),
    "HDBSCAN on directions": alone,
    "HiLanderClusterer without labels": HiLanderClusterer(random_state=0).fit_predict(
        X_new
    ),
    "naive pipeline": naive.fit(X, y[~is_new]).predict(X_new),
    "HiLanderClusterer": found,
}
measures = {
    "pairwise F": pairwise_f_score,
    "BCubed F": bcubed_f_score,
    "NMI": normalized_mutual_info_score,
}
scores = {
    name: [measure(y[is_new], labels) for measure in measures.values()]
    for name, labels in partitions.items()
}
for name, values in scores.items():
    print(f"{name:33s}", *(f"{key} {v:.3f} " for key, v in zip(measures, values)))

# %%
# What would somebody read who has to name the groups? Of the largest ones, the texts in the middle.

labels, sizes = np.unique(found, return_counts=True)
for label in labels[np.argsort(-sizes)[:8]]:
    inside = np.flatnonzero(found == label)
    middle = projected[inside].mean(axis=0)
    order = np.argsort(np.linalg.norm(projected[inside] - middle, axis=1))
    print(f"{len(inside):3d} texts:", " | ".join(texts[is_new][inside[order[:3]]]))

# %%
import matplotlib.pyplot as plt

figure, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
place = np.arange(len(scores))
for step, key in enumerate(measures):
    values = [values[step] for values in scores.values()]
    axes.barh(place + 0.25 * step, values, height=0.23, label=key)
axes.set(yticks=place + 0.25, yticklabels=list(scores), xlim=(0, 1))
axes.invert_yaxis()
axes.legend(frameon=False)
plt.show()
