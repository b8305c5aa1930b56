"""
Choose parameters for classes that are still to come
====================================================

How long should a backbone be trained on known characters, if it is meant for new ones? A
search over rows asks how well the known ones are told apart. A search over classes asks what
is wanted: how well can characters be learned from one drawing, of which the backbone has not
seen any?
"""

# %%
# 60 characters of three alphabets are known; 40 of two others are kept for the end. The images are
# reduced to 14 x 14 pixels.

from skdeep.datasets import load_omniglot100


def rows_of(data):
    return data.data.reshape(-1, 14, 2, 14, 2).mean(axis=(2, 4)).reshape(-1, 196)


known = load_omniglot100(split="train")
new = load_omniglot100(split="test")
X, y, X_new, y_new = rows_of(known), known.target, rows_of(new), new.target

# %%
# The backbone is a perceptron. One search with folds of classes, scored by episodes of the
# held-out ones; another with folds of rows, scored by the accuracy on known classes.

from sklearn.model_selection import GridSearchCV

from skdeep import SemiSupervisedMetaLearner
from skdeep.metrics import make_few_shot_scorer
from skdeep.model_selection import ClassDisjointKFold

learner = SemiSupervisedMetaLearner(
    "mlp",
    hidden_layer_sizes=(256,),
    phi="pretrained",
    cross_fit=0,
    power=0.5,
    random_state=0,
)
grid = {"backbone_max_epochs": [1, 3, 8, 24]}
scorer = make_few_shot_scorer(n_shot=1, n_episodes=100)
by_class = GridSearchCV(
    learner,
    grid,
    scoring=scorer,
    cv=ClassDisjointKFold(2, shuffle=True, random_state=0),
).fit(X, y)
by_row = GridSearchCV(learner, grid, cv=2).fit(X, y)
print("folds of classes:", by_class.best_params_)
print("folds of rows:   ", by_row.best_params_)

# %%
# `phi="pretrained"` and `cross_fit=0` leave the training of the network out, which would be the same
# for all candidates. The scorer has a fixed seed: all candidates meet the same episodes.
#
# What would each candidate have given on the new characters? In practice nobody can know.

on_new = []
for epochs in grid["backbone_max_epochs"]:
    learner.set_params(backbone_max_epochs=epochs).fit(X, y)
    on_new.append(scorer(learner, X_new, y_new))

# %%
# The heights are those of different questions, so look at where the curves turn. The middle one asks
# what will be asked later. Both searches agree here, and need not: what tells known classes
# apart is not always what tells new ones apart.

import matplotlib.pyplot as plt

curves = {
    "known classes, other rows": by_row.cv_results_["mean_test_score"],
    "known alphabets, held-out classes": by_class.cv_results_["mean_test_score"],
    "new alphabets": on_new,
}
_, axes = plt.subplots(ncols=3, sharex=True, figsize=(9, 2.8), layout="constrained")
for ax, (name, values) in zip(axes, curves.items()):
    ax.plot(grid["backbone_max_epochs"], values, "o-", color="#2b6cb0")
    ax.set(xscale="log", title=name, xlabel="Epochs of the backbone")
    ax.minorticks_off()
    ax.set_xticks(grid["backbone_max_epochs"], grid["backbone_max_epochs"])
    ax.spines[["top", "right"]].set_visible(False)
    print(f"{name:34s}", *(f"{value:.3f}" for value in values))
axes[0].set_ylabel("Accuracy")
plt.show()
