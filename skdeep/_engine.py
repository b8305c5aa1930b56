"""The training engine: skorch driven by ready-made batches.

A *batch source* is any iterable of ``(inputs, target)`` with a length. It is passed
over once an epoch, shuffles with a generator of its own, and replaces skorch's data
sets and loaders. What skorch still does: callbacks, history, optimizers, devices.
"""

import copy
import logging
import math
import sys

import numpy as np
import scipy.sparse as sp
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, EarlyStopping, GradientNormClipping

from skdeep.exceptions import DivergedError, InvalidParameterError
from skdeep.nn import SparseRows

OPTIMIZERS = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
}

PRECISIONS = {
    "float32": None,
    "bf16-mixed": torch.bfloat16,
    "fp16-mixed": torch.float16,
}

logger = logging.getLogger("skdeep")


class TensorBatches:
    """Mini-batches cut out of whole arrays.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n_samples, n_features), dtype float32
        Samples; sparse rows are made dense one batch at a time.

    y : ndarray of shape (n_samples, ...)
        Targets.

    batch_size : int
        Samples a batch; the last one may be smaller.

    shuffle : bool, default=False
        Whether each pass takes the samples in a new order.

    generator : torch.Generator or None, default=None
        Source of the order.

    keep_sparse : bool, default=False
        Whether sparse rows are handed on as `skdeep.nn.SparseRows`.
    """

    def __init__(
        self, X, y, batch_size, *, shuffle=False, generator=None, keep_sparse=False
    ):
        self.X, self.y = X, y
        self.keep_sparse = keep_sparse
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.generator = generator

    def __len__(self):
        return math.ceil(self.X.shape[0] / self.batch_size)

    def __iter__(self):
        n_samples = self.X.shape[0]
        if self.shuffle:
            order = torch.randperm(n_samples, generator=self.generator).numpy()
        else:
            order = np.arange(n_samples)
        for start in range(0, n_samples, self.batch_size):
            rows = order[start : start + self.batch_size]
            yield (
                take_rows(self.X, rows, self.keep_sparse),
                torch.from_numpy(self.y[rows]),
            )


def take_rows(X, rows, keep_sparse=False):
    """Copy some rows of an array into a float tensor, or into `SparseRows`."""
    part = X[rows]
    if not sp.issparse(part):
        return torch.from_numpy(part)
    return (
        SparseRows.from_csr(part) if keep_sparse else torch.from_numpy(part.toarray())
    )


def move(data, device):
    """Send a tensor, a tuple or dict of them, or anything with ``.to`` to `device`."""
    return map_tensors(lambda part: part.to(device), data)


def as_float(data):
    """Make tensors of half precision, in a tuple or dict or alone, float32."""
    halves = (torch.bfloat16, torch.float16)
    return map_tensors(
        lambda part: part.float() if getattr(part, "dtype", None) in halves else part,
        data,
    )


def map_tensors(function, data):
    """Apply a function to all that has ``.to`` in tuples, lists and dicts."""
    if hasattr(data, "to"):
        return function(data)
    if isinstance(data, dict):
        return {name: map_tensors(function, value) for name, value in data.items()}
    if isinstance(data, (tuple, list)):
        parts = [map_tensors(function, value) for value in data]
        return type(data)(*parts) if hasattr(data, "_fields") else type(data)(parts)
    return data


class Net(NeuralNet):
    """skorch net whose data are batch sources.

    The criterion returns the loss, or ``(loss, parts)``: `parts` maps names to numbers or
    0-d tensors, whose means over an epoch go into the history.

    Parameters
    ----------
    precision : {"float32", "bf16-mixed", "fp16-mixed"}, default="float32"
        What the module computes with in training, unless it has ``needs_float32``.
        Weights, losses and whatever comes after the training are float32 in any case.

    *args, **kwargs
        As skorch takes them.
    """

    def __init__(self, *args, precision="float32", **kwargs):
        super().__init__(*args, **kwargs)
        self.precision = precision

    def initialize(self):
        if self.precision not in PRECISIONS:
            raise ValueError(
                f"precision must be one of {sorted(PRECISIONS)}, not {self.precision!r}"
            )
        super().initialize()
        self.scaler_ = torch.amp.GradScaler(
            torch.device(self.device).type, enabled=self.precision == "fp16-mixed"
        )
        return self

    def torch_compile(self, module, name):
        if self.compile and name == "module":  # in place: the weights keep their names
            module.compile(**self.get_params_for("compile"))
        return module

    def get_split_datasets(self, X, y=None, **split_params):
        return X, y

    def get_iterator(self, dataset, training=False):
        return dataset

    def infer(self, x, **fit_params):
        x, dtype = move(x, self.device), PRECISIONS[self.precision]
        if dtype is None or getattr(self.module_, "needs_float32", False):
            return self.module_(x)
        with torch.autocast(torch.device(self.device).type, dtype):
            return as_float(self.module_(x))

    def train_step_single(self, batch, **fit_params):
        self._set_training(True)
        x, y_true = batch
        y_pred = self.infer(x, **fit_params)
        loss = self.get_loss(y_pred, y_true, X=x, training=True)
        self.scaler_.scale(loss).backward()  # by one, but for fp16
        self.scaler_.unscale_(self.optimizer_)  # callbacks look at the gradients now
        return {"loss": loss, "y_pred": y_pred}

    def _step_optimizer(self, step_fn):
        if not self.scaler_.is_enabled():
            return super()._step_optimizer(step_fn)
        step_fn()
        self.scaler_.step(self.optimizer_)
        self.scaler_.update()

    def get_loss(self, y_pred, y_true, X=None, training=False):
        loss = self.criterion_(y_pred, move(y_true, self.device))
        if isinstance(loss, tuple):
            loss, parts = loss
            for name, value in parts.items():
                if torch.is_tensor(value):
                    value = value.detach()
                self.history.record_batch(name, value)
        return loss

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        if iterator is None:
            return
        total = 0.0
        first = len(self.history[-1, "batches"])
        for number, batch in enumerate(iterator, 1):
            self.notify("on_batch_begin", batch=batch, training=training)
            step = step_fn(batch, **fit_params)
            loss = step["loss"].item()
            if not math.isfinite(loss):
                raise DivergedError(
                    f"The loss became {loss} in epoch {len(self.history)}, batch "
                    f"{number}, at lr={self.lr}. Lower `lr`, scale X (e.g. with "
                    "StandardScaler), or set `max_grad_norm`."
                )
            total += loss
            self.notify("on_batch_end", batch=batch, training=training, **step)
        self.history.record(f"{prefix}_loss", total / number)
        parts = self.history[-1, "batches"][first:]
        for name in parts[0]:
            values = [batch[name] for batch in parts]
            if torch.is_tensor(values[0]):
                mean = torch.stack(values).float().mean().item()
            else:
                mean = sum(values) / len(values)
            self.history.record(f"{prefix}_{name}", mean)


class Schedule(Callback):
    """Lower the learning rates after each step, from their start to about zero."""

    def __init__(self, kind, n_steps):
        self.kind = kind
        self.n_steps = n_steps

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        self.scheduler_ = torch.optim.lr_scheduler.LambdaLR(net.optimizer_, self.factor)

    def factor(self, step):
        done = min(step / self.n_steps, 1.0)
        return (
            1 - done if self.kind == "linear" else 0.5 * (1 + math.cos(math.pi * done))
        )

    def on_batch_end(self, net, batch=None, training=False, **kwargs):
        if training:
            self.scheduler_.step()


class KeepBest(Callback):
    """Watch a value, ask for a stop after a while without progress, restore the best.

    skorch's own EarlyStopping stops by raising KeyboardInterrupt, which cannot be told
    from a user's Ctrl-C.

    Parameters
    ----------
    patience : int
        Epochs without progress after which `stop` becomes True.

    score : callable or None, default=None
        Maps the module, in evaluation mode, to a float; greater is better. It is
        recorded as "valid_score". None watches "valid_loss", where less is better.
    """

    def __init__(self, patience, score=None):
        self.patience = patience
        self.score = score
        self.stop = False

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        self.best_value_, self.best_epoch_ = -math.inf, 0
        self.best_weights_ = copy.deepcopy(net.module_.state_dict())

    def on_epoch_end(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        if self.score is None:
            value = -net.history[-1, "valid_loss"]
        else:
            found = self.score(net.module_.eval())
            try:
                value = float(found)
            except (TypeError, ValueError) as error:
                raise InvalidParameterError(
                    f"`validation_metric` must return a number; it returned {found!r}."
                ) from error
            if not math.isfinite(value):
                raise DivergedError(
                    f"The validation score became {value} in epoch {len(net.history)}; "
                    "check `validation_metric`, or lower `lr`."
                )
            net.history.record("valid_score", value)
        epoch = len(net.history)
        if value > self.best_value_:
            self.best_value_, self.best_epoch_ = value, epoch
            self.best_weights_ = copy.deepcopy(net.module_.state_dict())
        self.stop = epoch - self.best_epoch_ >= self.patience

    def on_train_end(self, net, X=None, y=None, **kwargs):
        net.module_.load_state_dict(self.best_weights_)


class LogEpochs(Callback):
    """Write one line an epoch to the logger "skdeep", or to stderr if it is off."""

    def __init__(self, owner, n_earlier=0):
        self.owner = owner
        self.n_earlier = n_earlier

    def on_epoch_end(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        values = history_row(net.history[-1])
        values["epoch"] += self.n_earlier
        words = [f"{name}={value:.4g}" for name, value in values.items()]
        line = f"[{self.owner}] {' '.join(words)}"
        if logger.isEnabledFor(logging.INFO) and logger.hasHandlers():
            logger.info(line)
        else:
            sys.stderr.write(f"{line}\n")


def history_row(epoch):
    """Plain numbers of one epoch of a skorch history; "dur" becomes "seconds"."""
    return {
        "seconds" if name == "dur" else name: value
        for name, value in epoch.items()
        if isinstance(value, (int, float))
    }


def make_net(
    est,
    module,
    criterion,
    *,
    device,
    lr,
    n_steps,
    param_groups=(),
    watchers=(),
    extra=(),
    n_earlier=0,
):
    """Set up, but do not train, a net with the common parameters of `est`.

    Parameters
    ----------
    est : BaseDeepEstimator
        Its training parameters are read.

    module, criterion : torch.nn.Module
        Network and loss; both may have weights to learn.

    device : str
        Where to train.

    lr : float
        Learning rate.

    n_steps : int or None
        Steps of the whole training, for the learning-rate schedule; None is without.

    param_groups : sequence of (str, dict), default=()
        Patterns of parameter names with optimizer arguments of their own.

    watchers : sequence of skorch callbacks, default=()
        Called before those of the user, who may read what they record.

    extra : sequence of skorch callbacks, default=()
        Called after those of the user.

    n_earlier : int, default=0
        Epochs before this training, for the log.
    """
    reserved = {"callbacks", "device", "lr", "max_epochs", "module", "criterion"}
    if reserved & set(est.net_params or {}):
        raise InvalidParameterError(
            f"`net_params` holds {sorted(reserved & set(est.net_params))}, which are set "
            "by the estimator; use its own parameters."
        )
    callbacks = _user_callbacks(est)
    if est.max_grad_norm is not None:
        callbacks.append(GradientNormClipping(est.max_grad_norm))
    if est.lr_schedule is not None and n_steps is not None:
        callbacks.append(Schedule(est.lr_schedule, n_steps))
    if est.verbose:
        callbacks.append(LogEpochs(type(est).__name__, n_earlier))
    arguments = {
        "criterion": criterion,
        "optimizer": OPTIMIZERS.get(est.optimizer, est.optimizer),
        "optimizer__weight_decay": est.weight_decay,
        "optimizer__param_groups": list(param_groups),
        "lr": lr,
        "max_epochs": est.max_epochs,
        "callbacks": [*watchers, *callbacks, *extra],
        # run_single_epoch averages the losses itself, LogEpochs prints
        "callbacks__train_loss": None,
        "callbacks__valid_loss": None,
        "callbacks__print_log": None,
        "device": device,
        "verbose": 0,
    }
    own = {f"optimizer__{k}": v for k, v in (est.optimizer_params or {}).items()}
    if isinstance(est.optimizer, str) and "optimizer__foreach" not in own:
        own.setdefault("optimizer__fused", True)  # one pass over the weights, not ten
    try:
        net = Net(module, **{**arguments, **own, **(est.net_params or {})}).initialize()
        if not isinstance(net.optimizer_, torch.optim.Optimizer):
            raise TypeError(f"{net.optimizer_!r} is not a torch.optim.Optimizer")
        return net
    except (TypeError, ValueError) as error:
        raise InvalidParameterError(
            "`optimizer`, `optimizer_params` or `net_params` is refused by torch or "
            f"skorch: {error}"
        ) from error


def _user_callbacks(est):
    """Callbacks of the user, checked; a tuple is (name, callback)."""
    callbacks = list(est.callbacks or [])
    for item in callbacks:
        callback = item[-1] if isinstance(item, tuple) and item else item
        kind = callback if isinstance(callback, type) else type(callback)
        if not issubclass(kind, Callback):
            raise InvalidParameterError(
                f"The 'callbacks' parameter must hold callbacks of skorch, or tuples "
                f"(name, callback). Got {item!r} instead."
            )
        if issubclass(kind, EarlyStopping):
            raise InvalidParameterError(
                "skorch's EarlyStopping in `callbacks` ends the training like a Ctrl-C,"
                " which would undo the fit; use early_stopping=True instead."
            )
    return callbacks


def run(net, batches, valid_batches, max_epochs, watchers):
    """Train `net` until `max_epochs` or until one of `watchers` has ``stop`` set.

    Not ``net.fit``: that would swallow a KeyboardInterrupt, so that a search around it
    would go on with a half-trained model.
    """
    net.notify("on_train_begin", X=batches, y=valid_batches)
    for _ in range(max_epochs):
        net.fit_loop(batches, valid_batches, epochs=1)
        net.history[-1].pop("batches")
        if any(watcher.stop for watcher in watchers):
            break
    net.notify("on_train_end", X=batches, y=valid_batches)
