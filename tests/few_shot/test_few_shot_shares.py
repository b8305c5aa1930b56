"""What is known of the pile: shares of the classes, and rows that belong to none."""

import numpy as np
import pytest
from new_classes import NEW, draw

from skdeep import FewShotClassifier

PROJECTED = ["prototype", "soft_kmeans", "bd_cspn", "laplacian", "tim"]


def shares_of(classifier, X):
    return classifier.predict_proba(X).mean(axis=0)


@pytest.fixture(scope="module")
def noisy():
    """Two labelled rows a class and a pile with equal classes, hard to tell apart."""
    return draw(NEW, 2, 11, noise=2.0), draw(NEW, 20, 12, noise=2.0)


@pytest.mark.parametrize("method", PROJECTED)
def test_uniform_prior_gives_all_classes_equal_shares(method, learner, noisy):
    support, (X, _) = noisy
    free = learner.adapt(*support, X, method=method)
    equal = learner.adapt(*support, X, method=method, class_prior="uniform")
    assert np.abs(shares_of(free, X) - 1 / 3).max() > 0.02
    fitted = FewShotClassifier(
        learner, transductive=True, method=method, class_prior="uniform"
    ).fit(*support)
    np.testing.assert_allclose(shares_of(fitted, X), 1 / 3, atol=1e-4)
    counts = np.unique(equal.transduction_[6:], return_counts=True)[1]
    assert counts.max() - counts.min() <= 8


def test_default_method_gives_about_equal_shares(learner, noisy):
    support, (X, _) = noisy
    equal = learner.adapt(*support, X, class_prior="uniform")
    free = learner.adapt(*support, X, class_prior=None)
    np.testing.assert_allclose(shares_of(equal, X), 1 / 3, atol=0.02)
    assert np.abs(shares_of(free, X) - 1 / 3).max() > 0.03


@pytest.mark.parametrize("kind", [list, tuple, np.array])
def test_shares_may_be_given_in_any_unit(kind, learner, noisy):
    support, (X, _) = noisy
    one = learner.adapt(*support, X, class_prior=kind([5, 3, 2]))
    two = learner.adapt(*support, X, class_prior=[0.5, 0.3, 0.2])
    np.testing.assert_allclose(one.predict_proba(X), two.predict_proba(X), atol=1e-5)
    np.testing.assert_allclose(shares_of(one, X), [0.5, 0.3, 0.2], atol=0.03)


@pytest.mark.parametrize("method", PROJECTED)
def test_given_shares_are_those_of_the_pile(method, learner, noisy):
    support, (X, _) = noisy
    options = {"method": method, "class_prior": [0.5, 0.3, 0.2]}
    fitted = FewShotClassifier(learner, transductive=True, **options).fit(*support)
    np.testing.assert_allclose(shares_of(fitted, X), [0.5, 0.3, 0.2], atol=1e-4)


@pytest.mark.parametrize("method", ["pt_map", "ilpc"])
def test_rules_that_fit_shares_take_the_given_ones(method, learner, noisy):
    support, (X, _) = noisy
    most = [
        FewShotClassifier(learner, transductive=True, method=method, class_prior=prior)
        .fit(*support)
        .predict(X)
        for prior in ([8, 1, 1], "uniform", [1, 1, 8])
    ]
    counts = [(labels == 20).sum() for labels in most]
    assert counts[0] > counts[1] > counts[2]


def test_shares_are_in_the_order_of_the_classes(learner, noisy):
    (X, y), (pile, _) = noisy
    one = learner.adapt(X, y, pile, class_prior=[0.6, 0.3, 0.1])
    two = learner.adapt(X, 100 - y, pile, class_prior=[0.1, 0.3, 0.6])
    np.testing.assert_allclose(
        one.predict_proba(pile), two.predict_proba(pile)[:, ::-1], atol=1e-4
    )


def test_shares_shift_the_odds_of_new_rows_without_a_pile(learner, noisy):
    support, (X, _) = noisy
    plain = learner.adapt(*support, method="prototype", class_prior=None)
    shifted = learner.adapt(*support, method="prototype", class_prior=[0.5, 0.25, 0.25])
    odds = [
        np.log(classifier.predict_proba(X)[:, 0] / classifier.predict_proba(X)[:, 1])
        for classifier in (plain, shifted)
    ]
    np.testing.assert_allclose(odds[1] - odds[0], np.log(2), atol=1e-3)


def test_estimated_shares_follow_a_pile_of_unequal_classes(learner, support):
    parts = [draw([label], n, label) for label, n in zip(NEW, (40, 4, 4))]
    X = np.concatenate([part[0] for part in parts])
    y = np.concatenate([part[1] for part in parts])
    estimated = learner.adapt(*support, X)
    equal = learner.adapt(*support, X, class_prior="uniform")
    assert estimated.score(X, y) > equal.score(X, y)


def test_learner_hands_its_own_options_on(learner, noisy):
    from new_classes import fitted_learner

    support, (X, _) = noisy
    own = fitted_learner(phi="pretrained", class_prior="uniform", outlier_weight=7.0)
    classifier = own.adapt(*support, X)
    assert classifier.class_prior == "uniform"
    assert classifier.outlier_weight == 7.0
    assert own.adapt(*support, X, class_prior=None).class_prior is None
    expected = learner.adapt(*support, X, class_prior="uniform", outlier_weight=7.0)
    np.testing.assert_array_equal(
        classifier.predict_proba(X), expected.predict_proba(X)
    )


# rows of the pile that belong to none of the classes


def influence(learner, support, pile, strangers, **options):
    """How far strangers in the pile move the prototypes."""
    alone = learner.adapt(*support, pile, **options).prototypes_
    together = np.concatenate([pile, strangers])
    return np.linalg.norm(
        learner.adapt(*support, together, **options).prototypes_ - alone
    )


@pytest.mark.parametrize("method", ["sib", "soft_kmeans", "bd_cspn"])
def test_outlier_weight_lowers_the_influence_of_strangers(method, learner):
    support, (pile, _) = draw(NEW, 5, 1), draw(NEW, 10, 2)
    strangers, _ = draw([23, 24, 25, 26], 10, 3)
    moved = [
        influence(
            learner, support, pile, strangers, method=method, outlier_weight=weight
        )
        for weight in (None, 5.0, 50.0)
    ]
    assert moved[2] < moved[1]
    assert moved[2] < 0.7 * moved[0]


def test_outlier_weight_hardly_touches_a_pile_without_strangers(learner, pile):
    support = draw(NEW, 5, 1)
    one = learner.adapt(*support, pile[0])
    two = learner.adapt(*support, pile[0], outlier_weight=20.0)
    assert (one.predict(pile[0]) == two.predict(pile[0])).mean() > 0.95


def test_outlier_weight_works_with_one_row_a_class(learner, pile):
    support = draw(NEW, 1, 1)
    classifier = learner.adapt(*support, pile[0], outlier_weight=20.0)
    assert classifier.score(*pile) > 0.8
    assert np.isfinite(classifier.prototypes_).all()


def test_outlier_weight_without_a_pile_changes_nothing(learner, support, pile):
    one = learner.adapt(*support, outlier_weight=20.0)
    two = learner.adapt(*support)
    np.testing.assert_array_equal(
        one.predict_proba(pile[0]), two.predict_proba(pile[0])
    )
