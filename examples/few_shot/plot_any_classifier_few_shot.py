"""
Which classifier is best with three labels each?
================================================

Cross-validation as usual trains on most of the rows, and tells which classifier is best with
many labels. With three of each class the order may be another one. `EpisodeSampler` deals out
small problems, as a splitter, so `cross_val_score` measures any classifier on them.
"""

# %%
# Each split of the sampler is one problem: 5 of the 10 digits, 3 labelled drawings of each, 15
# others to be classified.

from sklearn.datasets import load_digits

from skdeep.model_selection import EpisodeSampler

X, y = load_digits(return_X_y=True)
X = X / 16
episodes = EpisodeSampler(n_way=5, n_shot=3, n_episodes=100, random_state=0)
labelled, asked = next(episodes.split(X, y))
print(f"{len(labelled)} rows to learn from, {len(asked)} to classify")

# %%
# Nothing in the classifiers is made for this. Beside the episodes stands the usual way.

from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

from skdeep import FewShotClassifier

models = {
    "LinearDiscriminantAnalysis": LinearDiscriminantAnalysis(),
    "RandomForestClassifier": RandomForestClassifier(30, random_state=0),
    "KNeighborsClassifier(1)": KNeighborsClassifier(1),
    "SVC": SVC(),
    "LogisticRegression": LogisticRegression(C=10, max_iter=500),
    "FewShotClassifier, no pile": FewShotClassifier(),
}
scores = {}
for name, model in models.items():
    scores[name] = cross_val_score(model, X, y, cv=episodes)
    usual = cross_val_score(model, X, y, cv=5).mean()
    print(f"{name:27s} episodes {scores[name].mean():.3f}   5-fold {usual:.3f}")

# %%
# A splitter gives a classifier the labelled rows only. `few_shot_score` draws the same episodes, and
# gives those to be classified as a pile to what can learn from them.

from skdeep.model_selection import few_shot_score

result = few_shot_score(
    FewShotClassifier(), X, y, n_shot=3, n_episodes=100, random_state=0
)
scores["FewShotClassifier, pile"] = result.scores
print(f"{result.mean:.3f} +- {result.ci95:.3f}")

# %%
# Each dot is an episode, the bar the 95 % interval of the mean. The dots of one classifier are much
# wider apart than the classifiers: whoever tries one choice of labelled rows measures the
# choice. All had the same episodes, so they can be compared on each.

import matplotlib.pyplot as plt
import numpy as np

_, ax = plt.subplots(figsize=(8, 3.6), layout="constrained")
for place, values in enumerate(scores.values()):
    shift = np.random.RandomState(0).uniform(-0.25, 0.25, len(values))
    ax.plot(values, place + shift, ".", color="#2b6cb0", alpha=0.3)
    half = 1.96 * values.std() / len(values) ** 0.5
    ax.errorbar(values.mean(), place, xerr=half, color="#c05621", capsize=4, lw=2)
ax.set(yticks=range(len(scores)), yticklabels=scores, xlabel="Accuracy in an episode")
ax.invert_yaxis()
ax.spines[["top", "right"]].set_visible(False)
plt.show()
