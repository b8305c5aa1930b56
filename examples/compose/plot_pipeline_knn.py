"""
What does an embedding bring to nearest neighbours?
===================================================

Nearest neighbours need a good distance. Pixels give a poor one: a stroke that has moved
by its own width has nothing in common with itself. Here 100 handwritten characters are
to be told apart, with ten examples of each, and the distance is one more step of the
pipeline.
"""

# %%
# Half of the drawings of each character are for training.

from sklearn.model_selection import train_test_split

from skdeep.datasets import load_omniglot100

X, y = load_omniglot100(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, test_size=0.5, stratify=y, random_state=0
)

# %%
# The classifier is the same everywhere. Before it stand nothing, a linear projection
# learned from the classes, and a convolutional network learned from the classes.

from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skdeep.metric_learning import TCMEmbedder


def as_images(X):
    return X.reshape(-1, 1, 28, 28)


linear = LinearDiscriminantAnalysis(solver="eigen", shrinkage="auto", n_components=64)
embedder = TCMEmbedder(
    n_components=64,
    classes_per_batch=16,
    samples_per_class=8,
    augment="affine",
    module="conv",
    module_params={"channels": (8, 16, 32, 32)},
    max_epochs=20,
    lr=3e-3,
    random_state=0,
)
steps = {
    "pixels": ["passthrough"],
    "linear projection": [linear],
    "embedding": [StandardScaler(), FunctionTransformer(as_images), embedder],
}
models = {}
for name, before in steps.items():
    models[name] = model = make_pipeline(*before, KNeighborsClassifier(n_neighbors=1))
    model.fit(X_train, y_train)
    print(f"{name:18s} accuracy {model.score(X_test, y_test):.3f}")

# %%
# Some drawings, and the nearest ones of the training in each space. A frame tells whether
# that is the same character.

import matplotlib.pyplot as plt
import numpy as np

chosen = np.random.RandomState(0).choice(len(X_test), size=12, replace=False)
fig, axes = plt.subplots(4, len(chosen), figsize=(9, 3.4), layout="constrained")
for ax, row in zip(axes[0], chosen):
    ax.imshow(X_test[row].reshape(28, 28), cmap="gray_r")
axes[0, 0].set_ylabel("drawing", rotation=0, ha="right", va="center")
for row_of_axes, (name, model) in zip(axes[1:], models.items()):
    space = model[:-1].transform(X_test[chosen])
    found = model[-1].kneighbors(space, return_distance=False)[:, 0]
    for ax, row, neighbor in zip(row_of_axes, chosen, found):
        ax.imshow(X_train[neighbor].reshape(28, 28), cmap="gray_r")
        is_right = y_train[neighbor] == y_test[row]
        ax.spines[:].set(color="tab:green" if is_right else "tab:red", linewidth=2.5)
    row_of_axes[0].set_ylabel(name, rotation=0, ha="right", va="center")
for ax in axes.flat:
    ax.set(xticks=[], yticks=[])
plt.show()
