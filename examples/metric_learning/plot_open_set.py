"""
Naming samples, and saying "unknown"
====================================

A gallery holds a few examples of some classes. A new sample gets the name of its nearest
one, unless it is too far away: then it is unknown. Half of the queries below are of
classes that are not in the gallery, and no class at all was in the training.
"""

# %%
# Twelve of the 60 training characters are held back for the threshold: new characters let
# in more strangers than those that the network was trained on.

import numpy as np

from skdeep.datasets import class_disjoint_split, load_omniglot100
from skdeep.metric_learning import TCMEmbedder

X, y = load_omniglot100(split="train", return_X_y=True)
fit, held = class_disjoint_split(y, test_classes=12, random_state=0)
embedder = TCMEmbedder(
    base_loss="smooth_ap",
    tcm_weight=1,
    classes_per_batch=16,
    samples_per_class=8,
    module="conv",
    module_params={"channels": (8, 16, 32, 32)},
    max_epochs=30,
    lr=3e-3,
    random_state=0,
).fit(X[fit], y[fit])

# %%
# The gallery: five drawings each of the 20 Greek characters. The queries: their other
# drawings, and all drawings of 20 Balinese characters.

test = load_omniglot100(split="test")
is_greek = test.alphabet == "Greek"
in_gallery = is_greek & (np.arange(len(test.target)) % 20 < 5)
gallery_X, gallery_y = test.data[in_gallery], test.target_names[test.target[in_gallery]]
queries = ~in_gallery
X_new, truth = test.data[queries], test.target_names[test.target[queries]]
truth[~is_greek[queries]] = "unknown"

for title, (rows, labels) in {
    "training": (X[fit], y[fit]),
    "held-out": (X[held], y[held]),
}.items():
    embedder.calibrate_threshold(rows, labels, target_far=0.01)
    named = embedder.identify(X_new, gallery_X, gallery_y)
