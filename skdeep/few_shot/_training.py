"""Steps of the fit of the meta-learner, one function a step."""

import copy
import math
from importlib.resources import files

import numpy as np
import scipy.sparse as sp
import torch
from safetensors.numpy import load
from torch import nn

from skdeep._engine import TensorBatches
from skdeep.exceptions import InvalidParameterError
from skdeep.few_shot._batches import episode_accuracies
from skdeep.few_shot._features import (
    POWERS,
    USUAL_POWER,
    fit_transformer,
    make_backbone,
    unit_rows,
    usual_power,
)
from skdeep.few_shot._paper import PaperAdapter
from skdeep.few_shot._sib import Adapter, directions
from skdeep.nn import seed_dropout, start_module
from skdeep.utils._torch import build, make_generator

BUILTIN_WEIGHTS = "adapter.safetensors"
BUILTIN_ARGS = {"kind": "equivariant", "n_steps": 3}
_LEAST_GAIN = 0.002  # of accuracy, for which the usual power is given up


class FewShotModel(nn.Module):
    """What a meta-learner has learned: where rows go, and how prototypes move."""

    def __init__(self, backbone, adapter):
        super().__init__()
        self.backbone, self.adapter = backbone, adapter


def make_model(module, adapter, sizes=None):
    """Network as `_module_args` records it."""
    backbone = None if sizes is None else make_backbone(module, **sizes)
    return FewShotModel(backbone, None if adapter is None else make_adapter(**adapter))


def make_adapter(kind, **args):
    """Adapter of a kind."""
    return {"equivariant": Adapter, "paper": PaperAdapter}[kind](**args)


def builtin_adapter():
    """The adapter trained on the classes of others, in evaluation mode on the CPU."""
    source = files("skdeep.few_shot").joinpath("data", BUILTIN_WEIGHTS)
    weights = load(source.read_bytes())
    with torch.device("meta"):
        adapter = make_adapter(**BUILTIN_ARGS)
    tensors = {name: torch.from_numpy(part.copy()) for name, part in weights.items()}
    adapter.load_state_dict(tensors, assign=True)
    return adapter.eval()


class CosineClassifier(nn.Module):
    """A backbone under a softmax over cosines, for its pretraining.

    Parameters
    ----------
    backbone : torch.nn.Module
        Maps (B, D) to (B, d).

    n_components : int
        Its d.

    n_classes : int
        Classes to tell apart.
    """

    def __init__(self, backbone, n_components, n_classes):
        super().__init__()
        self.backbone = backbone
        self.head = CosineHead(n_components, n_classes)

    def forward(self, X):
        return self.head(self.backbone(X))


class CosineHead(nn.Module):
    """Learned scale times the cosines of rows and one direction a class."""

    def __init__(self, n_components, n_classes):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_classes, n_components))
        self.log_scale = nn.Parameter(torch.empty(()))

    def init_weights(self, generator):
        nn.init.normal_(self.weight, generator=generator)
        nn.init.constant_(self.log_scale, math.log(10.0))

    def forward(self, features):
        return self.log_scale.exp() * directions(features) @ directions(self.weight).T


def train_backbone(est, X, codes, sizes, rng):
    """Train the backbone of an estimator as a classifier, and return it.

    Parameters
    ----------
    est : SemiSupervisedMetaLearner
        Its parameters are read.

    X : ndarray or CSR matrix of shape (n_samples, n_features), dtype float32

    codes : ndarray of shape (n_samples,)
        Classes; a label in two tasks is two of them.

    sizes : dict or None
        Arguments of `make_backbone`; None for a transformer.

    rng : RandomState

    Returns
    -------
    backbone : torch.nn.Module or fitted transformer
    """
    _, codes = np.unique(codes, return_inverse=True)
    if sizes is None:
        return fit_transformer(est.backbone, X, codes)
    generator = make_generator(rng)
    args = {"module": est.backbone, **sizes}
    try:
        backbone = start_module(make_backbone, args, generator=generator)
    except (InvalidParameterError, TypeError) as error:
        raise InvalidParameterError(
            "The 'backbone' parameter must be a torch module, or be called without "
            f"arguments, or with some of {list(sizes)}, to make one: {error}"
        ) from error
    backbone.eval()
    n_components = width_of_features(est, backbone, X)
    network = CosineClassifier(backbone.train(), n_components, codes.max() + 1)
    with torch.device("cpu"):
        network.head = build(
            lambda: CosineHead(n_components, codes.max() + 1), generator=generator
        )
    network.to(est.device_)
    seed_dropout(network, make_generator(rng, est.device_))
    size = min(est.backbone_batch_size, X.shape[0])
    batches = TensorBatches(X, codes, size, shuffle=True, generator=generator)
    est._train(
        network,
        nn.CrossEntropyLoss(),
        batches,
        max_epochs=est.backbone_max_epochs,
        lr=est.backbone_lr,
        listeners=[],
    )
    return network.backbone.eval()


def width_of_features(est, backbone, X):
    """Number of features that a network makes of a row; it is tried on two rows."""
    try:
        features = est._features_of(X[:2], module=backbone, device="cpu")
    except Exception as error:  # whatever a network of the user raises
        raise InvalidParameterError(
            "The 'backbone' parameter must be a network for float rows of "
            f"{X.shape[1]} features, as X has; it fails on two of them: {error}"
        ) from error
    if features.ndim != 2:
        raise InvalidParameterError(
            "The 'backbone' parameter must be a network that returns one vector for each "
            f"row of {X.shape[1]} features; for two rows it returned an array of shape "
            f"{features.shape}."
        )
    return features.shape[1]


def count_folds(est, codes):
    """Folds that the classes are divided into, each of 2 at least; 0 is no division."""
    n_folds = 0 if est.backbone is None or est.cross_fit < 2 else est.cross_fit
    return n_folds if codes.max() + 1 >= 2 * n_folds else 0


def features_for_training(est, X, codes, groups, sizes, n_folds, rng):
    """Features on which few-shot tasks are as hard as on classes never seen.

    Returns
    -------
    features : ndarray or CSR matrix of shape (n_samples, d)
        Of backbones that have not seen the class of the row, if `cross_fit` is on.

    groups : ndarray of shape (n_samples,), dtype int64
        Rows of different groups are not in one task.

    fold : ndarray of shape (n_samples,), dtype int64
        Rows of one fold went through the same backbone.
    """
    fold = np.zeros(len(codes), np.int64)
    if not n_folds:
        return est._raw_features(X), groups, fold
    fold_of_class = rng.permutation(codes.max() + 1) % n_folds
    if groups.any():  # whole groups, as classes of one group are alike
        n_groups = groups.max() + 1
        if n_groups >= n_folds:
            fold_of_group = rng.permutation(n_groups) % n_folds
            together = fold_of_class.copy()
            together[codes] = fold_of_group[groups]
            if len(together) - np.bincount(together).max() > 1:  # enough for a backbone
                fold_of_class = together
    fold = fold_of_class[codes]
    parts, places = [], []
    for number in range(n_folds):
        seen = fold != number
        backbone = train_backbone(est, X[seen], codes[seen], sizes, rng)
        kind = "transformer" if sizes is None else "module"
        parts.append(est._features_of(X[~seen], **{kind: backbone}))
        places.append(np.flatnonzero(~seen))
    features = _in_one_table(parts, np.concatenate(places))
    return features, groups * n_folds + fold, fold


def _in_one_table(parts, places):
    """Stack the features of folds, and bring their rows to the places that they had."""
    width = max(part.shape[1] for part in parts)  # a transformer has sizes of its own
    order = np.argsort(places)
    if all(sp.issparse(part) for part in parts):
        wide = [
            sp.csr_array(
                (part.data, part.indices, part.indptr), shape=(part.shape[0], width)
            )
            for part in parts
        ]
        return sp.vstack(wide, format="csr")[order]
    parts = [part.toarray() if sp.issparse(part) else part for part in parts]
    wide = [np.pad(part, ((0, 0), (0, width - part.shape[1]))) for part in parts]
    return np.concatenate(wide)[order]


def choose_power(est, features, plan, seed):
    """Power of the features with which unseen classes are told apart best."""
    if est.power != "auto":
        return float(est.power)
    if plan.train is None or sp.issparse(features):  # tasks of sparse rows are slow
        return usual_power(features)
    adapter, n_episodes = builtin_adapter(), est.n_validation_episodes
    score = {}
    for power in POWERS:  # nothing has been trained so far: all classes are as good
        rows = unit_rows(features, power)
        tasks = plan.fixed(rows, n_episodes, seed, held_out=False)
        score[power] = episode_accuracies(adapter, tasks).mean()
    best = max(score, key=score.get)
    return best if score[best] > score[USUAL_POWER] + _LEAST_GAIN else USUAL_POWER


def start_adapter(est, plan, n_features, generator):
    """The adapter to be trained, and the arguments that make it again."""
    if est.gradient_net == "paper":
        args = {
            "kind": "paper",
            "n_features": n_features,
            "n_way": plan.how["n_way"][1],
            "n_steps": est.n_steps,
            "inner_lr": 1e-3 if est.inner_lr == "learned" else est.inner_lr,
            "scale": est.scale,
        }
    else:
        args = {
            "kind": "equivariant",
            "n_steps": est.n_steps,
            "n_neighbors": est.n_neighbors,
            "support_gradient": est.support_gradient,
            "inner_lr": None if est.inner_lr == "learned" else est.inner_lr,
            "scale": est.scale,
        }
    if hasattr(est.phi, "module_"):
        check_given_network(est, n_features)
        return copy.deepcopy(est.phi.module_.adapter), est.phi._module_args["adapter"]
    adapter = build(lambda: make_adapter(**args), generator=generator)
    if est.gradient_net == "equivariant" and est.phi != "scratch":
        start_from_builtin(adapter)
    return adapter, args


def check_given_network(est, n_features=None):
    """Refuse the network of a learner given as `phi` if it is not the one asked for."""
    if isinstance(est.phi, str) or est.method != "sib":
        return
    given = est.phi.module_.adapter
    if given is None:
        raise ValueError("The learner given as `phi` has no gradient network.")
    kind = "paper" if isinstance(given, PaperAdapter) else "equivariant"
    if kind != est.gradient_net:
        raise InvalidParameterError(
            f"The learner given as `phi` has the network of gradient_net={kind!r}, but "
            f"gradient_net={est.gradient_net!r} is asked for; set gradient_net={kind!r}."
        )
    if kind == "paper" and n_features not in (None, len(given.init_weight)):
        raise ValueError(
            "The learner given as `phi` has the published network, which is made for "
            f"{len(given.init_weight)} features, but here there are {n_features}; use "
            'gradient_net="equivariant" for both, which takes any number.'
        )


def start_from_builtin(adapter):
    """Take the weights of the built-in adapter over.

    Parameters that each step has its own of are taken from the steps at the same part of
    the way.
    """
    known = builtin_adapter().state_dict()
    own = adapter.state_dict()
    for name, value in known.items():
        if own[name].shape == value.shape:
            own[name] = value
        else:  # one number a step: the last one is that of the answer
            last, n_steps = value.shape[-1] - 1, own[name].shape[-1]
            steps = np.linspace(0, last, n_steps).round().astype(int)
            own[name] = value[..., steps]
    adapter.load_state_dict(own)
