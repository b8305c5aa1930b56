"""Tests of cross fitting over classes."""

import pickle
import warnings
from unittest import SkipTest

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.cluster import KMeans
from sklearn.compose import make_column_transformer
from sklearn.datasets import make_blobs
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.manifold import TSNE
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold
from sklearn.neighbors import NeighborhoodComponentsAnalysis
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from skdeep import TCMEmbedder
from skdeep.exceptions import InvalidParameterError
from skdeep.metrics import recall_at_1
from skdeep.model_selection import (
    ClassDisjointKFold,
    ClassDisjointShuffleSplit,
    CrossFitTransformer,
)
from skdeep.neighbors import knn_graph

CHECKED = [
    LinearDiscriminantAnalysis(),
    NeighborhoodComponentsAnalysis(max_iter=5, random_state=0),
    make_pipeline(
        StandardScaler(with_mean=False),
        TruncatedSVD(1, power_iteration_normalizer="QR", random_state=0),
    ),
]


# the checks have one to three classes, which no folds can part
@pytest.mark.filterwarnings("ignore:Fewer than 4 classes:UserWarning")
@parametrize_with_checks([CrossFitTransformer(estimator) for estimator in CHECKED])
def test_scikit_learn_contract(estimator, check):
    try:
        check(estimator)
    except SkipTest as skipped:  # a check that does not look is no check
        pytest.fail(f"skipped: {skipped}")


class ClassMemory(TransformerMixin, BaseEstimator):
    """Column 0 of X, which is the class of a row, and one column a class: seen or not."""

    def __init__(self, n_classes=9):
        self.n_classes = n_classes

    def fit(self, X, y):
        self.seen_ = np.isin(np.arange(self.n_classes), y)
        return self

    def transform(self, X):
        return np.column_stack([X[:, 0], np.tile(self.seen_, (len(X), 1))])


class SeenRows(TransformerMixin, BaseEstimator):
    """Two columns: number of rows seen and sum of their weights, each plus an offset."""

    def fit(self, X, y, sample_weight=None, scale=1):
        self.counts_ = [len(X), 0 if sample_weight is None else sum(sample_weight)]
        self.counts_[1] *= scale
        return self

    def transform(self, X, offset=None):
        offset = np.zeros(len(X)) if offset is None else np.asarray(offset)
        return np.tile(self.counts_, (len(X), 1)) + offset[:, None]


@pytest.fixture(scope="module")
def nine():
    """Nine classes of ten rows in random order; column 0 of X is the class."""
    y = np.random.RandomState(0).permutation(np.repeat(np.arange(9), 10))
    X = np.column_stack([y, np.arange(90)]).astype(float)
    X.flags.writeable = y.flags.writeable = False
    return X, y


@pytest.fixture(scope="module")
def blobs():
    X, y = make_blobs(180, n_features=8, centers=9, random_state=0)
    X.flags.writeable = y.flags.writeable = False
    return X, y


def by_block(Z, n_blocks):
    # (n_samples, n_blocks * width) -> (n_samples, n_blocks, width)
    return Z.reshape(len(Z), n_blocks, -1)


def assert_one_block_a_fold(Z, y, n_blocks):
    used = (by_block(Z, n_blocks) != 0).any(axis=2)
    assert (used.sum(axis=1) == 1).all()
    fold = used.argmax(axis=1)
    assert len(set(fold)) == n_blocks
    for label in set(y):
        assert len(set(fold[y == label])) == 1


@pytest.mark.parametrize(
    "cv",
    [
        None,
        2,
        np.int64(3),
        ClassDisjointKFold(4, shuffle=True, random_state=0),
        [(np.arange(9) % 2 == part, np.arange(9) % 2 != part) for part in (0, 1)],
    ],
    ids=str,
)
def test_no_row_is_transformed_by_a_copy_that_saw_its_class(cv, nine):
    X, y = nine
    if isinstance(cv, list):  # masks of classes -> masks of rows
        cv = [(train[y], test[y]) for train, test in cv]
    encoder = CrossFitTransformer(ClassMemory(), cv)
    Z = encoder.fit_transform(X, y)
    assert_one_block_a_fold(Z, y, encoder.n_blocks_)
    for row, label in zip(by_block(Z, encoder.n_blocks_), y):
        own, *seen = row[row.any(axis=1)][0]
        assert own == label  # each row is in its place
        assert not seen[label]
        assert sum(seen) >= 4


def test_new_rows_are_transformed_by_the_copy_that_saw_all_classes(nine):
    X, y = nine
    encoder = CrossFitTransformer(ClassMemory())
    encoder.fit_transform(X, y)
    first, *others = by_block(encoder.transform(X[:5]), 3).swapaxes(0, 1)
    assert_array_equal(first[:, 0], y[:5])
    assert (first[:, 1:] == 1).all()
    assert not np.any(others)


def test_fit_alone_gives_the_same_transformer(blobs):
    X, y = blobs
    encoder = CrossFitTransformer(LinearDiscriminantAnalysis())
    features = encoder.fit_transform(X, y)
    after_both = encoder.transform(X)
    after_fit = clone(encoder).fit(X, y)
    assert_array_equal(after_fit.transform(X), after_both)
    assert after_fit.n_blocks_ == encoder.n_blocks_ == 3
    assert features.shape == after_both.shape
    assert np.abs(features - after_both).max() > 1


def test_features_are_those_of_the_estimator_on_each_fold(blobs):
    X, y = blobs
    encoder = CrossFitTransformer(LinearDiscriminantAnalysis(n_components=2))
    blocks = by_block(encoder.fit_transform(X, y), 3)
    for block, (train, test) in enumerate(ClassDisjointKFold(3).split(X, y)):
        model = LinearDiscriminantAnalysis(n_components=2).fit(X[train], y[train])
        assert_array_equal(blocks[test, block], model.transform(X[test]))
    assert_array_equal(
        encoder.transform(X)[:, :2],
        LinearDiscriminantAnalysis(n_components=2).fit(X, y).transform(X),
    )


def test_graph_of_neighbors_falls_apart_by_fold(blobs):
    X, y = blobs
    encoder = CrossFitTransformer(LinearDiscriminantAnalysis())
    Z = encoder.fit_transform(X, y)
    fold = (by_block(Z, 3) != 0).any(axis=2).argmax(axis=1)
    other = fold[:, None] != fold[None, :]
    assert not (Z @ Z.T)[other].any()
    neighbors, _ = knn_graph(Z, 5, metric="cosine")
    assert (fold[neighbors] == fold[:, None]).all()


@pytest.mark.parametrize(
    ("n_classes", "n_blocks"), [(6, 3), (5, 2), (4, 2), (3, 1), (2, 1)]
)
def test_default_takes_as_many_folds_as_the_classes_allow(n_classes, n_blocks, blobs):
    X, y = blobs
    # a class with a single row makes no fold
    rows = np.flatnonzero((y < n_classes) | (np.cumsum(y == 8) * (y == 8) == 1))
    encoder = CrossFitTransformer(PCA(2))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        Z = encoder.fit_transform(X[rows], y[rows])
    assert encoder.n_blocks_ == n_blocks
    if n_blocks > 1:
        assert caught == []
        assert_one_block_a_fold(Z, y[rows], n_blocks)
    else:
        (warning,) = caught
        assert "Fewer than 4 classes" in str(warning.message)
        assert warning.filename == __file__
        assert_array_equal(Z, encoder.transform(X[rows]))


def test_narrow_folds_are_padded_to_the_widest_copy(blobs):
    X, y = blobs
    # trained on six of nine classes LDA has 5 features, on all of them 8
    encoder = CrossFitTransformer(LinearDiscriminantAnalysis())
    blocks = by_block(encoder.fit_transform(X, y), 3)
    assert encoder.n_components_ == 8
    assert blocks[:, :, :5].any()
    assert not blocks[:, :, 5:].any()

    def as_many_columns_as_spread(rows):
        return np.tile(rows[:, :1], 3 if np.ptp(rows[:, 0]) > 5 else 1)

    wide = CrossFitTransformer(FunctionTransformer(as_many_columns_as_spread))
    # `transform` sees a single row, which has no spread: the folds are the wider ones
    assert wide.fit_transform(X, y).shape == (180, 9)
    assert wide.transform(X[:1]).shape == (1, 9)
    assert not wide.transform(X[:1])[:, 1:].any()


@pytest.mark.parametrize("kind", [sp.csr_matrix, sp.csr_array])
def test_sparse_features_stay_sparse(kind, blobs):
    X, y = blobs
    dense = CrossFitTransformer(FunctionTransformer())
    sparse = CrossFitTransformer(FunctionTransformer(accept_sparse=True))
    Z = sparse.fit_transform(kind(X), y)
    assert isinstance(Z, kind)
    assert Z.format == "csr"
    assert Z.nnz == X.size
    assert_array_equal(Z.toarray(), dense.fit_transform(X, y))
    new = sparse.transform(kind(X))
    assert isinstance(new, kind)
    assert_array_equal(new.toarray(), dense.transform(X))


def test_folds_of_which_some_are_sparse_become_sparse(nine):
    X, y = nine
    cv = ClassDisjointKFold(2)
    _, test = next(cv.split(X, y))

    def sparse_if_first(rows):
        return sp.csr_matrix(rows) if rows[0, 1] == X[test[0], 1] else rows

    Z = CrossFitTransformer(FunctionTransformer(sparse_if_first), cv)
    expected = CrossFitTransformer(FunctionTransformer(), cv).fit_transform(X, y)
    assert_array_equal(Z.fit_transform(X, y).toarray(), expected)


def test_texts_and_other_lists_can_be_rows():
    texts = [f"{word} {word}s {letter}" for word in "pqrstu" for letter in "abc"]
    texts = [text.replace(" ", " long") for text in texts]
    y = np.repeat(list("pqrstu"), 3)
    model = make_pipeline(TfidfVectorizer(), TruncatedSVD(2, random_state=0))
    encoder = CrossFitTransformer(model)
    assert_one_block_a_fold(encoder.fit_transform(texts, y), y, 3)
    assert encoder.transform(texts[:2]).shape == (2, 6)


def test_images_can_be_rows(blobs):
    X, y = blobs
    images = X.reshape(-1, 1, 2, 4)
    flat = FunctionTransformer(lambda part: part.reshape(len(part), -1))
    expected = CrossFitTransformer(FunctionTransformer()).fit_transform(X, y)
    assert_array_equal(CrossFitTransformer(flat).fit_transform(images, y), expected)


def test_learned_embeddings_keep_their_length_and_repeat(blobs):
    X, y = blobs
    inner = TCMEmbedder(
        n_components=4,
        hidden_layer_sizes=(8,),
        max_epochs=1,
        random_state=0,
        device="cpu",
    )
    Z = CrossFitTransformer(inner).fit_transform(X, y)
    assert Z.dtype == np.float32
    assert_one_block_a_fold(Z, y, 3)
    assert_allclose(np.linalg.norm(Z, axis=1), 1, rtol=1e-5)
    assert_array_equal(CrossFitTransformer(inner).fit_transform(X, y), Z)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_precision_is_kept(dtype, blobs):
    X, y = blobs
    encoder = CrossFitTransformer(PCA(2))
    assert encoder.fit_transform(X.astype(dtype), y).dtype == dtype
    assert encoder.transform(X.astype(dtype)).dtype == dtype


def test_frames_keep_their_names_and_columns_reach_the_estimator(blobs):
    X, y = blobs
    frame = pd.DataFrame(X, columns=list("abcdefgh"), index=np.arange(180) + 1000)
    inner = make_column_transformer((PCA(2), ["a", "b", "c"]), ("drop", ["d"]))
    encoder = CrossFitTransformer(inner).set_output(transform="pandas")
    Z = encoder.fit_transform(frame, pd.Series(y, index=frame.index))
    assert list(encoder.feature_names_in_) == list(frame.columns)
    assert encoder.n_features_in_ == 8
    assert list(Z.index) == list(frame.index)
    names = [f"crossfittransformer{column}" for column in range(6)]
    assert list(Z.columns) == list(encoder.get_feature_names_out()) == names
    expected = CrossFitTransformer(PCA(2)).fit_transform(X[:, :3], y)
    assert_allclose(Z.to_numpy(), expected, atol=1e-12)  # memory in another order
    assert list(encoder.transform(frame[:2]).columns) == names
    encoder = CrossFitTransformer(PCA(2)).fit(frame, y)
    assert hasattr(encoder, "feature_names_in_")
    assert not hasattr(encoder.fit(X, y), "feature_names_in_")


def test_frames_from_the_estimator_itself_become_arrays(blobs):
    X, y = blobs
    expected = CrossFitTransformer(PCA(2)).fit_transform(X, y)
    inner = PCA(2).set_output(transform="pandas")
    found = CrossFitTransformer(inner).fit_transform(X, y)
    assert isinstance(found, np.ndarray)
    assert_array_equal(found, expected)
    with sklearn.config_context(transform_output="pandas"):
        found = CrossFitTransformer(PCA(2)).fit_transform(X, y)
    assert_array_equal(found.to_numpy(), expected)


@pytest.mark.parametrize("kind", [list, np.array, pd.Series])
def test_string_labels_give_the_same_folds_as_numbers(kind, blobs):
    X, y = blobs
    encoder = CrossFitTransformer(LinearDiscriminantAnalysis())
    expected = encoder.fit_transform(X, y)
    names = kind([f"class {label}" for label in y])
    assert_array_equal(encoder.fit_transform(X, names), expected)


def test_a_class_called_minus_one_is_a_class(blobs):
    X, y = blobs
    for cv in (None, 2):
        crossed = CrossFitTransformer(LinearDiscriminantAnalysis(), cv=cv)
        plain = crossed.fit_transform(X, y)
        assert_array_equal(crossed.fit_transform(X, y - y.min() - 1), plain)


def test_pipeline_trains_its_last_step_on_cross_fitted_features(blobs):
    X, y = blobs
    encoder = CrossFitTransformer(LinearDiscriminantAnalysis())
    model = make_pipeline(clone(encoder), KMeans(9, n_init=1, random_state=0))
    model.fit(X, y)
    features = encoder.fit_transform(X, y)
    alone = KMeans(9, n_init=1, random_state=0).fit(features)
    assert_array_equal(model[-1].labels_, alone.labels_)
    assert_array_equal(model.predict(X), alone.predict(encoder.transform(X)))


def test_works_in_a_grid_search_over_parameters_of_the_estimator(blobs):
    X, y = blobs
    encoder = CrossFitTransformer(PCA())
    grid = {"estimator__n_components": [1, 4], "cv": [None, 2]}
    cv = ClassDisjointKFold(2)
    search = GridSearchCV(encoder, grid, scoring=recall_at_1, cv=cv).fit(X, y)
    assert search.best_params_["estimator__n_components"] == 4
    model = make_pipeline(encoder, LogisticRegression())
    grid = {"crossfittransformer__estimator__n_components": [1, 4]}
    assert GridSearchCV(model, grid, cv=2).fit(X, y).best_score_ >= 0


def test_estimator_is_left_alone_and_state_does_not_grow_with_rows(blobs):
    X, y = blobs
    inner = PCA(2)
    encoder = CrossFitTransformer(inner)
    few = np.arange(180) < 90
    sizes = []
    for rows in (few, slice(None)):
        encoder.fit_transform(X[rows], y[rows])
        sizes.append(len(pickle.dumps(encoder)))
    assert vars(inner) == vars(PCA(2))
    assert encoder.estimator is inner
    assert abs(sizes[1] - sizes[0]) < 20
    copied = clone(encoder)
    assert repr(copied) == repr(encoder)
    with pytest.raises(NotFittedError):
        copied.transform(X)


def test_pickle_keeps_the_features(blobs):
    X, y = blobs
    encoder = CrossFitTransformer(LinearDiscriminantAnalysis()).fit(X, y)
    copied = pickle.loads(pickle.dumps(encoder))
    assert_array_equal(copied.transform(X), encoder.transform(X))


@pytest.mark.slow
def test_number_of_processes_does_not_change_the_features(blobs):
    X, y = blobs
    inner = NeighborhoodComponentsAnalysis(
        2, init="random", max_iter=3, random_state=np.random.RandomState(3)
    )
    encoders = [CrossFitTransformer(inner, n_jobs=n_jobs) for n_jobs in (1, 2)]
    one, two = (encoder.fit_transform(X, y) for encoder in encoders)
    assert_allclose(one, two, rtol=1e-9)  # threads of BLAS may sum in another order
    assert_allclose(encoders[0].transform(X), encoders[1].transform(X), rtol=1e-9)


def test_metadata_reach_the_estimator_row_by_row(nine):
    X, y = nine
    weight = np.where(y < 3, 1.0, 0.01)
    offset = np.arange(90.0)
    with sklearn.config_context(enable_metadata_routing=True):
        inner = SeenRows().set_fit_request(sample_weight=True, scale=True)
        inner.set_transform_request(offset=True)
        encoder = CrossFitTransformer(inner)
        metadata = {"sample_weight": weight.tolist(), "scale": 10}
        Z = encoder.fit_transform(X, y, **metadata, offset=offset)
        new = encoder.transform(X, offset=offset)
        fitted = encoder.fit(X, y, **metadata).estimator_
    blocks = by_block(Z, 3)
    for block, (train, test) in enumerate(ClassDisjointKFold(3).split(X, y)):
        expected = [60, 10 * weight[train].sum()] + offset[test][:, None]
        assert_allclose(blocks[test, block], expected)
    assert_allclose(fitted.counts_, [90, 10 * weight.sum()])
    assert_allclose(new[:, :2], fitted.counts_ + offset[:, None])


def test_metadata_reach_the_splitter_and_pass_through_pipelines(nine):
    X, y = nine
    groups = y // 3  # three classes a group: folds of groups part classes too
    with sklearn.config_context(enable_metadata_routing=True):
        inner = SeenRows().set_fit_request(sample_weight=True)
        encoder = CrossFitTransformer(inner, cv=GroupKFold(3))
        model = make_pipeline(FunctionTransformer(), encoder)
        model.fit_transform(X, y, groups=groups, sample_weight=np.ones(90))
        assert encoder.n_blocks_ == 3
        Z = encoder.fit_transform(X, y, groups=groups)
        with pytest.raises(TypeError, match="nonsense"):
            encoder.fit(X, y, nonsense=1)
    fold = (by_block(Z, 3) != 0).any(axis=2).argmax(axis=1)
    assert {tuple(sorted(set(fold[groups == group]))) for group in range(3)} == {
        (0,),
        (1,),
        (2,),
    }


@pytest.mark.parametrize("method", ["fit", "fit_transform"])
def test_metadata_without_routing_are_refused(method, nine):
    encoder = CrossFitTransformer(SeenRows())
    message = rf"{method} got sample_weight.*enable_metadata_routing=True"
    with pytest.raises(ValueError, match=message):
        getattr(encoder, method)(*nine, sample_weight=np.ones(90))


@pytest.mark.parametrize("method", ["fit", "fit_transform"])
@pytest.mark.parametrize(
    ("cv", "message"),
    [
        (5, "5 folds need at least 10 classes with 2 samples or more; `y` has 9 of 9"),
        (KFold(3), "Class 0 is in the training part and in the test part of fold 0"),
        (
            ClassDisjointShuffleSplit(3, test_size=3, random_state=0),
            r"must hold each row exactly once; row \d+ is in [02] of them",
        ),
        (ClassDisjointKFold(3, unlabeled=0), "row .* is in 0 of them, .* of 10 such"),
        ([], "row 0 is in 0 of them, the first of 90 such rows"),
        (1, r"'cv' parameter .* must be an int in the range \[2, inf\). Got 1"),
        (True, "'cv' parameter .* must be an int in the range"),
        ("three", "Expected `cv` as an integer"),
    ],
)
def test_folds_that_leak_or_leave_rows_out_are_refused(method, cv, message, nine):
    with pytest.raises(ValueError, match=message):
        getattr(CrossFitTransformer(ClassMemory(), cv), method)(*nine)


def test_leaking_class_is_named_as_the_caller_wrote_it(nine):
    X, y = nine
    names = np.array([f"name {label}" for label in y])
    with pytest.raises(ValueError, match=r"Class 'name \d' is in the training part"):
        CrossFitTransformer(ClassMemory(), KFold(2)).fit(X, names)


@pytest.mark.parametrize(
    "estimator",
    [TSNE(), LogisticRegression(), PCA, "passthrough", None],
    ids=["no transform", "classifier", "class", "text", "none"],
)
def test_what_is_no_transformer_is_refused(estimator, nine):
    message = "`estimator` must be a transformer with `fit` and `transform`. Got"
    with pytest.raises(TypeError, match=message):
        CrossFitTransformer(estimator).fit_transform(*nine)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "requires y to be passed, but the target y is None"),
        (np.linspace(0, 1, 90), "Unknown label type: continuous"),
        (np.zeros((90, 3)), "y should be a 1d array"),
        (np.arange(89) // 10, "inconsistent numbers of samples"),
    ],
    ids=["none", "continuous", "indicator", "too short"],
)
def test_unusable_labels_are_refused(y, message, nine):
    with pytest.raises(ValueError, match=message):
        CrossFitTransformer(ClassMemory()).fit_transform(nine[0], y)


def test_number_of_jobs_must_be_an_int(nine):
    with pytest.raises(InvalidParameterError, match="'n_jobs' parameter"):
        CrossFitTransformer(ClassMemory(), n_jobs=1.5).fit(*nine)


def test_a_failed_fit_changes_nothing(blobs):
    X, y = blobs
    encoder = CrossFitTransformer(PCA(2))
    encoder.fit_transform(X, y)
    before = encoder.transform(X)
    encoder.set_params(estimator__n_components=50)
    with pytest.raises(ValueError, match="n_components=50"):
        encoder.fit_transform(X, y)
    assert_array_equal(encoder.transform(X), before)
