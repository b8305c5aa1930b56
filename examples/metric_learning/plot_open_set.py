"""
Naming samples, and saying "unknown"
====================================

A gallery holds a few examples of some classes. A new sample gets the name of its nearest
example, unless that is too far away: then it is unknown. Where does the threshold come
from? None of the characters here was in the training.
"""

# %%
# Twelve of the 60 training characters are kept for the threshold.

import numpy as np

from skdeep.datasets import class_disjoint_split, load_omniglot100
from skdeep.metric_learning import TCMEmbedder

X, y = load_omniglot100(split="train", return_X_y=True, flatten=False)
X = X[:, None]  # one channel
fit, kept = class_disjoint_split(y, test_classes=12, random_state=0)
embedder = TCMEmbedder(
    tcm_weight=1,
    classes_per_batch=16,
    samples_per_class=8,
    augment="affine",
    module="conv",
    module_params={"channels": (8, 16, 32, 32)},
    max_epochs=20,
    lr=3e-3,
    random_state=0,
).fit(X[fit], y[fit])

# %%
# The gallery has five drawings of each of 20 Greek characters. The queries are their other
# drawings, and those of 20 Balinese characters, which are to be called unknown.

data = load_omniglot100(split="test", flatten=False)
images, is_greek = data.data[:, None], data.alphabet == "Greek"
in_gallery = is_greek & (np.arange(len(images)) % 20 < 5)
gallery = images[in_gallery], data.target[in_gallery]
queries, truth = images[~in_gallery], data.target[~in_gallery]
is_known = is_greek[~in_gallery]


def outcome(threshold):
    """Share of known queries named rightly, and of unknown ones given a name."""
    named = embedder.identify(queries, *gallery, threshold=threshold)
    return (named == truth)[is_known].mean(), (named != -1)[~is_known].mean()


# %%
# Say we want to accept one pair of strangers in a hundred. The threshold that does so on
# the characters of the training is compared with the one for the characters kept.

thresholds = {}
for name, rows in {"trained": fit, "kept": kept}.items():
    embedder.calibrate_threshold(X[rows], y[rows], target_far=0.01)
    report = embedder.threshold_report(images, data.target)
    thresholds[name] = embedder.threshold_
    right, wrong = outcome(embedder.threshold_)
    print(f"calibrated on the characters {name}: threshold {embedder.threshold_:.3f}")
    print(f"    pairs of strangers accepted {report['far']:.3f}")
    print(f"    known named rightly {right:.2f}, unknown given a name {wrong:.2f}")

# %%
# All thresholds at once. A nearest neighbour without a threshold is the right end of the
# line: every unknown character gets a name.

import matplotlib.pyplot as plt

curve = np.array([outcome(threshold) for threshold in np.linspace(0, 1, 80)])
fig, ax = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
ax.plot(curve[:, 1], curve[:, 0], color="tab:blue", linewidth=2, label="all thresholds")
for (name, threshold), color in zip(thresholds.items(), ("tab:red", "tab:green")):
    right, wrong = outcome(threshold)
    label = f"calibrated on the characters {name}"
    ax.plot(wrong, right, "o", color=color, markersize=10, label=label)
ax.set(xlabel="Unknown queries that got a name", ylabel="Known queries named rightly")
ax.set(xlim=(-0.02, 1.02), ylim=(0, 1))
ax.grid(alpha=0.3)
ax.legend(loc="lower right")
plt.show()
