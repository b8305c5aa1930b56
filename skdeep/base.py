"""What every estimator of the package shares."""

import copy
import functools
import os
from numbers import Integral, Real

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.base import BaseEstimator
from torch.nn.modules.conv import _ConvNd

from skdeep._callbacks import CallbackSupportMixin, bridge, with_callbacks
from skdeep._engine import OPTIMIZERS, KeepBest, history_row, make_net, run
from skdeep.exceptions import DivergedError
from skdeep.nn import make_module, seed_dropout
from skdeep.utils._params import Interval, StrOptions, validate_params
from skdeep.utils._torch import build_foreign, private_mode, resolve_device

_PID = os.getpid()


def all_or_nothing(fit):
    """Check the parameters before `fit`, and undo every change if it fails.

    Also opens what training needs in torch, whatever mode the caller is in, and lets
    the callbacks of scikit-learn clean up.
    """
    fit = with_callbacks(fit)

    @functools.wraps(fit)
    def wrapper(self, *args, **kwargs):
        self._validate_params()
        use_one_thread_after_fork()
        before = vars(self).copy()
        try:
            with private_mode():
                return fit(self, *args, **kwargs)
        except BaseException as error:  # Ctrl-C too: a half-trained model is no model
            if isinstance(error, torch.OutOfMemoryError):
                error.add_note("Take smaller batches, a smaller network or the CPU.")
            vars(self).clear()
            vars(self).update(before)
            raise

    return wrapper


class BaseDeepEstimator(CallbackSupportMixin, BaseEstimator):
    """Training, batched inference and pickling; no parameter of its own.

    Think of this class as a toolbox, not as a workflow: `fit` is written out in each
    estimator, so that a method can be read from top to bottom in its own file.
    """

    _parameter_constraints = {
        "module": [StrOptions({"mlp", "conv", "identity"}), callable, None],
        "module_params": [dict, None],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "lr_schedule": [StrOptions({"cosine", "linear"}), None],
        "optimizer": [StrOptions(OPTIMIZERS), callable],
        "optimizer_params": [dict, None],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "max_grad_norm": [Interval(Real, 0, None, closed="neither"), None],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "warm_start": ["boolean"],
        "callbacks": [list, tuple, None],
        "net_params": [dict, None],
        "device": [str],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    # how `_module_args`, the record of the architecture, becomes a module again
    _make_module = staticmethod(make_module)

    def _validate_params(self):
        validate_params(self)
        resolve_device(self.device)

    def _train(
        self,
        module,
        criterion,
        batches,
        valid_batches=None,
        *,
        go_on=False,
        max_epochs=None,
        lr=None,
        schedule=True,
        score=None,
        param_groups=(),
        extra=(),
        data=(None, None),
        listeners=None,
    ):
        """Train `module`, and set the fitted attributes that all estimators have.

        Parameters
        ----------
        module, criterion : torch.nn.Module
            Network and loss.

        batches, valid_batches : batch source or None
            Training data, and data for a validation loss.

        go_on : bool, default=False
            Whether this training continues the last one: the state of the optimizer is
            taken over if it is there, and the history grows.

        max_epochs : int or None, default=None
            Passes over `batches`; None takes the parameter of the estimator.

        lr : float or None, default=None
            Learning rate; None takes the parameter of the estimator.

        schedule : bool, default=True
            Whether the learning rate follows `lr_schedule`.

        score : callable or None, default=None
            Maps the module to a validation score to be kept at its best.

        param_groups : sequence of (str, dict), default=()
            Optimizer arguments for parameters whose names match the patterns.

        extra : sequence of skorch callbacks, default=()
            Further callbacks of the method.

        data : (X, y), default=(None, None)
            What `fit` was called with, for callbacks of scikit-learn that score.

        listeners : list or None, default=None
            What `bridge` gave for several trainings that are one fit.
        """
        max_epochs = self.max_epochs if max_epochs is None else max_epochs
        watchers = []
        if score is not None or valid_batches is not None:
            watchers.append(KeepBest(self.n_iter_no_change, score))
        if listeners is None:
            listeners = bridge(self, *data, max_epochs)
        earlier = self.history_ if go_on else []
        net = make_net(
            self,
            module,
            criterion,
            device=self.device_,
            lr=self.lr if lr is None else lr,
            n_steps=max_epochs * len(batches) if schedule else None,
            param_groups=param_groups,
            watchers=watchers,
            extra=[*extra, *listeners],
            n_earlier=len(earlier),
        )
        if go_on:
            _restore_optimizer(net.optimizer_, getattr(self, "_optimizer_state", None))
        run(net, batches, valid_batches, max_epochs, [*watchers, *listeners])
        _check_finite(net.module_, len(net.history))
        self._optimizer_state = _optimizer_arrays(net.optimizer_)
        done = [*watchers, *listeners]  # they hold data and weights
        net.callbacks = [item for item in net.callbacks if item not in done]
        net.callbacks_ = [pair for pair in net.callbacks_ if pair[1] not in done]
        seed_dropout(net.module_, None)
        net.module_._compiled_call_impl = None  # predictions come in all sizes
        self.net_ = net
        self.module_ = net.module_.eval()  # predict never toggles the mode
        later = [history_row(epoch) for epoch in net.history]
        for number, row in enumerate(later, len(earlier) + 1):
            row["epoch"] = number
        self.history_ = [*earlier, *later]
        self.n_iter_ = len(self.history_)
        best = watchers[0].best_epoch_ if watchers else len(net.history)
        self.best_epoch_ = len(earlier) + best

    def get_params(self, deep=True):
        """Parameters of the estimator.

        Parameters
        ----------
        deep : bool, default=True
            Whether to name the parameters of estimators inside, too, and the entries of
            `net_params`, as ``net__<name>``.

        Returns
        -------
        params : dict
            Names and values.
        """
        params = super().get_params(deep)
        if deep and isinstance(self.net_params, dict):
            params |= {f"net__{name}": value for name, value in self.net_params.items()}
        return params

    def set_params(self, **params):
        """Set parameters of the estimator.

        Parameters
        ----------
        **params : dict
            Names and values; ``net__<name>`` sets an entry of `net_params`.

        Returns
        -------
        self : estimator
            The estimator.
        """
        entries = {k[5:]: params.pop(k) for k in [*params] if k.startswith("net__")}
        super().set_params(**params)
        if entries:
            self.net_params = {**(self.net_params or {}), **entries}
        return self

    @property
    def loss_curve_(self):
        """Training loss of each epoch."""
        return [epoch["train_loss"] for epoch in self.history_]

    @property
    def validation_scores_(self):
        """Validation score of each epoch; empty without `early_stopping`."""
        return [row["valid_score"] for row in self.history_ if "valid_score" in row]

    @property
    def best_validation_score_(self):
        """Highest of `validation_scores_`; None without `early_stopping`."""
        return max(self.validation_scores_, default=None)

    def _forward(self, X):
        """Outputs of the network for the rows of `X`, as one float32 array."""
        use_one_thread_after_fork()
        return forward(self.module_, X, self.device_)

    def _to_device(self, device):
        """Move a fitted estimator to another device."""
        self.device_ = resolve_device(device)
        if hasattr(self, "module_"):
            self.module_ = self.module_.to(self.device_)
        return self

    def __getstate__(self):
        """Fitted state as arrays and plain values: no torch object, no device."""
        state = super().__getstate__().copy()
        state.pop("net_", None)
        if not self.warm_start:
            state.pop("_optimizer_state", None)
        module = state.pop("module_", None)
        if module is not None:
            state["_weights"] = {
                name: value.detach().cpu().numpy().copy()
                for name, value in module.state_dict().items()
            }
        return state

    def __setstate__(self, state):
        state = dict(state)
        weights = state.pop("_weights", None)
        super().__setstate__(state)
        if weights is None:
            return
        with private_mode():
            module = _rebuild(self._make_module, self._module_args)
            tensors = {name: torch.tensor(value) for name, value in weights.items()}
            module.load_state_dict(tensors, strict=True, assign=True)
        self.module_ = module.eval()
        try:
            self._to_device(self.device_)
        except ValueError:  # trained on a device that this machine lacks
            self._to_device("cpu")


def _check_finite(module, n_epochs):
    """Notice weights that the last step has spoilt, which no loss has seen."""
    for name, weight in module.named_parameters():
        if not torch.isfinite(weight).all():
            raise DivergedError(
                f"The weights {name!r} hold NaN or infinite values after epoch "
                f"{n_epochs}. Lower `lr`, or set `max_grad_norm`."
            )


def forward(module, X, device, batch_size=None):
    """Apply a module in evaluation mode to rows, a slice at a time.

    Parameters
    ----------
    module : torch.nn.Module
        Maps a float tensor (n, n_features) to (n, ...), row by row.

    X : ndarray or CSR matrix of shape (n_samples, n_features), dtype float32
        Rows.

    device : str
        Where the module lives.

    batch_size : int or None, default=None
        Rows of a slice, a multiple of 8. None is 4096 rows, or fewer if the module is
        convolutional or the rows are long.

    Returns
    -------
    output : ndarray of shape (n_samples, ...), dtype float32
        A row's output does not depend on its neighbours, bit for bit.
    """
    if batch_size is None:
        batch_size = _slice_rows(module, X.shape[1])
    parts = []
    start = 0
    with torch.inference_mode():
        while start < X.shape[0]:
            try:
                rows = _rows_tensor(X[start : start + batch_size])
                # float sums depend on the height of a matrix, unless it is 8k
                padded = F.pad(rows, (0, 0, 0, -len(rows) % 8))
                parts.append(module(padded.to(device))[: len(rows)].cpu())
            except torch.OutOfMemoryError:
                if batch_size <= 8:
                    raise
                batch_size = max(8, batch_size // 16 * 8)
                continue
            start += len(rows)
    return (parts[0] if len(parts) == 1 else torch.cat(parts)).numpy()


def _slice_rows(module, n_features):
    """Rows that keep the largest intermediate array at some tens of megabytes."""
    convolves = any(isinstance(part, _ConvNd) for part in module.modules())
    n_rows = 2**24 // (n_features * (64 if convolves else 1))
    return max(8, min(n_rows, 4096) // 8 * 8)


def _rows_tensor(part):
    if not isinstance(part, np.ndarray):
        return torch.from_numpy(part.toarray())
    if not (part.flags.c_contiguous and part.flags.writeable):
        part = np.array(part, order="C")
    return torch.from_numpy(part)


def _rebuild(make, module_args):
    """Make a module with any weights, without a draw from the global generator."""
    if isinstance(module_args.get("module"), (str, type(None))):
        with torch.device("meta"):
            return make(**module_args)
    if isinstance(module_args["module"], torch.nn.Module):
        return copy.deepcopy(make(**module_args))
    return build_foreign(lambda: make(**module_args), generator=torch.Generator())


def _optimizer_arrays(optimizer):
    """State of an optimizer as nested dicts of arrays and numbers."""
    return {
        str(index): {
            name: value.cpu().numpy() if torch.is_tensor(value) else value
            for name, value in entry.items()
        }
        for index, entry in optimizer.state_dict()["state"].items()
    }


def _restore_optimizer(optimizer, arrays):
    """Go on from an earlier state, unless the parameters have changed their shapes."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    if not arrays or len(arrays) != len(parameters):
        return
    for index, parameter in enumerate(parameters):
        for value in arrays[str(index)].values():
            if np.ndim(value) and np.shape(value) != tuple(parameter.shape):
                return
    state = optimizer.state_dict()
    state["state"] = {
        int(index): {
            name: torch.tensor(value) if isinstance(value, np.ndarray) else value
            for name, value in entry.items()
        }
        for index, entry in arrays.items()
    }
    optimizer.load_state_dict(state)


def use_one_thread_after_fork():
    """Keep torch alive in a forked child, where its worker threads are gone.

    A child that waits for them waits for ever. Fresh processes are not concerned: they
    import this module themselves.
    """
    global _PID
    if os.getpid() != _PID:
        torch.set_num_threads(1)
        _PID = os.getpid()
