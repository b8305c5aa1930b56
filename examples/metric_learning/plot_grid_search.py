"""
Which loss, which margin? A search on classes never seen
========================================================

A search needs two things to choose an embedder for new classes: folds that share no
class, and a rule for two aims, accuracy and consistency. Either aim alone goes wrong:
the most consistent candidate may be equally bad for all classes.
"""

# %%
# Characters of three alphabets; 64 principal components of their pixels keep the search
# short. The test is on two other alphabets.

from sklearn.decomposition import PCA

from skdeep.datasets import load_omniglot100

X_train, y_train = load_omniglot100(split="train", return_X_y=True)
X_test, y_test = load_omniglot100(split="test", return_X_y=True)
pca = PCA(64, random_state=0).fit(X_train)
X_train, X_test = pca.transform(X_train), pca.transform(X_test)

# %%
# Two base losses, each without TCM, and with it at several margins. The constrained refit
# takes all candidates within one point of the best recall, and of these the one with the
# lowest OPIS.

from sklearn.model_selection import GridSearchCV

from skdeep.metric_learning import TCMEmbedder
from skdeep.metrics import consistency_constrained_refit, get_embedding_scorers
from skdeep.model_selection import ClassDisjointKFold

embedder = TCMEmbedder(
    n_components=64,
    hidden_layer_sizes=(256,),
    dropout=0.5,
    tcm_neg_weight=1,
    tcm_warmup=1,
    max_epochs=15,
    lr=1e-3,
    random_state=0,
)
losses = ["smooth_ap", "proxy_anchor"]
grid = [
    {"base_loss": losses, "tcm_weight": [0]},
    {"base_loss": losses, "tcm_weight": [1], "neg_margin": [0.5, 0.7]},
]
scorers = get_embedding_scorers()
search = GridSearchCV(
    embedder,
    grid,
    scoring={name: scorers[name] for name in ("recall_at_1", "neg_opis")},
    refit=consistency_constrained_refit(tolerance=0.01),
    cv=ClassDisjointKFold(3),
).fit(X_train, y_train)

# %%
# One dot is one candidate. Those on the line are beaten by no other in both respects.

import matplotlib.pyplot as plt

from skdeep.metrics import ConsistencyAccuracyDisplay

ConsistencyAccuracyDisplay.from_cv_results(
    search.cv_results_, chosen=search.best_index_
)
plt.show()
print("chosen:", search.best_params_)

# %%
# Does the choice carry over to the other alphabets? Beside it the most accurate candidate
# of the search, and the components as they are.

from skdeep.metrics import opis_score, recall_at_k_score

most_accurate = search.cv_results_["mean_test_recall_at_1"].argmax()
accurate = embedder.set_params(**search.cv_results_["params"][most_accurate])
spaces = {
    "components": X_test,
    "most accurate": accurate.fit(X_train, y_train).transform(X_test),
    "chosen": search.best_estimator_.transform(X_test),
}
for name, space in spaces.items():
    opis = opis_score(y_test, space, return_details=True)
    print(
        f"{name:14s} recall@1 {recall_at_k_score(y_test, space):.3f}   "
        f"OPIS {opis.opis:.4f}   mean utility {opis.mean_utility:.3f}"
    )
