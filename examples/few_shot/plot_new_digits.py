"""
Five known digits, five new ones
================================

The digits 0 to 4 are known from a thousand drawings. Of 5 to 9 somebody has labelled one
drawing each, or two, or ten, and there is a pile of drawings without labels. What is the pile
worth, and what are the known digits worth?
"""

# %%
# Without known classes there is `FewShotClassifier`, with a network from other people's data. The
# meta-learner goes on from that network, with tasks drawn from digits 0 to 4.

from sklearn.datasets import load_digits

from skdeep import FewShotClassifier, SemiSupervisedMetaLearner

X, y = load_digits(return_X_y=True)
X, known = X / 16, y < 5
learner = SemiSupervisedMetaLearner(max_epochs=4, random_state=0)
learner.fit(X[known], y[known])
X_new, y_new = X[~known], y[~known]

# %%
# One problem as it comes: one labelled drawing of each new digit, and all others as the pile.

import numpy as np

first = [np.flatnonzero(y_new == digit)[0] for digit in range(5, 10)]
pile = np.delete(X_new, first, axis=0)
classifier = learner.adapt(X_new[first], y_new[first], pile)
right = classifier.predict(pile) == np.delete(y_new, first)
print(f"5 labels, {len(pile)} drawings without: {right.mean():.2f} right")

# %%
# One problem says little, as labels fall well or badly. Here are 60 problems for each number of
# labels. All models get the same ones; those that can learn from a pile get the 75 drawings that
# are to be classified, without their labels.

from sklearn.linear_model import LogisticRegression
from sklearn.semi_supervised import LabelSpreading

from skdeep.metrics import FewShotDisplay

display = FewShotDisplay.from_estimators(
    {
        "LogisticRegression, no pile": LogisticRegression(C=10),
        "LabelSpreading": LabelSpreading(gamma=10, alpha=0.5),
        "FewShotClassifier": FewShotClassifier(),
        "SemiSupervisedMetaLearner": learner,
    },
    X_new,
    y_new,
    values=(1, 2, 5, 10),
    n_episodes=60,
    random_state=0,
)

# %%
# The same as a table. With one label the pile is worth about as much as a second label; the more labels
# there are, the less it adds. Five known digits teach the meta-learner little beyond what the
# built-in network knows: for that, dozens of classes are needed.

print("labels of each digit", *display.values, sep="   ")
for name, accuracies in display.mean.items():
    print(f"{name:28s}", *(f"{accuracy:.3f}" for accuracy in accuracies))
