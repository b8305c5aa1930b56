"""From arrays to pandas objects, for those who ask for them."""

from scipy.sparse import issparse


def import_pandas():
    """Return pandas, or say who needs it and how to get it."""
    try:
        import pandas as pd
    except ImportError as error:
        raise ImportError(
            "`as_frame=True` needs pandas; install it with `pip install pandas`, or "
            "leave `as_frame` False."
        ) from error
    return pd


def to_frames(data, target, data_columns, target_columns):
    """Give data and target names, and join them.

    Parameters
    ----------
    data, target : ndarray, csr_array or list
        With one entry a sample.

    data_columns, target_columns : str or sequence of str
        Names of the columns; a str makes a Series.

    Returns
    -------
    data, target : DataFrame or Series
        The same values. Columns of a sparse array stay sparse.

    frame : DataFrame
        The columns of both.
    """
    pd = import_pandas()
    data = _named(pd, data, data_columns)
    target = _named(pd, target, target_columns)
    return data, target, pd.concat([data, target], axis=1)


def _named(pd, values, columns):
    if isinstance(columns, str):
        return pd.Series(values, name=columns)
    if issparse(values):
        return pd.DataFrame.sparse.from_spmatrix(values, columns=columns)
    return pd.DataFrame(values, columns=columns)
