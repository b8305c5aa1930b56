"""
Does one threshold serve all classes?
=====================================

A system that verifies handwritten characters accepts two drawings as "the same" up to
one distance, and has to do so for characters it has never seen. We train the same
network with and without the threshold-consistent margin (TCM) and look at each new
character on its own.
"""

# %%
# 60 characters of three alphabets are for training. The 40 for the test are of two other
# alphabets.

from skdeep.datasets import load_omniglot100

train = load_omniglot100(split="train", flatten=False)
test = load_omniglot100(split="test", flatten=False)
X_train, X_test = train.data[:, None], test.data[:, None]  # one channel
print(X_train.shape, sorted(set(train.alphabet)))
print(X_test.shape, sorted(set(test.alphabet)))

# %%
# Pixels are the first reference, the network without TCM the second. Here TCM has its
# positive side only: it pulls pairs of one class to a cosine of 0.9 or more, the same for
# every class.

from skdeep.metric_learning import TCMEmbedder

plain = TCMEmbedder(
    "smooth_ap",
    n_components=64,
    module="conv",
    augment="affine",
    tcm_weight=0,
    classes_per_batch=30,
    samples_per_class=4,
    max_epochs=30,
    lr=3e-3,
    random_state=0,
).fit(X_train, train.target)
consistent = TCMEmbedder(
    **{**plain.get_params(), "tcm_weight": 1, "pos_margin": 0.9, "tcm_neg_weight": 0}
).fit(X_train, train.target)

# %%
# Recall at 1 asks for the nearest neighbour and knows no threshold. OPIS is the spread of
# the classes over the thresholds with a false accept rate of 1 to 10 %; it has to be read
# beside the mean utility, since pixels serve all characters alike, namely badly.

from skdeep.metrics import opis_score, recall_at_k_score

spaces = {
    "pixels": test.data.reshape(len(test.data), -1),
    "without TCM": plain.transform(X_test),
    "with TCM": consistent.transform(X_test),
}
for name, space in spaces.items():
    opis = opis_score(test.target, space, return_details=True)
    recall = recall_at_k_score(test.target, space)
    print(
        f"{name:12s} recall@1 {recall:.3f}   OPIS {opis.opis:.4f}   "
        f"mean utility {opis.mean_utility:.3f}"
    )

# %%
# One thin line is one character. A threshold serves all where the lines lie together and
# high; the grey range is where thresholds are chosen.

import matplotlib.pyplot as plt

from skdeep.metrics import ThresholdConsistencyDisplay

fig, axes = plt.subplots(ncols=2, sharey=True, figsize=(10, 4.2), layout="constrained")
for ax, name in zip(axes, ("without TCM", "with TCM")):
    ThresholdConsistencyDisplay.from_predictions(
        test.target, spaces[name], name=name, ax=ax
    )
axes[1].set_ylabel("")
plt.show()
