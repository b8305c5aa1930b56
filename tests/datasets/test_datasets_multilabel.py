"""The multi-label sets: small made-up ones, and the real ones."""

import sys
from hashlib import sha256

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy.sparse import csr_array, issparse

from skdeep.datasets import fetch_multilabel
from skdeep.datasets._multilabel import parse_label_names, separate_labels
from skdeep.datasets._table import DATASETS

# of the features and of the indicator in CSR form, both parts together; from another
# conversion of the same files, of birds from the reader of scipy
REAL = {
    "emotions": (
        "71ce0d7d505fe2c58c5e4baf9e8700c34fe761620c991c67d9f167c04c442bb1",
        "558fafed3585107e3666cc65c8b14edda45d91ea58f16159677208bbc127e32d",
    ),
    "yeast": (
        "dd4744cccc714208bc7a116a76a185ae10613a19bf346e25b348bbb59f6a3a1d",
        "8037f74b1597a4bafbfa0c45ee6073fc255e204605ba651074123ef5d893753a",
    ),
    "birds": (
        "b88ef3f2eca04c10329159f29c5fa88d3e8bc9d34f7a2cc8cc212224b954c2cd",
        "9fba9551cfff345a79570bb54ae4a5fd1057323089e2766602255822e725b113",
    ),
    "medical": (
        "59e662c8b58df83a3a4eae86c6ee4d7e607822f7ce0f0419d80644fa93fda1bb",
        "e37f279e65e202a2c9eb4c5089ef0199de1903e4ac407821f8a7f6ead80a4320",
    ),
    "bibtex": (
        "11191af1eb590df1aacdb66ed5eb9a9666e4bbd3f4e68f06d7226abc77040caf",
        "35ee5b77f7178a331c5e8fda179a4047aa0c9ad8c683430314f90fc2b565e562",
    ),
    "delicious": (
        "d13ffd3f54d16f8979a3911de48fa583bd9ae9cebd870da1f4d1df04e46c4d35",
        "0d5ce8a902634c1a69638b9b35d686e830a0826f74a2cf6c14a089c0c2ea2100",
    ),
}
TRAIN_ROWS = {
    "emotions": 391,
    "yeast": 1500,
    "birds": 322,
    "medical": 333,
    "bibtex": 4880,
    "delicious": 12920,
}

HEADER = """\
@relation birds
@attribute volume numeric
@attribute 'Stellar\\'s Jay' {0,1}
@attribute pitch numeric
@attribute Wren {0,1}
@data
"""
TRAIN = HEADER + "0.1,1,-3,0\n0.5,0,0,1\n"
TEST = HEADER + "7,1,2,1\n"
SPARSE_TRAIN = HEADER + "{0 0.1,1 1,2 -3}\n{0 0.5,3 1}\n"
SPARSE_TEST = HEADER + "{0 7,1 1,2 2,3 1}\n"
LABELS = """\
<?xml version="1.0" encoding="utf-8"?>
<labels xmlns="http://mulan.sourceforge.net/labels">
<label name="Wren"></label>
<label name="Stellar's Jay"></label>
</labels>"""
X = np.array([[0.1, -3], [0.5, 0], [7, 2]], dtype=np.float32)
Y = np.array([[0, 1], [1, 0], [1, 1]])


def digest(*arrays):
    parts = (np.ascontiguousarray(array, dtype="<f8") for array in arrays)
    return sha256(b"".join(part.tobytes() for part in parts)).hexdigest()


def parts_of(matrix):
    """What makes up an array, without the zeros of a sparse one."""
    if issparse(matrix):
        return matrix.indptr, matrix.indices, matrix.data
    return (matrix,)


@pytest.fixture
def serve(server, make_dataset, monkeypatch):
    """Put small files into the place of those of the birds."""

    def put(train, test, labels=LABELS):
        contents = {
            "owner/repository/commit/birds-train.arff": train.encode(),
            "owner/repository/commit/birds-test.arff": test.encode(),
            "owner/repository/commit/birds.xml": labels.encode(),
        }
        server.contents.update(contents)
        monkeypatch.setitem(DATASETS, "birds", make_dataset("birds", contents))

    return put


@pytest.fixture
def small_files(serve):
    serve(TRAIN, TEST)


def test_columns_are_separated_and_labels_follow_the_xml_file(small_files):
    bunch = fetch_multilabel("birds")
    assert_array_equal(bunch.data, X)
    assert_array_equal(bunch.target, Y)
    assert (bunch.data.dtype, bunch.target.dtype) == (np.float32, np.int64)
    assert bunch.feature_names == ["volume", "pitch"]
    assert list(bunch.target_names) == ["Wren", "Stellar's Jay"]
    assert list(bunch.split) == ["train", "train", "test"]
    assert "frame" not in bunch


def test_sparse_files_give_sparse_features_with_the_same_values(serve):
    serve(SPARSE_TRAIN, SPARSE_TEST)
    data, target = fetch_multilabel("birds", return_X_y=True)
    assert isinstance(data, csr_array)
    assert data.dtype == np.float32
    assert data.has_canonical_format
    assert_array_equal(data.toarray(), X)
    assert isinstance(target, np.ndarray)
    assert_array_equal(target, Y)


@pytest.mark.parametrize("files", [(TRAIN, TEST), (SPARSE_TRAIN, SPARSE_TEST)])
@pytest.mark.parametrize(("split", "rows"), [("train", [0, 1]), ("test", [2])])
def test_each_part_of_a_multilabel_set_has_its_rows(serve, files, split, rows):
    serve(*files)
    bunch = fetch_multilabel("birds", split=split)
    data = bunch.data.toarray() if issparse(bunch.data) else bunch.data
    assert_array_equal(data, X[rows])
    assert_array_equal(bunch.target, Y[rows])
    assert set(bunch.split) == {split}


def test_frames_hold_the_same_values_under_their_names(small_files):
    pd = pytest.importorskip("pandas", reason="makes the frames")
    bunch = fetch_multilabel("birds", as_frame=True, split="test")
    data = pd.DataFrame(X[2:], columns=["volume", "pitch"])
    target = pd.DataFrame(Y[2:], columns=["Wren", "Stellar's Jay"])
    pd.testing.assert_frame_equal(bunch.data, data)
    pd.testing.assert_frame_equal(bunch.target, target)
    pd.testing.assert_frame_equal(bunch.frame, pd.concat([data, target], axis=1))


def test_frames_of_sparse_features_are_sparse(serve):
    pd = pytest.importorskip("pandas", reason="makes the frames")
    serve(SPARSE_TRAIN, SPARSE_TEST)
    data, _ = fetch_multilabel("birds", as_frame=True, return_X_y=True)
    assert all(isinstance(kind, pd.SparseDtype) for kind in data.dtypes)
    assert_array_equal(data.to_numpy(), X)


def test_without_pandas_frames_are_refused_before_any_download(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="`as_frame=True` needs pandas"):
        fetch_multilabel("birds", as_frame=True)


@pytest.mark.parametrize("n_labels", [100, 101])
@pytest.mark.parametrize("form", [np.asarray, csr_array])
def test_the_indicator_is_sparse_beyond_a_hundred_labels(n_labels, form):
    table = np.eye(3, n_labels + 1)
    names = [f"column {i}" for i in range(n_labels + 1)]
    data, target, _ = separate_labels(names, form(table), names[:0:-1])
    assert issparse(data) == (form is csr_array)
    assert issparse(target) == (n_labels > 100)
    assert target.dtype == np.int64
    dense = target.toarray() if issparse(target) else target
    assert_array_equal(dense, table[:, :0:-1])
    assert not issparse(target) or target.has_canonical_format


def test_a_label_without_a_column_is_refused():
    with pytest.raises(ValueError, match="name of the label 'c'"):
        separate_labels(["a", "b"], np.eye(2), ["a", "c"])


def test_a_label_that_is_neither_0_nor_1_is_refused():
    with pytest.raises(ValueError, match="neither 0 nor 1"):
        separate_labels(["a", "b"], 2 * np.eye(2), ["b"])


def test_parts_with_different_columns_are_refused(serve):
    serve(TRAIN, TEST.replace("pitch", "tune"))
    with pytest.raises(ValueError, match="different columns"):
        fetch_multilabel("birds")


def test_names_of_labels_come_as_they_stand():
    assert parse_label_names(LABELS.encode()) == ["Wren", "Stellar's Jay"]


@pytest.mark.parametrize("name", ["bird", "", None, 3, ["birds"], "banking77"])
def test_an_unknown_multilabel_set_is_refused(name):
    with pytest.raises(ValueError, match="`name` is .*; give one of 'emotions'"):
        fetch_multilabel(name)


def test_an_unknown_part_is_refused_before_any_download():
    with pytest.raises(ValueError, match="`split` is 'dev'; give 'train', 'test'"):
        fetch_multilabel("birds", split="dev")


@pytest.mark.parametrize("name", REAL)
def test_real_values_equal_another_conversion(real_files, name):
    bunch = fetch_multilabel(name, **real_files)
    dataset = DATASETS[name]
    assert bunch.data.shape == (dataset.n_samples, dataset.n_features)
    assert bunch.target.shape == (dataset.n_samples, dataset.n_classes)
    assert (bunch.data.dtype, bunch.target.dtype) == (np.float32, np.int64)
    assert issparse(bunch.data) == (name in ("medical", "bibtex", "delicious"))
    assert issparse(bunch.target) == (name in ("bibtex", "delicious"))
    assert len(bunch.feature_names) == dataset.n_features
    assert len(bunch.target_names) == dataset.n_classes
    assert list(bunch.split).count("train") == TRAIN_ROWS[name]
    found = digest(*parts_of(bunch.data)), digest(*parts_of(csr_array(bunch.target)))
    assert found == REAL[name]
