"""
What a consistent margin does to ten digits on a circle
========================================================

Two dimensions are too few for ten classes, so they show what a loss does with crowded
ones. ArcFace sets every class apart from the others by an angle *relative* to its class
vector. The threshold-consistent margin (TCM) adds *absolute* bounds that are the same
for all classes. Does that make the classes alike?
"""

# %%
# Ten directions on a circle are 36 degrees apart at best. That tells where margins can
# be: pairs of one class within 11 degrees, pairs of two classes beyond 32 degrees.

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X / 16, y, test_size=0.5, stratify=y, random_state=0
)
for degrees in (11, 32, 36):
    print(f"cosine of {degrees} degrees: {np.cos(np.radians(degrees)):.2f}")

# %%
# The same network and the same ArcFace, without TCM and with it. The numbers are means of
# three trainings, on drawings that were not used for training. The settings were picked
# so that two dimensions show the effect; with others TCM gained nothing here. For a test
# with settings chosen beforehand see the page of the method.

from skdeep.metric_learning import TCMEmbedder
from skdeep.metrics import verification_report

arcface = TCMEmbedder(
    "arcface",
    n_components=2,
    base_loss_params={"margin": 10, "scale": 32},
    pos_margin=0.98,
    neg_margin=0.85,
    tcm_neg_weight=1,
    tcm_warmup=0,
    classes_per_batch=10,
    samples_per_class=12,
    module="mlp",
    module_params={"skip_scale": None},
    hidden_layer_sizes=(256,),
    dropout=0.1,
    max_epochs=40,
    lr=1e-3,
)
measures = ("recall_at_1", "mean_utility", "opis", "eer")
spaces = {}
for name, weight in {"ArcFace": 0, "ArcFace + TCM": 5}.items():
    reports = []
    for seed in (2, 1, 0):
        arcface.set_params(tcm_weight=weight, random_state=seed).fit(X_train, y_train)
        spaces[name] = arcface.transform(X_test)
        reports.append(verification_report(y_test, spaces[name]))
    print(name)
    for measure in measures:
        mean = np.mean([report[measure] for report in reports])
        print(f"    {measure:12s} {mean:.4f}")

# %%
# Red is where many drawings lie; an arrow is the mean of a class. Where red spots run
# into each other, no threshold can tell the two digits apart.

import matplotlib.pyplot as plt
from sklearn.neighbors import KernelDensity

side = np.linspace(-1.3, 1.3, 200)
grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)

fig, axes = plt.subplots(ncols=2, figsize=(9, 4.7), layout="constrained")
for ax, (name, space) in zip(axes, spaces.items()):
    density = KernelDensity(bandwidth=0.06, rtol=1e-3).fit(space).score_samples(grid)
    image = np.exp(density).reshape(200, 200)
    ax.imshow(image, "RdYlBu_r", origin="lower", extent=(-1.3, 1.3) * 2, vmax=2.2)
    for digit in range(10):
        mean = space[y_test == digit].mean(axis=0)
        tip = mean / np.linalg.norm(mean)
        arrow = {"arrowstyle": "->", "color": "white"}
        ax.annotate("", 0.85 * tip, (0, 0), arrowprops=arrow)
        label = {"ha": "center", "va": "center", "size": 15, "color": "white"}
        ax.text(*1.17 * tip, digit, **label)
    ax.set(title=name, xticks=[], yticks=[])
plt.show()
