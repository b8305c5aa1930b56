"""What `DynamicChainClassifier` settles before its training begins."""

import copy
import warnings
from numbers import Integral, Real

import numpy as np
import scipy.sparse as sp
import torch

from skdeep.base import BaseDeepEstimator, forward
from skdeep.exceptions import InvalidParameterError
from skdeep.multilabel._modules import make_chains
from skdeep.multilabel._objectives import OBJECTIVES, Settings, group_of_members
from skdeep.multilabel._orders import ORDERS
from skdeep.multilabel._rewards import REWARDS, try_reward
from skdeep.multilabel._tuning import VALIDATION_METRICS
from skdeep.nn import make_module, start_module
from skdeep.utils._params import HasMethods, Interval, ListOf, StrOptions
from skdeep.utils._torch import resolve_device

_COUNT = Interval(Integral, 1, None, closed="left")
_SHARE = Interval(Real, 0, 1, closed="left")
_WEIGHT = Interval(Real, 0, None, closed="left")
_MAX_OPINIONS = 2**24  # of trees on the rows of the training


class _Sequence(HasMethods):
    """Lists, arrays, ranges, columns of a frame, but no text."""

    def accepts(self, value):
        return super().accepts(value) and not isinstance(value, str)

    def __str__(self):
        return "a sequence of ints"


CONSTRAINTS = {
    **BaseDeepEstimator._parameter_constraints,
    "order": [StrOptions(ORDERS), _Sequence("__len__", "__getitem__"), None],
    "training": [StrOptions({"mixed", *OBJECTIVES})],
    "n_estimators": [_COUNT],
    "joint_decoding": ["boolean"],
    "first_look": [StrOptions({"ridge", "trees", "auto"}), None],
    "rollout": [StrOptions({"greedy", "sample"})],
    "rollout_steps": [Interval(Integral, 0, None, closed="left"), None],
    "reward": [StrOptions(REWARDS), callable],
    "baseline": [StrOptions({"rollouts", "value", "greedy"})],
    "n_rollouts": [_COUNT],
    "all_actions": ["boolean"],
    "rl_start": [Interval(Real, 0, 1, closed="both")],
    "rl_weight": [_WEIGHT],
    "ml_weight": [_WEIGHT],
    "entropy": [_WEIGHT],
    "discount": [Interval(Real, 0, 1, closed="both")],
    "loss_reduction": [StrOptions({"token", "row"})],
    "aux_weight": [_WEIGHT],
    "decision": [StrOptions({"beam", "chain", "greedy", "marginal", "f1"})],
    "beam_size": [_COUNT],
    "proba": [StrOptions({"auto", "path", "position", "head", "beam", "sample"})],
    "threshold": [Interval(Real, 0, 1, closed="both"), StrOptions({"auto"})],
    "min_labels": [
        Interval(Integral, 0, None, closed="left"),
        StrOptions({"auto"}),
    ],
    "max_labels": [_COUNT, None],
    "n_draws": [_COUNT],
    "rescore_weight": [_WEIGHT],
    "input_scale": [
        Interval(Real, 0, None, closed="neither"),
        StrOptions({"auto"}),
    ],
    "label_size": [_COUNT],
    "label_skip": ["boolean"],
    "early_stopping": ["boolean", StrOptions({"auto"})],
    "hidden_layer_sizes": [ListOf(_COUNT)],
    "hidden_size": [_COUNT],
    "dropout": [_SHARE],
    "input_dropout": [_SHARE],
    "batch_size": [_COUNT, StrOptions({"auto"})],
    "validation_metric": [StrOptions(VALIDATION_METRICS), callable, None],
}


# arguments of the network that parameters of other names decide on
_CHANGED_BY = {
    "n_outputs": "'hidden_layer_sizes'",
    "has_head": "'first_look' or 'order'",
}


def check_combinations(est):
    """Refuse parameters that are legal alone, but not beside each other."""
    dynamic = _is(est.order, "dynamic")
    if not dynamic and est.training not in ("mixed", "permutation"):
        raise InvalidParameterError(
            f"training={est.training!r} needs order='dynamic', got order="
            f"{est.order!r}; a fixed order is learned by maximum likelihood, so "
            "leave `training` at its default."
        )
    if dynamic and est.training == "mixed" and est.n_estimators < 2:
        raise InvalidParameterError(
            "training='mixed' needs n_estimators=2 or more, one member for each way "
            "of training. Set training='permutation' for a single member."
        )
    if est.baseline == "rollouts" and est.n_rollouts < 2:
        raise InvalidParameterError(
            "baseline='rollouts' compares the rollouts of a row and needs "
            f"n_rollouts=2 or more, got {est.n_rollouts}; or set baseline='greedy'."
        )
    if est.all_actions and callable(est.reward):
        raise InvalidParameterError(
            "all_actions=True needs one of the built-in rewards, because a callable "
            "`reward` tells nothing about labels that were not drawn."
        )
    if dynamic and est.training in ("mixed", "reinforce") and callable(est.reward):
        try_reward(est.reward, resolve_device(est.device))


def _is(order, name):
    """Whether an order, which may be an array, is the named one."""
    return isinstance(order, str) and order == name


def hold_out(est, n_samples, incremental, rng):
    """Which group of members must not learn from each row; -1 if all may.

    The members go in pairs, each kept from rows of its own, so that every row is learned
    by some, and nearly all rows by most.
    """
    outsiders = np.full(n_samples, -1)
    tunes = est.proba == "auto" or est.threshold == "auto"
    if incremental or not (est.early_stopping or tunes):
        return outsiders
    n_groups = group_of_members(est.n_estimators)[-1] + 1
    n_held = int(n_samples * est.validation_fraction)
    n_held = min(n_held, n_samples // 2 // n_groups, 2**22 // est.n_labels_)
    if est.early_stopping is True and n_held < 1:
        warnings.warn(
            f"{n_samples} rows are too few to hold out validation_fraction="
            f"{est.validation_fraction} of them; early stopping is off.",
            stacklevel=6,
        )
    order = rng.permutation(n_samples)
    for group in range(n_groups):
        outsiders[order[group * n_held : (group + 1) * n_held]] = group
    return outsiders


def stops_early(est, X):
    """Whether progress on held-out rows decides on the weights that are kept."""
    if est.early_stopping == "auto":
        return X.shape[0] >= 1000
    return est.early_stopping


def resolve_batch_size(est, n_samples):
    if est.batch_size != "auto":
        return est.batch_size
    return int(np.clip(n_samples // 16 // 8 * 8, 32, 128))


def resolve_objectives(est):
    """What each member is trained for."""
    if est.order is None:
        kinds = ("head",)
    elif est.label_order_ is not None:
        kinds = ("order",)
    elif _is(est.order, "instance_random") or est.training == "permutation":
        kinds = ("permutation",)
    elif est.training == "mixed":
        kinds = ("permutation", "reinforce")
    else:
        kinds = (est.training,)
    return [kinds[index % len(kinds)] for index in range(est.n_estimators)]


def loss_settings(est, Y, n_batches, n_done):
    """Numbers of the objectives, after `n_done` epochs of earlier training."""
    sizes = np.diff(Y.indptr)
    least, most = est._limits()
    steps = est.rollout_steps
    steps = est._n_rollout_steps if steps is None else min(steps, est.n_labels_)
    n_warmup = max(int(est.rl_start * est.max_epochs), min(5, est.max_epochs - 1))
    return Settings(
        limits=(min(least, int(sizes.min())), 1 if est._single else Y.shape[1]),
        rollout=est.rollout,
        rollout_steps=0 if _is(est.order, "instance_random") else steps,
        reward=est.reward,
        baseline=est.baseline,
        n_draws=est.n_rollouts,
        all_actions=est.all_actions,
        n_warmup_steps=max(0, n_warmup - n_done) * n_batches,
        rl_weight=est.rl_weight,
        ml_weight=est.ml_weight,
        entropy=est.entropy,
        discount=est.discount,
        n_tokens=1 + sizes.mean() if est.loss_reduction == "token" else 1.0,
        aux_weight=est.aux_weight,
    )


def start_chains(est, X, go_on, generator):
    """Build the network, or copy the fitted one."""
    args = _chain_args(est, X)
    if go_on:
        _check_same_network(est, args)
        return copy.deepcopy(est.module_)
    builtin = isinstance(est.module, (str, type(None)))
    if not builtin:
        args["n_encoded"] = _size_of_encoding(args, X, generator)
    est._module_args = args
    module = start_module(make_chains, args, generator=generator)
    if not builtin:  # the weights of the encoders are there, those of the rest not
        for part in [module.scaler, *module.members]:
            part.init_weights(generator)
    est.input_scale_ = _set_scaler(module.scaler, X, est.input_scale, est.module)
    return module


def _chain_args(est, X):
    """Describe the network as arguments of `make_chains`."""
    perceptron = est.module in (None, "mlp")
    sparse, n_features = sp.issparse(X), X.shape[1]
    looks = est.first_look in ("ridge", "trees")
    looks = looks or (est.first_look == "auto" and perceptron)
    has_trees = looks and est.first_look != "ridge" and not sparse
    has_trees = has_trees and X.shape[0] * est.n_labels_ <= _MAX_OPINIONS
    n_look = 1024
    if sparse:
        n_look = min(2048, n_features, max(64, 2**25 // est.n_labels_))
    sizes = [int(size) for size in est.hidden_layer_sizes] or [int(est.hidden_size)]
    params = est.module_params
    if perceptron:
        params = {"dropout": est.dropout, "input_dropout": est.input_dropout}
        params |= est.module_params or {}
    return {
        "module": est.module,
        "module_params": params,
        "n_features": n_features,
        "n_outputs": sizes[-1],
        "hidden_layer_sizes": sizes[:-1],
        "n_estimators": int(est.n_estimators),
        "n_encoded": sizes[-1],
        "n_labels": est.n_labels_,
        "hidden_size": int(est.hidden_size),
        "label_size": int(est.label_size),
        "dropout": float(est.dropout),
        "label_skip": bool(est.label_skip),
        "has_head": not looks or est.order is None,
        "n_look": int(n_look) if looks else 0,
        "tree_sizes": (0, 0) if has_trees else None,
        "sparse": sparse,
    }


def _check_same_network(est, args):
    """Refuse to go on with other parameters of the network than those of the fit."""
    for name, value in args.items():
        before = est._module_args[name]
        # from the data, from the network, from the fit
        follows = name in ("n_look", "n_encoded", "tree_sizes")
        if value is not before and value != before and not follows:
            raise InvalidParameterError(
                "The training goes on with the fitted network, but "
                f"{_CHANGED_BY.get(name, repr(name))} has changed since; set "
                "warm_start=False to fit anew, or restore the parameter."
            )


def _size_of_encoding(args, X, generator):
    """Try a network of the user on two rows: the number of values that it returns."""
    names = ("module", "module_params", "n_features", "n_outputs", "hidden_layer_sizes")
    state = generator.get_state()
    network = start_module(
        make_module, {name: args[name] for name in names}, generator=generator
    )
    generator.set_state(state)
    try:
        output = forward(network.eval(), X[:2], "cpu")
    except Exception as error:  # whatever a network of the user raises
        raise InvalidParameterError(
            f"`module` cannot be applied to float rows of {X.shape[1]} features: {error}"
        ) from error
    if output.ndim != 2:
        raise InvalidParameterError(
            "`module` must return one vector for each row, but for 2 rows it returned "
            f"an array of shape {output.shape}."
        )
    return output.shape[1]


def _set_scaler(scaler, X, input_scale, module):
    """Fill the scaler, and return its factor."""
    if input_scale != "auto":
        scaler.factor.fill_(input_scale)
        return float(input_scale)
    if module not in (None, "mlp"):
        return 1.0
    if sp.issparse(X):
        squares = np.square(X.data, dtype=np.float64).sum() / X.shape[0]
        factor = float(np.clip(8 / max(squares**0.5, 1e-30), 1, 10))
        scaler.factor.fill_(factor)
        return factor
    mean, spread = X.mean(0, dtype=np.float64), X.std(0, dtype=np.float64)
    factor = 1 / np.where(spread > 1e-12 * np.abs(mean), spread, 1)
    scaler.shift.copy_(torch.from_numpy(mean))
    scaler.factor.copy_(torch.from_numpy(np.minimum(factor, 1e30)))
    return scaler.factor.numpy().copy()
