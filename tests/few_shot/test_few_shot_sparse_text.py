"""Sparse rows, and text on its way through a pipeline."""

import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp
from new_classes import quick_learner
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler

from skdeep import FewShotClassifier
from skdeep.few_shot import adapt
from skdeep.few_shot._learned import METHODS
from skdeep.metrics import make_few_shot_scorer
from skdeep.model_selection import ClassDisjointKFold


def word_counts(classes, n_rows, seed):
    """Sparse rows of 300 columns, of which each class prefers five."""
    rng = np.random.RandomState(seed)
    y = np.repeat(classes, n_rows)
    X = (rng.rand(len(y), 300) < 0.01) * rng.rand(len(y), 300)
    for row, label in enumerate(y):
        X[row, 5 * label : 5 * label + 5] += rng.rand(5)
    return sp.csr_array(X), y


@pytest.fixture(scope="module")
def sparse_learner():
    return quick_learner(phi="pretrained").fit(*word_counts(np.arange(12), 8, 0))


@pytest.fixture(scope="module")
def sparse_task():
    return word_counts([20, 21, 22], 3, 1), word_counts([20, 21, 22], 8, 2)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_R122_sparse_tasks_get_the_answers_of_dense_ones(
    method, sparse_learner, sparse_task
):
    (X, y), (pile, truth) = sparse_task
    options = {"method": method, "class_prior": None}
    sparse = sparse_learner.adapt(X, y, pile, **options)
    dense = sparse_learner.adapt(X.toarray(), y, pile.toarray(), **options)
    for rows in (pile, word_counts([20, 21, 22], 5, 3)[0]):
        np.testing.assert_allclose(
            sparse.predict_proba(rows),
            dense.predict_proba(rows.toarray()),
            rtol=1e-2,
            atol=1e-3,
        )
    np.testing.assert_array_equal(sparse.transduction_, dense.transduction_)
    assert sparse.score(pile, truth) > 0.9


def test_R122_sparse_training_is_the_dense_one(sparse_task):
    (X, y), (pile, _) = sparse_task
    known, labels = word_counts(np.arange(12), 8, 0)
    sparse = quick_learner().fit(known, labels)
    dense = quick_learner().fit(known.toarray(), labels)
    found = [
        learner.adapt(X, y, pile).predict_proba(pile) for learner in (sparse, dense)
    ]
    np.testing.assert_allclose(*found, rtol=2e-2, atol=1e-2)
    assert sp.issparse(sparse.transform(pile))
    np.testing.assert_allclose(
        sparse.transform(pile).toarray(), dense.transform(pile.toarray()), atol=1e-6
    )
    assert sparse.prototypes_.shape == dense.prototypes_.shape == (12, 300)


def test_R122_sparse_support_and_dense_pile_may_be_mixed(sparse_learner, sparse_task):
    (X, y), (pile, _) = sparse_task
    expected = sparse_learner.adapt(X, y, pile).predict_proba(pile)
    for task in ((X, y, pile.toarray()), (X.toarray(), y, pile), (X.tocsc(), y, pile)):
        found = sparse_learner.adapt(*task).predict_proba(pile)
        np.testing.assert_allclose(found, expected, rtol=1e-2, atol=1e-3)


def test_R122_sparse_rows_marked_with_minus_1_are_the_pile(sparse_learner, sparse_task):
    (X, y), (pile, _) = sparse_task
    rows = sp.vstack([X, pile], format="csr")
    labels = np.r_[y, [-1] * pile.shape[0]]
    expected = sparse_learner.adapt(X, y, pile)
    for classifier in (
        sparse_learner.adapt(rows, labels),
        FewShotClassifier(sparse_learner).fit(rows, labels),
    ):
        np.testing.assert_array_equal(classifier.transduction_, expected.transduction_)
        np.testing.assert_allclose(
            classifier.predict_proba(pile), expected.predict_proba(pile), atol=1e-4
        )


def test_R122_classifier_without_a_learner_takes_sparse_rows(sparse_task):
    (X, y), (pile, truth) = sparse_task
    for transductive in (False, True):
        classifier = FewShotClassifier(transductive=transductive).fit(X, y)
        assert classifier.score(pile, truth) > 0.8
        dense = FewShotClassifier(transductive=transductive).fit(X.toarray(), y)
        np.testing.assert_array_equal(
            classifier.predict(pile), dense.predict(pile.toarray())
        )


def test_R122_backbone_takes_sparse_rows_in_slices(sparse_task):
    (X, y), (pile, _) = sparse_task
    known, labels = word_counts(np.arange(12), 8, 0)
    learner = quick_learner(backbone="mlp", phi="pretrained").fit(known, labels)
    features = learner.transform(pile)
    assert features.shape == (24, 8)
    assert not sp.issparse(features)
    np.testing.assert_allclose(features, learner.transform(pile.toarray()), atol=1e-5)
    assert learner.adapt(X, y, pile).predict(pile).shape == (24,)


def test_R130_sparse_row_of_zeros_stays_zero(sparse_learner, sparse_task):
    (X, y), (pile, _) = sparse_task
    zeros = sp.csr_array((2, 300))
    assert sparse_learner.transform(zeros).nnz == 0
    classifier = sparse_learner.adapt(X, y, sp.vstack([pile, zeros], format="csr"))
    assert np.isfinite(classifier.predict_proba(zeros)).all()


@pytest.mark.parametrize("n_way", [3, 12])
def test_R122_published_network_takes_sparse_rows(n_way, sparse_task):
    known, labels = word_counts(np.arange(12), 8, 0)
    (X, y), (pile, _) = sparse_task
    params = {"gradient_net": "paper", "n_way": n_way}
    sparse = quick_learner(**params).fit(known, labels)
    dense = quick_learner(**params, power=sparse.power_).fit(known.toarray(), labels)
    np.testing.assert_allclose(
        sparse.predict_proba(known), dense.predict_proba(known.toarray()), atol=1e-4
    )
    if n_way == 3:
        one, two = sparse.adapt(X, y, pile), dense.adapt(X, y, pile)
        np.testing.assert_allclose(
            one.predict_proba(pile), two.predict_proba(pile.toarray()), atol=1e-4
        )


def test_sparse_features_of_a_transformer_stay_sparse(sparse_task, monkeypatch):
    shapes = set()
    for kind in (sp.csr_array, sp.csr_matrix):

        def watch(self, *args, original=kind.toarray, **kwargs):
            shapes.add(self.shape)
            return original(self, *args, **kwargs)

        monkeypatch.setattr(kind, "toarray", watch)
    known, labels = word_counts(np.arange(12), 8, 0)
    scaler = MaxAbsScaler()
    learner = quick_learner(backbone=scaler, power=0.5, n_way=3).fit(known, labels)
    assert sp.issparse(learner.transform(known))
    (X, y), (pile, truth) = sparse_task
    assert learner.adapt(X, y, pile).score(pile, truth) > 0.8
    assert not any(n_rows >= 48 and width == 300 for n_rows, width in shapes)


# memory


def large_table(n_rows=2000, n_features=20_000, n_classes=5):
    """Sparse rows of which a dense copy has 160 MB, and their classes."""
    rng = np.random.RandomState(0)
    y = np.arange(n_rows) % n_classes
    own = rng.randint(n_features // n_classes, size=(n_rows, 20))
    columns = own + (y * (n_features // n_classes))[:, None]
    rows = np.repeat(np.arange(n_rows), 20)
    values = np.ones(rows.size, np.float32)
    X = sp.csr_array((values, (rows, columns.ravel())), shape=(n_rows, n_features))
    return X, y


@pytest.mark.parametrize("method", ["sib", "prototype", "tim"])
def test_R122_large_sparse_tables_without_a_pile_never_become_dense(method):
    X, y = large_table()
    assert peak_of(lambda: FewShotClassifier(method=method).fit(X, y)) < 20e6
    learner = quick_learner(method=method, phi="pretrained")
    assert peak_of(lambda: learner.fit(X, y)) < 20e6


def test_R122_large_sparse_piles_never_become_dense_for_prototypes():
    X, y = large_table()
    partly = np.where(np.arange(len(y)) < 20, y, -1)
    classifier = FewShotClassifier(method="prototype")
    assert peak_of(lambda: classifier.fit(X, partly)) < 20e6
    expected = classifier.predict(X)
    np.testing.assert_array_equal(classifier.transduction_[20:], expected[20:])


def peak_of(call):
    """Bytes that a call takes at most; numpy tells them, torch does not."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("method", sorted(METHODS))
@pytest.mark.parametrize("prior", ["auto", "uniform", None])
def test_R122_sparse_rows_without_a_pile_get_the_answers_of_dense_ones(
    method, prior, sparse_learner, sparse_task
):
    (X, y), (pile, _) = sparse_task
    options = {"method": method, "class_prior": prior}
    for unlabeled in (None, pile) if method == "prototype" else (None,):
        dense_pile = None if unlabeled is None else unlabeled.toarray()
        sparse = sparse_learner.adapt(X, y, unlabeled, **options)
        dense = sparse_learner.adapt(X.toarray(), y, dense_pile, **options)
        np.testing.assert_allclose(sparse.prototypes_, dense.prototypes_, atol=1e-6)
        np.testing.assert_allclose(
            sparse.predict_proba(pile),
            dense.predict_proba(pile.toarray()),
            rtol=1e-4,
            atol=1e-6,
        )
        np.testing.assert_array_equal(sparse.transduction_, dense.transduction_)


# text

WORDS = [
    "ash",
    "bee",
    "cod",
    "dew",
    "elk",
    "fir",
    "gnu",
    "hen",
    "ivy",
    "jay",
    "koi",
    "lad",
]


def sentences(n_rows, seed):
    """Texts in which a word of the class stands among others, and the classes."""
    rng = np.random.RandomState(seed)
    y = np.repeat(np.arange(len(WORDS)), n_rows)
    texts = [
        " ".join([WORDS[label], f"{WORDS[label]}s", *rng.choice(WORDS, 2)])
        for label in y
    ]
    return np.array(texts, dtype=object), np.array(WORDS, dtype=object)[y]


def text_pipeline():
    return make_pipeline(
        TfidfVectorizer(),
        TruncatedSVD(12, random_state=0),
        quick_learner(max_epochs=1, unlabeled_label="", n_way=(2, 4)),
    )


def test_search_over_a_text_pipeline_with_unseen_classes():
    X, y = sentences(8, 0)
    scorer = make_few_shot_scorer(n_way=3, n_shot=1, n_query=4, n_episodes=10)
    search = GridSearchCV(
        text_pipeline(),
        {"truncatedsvd__n_components": [2, 12]},
        cv=ClassDisjointKFold(3),
        scoring=scorer,
    ).fit(X, y)
    few, many = search.cv_results_["mean_test_score"]
    assert few < many
    assert many > 0.5
    assert search.best_params_ == {"truncatedsvd__n_components": 12}
    assert search.best_estimator_.score(X, y) > 0.7


def test_text_pipeline_is_adapted_to_new_classes():
    X, y = sentences(8, 0)
    old = np.isin(y, WORDS[:8])
    pipeline = text_pipeline().fit(X[old], y[old])
    X_new, y_new = sentences(6, 1)
    new = np.isin(y_new, WORDS[8:])
    X_new, y_new = X_new[new], y_new[new]
    classifier = adapt(pipeline, X_new[::3], y_new[::3], X_new)
    assert classifier.classes_.tolist() == WORDS[8:]
    assert set(classifier.predict(X_new)) <= set(WORDS[8:])


def test_own_score_refuses_unseen_classes_in_a_search():
    X, y = sentences(8, 0)
    old = np.isin(y, WORDS[:8])
    pipeline = text_pipeline().fit(X[old], y[old])
    with pytest.raises(ValueError, match="make_few_shot_scorer"):
        pipeline.score(X[~old], y[~old])
