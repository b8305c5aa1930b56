"""Scores, scorers and pictures that need neither torch nor an estimator."""

from skdeep.metrics._cluster import (
    bcubed_f_score,
    bcubed_precision_recall_fscore,
    pairwise_f_score,
    pairwise_precision_recall_fscore,
)
from skdeep.metrics._cluster_report import cluster_report
from skdeep.metrics._cluster_scorer import bcubed_f, cluster_scores, nmi, pairwise_f
from skdeep.metrics._extension import extension_report, extension_scores
from skdeep.metrics._extension_scorer import make_extension_scorer
from skdeep.metrics._few_shot_scorer import make_few_shot_scorer
from skdeep.metrics._multilabel import (
    inverse_propensity,
    ndcg_at_k_score,
    precision_at_k_score,
    propensity_precision_at_k_score,
)
from skdeep.metrics._multilabel_scorer import (
    get_multilabel_scorers,
    make_ranking_scorer,
    ndcg_at_3,
    ndcg_at_5,
    precision_at_1,
    precision_at_3,
    precision_at_5,
)
from skdeep.metrics._plot._cluster_tree import ClusterTreeDisplay
from skdeep.metrics._plot._consistency import ThresholdConsistencyDisplay
from skdeep.metrics._plot._consistency_accuracy import ConsistencyAccuracyDisplay
from skdeep.metrics._plot._extension import ExtensionDisplay
from skdeep.metrics._plot._far_frr import FarFrrDisplay
from skdeep.metrics._plot._few_shot import FewShotDisplay
from skdeep.metrics._plot._label_order import LabelOrderDisplay
from skdeep.metrics._plot._tau_path import TauPathDisplay
from skdeep.metrics._retrieval import map_at_r_score, recall_at_k_score
from skdeep.metrics._scorer import (
    consistency_constrained_refit,
    get_embedding_scorers,
    make_embedding_scorer,
    map_at_r,
    mean_utility,
    neg_epsilon_opis,
    neg_opis,
    recall_at_1,
    verification_frr_scorer,
)
from skdeep.metrics._sequence import entity_f1_score, entity_report
from skdeep.metrics._spans import entity_spans
from skdeep.metrics._threshold import epsilon_opis_score, opis_score, utility_curves
from skdeep.metrics._verification import (
    far_frr_curve,
    threshold_at_far,
    threshold_at_frr,
    verification_report,
)

__all__ = [
    "ClusterTreeDisplay",
    "ConsistencyAccuracyDisplay",
    "ExtensionDisplay",
    "FarFrrDisplay",
    "FewShotDisplay",
    "LabelOrderDisplay",
    "TauPathDisplay",
    "ThresholdConsistencyDisplay",
    "bcubed_f",
    "bcubed_f_score",
    "bcubed_precision_recall_fscore",
    "cluster_report",
    "cluster_scores",
    "consistency_constrained_refit",
    "entity_f1_score",
    "entity_report",
    "entity_spans",
    "epsilon_opis_score",
    "extension_report",
    "extension_scores",
    "far_frr_curve",
    "get_embedding_scorers",
    "get_multilabel_scorers",
    "inverse_propensity",
    "make_embedding_scorer",
    "make_extension_scorer",
    "make_few_shot_scorer",
    "make_ranking_scorer",
    "map_at_r",
    "map_at_r_score",
    "mean_utility",
    "ndcg_at_3",
    "ndcg_at_5",
    "ndcg_at_k_score",
    "neg_epsilon_opis",
    "neg_opis",
    "nmi",
    "opis_score",
    "pairwise_f",
    "pairwise_f_score",
    "pairwise_precision_recall_fscore",
    "precision_at_1",
    "precision_at_3",
    "precision_at_5",
    "precision_at_k_score",
    "propensity_precision_at_k_score",
    "recall_at_1",
    "recall_at_k_score",
    "threshold_at_far",
    "threshold_at_frr",
    "utility_curves",
    "verification_frr_scorer",
    "verification_report",
]
