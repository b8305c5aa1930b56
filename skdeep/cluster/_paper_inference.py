"""Link probabilities of a whole level.

Layer by layer over all nodes, so that no code is computed twice, and in slices, so that
memory stays small. All matrices have a multiple of 8 rows: sums of floats depend on the
height of a matrix otherwise, and identical nodes must get identical probabilities.
"""

import torch
import torch.nn.functional as F

from skdeep.cluster._paper_network import (
    as_tensor,
    edge_weights,
    input_parts,
    neighbor_sum,
)


def link_probability(module, level, device="cpu", batch_size=4096):
    """Probability that each node and each of its neighbours belong together.

    Parameters
    ----------
    module : LanderNetwork
        In evaluation mode.

    level : Level
        Nodes and graph, k >= 1.

    device : str, default="cpu"
        Where the module lives.

    batch_size : int, default=4096
        Nodes of a slice, a multiple of 8.

    Returns
    -------
    probability : ndarray of shape (n, k), dtype float32
        Does not depend on `batch_size`.

    Notes
    -----
    With one layer O(n D H + n k H^2) time and O(n (D + H) + batch_size k H) memory.
    """
    with torch.inference_mode():
        neighbors = _padded(as_tensor(level.neighbors)).to(device)
        weight = _padded(edge_weights(level)).to(device)
        starts = range(0, len(neighbors), batch_size)
        slices = [slice(start, start + batch_size) for start in starts]
        codes = _codes(module, level, neighbors, weight, slices)
        source, target = module.source(codes), module.target(codes)
        parts = [
            module.edge_logits(source, target[rows], neighbors[rows]).softmax(-1)[
                ..., 1
            ]
            for rows in slices
        ]
        return torch.cat(parts)[: len(level)].cpu().numpy()


def _codes(module, level, neighbors, weight, slices):
    """Codes of all nodes, (n, H)."""
    parts = [
        part.to(neighbors.device)
        for part in input_parts(level, module.use_cluster_features)
    ]
    layers = list(module.layers)
    if module.sums_first:
        combine = layers.pop(0).combine
        codes = torch.cat(
            [combine(_pairs(parts, rows, neighbors, weight)) for rows in slices]
        )
    else:
        codes = _padded(torch.cat(parts, 1))
    for layer in layers:
        projected = layer.project(codes)
        codes = torch.cat(
            [
                layer.aggregate(projected, rows, neighbors[rows], weight[rows])
                for rows in slices
            ]
        )
    return codes


def _pairs(parts, rows, neighbors, weight):
    """Inputs of some nodes with the sums over their neighbours, (M, 2 D)."""
    own = [_padded(part[rows]) for part in parts]
    sums = [neighbor_sum(part, neighbors[rows], weight[rows]) for part in parts]
    return torch.cat([*own, *sums], 1)


def _padded(rows):
    """Add rows of zeros up to a multiple of 8."""
    return F.pad(rows, (0, 0, 0, -len(rows) % 8))
