"""Ridge regression in front of the chains, against refits one row at a time."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LogisticRegression, Ridge
from tiny_chains import few_rows, small

from skdeep.multilabel._first_look import (
    PENALTIES,
    WIDTHS,
    FirstLook,
    _ridge,
    platt_scale,
    solve_first_look,
)
from skdeep.multilabel._modules import Scaler
from skdeep.nn import SparseRows

N, D = 30, 6


def dense_data(seed=0, n_samples=N):
    rng = np.random.RandomState(seed)
    X = rng.normal(size=(n_samples, D)).astype(np.float32)
    Y = (X @ rng.normal(size=(D, 3)) + 0.7 * rng.normal(size=(n_samples, 3))) > 0.3
    return X, sp.csr_array(Y.astype(np.int64))


def sparse_data(seed=0):
    X, Y = dense_data(seed)
    X = np.where(np.abs(X) > 0.5, X, 0)
    X[4] = 0
    return sp.csr_array(X), Y


def solve(X, Y, n_hidden, factor=1.0, seed=0):
    """A solved first look, its scaler and the leverages."""
    sparse = sp.issparse(X)
    look = FirstLook(X.shape[1], n_hidden, Y.shape[1], not sparse)
    scaler = Scaler(X.shape[1], sparse)
    scaler.init_weights(None)
    scaler.factor.fill_(factor)
    rng = np.random.RandomState(seed)
    with torch.no_grad():
        left_out = solve_first_look(look, scaler, X, Y, rng)
    return look, scaler, left_out[:, 0]


def features_of(look, scaler, X):
    """What the ridge regression of dense rows sees, in float64."""
    with torch.no_grad():
        return look.features(scaler(torch.from_numpy(X))).double().numpy()


def weightings_of(X, factor):
    """Columns as they are, and with rare ones weighing more in rows of length one."""
    values = X.toarray().astype(np.float64)
    rarity = np.log((1 + len(values)) / (1 + (values != 0).sum(0))) + 1
    lengths = np.linalg.norm(values * rarity, axis=1, keepdims=True)
    return factor * values, values * rarity / np.maximum(lengths, 1e-12)


def fit_ridge(Z, Y, penalty):
    """Coefficients and intercept of a ridge regression."""
    mean_z, mean_y = Z.mean(0), Y.mean(0)
    centred = Z - mean_z
    gram = centred.T @ centred + penalty * np.eye(Z.shape[1])
    slopes = np.linalg.solve(gram, centred.T @ (Y - mean_y))
    return slopes, mean_y - mean_z @ slopes


def refits(Z, Y, penalty):
    """Prediction of each row by a ridge regression that has not seen it."""
    found = np.empty(Y.shape)
    for row in range(len(Z)):
        others = np.arange(len(Z)) != row
        slopes, offset = fit_ridge(Z[others], Y[others], penalty)
        found[row] = Z[row] @ slopes + offset
    return found


def penalties_of(Z):
    """The grid, times the mean squared length of a centred row."""
    return np.array(PENALTIES) * ((Z - Z.mean(0)) ** 2).sum(1).mean()


def best_refit(Z, Y):
    """Left-out predictions at the best penalty, its index, its error."""
    tried = [refits(Z, Y, penalty) for penalty in penalties_of(Z)]
    errors = [((found - Y) ** 2).sum() for found in tried]
    best = int(np.argmin(errors))
    return tried[best], best, errors[best]


def left_out_opinion(look, scaler, X, Y, leverage):
    """What the first look says about training rows, before it becomes a logit."""
    rows = SparseRows.from_csr(X) if sp.issparse(X) else torch.from_numpy(X)
    truth = torch.from_numpy(Y.toarray()).float()
    with torch.no_grad():
        logits = look(scaler(rows), truth, torch.from_numpy(leverage)[:, None])
    slope, offset = look.scale
    return (logits - offset) / slope


@pytest.mark.parametrize("n_hidden", [8, 40])  # fewer than rows, and more
def test_opinion_about_a_training_row_is_that_of_a_refit_without_it(n_hidden):
    X, Y = dense_data()
    look, scaler, leverage = solve(X, Y, n_hidden, factor=1.5)
    expected, _, _ = best_refit(features_of(look, scaler, X), Y.toarray())
    found = left_out_opinion(look, scaler, X, Y, leverage)
    assert_allclose(found, expected, atol=2e-4)


@pytest.mark.parametrize("seed", [0, 2])
def test_opinion_about_a_sparse_row_is_that_of_the_better_refit(seed):
    X, Y = sparse_data(seed)
    look, scaler, leverage = solve(X, Y, n_hidden=D, factor=1.5)
    tried = [best_refit(Z, Y.toarray()) for Z in weightings_of(X, 1.5)]
    errors = [error for *_, error in tried]
    best = int(np.argmin(errors))
    assert look.power == best
    found = left_out_opinion(look, scaler, X, Y, leverage)
    assert_allclose(found, tried[best][0], atol=2e-4)


def test_both_weightings_of_columns_are_chosen_where_they_are_better():
    powers = []
    for seed in range(6):
        X, Y = sparse_data(seed)
        powers.append(solve(X, Y, n_hidden=D)[0].power.item())
    assert set(powers) == {0, 1}


def test_opinion_about_a_new_row_is_that_of_the_full_fit():
    X, Y = dense_data()
    look, scaler, _ = solve(X, Y, n_hidden=8)
    Z = features_of(look, scaler, X)
    _, best, _ = best_refit(Z, Y.toarray())
    model = Ridge(alpha=penalties_of(Z)[best]).fit(Z, Y.toarray())
    new = dense_data(seed=1)[0]
    slope, offset = look.scale.tolist()
    with torch.no_grad():
        found = look(scaler(torch.from_numpy(new))).numpy()
    expected = slope * model.predict(features_of(look, scaler, new)) + offset
    assert_allclose(found, expected, atol=2e-3)


def test_width_of_the_kernel_has_the_least_left_out_error():
    X, Y = dense_data()
    n_hidden, widths = 20, set()
    for seed in (0, 2):
        look, scaler, _ = solve(X, Y, n_hidden, seed=seed)
        rng = np.random.RandomState(seed)
        directions = rng.normal(size=(n_hidden, D))
        phase = rng.uniform(0, 2 * np.pi, size=n_hidden)
        errors = []
        for width in WIDTHS:
            angles = X @ (directions * np.sqrt(2 * width / D)).T + phase
            Z = np.cos(angles) * np.sqrt(2 / n_hidden)
            errors.append(best_refit(Z, Y.toarray())[2])
        best = WIDTHS[int(np.argmin(errors))]
        scale = np.sqrt(2 * best / D)
        assert_allclose(look.projection, scale * directions, rtol=1e-5)
        widths.add(best)
    assert widths == set(WIDTHS)


def test_fourier_features_approximate_the_gaussian_kernel():
    X, Y = dense_data()
    look, scaler, _ = solve(X, Y, n_hidden=400)
    Z = features_of(look, scaler, X)
    squared = ((X[:, None] - X[None]) ** 2).sum(-1)
    errors = [np.abs(Z @ Z.T - np.exp(-w * squared / D)).max() for w in WIDTHS]
    assert min(errors) < 0.2
    assert max(errors) > 0.2


@pytest.mark.parametrize("make_data", [dense_data, sparse_data])
def test_leverages_add_up_to_the_degrees_of_freedom(make_data):
    X, Y = make_data()
    look, scaler, leverage = solve(X, Y, n_hidden=D)
    if sp.issparse(X):
        Z = weightings_of(X, 1.0)[int(look.power)]
    else:
        Z = features_of(look, scaler, X)
    _, best, _ = best_refit(Z, Y.toarray())
    centred = Z - Z.mean(0)
    eigenvalues = np.linalg.eigvalsh(centred.T @ centred)
    penalty = penalties_of(Z)[best]
    expected = 1 + (eigenvalues / (eigenvalues + penalty)).sum()  # 1: the intercept
    assert leverage.sum() == pytest.approx(expected, rel=1e-5)
    assert (leverage > 0).all()
    assert (leverage < 1).all()


@pytest.mark.parametrize("n_hidden", [8, 40])
def test_rows_in_many_slices_count_like_rows_in_one(n_hidden):
    _, Y = dense_data()
    Z = np.random.RandomState(0).normal(size=(N, n_hidden))
    parts = [slice(0, 7), slice(7, 20), slice(20, N)]
    whole = _ridge(lambda: iter([(slice(0, N), Z.copy())]), n_hidden, Y)
    split = _ridge(lambda: ((p, Z[p].copy()) for p in parts), n_hidden, Y)
    for one, other in zip(whole, split):
        assert_allclose(one, other, rtol=1e-6)


def test_only_the_most_common_columns_take_part():
    X, Y = sparse_data()
    X = X.toarray()
    X[:, [1, 4]] = 0
    X[0, [1, 4]] = 1
    look, scaler, _ = solve(sp.csr_array(X), Y, n_hidden=D - 2)
    assert look.place.tolist() == [0, 4, 1, 2, 4, 3]  # 4 is the row of zeros
    assert_array_equal(look.weight[-1], np.zeros(3))
    other = X.copy()
    other[:, [1, 4]] = 7
    with torch.no_grad():
        one = look(scaler(SparseRows.from_csr(sp.csr_array(X))))
        two = look(scaler(SparseRows.from_csr(sp.csr_array(other))))
    assert_allclose(one, two, rtol=1e-5)


def test_columns_without_any_value_do_no_harm():
    X, Y = sparse_data()
    X = sp.csr_array(sp.hstack([X, sp.csr_array((N, 3), dtype=np.float32)]))
    look, scaler, leverage = solve(X, Y, n_hidden=D + 3)
    assert torch.isfinite(look.weight).all()
    assert np.isfinite(leverage).all()


def test_identical_rows_do_no_harm():
    X, Y = dense_data()
    look, scaler, leverage = solve(np.ones_like(X), Y, n_hidden=8)
    with torch.no_grad():
        found = look(scaler(torch.ones(1, D)))
    assert torch.isfinite(found).all()
    assert_allclose(leverage, 1 / N, rtol=1e-4)


def test_label_of_every_row_and_label_of_no_row_do_no_harm():
    X, Y = dense_data()
    Y = Y.toarray()
    Y[:, 0], Y[:, 1] = 1, 0
    look, scaler, leverage = solve(X, sp.csr_array(Y), n_hidden=8)
    with torch.no_grad():
        found = look(scaler(torch.from_numpy(X)))
    assert (found[:, 0] > 0).all()
    assert (found[:, 1] < 0).all()


@pytest.mark.parametrize("seed", range(4))
def test_platt_scale_is_logistic_regression(seed):
    rng = np.random.RandomState(seed)
    values = rng.normal(0.3, 0.4, size=400)
    truth = (rng.rand(400) < 1 / (1 + np.exp(2 - 5 * values))).astype(float)
    slope, offset = platt_scale(values[None], truth)
    n_true = truth.sum()  # targets as in Platt's paper, a little inside of 0 and 1
    high, low = (n_true + 1) / (n_true + 2), 1 / (400 - n_true + 2)
    share = np.where(truth, high, low)
    model = LogisticRegression(C=1e8, tol=1e-10, max_iter=1000).fit(
        np.tile(values, 2)[:, None],
        np.repeat([1, 0], 400),
        sample_weight=np.concatenate([share, 1 - share]),
    )
    assert slope == pytest.approx(model.coef_[0, 0], rel=1e-3)
    assert offset == pytest.approx(model.intercept_[0], rel=1e-3)


@pytest.mark.parametrize(
    ("values", "truth"),
    [
        ([0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 1.0]),  # a line tells all apart
        ([0.2, 0.4, 0.6, 0.8], [1.0, 1.0, 1.0, 1.0]),  # one class
        ([0.5, 0.5, 0.5, 0.5], [0.0, 1.0, 0.0, 1.0]),  # nothing to tell apart
        ([1e4, -1e4, 3e4, 2e4], [1.0, 0.0, 1.0, 1.0]),  # far away
    ],
)
def test_platt_scale_stays_finite(values, truth):
    slope, offset = platt_scale(np.array([values]), np.array(truth))
    assert np.isfinite([slope, offset]).all()
    assert np.abs([slope, offset]).max() < 200


@pytest.mark.parametrize("sparse", [False, True])
def test_head_of_a_fitted_estimator_is_the_first_look(sparse):
    X, Y = few_rows(60)
    rows = sp.csr_array(X) if sparse else X
    fitted = small(first_look="ridge", proba="head").fit(rows, Y)
    assert not fitted.module_.members[0].has_head
    scores = fitted.predict_proba(rows)
    agreement = ((scores > 0.5) == Y).mean()
    assert agreement > max((Y == 0).mean(), (Y == 1).mean())


def test_networks_of_the_user_get_no_first_look_unless_asked():
    X, Y = few_rows(40)
    own = {"module": torch.nn.Linear(6, 8), "max_epochs": 1}
    assert small(**own).fit(X, Y).module_.look is None
    assert small(first_look="ridge", **own).fit(X, Y).module_.look is not None
    assert small(first_look=None).fit(X, Y).module_.look is None
