"""Bad and odd samples, at fit and at every question to a fitted estimator.

Identifiers such as R101 name a promise: a bad input is refused with an error that tells
what is wrong, an odd one is taken and answered.
"""

import copy
import re
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
import torch
from estimators import (
    CASES,
    IDS,
    answers,
    assert_same_answers,
    assert_valid_answers,
    callables,
)
from refusals import assert_refused, forbid_training, refusal
from sklearn.base import is_clusterer
from sklearn.exceptions import NotFittedError
from sklearn.utils import get_tags


@pytest.fixture(scope="module", params=CASES, ids=IDS)
def case(request):
    return request.param


@pytest.fixture(scope="module")
def fitted(case):
    return case.fitted()


def with_value(value, where=(3, 1)):
    """Make a copy of X that holds `value` in one place."""

    def make(X):
        X = np.array(X, dtype=None if isinstance(value, float) else object)
        X[where] = value
        return X

    return make


def nullable(X):
    frame = pd.DataFrame(X).astype("Float64")
    frame.iloc[2, 0] = pd.NA
    return frame


def sparse_with_nan(X):
    X = sp.csr_array(X)
    X.data[4] = np.nan
    return X


def masked(X):
    X = np.ma.MaskedArray(X.copy())
    X[1, 1] = np.ma.masked
    return X


def structured(X):
    return np.array(
        [tuple(row) for row in X], dtype=[(f"f{j}", float) for j in range(5)]
    )


def text_column(X):
    frame = pd.DataFrame(X, columns=list("abcde"))
    return frame.assign(c=["red"] * len(X))


def ragged(X):
    return [list(row) for row in X[:-1]] + [[1.0]]


def np_matrix(X):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        return np.matrix(X)


# name, how to spoil X, what the message has to tell; wanted at fit and afterwards
REFUSED = {
    "R101 one NaN": (with_value(np.nan), "Input X contains NaN"),
    "R101 column of NaN": (with_value(np.nan, np.s_[:, 2]), "Input X contains NaN"),
    "R101 None among objects": (with_value(None), "NaN|None", "X"),
    "R101 pandas NA": (nullable, "NaN|NA", "X"),
    "R101 NaN in sparse data": (sparse_with_nan, "Input X contains NaN"),
    "R102 infinity": (with_value(np.inf), "Input X contains infinity"),
    "R102 minus infinity": (with_value(-np.inf), "Input X contains infinity"),
    "R102 infinity in a list": (lambda X: with_value(np.inf)(X).tolist(), "infinity"),
    "R104 no column": (lambda X: X[:, :0], "0 feature"),
    "R105 vector": (lambda X: X[:, 0], "Expected 2D array, got 1D", "reshape"),
    "R106 five dimensions": (lambda X: X[:, None, None, None], "dim(ension)?s? 5"),
    "R106 three dimensions": (lambda X: X[:, None], "dim(ension)?s? 3"),
    "R106 nested lists of three": (lambda X: X[:, None].tolist(), "dim(ension)?s? 3"),
    "R107 scalar": (lambda X: 3.5, "scalar|float"),
    "R107 None": (lambda X: None, "None"),
    "R107 str": (lambda X: "some text", r"\bstr\b"),
    "R107 bytes": (lambda X: b"some text", r"\bbytes\b"),
    "R107 dict": (lambda X: {"a": X[:, 0]}, "dict"),
    "R107 set": (lambda X: set(X[:, 0]), "set"),
    "R107 generator": (lambda X: (row for row in X), "generator"),
    "R108 text": (lambda X: np.full(X.shape, "red"), "string", "encode|vectori"),
    "R108 text among objects": (with_value("red"), "string", "encode|vectori"),
    "R111 dicts": (lambda X: np.full(X.shape, {}, dtype=object), "dict|object"),
    "R111 datetime": (lambda X: X.astype("int64").astype("M8[s]"), "datetime64"),
    "R111 timedelta": (lambda X: X.astype("int64").astype("m8[s]"), "timedelta64"),
    "R111 datetime column": (
        lambda X: pd.DataFrame(X).assign(day=pd.Timestamp(2020, 1, 1)),
        "datetime64",
        "day",
    ),
    "R111 records": (structured, "dtype"),
    "R112 complex": (lambda X: X + 1j, "complex data not supported"),
    "R112 complex frame": (lambda X: pd.DataFrame(X + 1j), "complex"),
    "R117 ragged list": (ragged, "inhomogeneous"),
    "R118 np.matrix": (np_matrix, "np.matrix is not supported"),
    "R119 masked entry": (masked, "NaN|missing|masked", "X"),
    "R121 tensor without data": (
        lambda X: torch.empty(X.shape, device="meta"),
        "meta",
        "device",
    ),
    "R124 text column": (text_column, "string", "'c'"),
    "R125 names of two types": (
        lambda X: pd.DataFrame(X, columns=["a", 0, "b", 1, 2]),
        "feature names are only supported if all",
    ),
    "R126 names that occur twice": (
        lambda X: pd.DataFrame(X, columns=["a", "a", "b", "c", "d"]),
        "unique column names",
        "'a' 2 times",
    ),
    "R132 beyond float32": (
        with_value(1e300),
        "too large for float32",
        "1e.300",
        "scale",
    ),
    "R132 beyond float32 in a frame": (
        lambda X: pd.DataFrame(with_value(-1e300)(X), columns=list("abcde")),
        "too large for float32",
        "column 'b'",
    ),
    "R132 beyond float32, sparse": (
        lambda X: sp.csr_array(with_value(1e300)(X)),
        "too large for float32",
    ),
}


@pytest.mark.parametrize("row", REFUSED)
def test_bad_samples_are_refused_at_fit(row, case, fitted, monkeypatch):
    forbid_training(monkeypatch)
    X, y, _ = case.make_data()
    spoil, *words = REFUSED[row]
    estimator = copy.copy(fitted)
    assert_refused(estimator, lambda: estimator.fit(spoil(X), y), *words)


@pytest.mark.filterwarnings("ignore:X has feature names:UserWarning")
@pytest.mark.parametrize("row", REFUSED)
def test_bad_samples_are_refused_at_predict(row, case, fitted):
    rows = case.make_data()[2]
    spoil, *words = REFUSED[row]
    for name in callables(fitted):
        assert_refused(fitted, lambda: getattr(fitted, name)(spoil(rows)), *words)  # noqa: B023


def test_R103_no_row_is_refused_at_fit(case, fitted, monkeypatch):
    forbid_training(monkeypatch)
    X, y, _ = case.make_data()
    estimator = copy.copy(fitted)
    assert_refused(
        estimator, lambda: estimator.fit(X[:0], y[:0]), "0 sample", "minimum"
    )


def test_R140_no_row_is_refused_at_predict(case, fitted):
    rows = case.make_data()[2]
    for name in callables(fitted):
        assert_refused(fitted, lambda: getattr(fitted, name)(rows[:0]), "0 sample")  # noqa: B023


def test_R106_images_are_taken_where_documented_and_refused_elsewhere(case):
    X, y, _ = case.make_data()
    images = np.random.RandomState(0).rand(len(X), 1, 4, 4)
    estimator = case.new()
    if case.images:
        assert_valid_answers(estimator.fit(images, y), images[:7], 7)
    else:
        assert_refused(estimator, lambda: estimator.fit(images, y), "dim 4|images")


DTYPES = ["?", "i1", "i2", "i4", "i8", "u1", "f2", "f4", "f8", "g", ">f8", ">f4", ">i4"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_R113_every_number_type_gives_the_answers_of_float64(dtype, case):
    X, y, rows = case.make_data()
    X, rows = (np.clip(np.round(part * 4), 0, 100) for part in (X, rows))
    if dtype == "?":
        X, rows = X > 8, rows > 8
    reference = case.new().fit(X.astype("f8"), y)
    estimator = case.new().fit(X.astype(dtype), y)
    assert_same_answers(
        answers(estimator, rows.astype(dtype)), answers(reference, rows.astype("f8"))
    )


def strided(X):
    wide = np.zeros((2 * len(X), 3 * X.shape[1]))
    wide[::2, ::3] = X
    return wide[::2, ::3]


def read_only(X):
    X = X.copy()
    X.flags.writeable = False
    return X


def with_duplicates(X):
    """COO and CSR whose entries are stored in two halves, unsorted."""
    coo = sp.coo_array(X)
    data = np.r_[coo.data / 2, coo.data / 2][::-1]
    row, col = (np.r_[index, index][::-1] for index in coo.coords)
    return sp.coo_array((data, (row, col)), shape=X.shape)


def with_int64_indices(X):
    X = sp.csr_array(X)
    X.indices, X.indptr = X.indices.astype("i8"), X.indptr.astype("i8")
    return X


def with_explicit_zeros(X):
    X = sp.csr_array(np.where(X == 0, 7, X))
    X.data[X.data == 7] = 0
    return X


# other ways to write the same numbers: the answers are the same, bit for bit
SAME = {
    "R110 objects": lambda X: X.astype(object),
    "R114 Fortran order": np.asfortranarray,
    "R114 strided view": strided,
    "R114 negative strides": lambda X: np.ascontiguousarray(X[::-1, ::-1])[::-1, ::-1],
    "R115 read-only": read_only,
    "R115 read-only float32": lambda X: read_only(X.astype(np.float32)),
    "R116 list of lists": lambda X: X.tolist(),
    "R116 tuples": lambda X: tuple(map(tuple, X)),
    "R116 list of arrays": list,
    "R119 nothing masked": np.ma.MaskedArray,
    "R120 tensor": lambda X: torch.tensor(X),
    "R120 float32 tensor": lambda X: torch.tensor(X, dtype=torch.float32),
    "R120 tensor with gradient": lambda X: torch.tensor(X, requires_grad=True),
    "R120 tensor, transposed": lambda X: torch.tensor(X.T.copy()).T,
    "R123 pandas": lambda X: pd.DataFrame(X, columns=list("abcde")),
    "R123 polars": lambda X: pl.DataFrame(np.asarray(X), schema=list("abcde")),
    "R123 nullable pandas": lambda X: pd.DataFrame(X).astype("Float64"),
    "R138 shuffled index": lambda X: pd.DataFrame(X, index=np.arange(len(X))[::-1]),
    "R138 duplicate index": lambda X: pd.DataFrame(X, index=[7] * len(X)),
    "R138 text index": lambda X: pd.DataFrame(
        X, index=[f"r{i}" for i in range(len(X))]
    ),
}


@pytest.fixture(scope="module")
def with_zeros(case):
    """The data, with some entries zero and others whole numbers, and an answer."""
    X, y, rows = case.make_data()
    X, rows = (np.where(np.abs(part) < 1, 0, np.round(part, 1)) for part in (X, rows))
    estimator = case.new().fit(X, y)
    return X, y, rows, answers(estimator, rows)


@pytest.mark.parametrize("row", SAME)
def test_other_containers_of_the_same_numbers_answer_alike(row, case, with_zeros):
    X, y, rows, expected = with_zeros
    estimator = case.new().fit(SAME[row](X), y)
    assert_same_answers(answers(estimator, SAME[row](rows)), expected)


def test_R115_memory_maps_are_only_read(case, with_zeros, tmp_path):
    X, y, rows, expected = with_zeros
    for dtype in (np.float64, np.float32):
        maps = []
        for name, part in (("X", X), ("rows", rows)):
            np.save(tmp_path / f"{name}.npy", part.astype(dtype))
            maps.append(np.load(tmp_path / f"{name}.npy", mmap_mode="r"))
        estimator = case.new().fit(maps[0], y)
        assert_same_answers(answers(estimator, maps[1]), expected)


SPARSE = {
    f"R122 {name}": getattr(sp, name)
    for kind in ("csr", "csc", "coo", "lil", "dok", "bsr", "dia")
    for name in (f"{kind}_matrix", f"{kind}_array")
} | {
    "R122 int64 indices": with_int64_indices,
    "R122 duplicates": with_duplicates,
    "R122 unsorted csr": lambda X: sp.csr_array(with_duplicates(X)),
    "R122 explicit zeros": with_explicit_zeros,
}


@pytest.fixture(scope="module")
def sparse_expected(case, with_zeros):
    """Answers of a fit on CSR; None if the estimator takes no sparse samples."""
    X, y, rows, _ = with_zeros
    if not get_tags(case.estimator).input_tags.sparse:
        return None
    return answers(case.new().fit(sp.csr_array(X), y), sp.csr_array(rows))


def test_R122_sparse_fit_is_the_dense_one_up_to_rounding(case, with_zeros):
    X, y, rows, _ = with_zeros
    if not get_tags(case.estimator).input_tags.sparse:
        pytest.skip("takes no sparse samples")
    # dropout draws for the stored values only, so it would tell the two apart
    names = {"dropout", "input_dropout"} & case.estimator.get_params().keys()
    estimator = case.new(**dict.fromkeys(names, 0.0), **case.same_when_sparse)
    dense = answers(estimator.fit(X, y), rows)
    sparse = answers(estimator.fit(sp.csr_array(X), y), sp.csr_array(rows))
    for name in set(dense) - {"predict"}:
        # Adam turns a rounding error of a tiny gradient into a small step
        np.testing.assert_allclose(sparse[name], dense[name], rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("row", SPARSE)
def test_sparse_samples_are_taken_or_refused_as_the_tag_tells(
    row, case, with_zeros, sparse_expected
):
    X, y, rows, _ = with_zeros
    estimator = case.new()
    if sparse_expected:
        estimator.fit(SPARSE[row](X), y)
        assert_same_answers(answers(estimator, SPARSE[row](rows)), sparse_expected)
    else:
        assert_refused(
            estimator,
            lambda: estimator.fit(SPARSE[row](X), y),
            "sparse",
            r"toarray\(\)",
        )


def test_R122_dense_and_sparse_questions_get_the_same_answers(case, with_zeros):
    X, y, rows, expected = with_zeros
    if not get_tags(case.estimator).input_tags.sparse:
        pytest.skip("takes no sparse samples")
    estimator = case.new().fit(X, y)
    for name, answer in answers(estimator, sp.csr_array(rows)).items():
        np.testing.assert_allclose(answer, expected[name], rtol=1e-5, atol=1e-6)


def test_R109_numbers_as_text_are_read_or_refused(case, with_zeros):
    X, y, rows, expected = with_zeros
    estimator = case.new()
    message = refusal(lambda: estimator.fit(X.astype(str), y))
    if message:
        assert "string" in message
    else:
        assert_same_answers(answers(estimator, rows.astype(str)), expected)


def repeated(X, n_distinct):
    return X[np.arange(len(X)) % n_distinct]


# odd numbers that have to be taken: finite answers of the right length
ODD = {
    "R129 all values equal": lambda X: np.full(X.shape, 3.0),
    "R129 all zero": np.zeros_like,
    "R129 one constant column": lambda X: np.c_[X[:, :4], np.ones(len(X))],
    "R130 some rows zero": lambda X: X * (np.arange(len(X)) % 3 > 0)[:, None],
    "R131 every row twice": lambda X: np.repeat(X, 2, axis=0)[: len(X)],
    "R131 ten distinct rows": lambda X: repeated(X, 10),
    "R133 denormals": lambda X: X * 1e-40,
    "R133 tiny": lambda X: X * 1e-30,
    "R134 one feature": lambda X: X[:, :1],
    "R134 many features": lambda X: np.tile(X, 200),
}


@pytest.mark.filterwarnings("ignore:.*rows hold zeros only:UserWarning")
@pytest.mark.parametrize("row", ODD)
def test_odd_samples_are_taken(row, case):
    X, y, rows = case.make_data()
    if "all zero" in row and is_clusterer(case.estimator):
        # there is no direction to learn from, but rows may be grouped: all apart
        estimator = case.new()
        assert_refused(estimator, lambda: estimator.fit(ODD[row](X), y), "all zeros")
        rows, fitted = ODD[row](rows), case.fitted()
        assert_valid_answers(fitted, rows, len(rows))
        return
    estimator = case.new().fit(ODD[row](X), y)
    assert_valid_answers(estimator, ODD[row](rows), len(rows))
    assert np.isfinite(estimator.loss_curve_).all()


# E: a finite answer, or an error that names the scale
WIDE = {
    "R132 1e30": lambda X: X * 1e30,
    "R132 one value of 1e30": with_value(1e30),
    "R132 1e38": lambda X: np.sign(X) * 1e38,
    "R132 scales from 1e-12 to 1e12": lambda X: X * [1e-12, 1e-6, 1, 1e6, 1e12],
}


@pytest.mark.parametrize("row", WIDE)
def test_wide_ranges_are_taken_or_refused_by_name(row, case):
    X, y, rows = case.make_data()
    estimator = case.new()
    message = refusal(lambda: estimator.fit(WIDE[row](X), y))
    if message:
        assert "scale" in message
        assert "module_" not in vars(estimator)
    else:
        assert_valid_answers(estimator, WIDE[row](rows), len(rows))


def test_R132_wide_ranges_at_predict_never_give_nan(case, fitted):
    rows = case.make_data()[2]
    for scale in (1e30, 3e37):
        message = refusal(lambda: answers(fitted, rows * scale))  # noqa: B023
        if message:
            assert "scale" in message
        else:
            assert_valid_answers(fitted, rows * scale, len(rows))


def test_R131_identical_rows_at_predict(case, fitted):
    rows = np.repeat(case.make_data()[2][:1], 9, axis=0)
    for name in callables(fitted):
        answer = getattr(fitted, name)(rows)
        if case.note == "paper":  # as published: none is denser than the others
            assert len(set(answer)) == len(rows)
        else:
            assert (answer == answer[0]).all()


def test_R127_one_row_is_refused(case, monkeypatch):
    forbid_training(monkeypatch)
    X, y, _ = case.make_data()
    estimator = case.new()
    words = "1 sample|n_samples ?= ?1|one sample"
    assert_refused(estimator, lambda: estimator.fit(X[:1], y[:1]), words)


@pytest.mark.filterwarnings("ignore:There are fewer than 2 classes:UserWarning")
def test_R128_two_rows_are_taken_or_refused_by_name(case):
    X, y, rows = case.make_data()
    for labels in ([0, 1], [0, 0]):
        estimator = case.new()
        message = refusal(lambda: estimator.fit(X[:2], labels))  # noqa: B023
        if message:
            assert re.search("sample|class", message)
        else:
            assert_valid_answers(estimator, rows, len(rows))


@pytest.mark.parametrize("n_features", [4, 6])
def test_R135_another_number_of_features_is_refused(n_features, case, fitted):
    rows = np.ones((3, n_features))
    for name in callables(fitted):
        assert_refused(
            fitted,
            lambda: getattr(fitted, name)(rows),  # noqa: B023
            f"X has {n_features} features, but {case.name} is expecting 5",
        )


FRAMES = {
    "reordered": (list("bacde"), "order"),
    "renamed": (list("abcdz"), "unseen at fit time:\n- z", "seen at fit time.*:\n- e"),
    "one missing": (list("abcd"), "seen at fit time.*:\n- e"),
    "one added": (list("abcdef"), "unseen at fit time:\n- f"),
}


@pytest.fixture(scope="module")
def fitted_on_frame(case):
    X, y, _ = case.make_data()
    return case.new().fit(pd.DataFrame(X, columns=list("abcde")), y)


@pytest.mark.parametrize("row", FRAMES)
def test_R136_other_feature_names_are_refused_and_listed(row, fitted_on_frame):
    names, *words = FRAMES[row]
    frame = pd.DataFrame(np.ones((3, len(names))), columns=names)
    for name in callables(fitted_on_frame):
        assert_refused(
            fitted_on_frame,
            lambda: getattr(fitted_on_frame, name)(frame),  # noqa: B023
            "feature names",
            *words,
        )


def test_R137_array_after_frame_warns_and_answers(case, fitted_on_frame):
    rows = case.make_data()[2]
    expected = answers(fitted_on_frame, pd.DataFrame(rows, columns=list("abcde")))
    for name in callables(fitted_on_frame):
        with pytest.warns(UserWarning, match="does not have valid feature names"):
            answer = getattr(fitted_on_frame, name)(rows)
        np.testing.assert_array_equal(answer, expected[name])


def test_R137_frame_after_array_warns_and_answers(case, fitted):
    rows = case.make_data()[2]
    expected = answers(fitted, rows)
    frame = pd.DataFrame(rows, columns=list("abcde"))
    for name in callables(fitted):
        with pytest.warns(UserWarning, match="fitted without feature names"):
            answer = getattr(fitted, name)(frame)
        np.testing.assert_array_equal(answer, expected[name])


def test_R139_questions_before_the_fit_are_refused(case):
    rows = case.make_data()[2]
    estimator = case.new()
    for name in callables(estimator):
        assert_refused(
            estimator,
            lambda: getattr(estimator, name)(rows),  # noqa: B023
            case.name,
            "not fitted",
            error=NotFittedError,
        )


def test_R141_one_row_at_predict(case, fitted):
    rows = case.make_data()[2]
    assert_valid_answers(fitted, rows[:1], 1)


def batch_sizes(estimator):
    """Settings with batches of one row, of the last row alone, and of all rows."""
    if "batch_size" in estimator.get_params():
        return [{"batch_size": size} for size in (1, 89, 1000)]
    return [
        {"classes_per_batch": 2, "samples_per_class": 2},
        {"classes_per_batch": 1000, "samples_per_class": 1000},
        {"classes_per_batch": 2, "samples_per_class": 29},
    ]


@pytest.mark.parametrize("number", range(3))
def test_R142_batches_of_any_size(number, case):
    X, y, rows = case.make_data()
    estimator = case.new(**batch_sizes(case.estimator)[number]).fit(X, y)
    assert_valid_answers(estimator, rows, len(rows))
