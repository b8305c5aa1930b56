"""Features of several transformers side by side, each in its own block of columns.

Rows of different blocks have no non-zero column in common, so their inner product is 0.
"""

import numpy as np
import scipy.sparse as sp


def as_array(part):
    """Features as ndarray or CSR, whatever ``set_output`` of the estimator says."""
    return part.tocsr() if sp.issparse(part) else np.asarray(part)


def in_block(part, block, n_blocks, width):
    """Put features into one block of columns: (n, <= width) -> (n, n_blocks * width)."""
    before = block * width
    after = (n_blocks - block) * width - part.shape[1]
    if not sp.issparse(part):
        return np.pad(part, ((0, 0), (before, after)))
    left, right = (
        sp.csr_matrix((part.shape[0], n_columns), dtype=part.dtype)
        for n_columns in (before, after)
    )
    return sp.hstack([left, part, right], format="csr")


def assemble(parts, tests, width):
    """Features of all rows in their order, each fold in its block."""
    n_blocks = len(parts)
    if any(sp.issparse(part) for part in parts):
        blocks = [
            in_block(
                part if sp.issparse(part) else sp.csr_matrix(part),
                block,
                n_blocks,
                width,
            )
            for block, part in enumerate(parts)
        ]
        order = np.argsort(np.concatenate(tests))
        return sp.vstack(blocks, format="csr")[order]
    shape = sum(len(part) for part in parts), n_blocks * width
    X_new = np.zeros(shape, dtype=np.result_type(*parts))
    for block, (part, test) in enumerate(zip(parts, tests)):
        start = block * width
        X_new[test, start : start + part.shape[1]] = part
    return X_new
