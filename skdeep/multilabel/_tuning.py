"""What is measured on held-out rows: progress, the shares of the scores, the cuts."""

from itertools import product
from typing import NamedTuple

import numpy as np
import torch

from skdeep.metrics import ndcg_at_k_score
from skdeep.metrics._label_sets import check_label_sets
from skdeep.metrics._multilabel import ndcg_of_rows
from skdeep.multilabel._decisions import tune_threshold
from skdeep.multilabel._inference import Inference
from skdeep.multilabel._objectives import group_of_members

VALIDATION_METRICS = ("f1", "ndcg", "subset_accuracy")
DEFAULT_SHARES = (1.0, 0.0, 0.0, 0.0)


def example_f1(Y, sets):
    """Mean F1 score of the rows; 1 for a row without true and without found labels."""
    sizes = Y.sum(1) + sets.sum(1)
    hits = 2 * (Y & sets).sum(1)
    return float(np.where(sizes > 0, hits / np.maximum(sizes, 1), 1.0).mean())


class HeldOut(NamedTuple):
    """Rows that a group of members has not learned from.

    Parameters
    ----------
    members : ndarray of int
        The group.

    X : ndarray or CSR matrix of shape (n_samples, n_features)
        Rows.

    Y : ndarray of shape (n_samples, n_labels), dtype bool
        Their true sets.

    left_out : ndarray with an entry for each sample
        What the first look says apart from them.
    """

    members: np.ndarray
    X: object
    Y: np.ndarray
    left_out: np.ndarray


def held_out_rows(est, X, Y, left_out, outsiders):
    """Rows held out from each group of members: list of HeldOut."""
    groups = group_of_members(est.n_estimators)
    held = []
    for index in np.unique(outsiders[outsiders >= 0]):
        rows = np.flatnonzero(outsiders == index)
        members = np.flatnonzero(groups == index)
        held.append(HeldOut(members, X[rows], Y[rows].toarray() > 0, left_out[rows]))
    return held


def _ask_all(est, held, answer, module=None):
    """Answers of each group to its held-out rows, one below the other."""
    found = []
    for part in held:
        generator = est._generator(None) if est.proba == "sample" else None
        inference = est._inference(generator, module, threshold=0.5)
        inference.members = part.members
        with torch.inference_mode():
            found += inference.ask(
                part.X,
                lambda contexts, ask=inference: answer(ask, contexts),
                max(est.beam_size, est.n_draws if generator else 1),
                (part.Y, part.left_out),
            )
    return torch.cat(found).numpy()


def validation_score(est, held):
    """Make the function that tells how good the answers to held-out rows are.

    Parameters
    ----------
    est : DynamicChainClassifier
        Its `validation_metric` is measured on its answers.

    held : list of HeldOut
        Rows.

    Returns
    -------
    score : callable
        ``score(module) -> float``, greater is better.
    """
    truth = np.concatenate([part.Y for part in held])
    metric = est.validation_metric

    def answer(inference, contexts):
        sets = inference.sets(contexts).float()
        return torch.stack([sets, inference.scores(contexts)], dim=1)

    def score(module):
        found = _ask_all(est, held, answer, module)
        sets, scores = found[:, 0] > 0, found[:, 1]
        if callable(metric):
            return float(metric(truth, sets, scores))
        values = {}
        if metric == "subset_accuracy":
            values["subset_accuracy"] = (sets == truth).all(1).mean()
        if metric in ("f1", None):
            values["f1"] = example_f1(truth, sets)
        if metric in ("ndcg", None):
            values["ndcg"] = ndcg_at_k_score(truth, scores, k=5)
        return float(sum(values.values()) / len(values))

    return score


def tune_answers(est, held):
    """Set shares and cuts by what members say about rows that they never learned.

    Parameters
    ----------
    est : DynamicChainClassifier
        Gets `score_weights_`, and a cut for each kind of scores.

    held : list of HeldOut
        Rows.
    """
    chained, drawn = est._order is not None, est.proba == "sample"
    kinds = Inference.PARTS if chained else ("head",)

    def answer(inference, contexts):
        found = inference.parts(contexts, [name in kinds for name in Inference.PARTS])
        if chained and drawn:
            found.append(inference.inclusion(contexts, est.n_draws))
        return torch.stack([part for part in found if part is not None], dim=1)

    truth = np.concatenate([part.Y for part in held])
    found = _ask_all(est, held, answer).swapaxes(0, 1)
    scores = dict(zip((*kinds, "sample"), found))
    if chained:
        parts = found[: len(kinds)]
        est.score_weights_ = best_shares(truth, parts)
        scores["auto"] = np.einsum("i,inl->nl", np.array(est.score_weights_), parts)
    est._thresholds = {
        kind: tune_threshold(truth, values, example_f1)
        for kind, values in scores.items()
    }


def best_shares(Y, parts):
    """Choose the shares of the scores on held-out rows.

    Parameters
    ----------
    Y : ndarray of shape (n_samples, n_labels), dtype bool
        True sets.

    parts : ndarray of shape (4, n_samples, n_labels)
        What the scores are made of.

    Returns
    -------
    shares : tuple of four floats
        Those with the best mean of nDCG@3 and nDCG@5 on a coarse grid, if it is better
        than that of the path alone by a standard error; else the path alone.
    """
    usual = _ranking_quality(Y, parts[0])
    best, shares = 0.0, DEFAULT_SHARES
    for steps in product((0, 1, 2), repeat=len(parts)):
        if np.gcd.reduce(steps) != 1 or not len(usual):
            continue
        weights = np.array(steps) / sum(steps)
        gain = _ranking_quality(Y, np.einsum("i,inl->nl", weights, parts)) - usual
        if gain.mean() > max(best, gain.std() / len(gain) ** 0.5):
            best, shares = gain.mean(), tuple(map(float, weights))
    return shares


def _ranking_quality(Y, scores):
    """nDCG@3 plus nDCG@5 of each row with labels."""
    truth = check_label_sets(Y)
    return sum(ndcg_of_rows(truth, scores, k) for k in (3, 5))[Y.any(1)]
