"""ClusterResult: cuts, linkage matrix, exemplars, scores over thresholds."""

import numpy as np
import pytest
from crowds import crowd, is_finer, same_partition, small_clusterer
from numpy.testing import assert_allclose, assert_array_equal
from scipy.cluster.hierarchy import fcluster, is_monotonic, is_valid_linkage
from sklearn.metrics import normalized_mutual_info_score

from skdeep.cluster import ClusterResult
from skdeep.exceptions import InvalidParameterError
from skdeep.metrics import bcubed_f_score, pairwise_f_score

TAUS = [0, 0.1, 0.3, 0.5, 0.6, 0.75, 0.9, 0.99, 1]


@pytest.fixture(
    scope="module",
    params=[
        {},
        {"decode": "tree"},
        {"tau": 0.9, "decode": "tree"},
        {"tau": 0.0},
        {"tau": 1.0},
        {"mode": "paper", "hidden_size": 8},
    ],
    ids=["partition", "tree", "high tau", "tau 0", "tau 1", "paper"],
)
def clusterer(request):
    X, y = crowd(seed=1, noise=0.3)
    return small_clusterer(**request.param).fit(X, y)


@pytest.fixture(scope="module")
def y():
    return crowd(n_classes=12, seed=2, noise=0.3)[1]


@pytest.fixture(scope="module")
def result(clusterer):
    return clusterer.cluster(crowd(n_classes=12, seed=2, noise=0.3)[0])


def test_labels_are_numbered_in_the_order_of_their_exemplars(result):
    labels, exemplars = result.labels, result.exemplars
    assert labels.dtype == np.int64
    assert_array_equal(labels[exemplars], range(result.n_clusters))
    assert labels.max() + 1 == result.n_clusters == len(exemplars)
    assert (np.diff(exemplars) > 0).all()


def test_parents_lead_to_the_exemplar_of_the_cluster(result):
    row = np.arange(len(result.labels))
    for _ in row:
        row = result.parent[row]
    assert_array_equal(row, result.exemplars[result.labels])
    is_root = result.parent == np.arange(len(row))
    assert (result.parent_proba[is_root] == 0).all()
    assert (result.parent_proba >= 0).all()
    assert (result.parent_proba <= 1).all()


def test_cut_at_its_own_tau_gives_the_labels(result):
    assert_array_equal(result.cut(result.tau), result.labels)


def test_cuts_are_nested(result):
    cuts = [result.cut(tau) for tau in TAUS]
    for coarse, fine in zip(cuts, cuts[1:]):
        assert is_finer(fine, coarse)
    for cut in cuts:
        assert cut.dtype == np.int64
        assert_array_equal(np.unique(cut), range(cut.max() + 1))


def test_linkage_is_one_of_scipy(result):
    Z = result.hierarchy
    n = len(result.labels)
    assert Z.shape == (n - 1, 4)
    assert is_valid_linkage(Z)
    assert is_monotonic(Z)
    assert Z[-1, 3] == n


def test_flat_clusters_of_scipy_are_the_cuts(result):
    Z = result.hierarchy
    for tau in (result.tau, *TAUS):
        flat = fcluster(Z, 1 - tau, criterion="distance")
        if tau > 0:
            assert same_partition(flat, result.cut(tau))
    if result.tau > 0:
        flat = fcluster(Z, 1 - result.tau, criterion="distance")
        assert same_partition(flat, result.labels)


def test_levels_are_nested_and_end_with_the_labels(result):
    levels = result.level_labels
    assert len(levels) == len(result.level_sizes)
    for fine, coarse in zip(levels, levels[1:]):
        assert is_finer(fine, coarse)
    assert_array_equal(levels[-1], result.labels)
    n_nodes = [len(result.labels), *(labels.max() + 1 for labels in levels)]
    assert [size for size, _ in result.level_sizes] == n_nodes[:-1]
    for (size, n_links), after in zip(result.level_sizes, n_nodes[1:]):
        assert size - n_links == after


def test_outlier_scores_are_densities_turned_round(result):
    assert (np.abs(result.density) <= 1).all()
    assert_allclose(result.outlier_scores, (1 - result.density) / 2)


def test_tau_path_has_the_scores_of_the_cuts(result, y):
    path = result.tau_path(y, [0.2, 0.6, 1.0])
    scores = {
        "pairwise_f": pairwise_f_score,
        "bcubed_f": bcubed_f_score,
        "nmi": normalized_mutual_info_score,
    }
    for place, tau in enumerate([0.2, 0.6, 1.0]):
        cut = result.cut(tau)
        assert path["tau"][place] == tau
        assert path["n_clusters"][place] == cut.max() + 1
        for name, score in scores.items():
            assert path[name][place] == pytest.approx(score(y, cut))


def test_tau_path_has_21_steps_unless_told(result, y):
    path = result.tau_path(y)
    assert_allclose(path["tau"], np.linspace(0, 1, 21))
    assert (np.diff(path["n_clusters"]) >= 0).all()


@pytest.mark.parametrize("tau", [-0.1, 1.1, np.nan, "auto"])
def test_thresholds_out_of_range_are_refused(tau, result):
    with pytest.raises(
        InvalidParameterError, match=r"`tau` must be a number in \[0, 1\]"
    ):
        result.cut(tau)


def test_attributes_of_the_fit_are_those_of_its_result(clusterer):
    result = clusterer.result_
    assert_array_equal(clusterer.labels_, result.labels)
    assert_array_equal(clusterer.peaks_, result.exemplars)
    assert_array_equal(clusterer.density_, result.density)
    assert_array_equal(clusterer.outlier_scores_, result.outlier_scores)
    assert_array_equal(clusterer.parent_, result.parent)
    assert_array_equal(clusterer.parent_proba_, result.parent_proba)
    assert_array_equal(clusterer.hierarchy_, result.hierarchy)
    assert clusterer.n_clusters_ == result.n_clusters == clusterer.labels_.max() + 1
    assert clusterer.n_levels_ == len(clusterer.level_labels_)
    assert clusterer.knn_recall_ == 1.0


def chain():
    """Rows 0 <- 1 <- 2 and 3 <- 4, and an open edge between 0 and 3."""
    return ClusterResult(
        labels=np.array([0, 0, 0, 1, 1]),
        parent=np.array([0, 0, 1, 3, 3]),
        parent_proba=np.array([0, 0.9, 0.7, 0, 0.8]),
        density=np.zeros(5),
        level_labels=[],
        level_sizes=[],
        tau=0.5,
        open_edges=(np.array([0]), np.array([3]), np.array([0.4])),
    )


@pytest.mark.parametrize(
    ("tau", "labels"),
    [
        (0.3, [0, 0, 0, 0, 0]),
        (0.45, [0, 0, 0, 1, 1]),
        (0.65, [0, 0, 0, 1, 1]),
        (0.75, [0, 0, 1, 2, 2]),
        (0.85, [0, 0, 1, 2, 3]),
        (1, [0, 1, 2, 3, 4]),
    ],
)
def test_cuts_of_a_chain_by_hand(tau, labels):
    assert chain().cut(tau).tolist() == labels


def test_linkage_of_a_chain_by_hand():
    expected = [[0, 1, 0.1, 2], [3, 4, 0.2, 2], [2, 5, 0.3, 3], [6, 7, 0.6, 5]]
    assert_allclose(chain().hierarchy, expected)


def test_what_no_edge_connects_is_merged_at_height_1():
    apart = chain()
    apart.open_edges = (np.empty(0, int), np.empty(0, int), np.empty(0))
    assert apart.hierarchy[-1].tolist() == [6, 7, 1, 5]
    assert apart.cut(0).tolist() == [0, 0, 0, 1, 1]
    assert is_valid_linkage(apart.hierarchy)


def test_weak_links_inside_a_cluster_count_as_tau():
    # a community may hold rows together whose own link is below the threshold
    weak = chain()
    weak.parent_proba = np.array([0, 0.2, 0.7, 0, 0.8])
    assert weak.cut(0.5).tolist() == weak.labels.tolist()
    assert weak.cut(0.51).tolist() == [0, 1, 1, 2, 2]
