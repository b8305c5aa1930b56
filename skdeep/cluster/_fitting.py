"""Steps of `HiLanderClusterer.fit`, one function a step."""

import copy
from dataclasses import replace
from importlib.resources import files

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import load

from skdeep._callbacks import bridge
from skdeep.cluster._modules import LinkNetworks
from skdeep.cluster._paper_graphs import GraphBatches, training_graphs
from skdeep.cluster._paper_network import LanderNetwork
from skdeep.cluster._paper_training import PaperSettings, set_up_training
from skdeep.cluster._running import (
    MOST_NEIGHBORS,
    decoding,
    neighbors_for,
    run_clusterer,
    search_of,
    settled,
)
from skdeep.cluster._structural import RowGraph, cluster, n_features
from skdeep.cluster._training import (
    Scene,
    train_networks,
)
from skdeep.exceptions import InvalidParameterError
from skdeep.metrics import bcubed_f_score, pairwise_f_score
from skdeep.nn import seed_dropout
from skdeep.utils._classes import hold_out_classes
from skdeep.utils._torch import build, make_generator

PAPER_NEIGHBORS = 9
BUILTIN_WEIGHTS = "links.safetensors"
BUILTIN_KIND = "structural"
BUILTIN_ARGS = {
    "mode": "structural",
    "n_features": n_features(BUILTIN_KIND, 0),
    "hidden_layer_sizes": (64, 64),
}
# what "auto" is without labels, and what it chooses from
DEFAULTS = {"n_neighbors": 15, "tau": 0.7, "resolution": 0.02}
CHOICES = {
    "n_neighbors": (10, 20, 40, MOST_NEIGHBORS),
    "tau": (0.5, 0.6, 0.7, 0.8),
    "resolution": (0.005, 0.01, 0.02, 0.04, 0.08),
}
_AS_GOOD = 0.005  # scores that differ by less are alike
# Groups are few, and networks that know nothing yet need more passes over them. More
# than one pass would make the built-in ones forget what few groups cannot teach.
_GROUP_FACTOR = {"builtin": 1, "random": 3}
_N_PARTS = 4  # trainings of the default mode


def make_network(mode, **network_args):
    """Network of a mode, as `_module_args` records it."""
    return {"structural": LinkNetworks, "paper": LanderNetwork}[mode](**network_args)


class LinkLoss(torch.nn.Module):
    """Cross-entropy of the links."""

    def forward(self, logits, same):
        # (n, k), (n, k) -> ()
        return F.binary_cross_entropy_with_logits(logits, same)


def fit_structural(est, parts, rng, generator, data):
    """Choose the settings, train the three networks, and cluster the rows.

    Parameters
    ----------
    est : HiLanderClusterer
        Gets its fitted attributes.

    parts : list of (Rows, ndarray)
        Rows in graphs of their own, and the codes of their classes.

    rng : RandomState
        Source of held-out classes.

    generator : torch.Generator
        Source of weights and batches.

    data : (X, y)
        What `fit` was called with.

    Returns
    -------
    results : list of ClusterResult
        One for each part.
    """
    search = search_of(est)
    choose(est, parts, search)
    scenes = [make_scene(est, rows, y, search) for rows, y in parts]
    if est.early_stopping:
        hold_out(est, scenes, rng)
    module = start_networks(est, parts[0][0].features.shape[1], generator)
    train_stages(est, module, scenes, search, generator, data)
    return [
        run_clusterer(est, rows, scene.graph) for (rows, _), scene in zip(parts, scenes)
    ]


def make_scene(est, rows, y, search):
    """Training graph of some rows, all of them taught."""
    graph = RowGraph(rows.graph(neighbors_for(est, rows), search), est.edge_features)
    return Scene(graph, y, np.ones(len(y), bool))


def start_networks(est, n_coordinates, generator):
    """Fresh networks, or those of the last fit."""
    args = {
        "mode": "structural",
        "n_features": n_features(est.edge_features, n_coordinates),
        "hidden_layer_sizes": tuple(int(size) for size in est.hidden_layer_sizes),
    }
    if est.warm_start and hasattr(est, "module_"):
        check_same_network(est, args)
        return copy.deepcopy(est.module_)
    est._module_args = args
    if start_of(est) == "builtin":
        check_builtin_fits(args)
        return builtin_networks()
    return build(lambda: make_network(**est._module_args), generator=generator)


def start_of(est):
    """What "auto" means for `init`."""
    if est.init != "auto":
        return est.init
    structural = est.edge_features == BUILTIN_KIND
    sizes = tuple(est.hidden_layer_sizes) == BUILTIN_ARGS["hidden_layer_sizes"]
    return "builtin" if structural and sizes else "random"


def check_builtin_fits(args):
    """Refuse networks that the built-in weights are not for."""
    if args != BUILTIN_ARGS:
        raise InvalidParameterError(
            "init='builtin' must be used with edge_features='structural' and "
            "hidden_layer_sizes=(64, 64), the networks that are built in; use "
            "init='random' for others."
        )


def check_same_network(est, args):
    """Refuse to go on with another network than that of the last fit."""
    if est._module_args != args:
        raise InvalidParameterError(
            "warm_start=True goes on with the networks of the last fit, but the mode, "
            "the features or the sizes of the networks have changed since; set "
            "warm_start=False to fit anew, or restore the parameters."
        )


def train_stages(est, module, scenes, search, generator, data):
    """Train the networks one after the other, as one fit with one history."""
    factor = _GROUP_FACTOR[start_of(est)]
    total = est.max_epochs * (2 + 2 * factor)
    options = {"n_parts": _N_PARTS, "module": module}
    listeners = bridge(est, *data, total, **options)
    go_on = est.warm_start and hasattr(est, "history_")
    history, best = list(est.history_) if go_on else [], []
    module.to(est.device_)

    def train(network, batches, epochs_factor, held_out):
        est._train(
            network,
            LinkLoss(),
            batches,
            max_epochs=est.max_epochs * epochs_factor,
            score=make_score(held_out, est.device_) if held_out is not None else None,
            listeners=listeners,
        )
        est.module_ = module  # callbacks copy the estimator between two stages
        best.append(len(history) + est.best_epoch_)
        for number, row in enumerate(est.history_, len(history) + 1):
            history.append({**row, "epoch": number, "stage": len(best)})

    train_networks(
        module,
        scenes,
        train,
        settings=decoding(est) | {"batch_size": est.batch_size, "group_factor": factor},
        search=search,
        generator=generator,
    )
    for listener in listeners:
        if listener.n_parts_left:
            listener.end(est.net_)
    est.module_ = module.eval()
    est.history_, est.n_iter_, est.best_epoch_ = history, len(history), best[-1]


def make_score(held_out, device):
    """Score for early stopping: minus the loss on the edges of held-out classes."""

    def score(network):
        losses, sizes = [], []
        with torch.inference_mode():
            for features, same in held_out:
                loss = LinkLoss()(network(features.to(device)), same.to(device))
                losses.append(loss.item())
                sizes.append(same.numel())
        return -float(np.average(losses, weights=sizes))

    return score


def hold_out(est, scenes, rng):
    """Keep some classes out of what the networks are taught."""
    y = np.concatenate([scene.y for scene in scenes])
    held = hold_out_classes(y, est.validation_fraction, rng)
    for scene in scenes:
        scene.taught = ~np.isin(scene.y, held)


def choose(est, parts, search):
    """Settle what is "auto" by how well the built-in networks cluster the rows.

    They have seen none of these classes, so all of them may stay in the graph: a few
    held-out classes by themselves are easier to tell apart than the many to come.
    """
    names = [name for name in CHOICES if getattr(est, name) == "auto"]
    for name in CHOICES:
        setattr(est, f"{name}_", settled(est, name, DEFAULTS[name]))
    if not names:
        return
    numbers = choices_of(est, "n_neighbors")
    sizes = np.concatenate([np.bincount(y)[y] for _, y in parts])
    most = max(numbers[0], np.median(sizes))  # of the class of a row
    numbers = [k for k in numbers if k <= most]
    levels = [rows.graph(min(numbers[-1], len(rows) - 1), search) for rows, _ in parts]
    networks = builtin_networks().to(est.device_)
    scores = {}
    for k in numbers:
        graphs = [
            RowGraph.linked(nearer(level, k), "structural", networks)
            for level in levels
        ]
        for tau in choices_of(est, "tau"):
            for resolution in choices_of(est, "resolution"):
                how = decoding(est) | {"tau": tau, "resolution": resolution}
                how |= {"max_levels": est.max_levels, "search": search}
                found = [cluster(graph, networks, **how)[0].labels for graph in graphs]
                scores[k, tau, resolution] = np.mean(
                    [quality(y, labels) for (_, y), labels in zip(parts, found)]
                )
    # the fewest neighbours that do about as well: more of them cost time
    enough = max(scores.values()) - _AS_GOOD
    fewest = min(k for (k, _, _), score in scores.items() if score >= enough)
    rivals = {key: score for key, score in scores.items() if key[0] == fewest}
    est.n_neighbors_, est.tau_, est.resolution_ = max(rivals, key=rivals.get)


def choices_of(est, name):
    """Values of a parameter to be compared."""
    value = getattr(est, name)
    return CHOICES[name] if isinstance(value, str) and value == "auto" else (value,)


def quality(y, labels):
    """Mean of pairwise F and BCubed F."""
    return (pairwise_f_score(y, labels) + bcubed_f_score(y, labels)) / 2


def nearer(level, n_neighbors):
    """The same graph with fewer neighbours."""
    return replace(
        level,
        neighbors=np.ascontiguousarray(level.neighbors[:, :n_neighbors]),
        similarity=np.ascontiguousarray(level.similarity[:, :n_neighbors]),
    )


def fit_paper(est, parts, rng, generator, data):
    """Train the published network, and cluster the rows.

    Parameters and returned value are those of `fit_structural`.
    """
    for name, default in (DEFAULTS | {"n_neighbors": PAPER_NEIGHBORS}).items():
        setattr(est, f"{name}_", settled(est, name, default))
    search = search_of(est)
    X = np.concatenate([rows.features for rows, _ in parts])
    y = np.concatenate([codes for _, codes in parts])
    held = np.zeros(len(y), bool)
    if est.early_stopping:
        held = np.isin(y, hold_out_classes(y, est.validation_fraction, rng))
    settings = PaperSettings(
        fit_neighbors=tuple(est.fit_neighbors),
        fit_levels=tuple(est.fit_levels),
        hidden_size=est.hidden_size,
        n_layers=est.n_layers,
        attention=est.attention,
        n_heads=est.n_heads,
        dropout=est.dropout,
        use_cluster_features=est.use_cluster_features,
        balance=est.balance,
        focal_gamma=est.focal_gamma,
        batch_size=est.batch_size,
    )
    go_on = est.warm_start and hasattr(est, "module_")
    module, criterion, batches = set_up_training(
        X[~held], y[~held], settings, generator=generator, search=search
    )
    args = {"mode": "paper", **settings.network_args(X.shape[1])}
    if go_on:
        check_same_network(est, args)
        module = copy.deepcopy(est.module_)
    est._module_args = args
    valid = None
    if held.any():
        graphs = training_graphs(
            X[held], y[held], settings.fit_neighbors, settings.fit_levels, search=search
        )
        valid = GraphBatches(graphs, module, settings.batch_size, shuffle=False)
    seed_dropout(module, make_generator(rng, est.device_))
    est._train(module, criterion, batches, valid, go_on=go_on, data=data)
    return [run_clusterer(est, rows) for rows, _ in parts]


def builtin_networks():
    """Networks trained on the classes of others, in evaluation mode on the CPU."""
    source = files("skdeep.cluster").joinpath("data", BUILTIN_WEIGHTS)
    weights = load(source.read_bytes())
    with torch.device("meta"):
        module = make_network(**BUILTIN_ARGS)
    tensors = {name: torch.from_numpy(part.copy()) for name, part in weights.items()}
    module.load_state_dict(tensors, assign=True)
    return module.eval()


def use_builtin(est):
    """Give an estimator the built-in networks instead of training."""
    est._module_args = BUILTIN_ARGS
    est.module_ = builtin_networks().to(est.device_)
    for name, default in DEFAULTS.items():
        setattr(est, f"{name}_", settled(est, name, default))
    est.history_, est.n_iter_, est.best_epoch_ = [], 0, 0
