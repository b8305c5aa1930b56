"""A seeded set of samples whose classes have a long tail of sizes."""

import numpy as np
from sklearn.preprocessing import normalize

# the exponent gives a power law between 1 and LARGEST a mean of MEAN_SIZE
MEAN_SIZE, LARGEST, EXPONENT = 25.1, 5000, 0.72
SPREAD, SPREAD_SD = 0.8, 0.2
RELATED, NEAREST, FARTHEST = 0.4, 0.1, 0.6
N_OWN, OWN_SHARE = 8, 0.1


def make_long_tail(n_samples, random_state, n_features=64):
    """Draw unit rows from many classes with sizes from 1 to some thousands.

    What an archive of photographs looks like behind a good encoder: many persons with a
    picture or two, a few with thousands.

    * Sizes follow a power law, P(size >= s) ~ s^-0.72 up to 5,000, with a mean of 25.1.
      The law is read off at evenly spread quantiles, so the number of classes does not
      depend on the seed: 797 for 20,000 samples, 1,992 for 50,000.
    * Centres are random directions. Four of ten classes are relatives: their centre is
      that of another class, moved by 0.1 to 0.6 of its length. The nearest relatives
      overlap so much that nothing can tell them apart.
    * A row is its centre plus Gaussian noise, scaled to length 1. The length of the
      noise against that of the centre is the spread of the class, log-normal over
      classes around 0.8. A tenth of its variance lies in eight directions of the class'
      own (say, the pose), the rest is the same in all directions.

    Parameters
    ----------
    n_samples : int
        Rows.

    random_state : int
        Seed. Two seeds give different classes.

    n_features : int, default=64
        Columns.

    Returns
    -------
    X : array of shape (n_samples, n_features), float32
        Rows of length 1, in random order.

    y : array of shape (n_samples,), int64
        Classes, numbered from 0.
    """
    rng = np.random.RandomState(random_state)
    sizes = class_sizes(n_samples, rng)
    centres = class_centres(len(sizes), n_features, rng)
    spreads = SPREAD * np.exp(SPREAD_SD * rng.standard_normal(len(sizes)))
    rows = [
        centre + spread * noise(size, n_features, rng)
        for size, centre, spread in zip(sizes, centres, spreads)
    ]
    order = rng.permutation(n_samples)
    X = normalize(np.concatenate(rows))[order].astype(np.float32)
    return X, np.repeat(np.arange(len(sizes)), sizes)[order]


def class_sizes(n_samples, rng):
    """Sizes of a power law between 1 and `LARGEST` that add up to `n_samples`."""
    n_classes = max(1, round(n_samples / MEAN_SIZE))
    quantiles = (np.arange(n_classes) + rng.uniform(size=n_classes)) / n_classes
    end = (LARGEST + 1.0) ** -EXPONENT
    sizes = np.floor((1 - quantiles * (1 - end)) ** (-1 / EXPONENT)).astype(int)
    while sizes.sum() != n_samples:
        # what rounding leaves is spread over the classes in proportion to their size
        gap = n_samples - sizes.sum()
        drawn = rng.choice(n_classes, abs(gap), p=sizes / sizes.sum())
        sizes += np.sign(gap) * np.bincount(drawn, minlength=n_classes)
        sizes = np.maximum(sizes, 1)
    return rng.permutation(sizes)


def class_centres(n_classes, n_features, rng):
    """Unit vectors, some of them near one of the others."""
    centres = normalize(rng.standard_normal((n_classes, n_features)))
    n_related = int(RELATED * n_classes)
    parents = rng.randint(n_related, n_classes, n_related)
    steps = rng.uniform(NEAREST, FARTHEST, (n_related, 1))
    centres[:n_related] = normalize(centres[parents] + steps * centres[:n_related])
    return centres


def noise(size, n_features, rng):
    """Gaussian rows of mean square length 1, part of it in a few directions."""
    own = normalize(rng.standard_normal((N_OWN, n_features)))
    few = rng.standard_normal((size, N_OWN)) @ own / np.sqrt(N_OWN)
    full = rng.standard_normal((size, n_features)) / np.sqrt(n_features)
    return np.sqrt(OWN_SHARE) * few + np.sqrt(1 - OWN_SHARE) * full
