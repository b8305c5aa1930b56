"""
Four, six, eight, ten digits: a chain of extensions
===================================================

Classes do not all come at once. A forest knows the digits 0 to 3; three times, two new
digits arrive, 30 drawings of each and nothing else. Each extension has the one before as
its source, and no data are kept. What is left of the first digits at the end?
"""

# %%
# Half of the drawings are for the test. Of the other half, one part trains the forest; the
# other one is what comes later.

import numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, test_size=0.5, stratify=y, random_state=0
)
rng = np.random.RandomState(0)
is_later = rng.rand(len(y_train)) < 0.5
first = (y_train < 4) & ~is_later
forest = RandomForestClassifier(random_state=0).fit(X_train[first], y_train[first])

# %%
# `extend` makes an extender of an extender. All drawings that come are of new digits, so that a
# gate decides what is new; `new_annotation="new_only"` says that we know. `source_old` is what
# the link before scored on the digits that were old then.

from skdeep import AdapterExtender
from skdeep.metrics import extension_report

models = {"0 to 3": forest}
model = AdapterExtender(forest, new_annotation="new_only", random_state=0)
for digits in ((4, 5), (6, 7), (8, 9)):
    rows = np.concatenate(
        [np.flatnonzero(is_later & (y_train == digit))[:30] for digit in digits]
    )
    if digits == (4, 5):
        model.fit(X_train[rows], y_train[rows])
    else:
        model = model.extend(X_train[rows], y_train[rows])
    models[f"0 to {digits[1]}"] = model
    known = y_test <= digits[1]
    report = extension_report(model, X_test[known], y_test[known])
    print(
        f"0 to {digits[1]}: old {report['old']:.3f}, new {report['new']:.3f}, "
        f"source_old {report['source_old']:.3f}"
    )

# %%
# Each link asks all links before it, and decides on its own what it thinks is new. `collapse`
# makes one extension of the chain: it learns the chain's answers for rows without any label. Here
# these are the drawings of all digits that came later, without their labels.

models["collapsed"] = model.collapse(X_train[is_later])
print("innermost source:", type(models["collapsed"].estimator).__name__)

# %%
# Accuracy on the test drawings of each group of digits, and CPU milliseconds for all 899 of them. A
# link costs the digits before it some points. The collapsed model has learned from drawings of all digits side
# by side, though without a label, and is better on the later ones and as fast as the forest.

import time

groups = {"0 to 3": (0, 3), "4, 5": (4, 5), "6, 7": (6, 7), "8, 9": (8, 9)}
table, seconds = [], []
for name, model in models.items():
    start = time.process_time()
    right = model.predict(X_test) == y_test
    seconds.append(time.process_time() - start)
    row = [
        right[(low <= y_test) & (y_test <= high)].mean()
        for low, high in groups.values()
    ]
    table.append([*row, right.mean()])
    print(
        f"{name:10s}",
        *(f"{value:.3f}" for value in table[-1]),
        f"{1000 * seconds[-1]:5.0f} ms",
    )

# %%
# The grey fields are digits that a model cannot know yet.

import matplotlib.pyplot as plt

shown = np.array(table)
_, ax = plt.subplots(figsize=(6.4, 3.4), layout="constrained")
ax.imshow(np.where(shown == 0, np.nan, shown), cmap="Blues", vmin=0.5, vmax=1.1)
ax.set_facecolor("#e5e7eb")
for place, value in np.ndenumerate(shown):
    if value:
        color = "white" if value > 0.8 else "black"
        ax.text(*place[::-1], f"{value:.2f}", ha="center", va="center", color=color)
ax.set_xticks(range(5), [*groups, "all"])
ax.set_yticks(range(len(models)), models)
ax.set(xlabel="Accuracy on the digits", ylabel="Model of the digits", aspect="auto")
ax.grid(visible=False)
plt.show()
