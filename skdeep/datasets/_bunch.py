"""From arrays to what a loader returns."""

from itertools import compress

from sklearn.utils import Bunch

from skdeep.datasets._frames import to_frames
from skdeep.datasets._resources import read_description


def as_result(dataset, rows, *, masks, split, return_X_y, columns=None, **others):
    """Choose the rows of a split and return them as a Bunch or as a pair.

    Parameters
    ----------
    dataset : Dataset
        An entry of the table.

    rows : dict of str to ndarray, csr_array or list
        Fields with one entry a sample; `data` and `target` among them.

    masks : dict of str to ndarray of bool
        The rows of each value of `split`.

    split : str or None
        Which part; None for all rows.

    return_X_y : bool
        Whether to return `data` and `target` only.

    columns : tuple of (data columns, target columns) or None, default=None
        Names, if data and target are to be pandas objects: a str for a Series, a
        sequence of str for a DataFrame.

    **others : object
        Further fields of the Bunch.

    Returns
    -------
    result : Bunch or tuple of (data, target)
        What the loader returns.
    """
    if split is not None:
        rows = {name: _chosen(values, masks[split]) for name, values in rows.items()}
    if columns is not None:
        data, target, frame = to_frames(rows["data"], rows["target"], *columns)
        rows = {**rows, "data": data, "target": target}
        others["frame"] = frame
    if return_X_y:
        return rows["data"], rows["target"]
    return Bunch(
        **rows,
        **others,
        DESCR=read_description(dataset.name),
        licence=dataset.licence,
        source=dataset.source,
        citation=dataset.citation,
        sha256={file.filename: file.sha256 for file in dataset.files},
    )


def _chosen(values, mask):
    return list(compress(values, mask)) if isinstance(values, list) else values[mask]


def check_split(split, allowed):
    """Raise a ValueError if `split` is neither None nor one of the allowed names."""
    if split is not None and split not in allowed:
        names = ", ".join(map(repr, allowed))
        raise ValueError(f"`split` is {split!r}; give {names}, or None for all rows.")
