"""Exact order statistics of the pair distances, without sorting the pairs.

The k-th smallest of M distances is found in one pass: a random sample of the pairs
brackets it with near certainty, the pass counts the pairs below the bracket and
keeps those inside (a fraction of order M**(-1/3)), and the wanted one is picked
among these. A bracket that turns out too wide (many tied pairs) or wrong is
replaced by a better one, and the pass is repeated in double precision.
"""

import numpy as np

# chance below 1e-8 that a sample quantile is off by more
N_SIGMA = 6.0
MAX_KEPT = 20_000_000


def kth_smallest_distances(pairs, ranks, *, positive=False):
    """Distances of given ranks among the positive or the negative pairs.

    Parameters
    ----------
    pairs : Pairs
        The pairs.

    ranks : sequence of int
        Ranks, from 1 for the smallest distance.

    positive : bool, default=False
        Whether to rank the pairs of one class, or those of two classes.

    Returns
    -------
    distances : ndarray of shape (n_ranks,)
        The exact distances.

    Notes
    -----
    One O(n_samples^2 n_components) pass for all ranks together; two or three if
    many distances are tied. Memory O(M^(2/3)) for M pairs.
    """
    total = pairs.n_positives if positive else pairs.n_negatives
    found = {}
    brackets = _first_brackets(pairs, ranks, total, positive)
    known = dict.fromkeys(brackets, (-np.inf, np.inf))  # surely holds the value
    dtype = pairs.dtype
    while brackets:
        scans = _scan(pairs, list(brackets.values()), positive, dtype)
        scans = dict(zip(brackets, scans))
        error = pairs.tolerance if dtype == np.float32 else pairs.slack
        brackets = {}
        for rank, scan in scans.items():
            found[rank] = _distance_in(pairs, scan, rank, error)
            if found[rank] is None:
                known[rank], brackets[rank] = _next_brackets(
                    pairs, scan, rank, known[rank], error
                )
        dtype = np.dtype(np.float64)
    return np.array([found[rank] for rank in ranks])


def _distance_in(pairs, scan, rank, error):
    """Distance of that rank, or None if the scan does not tell."""
    rank -= scan.n_above
    if not 0 < rank <= scan.n_inside:
        return None
    if scan.is_complete:
        distance = _pick(pairs, scan, rank, error)
        if distance is not None:
            return distance
    if error == pairs.slack and scan.largest - scan.smallest <= 20 * pairs.slack:
        # one value, shared by more pairs than are kept
        return pairs.distance(scan.i[:1], scan.j[:1])[0]
    return None


def _next_brackets(pairs, scan, rank, known, error):
    """Bracket that surely holds the value, and the one to scan next."""
    low, high = known
    margin = 4 * error
    if rank <= scan.n_above:
        known = scan.high - margin, high
        return known, known
    if rank > scan.n_above + scan.n_inside:
        known = low, scan.low + margin
        return known, known
    known = max(low, scan.low - margin), min(high, scan.high + margin)
    if scan.is_complete:  # the value is too near to an end
        return known, known
    sample = np.sort(pairs.closeness(scan.i, scan.j))
    share = (rank - scan.n_above) / scan.n_inside
    first, last = _bracket(pairs, sample, share)
    if np.count_nonzero((sample > first) & (sample <= last)) < len(sample) / 2:
        return known, (max(first, known[0]), min(last, known[1]))
    # ties keep the bracket wide: try one value, to find the rank in it or beside it
    pivot = sample[int((len(sample) - 1) * (1 - share))]
    return known, (pivot - 8 * pairs.slack, pivot + 8 * pairs.slack)


class _Scan:
    """What one pass saw of one bracket (low, high] of closeness."""

    def __init__(self, low, high):
        self.low, self.high = float(low), float(high)
        self.n_above = self.n_inside = 0
        self.keep_fraction = 1.0
        self.n_kept = 0
        self.smallest, self.largest = np.inf, -np.inf
        self.parts = []
        self.rng = np.random.RandomState(0)

    @property
    def is_complete(self):
        return self.keep_fraction == 1.0

    def add(self, tile):
        values = tile.closeness
        above = values > self.high
        self.n_above += np.count_nonzero(above)
        inside = values > self.low
        inside ^= above
        flat = np.flatnonzero(inside)
        self.n_inside += len(flat)
        if not len(flat):
            return
        closeness = values.ravel()[flat]
        self.smallest = min(self.smallest, closeness.min())
        self.largest = max(self.largest, closeness.max())
        if not self.is_complete:
            chosen = self.rng.random_sample(len(flat)) < self.keep_fraction
            flat, closeness = flat[chosen], closeness[chosen]
        row = flat // values.shape[1]
        col = flat - row * values.shape[1]
        self.parts.append(
            (
                (row + tile.row).astype(np.int32),
                (col + tile.col).astype(np.int32),
                closeness,
            )
        )
        self.n_kept += len(flat)
        if self.n_kept > MAX_KEPT:
            self._thin_out()

    def _thin_out(self):
        # keep a random tenth: the ties are too many, and a sample will narrow them
        self.keep_fraction /= 10
        i, j, values = map(np.concatenate, zip(*self.parts))
        chosen = self.rng.random_sample(len(i)) < 0.1
        self.parts = [(i[chosen], j[chosen], values[chosen])]
        self.n_kept = int(chosen.sum())

    def close(self):
        nothing = np.zeros(0, dtype=np.int32)
        self.parts.append((nothing, nothing, np.zeros(0, dtype=np.float32)))
        self.i, self.j, self.values = map(np.concatenate, zip(*self.parts))
        self.parts = None


def _scan(pairs, brackets, positive, dtype):
    """Count and collect in one pass over the pairs of one kind."""
    scans = {bracket: _Scan(*bracket) for bracket in brackets}  # equal ones share
    for tile in pairs.tiles(only_positive=positive, dtype=dtype):
        if tile.same is not None:
            np.copyto(
                tile.closeness, -np.inf, where=~tile.same if positive else tile.same
            )
        for scan in scans.values():
            scan.add(tile)
    for scan in scans.values():
        scan.close()
    return [scans[bracket] for bracket in brackets]


def _pick(pairs, scan, rank, error):
    """The rank-th closest of the kept pairs, or None if an end is too near."""
    kth = float(-np.partition(-scan.values, rank - 1)[rank - 1])
    # true order statistics differ from rounded ones by at most the rounding error
    window = 3 * error
    if kth - window <= scan.low or kth + window >= scan.high:
        return None
    rank -= np.count_nonzero(scan.values > kth + window)
    near = np.flatnonzero(np.abs(scan.values - kth) <= window)
    distance = pairs.distance(scan.i[near], scan.j[near])
    return np.partition(distance, rank - 1)[rank - 1]


def _first_brackets(pairs, ranks, total, positive):
    """Brackets (low, high] of closeness from a random sample of the pairs."""
    n_draws = int(max(200_000, total ** (2 / 3)))
    if total <= 4 * n_draws:
        return dict.fromkeys(ranks, (-np.inf, np.inf))
    rng = np.random.RandomState(0)  # the result does not depend on it
    draw = draw_positive_pairs if positive else draw_negative_pairs
    sample = np.sort(pairs.closeness(*draw(pairs, n_draws, rng)))
    return {rank: _bracket(pairs, sample, rank / total) for rank in ranks}


def _bracket(pairs, sample, fraction):
    """Bracket of the closeness below which a share 1 - `fraction` of pairs lie."""
    n = len(sample)
    centre = n * (1 - fraction)
    spread = N_SIGMA * (n * fraction * (1 - fraction)) ** 0.5 + N_SIGMA
    first, last = int(centre - spread), int(np.ceil(centre + spread))
    low = sample[first] if first >= 0 else -np.inf
    high = sample[last] if last < n else np.inf
    margin = 4 * pairs.slack
    return low - margin, high + margin


def draw_negative_pairs(pairs, n_draws, rng):
    """Random pairs of two classes, drawn with replacement: sorted row indices."""
    found = []
    missing = n_draws
    share = pairs.n_negatives / (pairs.n_samples * (pairs.n_samples - 1) / 2)
    while missing > 0:
        size = int(missing / share * 1.01) + 16
        i = rng.randint(pairs.n_samples, size=size)
        j = rng.randint(pairs.n_samples, size=size)
        apart = np.flatnonzero(pairs.code[i] != pairs.code[j])[:missing]
        found.append((i[apart], j[apart]))
        missing -= len(apart)
    i, j = map(np.concatenate, zip(*found))
    return i, j


def draw_positive_pairs(pairs, n_draws, rng):
    """Random pairs of one class, drawn with replacement: sorted row indices."""
    sizes = pairs.class_sizes.astype(np.float64)
    n_pairs = sizes * (sizes - 1) / 2
    which = rng.choice(len(sizes), size=n_draws, p=n_pairs / n_pairs.sum())
    start = np.cumsum(pairs.class_sizes) - pairs.class_sizes
    i = rng.randint(pairs.class_sizes[which])
    j = rng.randint(pairs.class_sizes[which] - 1)
    j += j >= i  # skip the row itself
    return start[which] + i, start[which] + j
