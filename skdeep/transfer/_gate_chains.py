"""Gates one after the other.

In a chain each gate has its own novelty value u of a row, and all are standardised. Among the
gates that let a row through, the one with the smallest u is asked first, whenever it was
learned; what it leaves goes on to the next one, and in the end to the innermost source:

    P(new_i) = sigma(o_i) prod_(j before i) (1 - sigma(o_j)) ,   o_i = (theta_i - u_i) / tau_i .

Those that do not let it through, o < 0, follow, by u as well. So the first one can be told
from the probabilities, then the second one, and with them all u: a further gate needs
nothing else of a chain.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import log_expit, logsumexp

from skdeep.transfer._source_kinds import unwrap


class Link(NamedTuple):
    """A gate inside of the source.

    Attributes
    ----------
    places : ndarray of int
        Classes that it has learned, among those of the source.

    threshold, width : float
        Theta and tau.
    """

    places: np.ndarray
    threshold: float
    width: float


def links_of(est):
    """Gates of an extender's source, the innermost first.

    Parameters
    ----------
    est : AdapterExtender
        With its source.

    Returns
    -------
    links : tuple of Link
        Empty if the source is no extender, or one that has no gate on top.
    """
    source = unwrap(est.estimator_, type(est))
    if not isinstance(source, type(est)) or source.method_ != "gate":
        return ()
    gate, layout = source._head.gate, source._layout
    inner = [link._replace(places=layout.old[link.places]) for link in gate.links]
    return *inner, Link(layout.new, gate.threshold, gate.width)


def turn(u, threshold):
    """Sorting key of gates: the smallest is asked first."""
    return np.arctan(u) + 4.0 * (u > threshold)


def read_turns(scores, links):
    """Keys of the gates of a chain, out of its answers.

    Parameters
    ----------
    scores : ndarray of shape (n_samples, n_old)
        Logs of the probabilities that the chain gives.

    links : sequence of Link

    Returns
    -------
    turns : ndarray of shape (n_samples, n_links)
        See `turn`.
    """
    proba = np.exp(scores.astype(np.float64))
    share = np.column_stack([proba[:, link.places].sum(axis=1) for link in links])
    threshold, width = np.array([link[1:] for link in links]).T
    left = proba.sum(axis=1, keepdims=True)
    turns = np.full(share.shape, np.nan)
    for _ in links:
        odds = np.log(share) - np.log(np.maximum(left - share, 1e-12))
        found = turn(threshold - width * odds, threshold)
        found[~np.isnan(turns)] = np.inf
        first = found.argmin(axis=1)[:, None]
        np.put_along_axis(turns, first, np.take_along_axis(found, first, 1), 1)
        left = left - np.take_along_axis(share, first, 1)
    return turns


def asked_before(own, scores, links):
    """Classes of the gates that are asked before another one.

    Parameters
    ----------
    own : ndarray of shape (n_samples,)
        Key of that other gate; see `turn`.

    scores, links : object
        See `read_turns`.

    Returns
    -------
    before : ndarray of shape (n_samples, n_old), dtype bool
    """
    before = np.zeros(scores.shape, dtype=bool)
    if links:
        earlier = read_turns(scores, links) < own[:, None]
        for link, asked in zip(links, earlier.T):
            before[:, link.places] = asked[:, None]
    return before


def ask_in_turn(log_old, odds, before):
    """Share that a gate takes, and what it leaves.

    Parameters
    ----------
    log_old : ndarray of shape (n_samples, n_old)
        Logs of the probabilities that the source gives.

    odds : ndarray of shape (n_samples,)
        Log odds of the gate.

    before : ndarray of shape (n_samples, n_old), dtype bool
        Classes of which it gets nothing.

    Returns
    -------
    log_old : ndarray of shape (n_samples, n_old)

    log_new : ndarray of shape (n_samples,)
        Log of the probability of all its classes.
    """
    rest = logsumexp(np.where(before, -np.inf, log_old), axis=1)
    log_new = log_expit(odds) + rest
    return np.where(before, log_old, log_old + log_expit(-odds)[:, None]), log_new
