"""
From one cluster to many: the path of tau
=========================================

`tau` is the probability that a link needs to join two rows or two clusters. A result keeps its
trees, so it can be cut anywhere, without the network: what would have come out for another `tau`,
and is the choice delicate?
"""

# %%
# Digits 0 to 4 are known; 5 to 9 are to be grouped.

from sklearn.datasets import load_digits

from skdeep import HiLanderClusterer

X, y = load_digits(return_X_y=True)
known = y < 5
clusterer = HiLanderClusterer(random_state=0).fit(X[known], y[known])
result = clusterer.cluster(X[~known])
print(result.n_clusters, "clusters, nodes and links of the levels:", result.level_sizes)

# %%
# The tree. Left of the dashed line is what `tau` has put together; further right, what a lower one
# would. Wedges are parts of clusters, as long as their rows need to come together, and the
# strip beside a wedge shows which digits its rows are.

import matplotlib.pyplot as plt

from skdeep.metrics import ClusterTreeDisplay

ClusterTreeDisplay.from_predictions(result, y[~known], max_leaves=20)
plt.show()

# %%
# Scores of the cuts. Left of the mark clusters are joined, right of it they are taken apart.

from skdeep.metrics import TauPathDisplay

TauPathDisplay.from_predictions(result, y[~known])
plt.show()

# %%
# In practice the new rows have no labels, and the path has to come from known classes that the
# clusterer did not learn from. Here are the paths of two folds of the known digits: each fold is
# clustered by what was learned from the other one.

from skdeep.model_selection import ClassDisjointKFold

fig, axes = plt.subplots(ncols=2, figsize=(11, 4.4), layout="constrained")
folds = ClassDisjointKFold(2).split(X[known], y[known])
for ax, (fit, held) in zip(axes, folds):
    rows, labels = X[known], y[known]
    other = HiLanderClusterer(random_state=0).fit(rows[fit], labels[fit])
    name = f"digits {', '.join(str(digit) for digit in sorted(set(labels[held])))}"
    TauPathDisplay.from_estimator(other, rows[held], labels[held], name=name, ax=ax)
plt.show()

# %%
# A cut is not quite the same as another clustering: the levels of the result stay as they are,
# while `predict` with another `tau` builds them anew.

from skdeep.metrics import bcubed_f_score

for tau in (0.4, 0.6, 0.8):
    cut = result.cut(tau)
    anew = clusterer.set_params(tau=tau).predict(X[~known])
    print(
        f"tau {tau}   cut {cut.max() + 1:3d} clusters, BCubed F "
        f"{bcubed_f_score(y[~known], cut):.3f}   anew {anew.max() + 1:3d} clusters, "
        f"BCubed F {bcubed_f_score(y[~known], anew):.3f}"
    )
