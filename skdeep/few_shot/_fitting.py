"""The fit of the meta-learner from top to bottom."""

import copy
import warnings

import numpy as np
from sklearn.utils import check_consistent_length

from skdeep._callbacks import bridge
from skdeep.exceptions import InvalidParameterError
from skdeep.few_shot._adapting import TaskRows, adapt_to_tasks
from skdeep.few_shot._batches import EpisodeLoss, episode_accuracies
from skdeep.few_shot._episode_plan import EpisodePlan
from skdeep.few_shot._features import is_transformer, unit_rows
from skdeep.few_shot._learned import own_how
from skdeep.few_shot._training import (
    FewShotModel,
    check_given_network,
    choose_power,
    count_folds,
    features_for_training,
    start_adapter,
    train_backbone,
)
from skdeep.model_selection._episode_scores import interval_of
from skdeep.nn import find_image_shape
from skdeep.utils._torch import make_generator
from skdeep.utils._validation import plain_labels


def fit_learner(est, X, codes, tasks, image_shape, rng, data):
    """Train the backbone, then the gradient network; then adapt to the known classes.

    Parameters
    ----------
    est : SemiSupervisedMetaLearner
        Gets the fitted attributes.

    X : ndarray or CSR matrix of shape (n_samples, n_features), dtype float32

    codes : ndarray of shape (n_samples,)
        Classes; -1 for rows without a label.

    tasks : array-like of shape (n_samples,) or None

    image_shape : tuple of int or None
        Of X before it was flattened.

    rng : RandomState

    data : (X, y)
        What `fit` was called with.
    """
    check_parameters(est)
    earlier = last_fit(est)
    groups = encode_tasks(tasks, codes)
    labelled = codes >= 0
    known = X if labelled.all() else X[labelled]
    y, groups = codes[labelled], groups[labelled]
    pairs = pair_codes(y, groups)
    sizes = backbone_sizes(est, X.shape[1], image_shape)
    if est.backbone is None:  # else it is not known how many there will be
        check_given_network(est, X.shape[1])
    est._transformer = est._mean = None
    est.module_ = FewShotModel(None, None)
    est._module_args = {"module": None, "sizes": None, "adapter": None}
    n_folds = count_folds(est, pairs)
    if not n_folds:  # as published: the backbone knows the classes of the tasks
        fit_backbone(est, known, pairs, sizes, rng)
    features, groups, fold = features_for_training(
        est, known, pairs, groups, sizes, n_folds, rng
    )
    if n_folds:
        fit_backbone(est, known, pairs, sizes, rng)

    seed = int(rng.randint(2**31 - 1))
    plan = EpisodePlan(est, pairs, groups, rng)
    est.power_ = choose_power(est, features, plan, seed)
    rows = unit_rows(features, est.power_)
    if est.center:
        rows = center_folds(features, fold, est.power_)
        est._mean = unit_rows(est._raw_features(known), est.power_).mean(axis=0)
        est._mean = np.asarray(est._mean).ravel()
    est.method_ = "prototype" if plan.train is None else "sib"
    if est.method != "sib":
        est.method_ = est.method
    est.history_, est.n_iter_, est.best_epoch_ = [], 0, 0
    own_rows = unit_rows(est._raw_features(X), est.power_, est._mean)
    task = TaskRows(own_rows[labelled], y, own_rows[~labelled])
    est._n_features_out = own_rows.shape[1]
    if est.method_ == "sib":
        train_adapter(est, rows, plan, earlier, seed, rng, (*data, task))
    elif est.method == "sib":
        warnings.warn(
            "There are fewer than 2 classes with 2 rows in one task, so nothing can be "
            "learned about few-shot tasks: method='prototype' is used.",
            UserWarning,
            stacklevel=4,
        )
    est.module_ = est.module_.to(est.device_).eval()
    est._state = own_state(est, task, est.module_.adapter)


def check_parameters(est):
    """Refuse parameters that contradict each other."""
    for name in ("n_way", "n_shot"):
        value = getattr(est, name)
        least = 2 if name == "n_way" else 1
        if isinstance(value, (list, tuple, np.ndarray)) and (
            len(value) != 2 or not least <= value[0] <= value[1]
        ):
            raise InvalidParameterError(
                f"The {name!r} parameter must be an int or a pair (low, high) with "
                f"{least} <= low <= high. Got {value!r} instead."
            )
    if not isinstance(est.phi, str) and not hasattr(est.phi, "phi_"):
        raise InvalidParameterError(
            "The 'phi' parameter must be 'fit', 'scratch', 'pretrained' or a fitted "
            f"SemiSupervisedMetaLearner. Got {est.phi!r} instead."
        )
    if est.gradient_net == "paper" and est.phi == "pretrained":
        raise InvalidParameterError(
            "phi='pretrained' is the network of gradient_net='equivariant'; that of "
            "gradient_net='paper' has to be trained, with phi='fit'."
        )
    check_given_network(est)


def last_fit(est):
    """What warm_start goes on from, or None."""
    if not (est.warm_start and hasattr(est, "module_")):
        return None
    names = ("history_", "_optimizer_state")
    return {
        "adapter": est.module_.adapter,
        "args": est._module_args["adapter"],
        **{name: getattr(est, name, None) for name in names},
    }


def encode_tasks(tasks, codes):
    """Task of each row as a number from 0 on."""
    if tasks is None:
        return np.zeros(len(codes), np.int64)
    if not hasattr(tasks, "dtype"):  # numpy makes text of what stands beside text
        tasks = np.array(tasks, dtype=object)
    tasks = np.asarray(tasks)
    if tasks.ndim != 1 and tasks.shape[1:] != (1,):
        raise ValueError(
            "tasks must be a 1d array with the task of each row; got an array of shape "
            f"{tasks.shape}."
        )
    tasks = tasks.ravel()
    check_consistent_length(tasks, codes)
    if tasks.dtype.kind not in "mM" or np.isnat(tasks).any():  # dates are no labels
        tasks = plain_labels(tasks, "tasks")
    return np.unique(tasks, return_inverse=True)[1].astype(np.int64)


def pair_codes(codes, groups):
    """Number the pairs of a class and a group: the classes, if each is in one group."""
    pairs = codes * (groups.max() + 1) + groups
    return np.unique(pairs, return_inverse=True)[1]


def backbone_sizes(est, n_features, image_shape):
    """Arguments of `make_backbone`; None if the backbone is no network."""
    if est.backbone is None or is_transformer(est.backbone):
        return None
    shape = image_shape if est.image_shape is None else tuple(est.image_shape)
    if est.backbone == "conv4":
        given = None if shape is None else {"image_shape": shape}
        try:
            shape = find_image_shape(given, n_features)
        except InvalidParameterError as error:
            raise InvalidParameterError(
                f"backbone='conv4' needs images, but a row of {n_features} features is "
                "none. Give X as (n_samples, channels, height, width), or image_shape="
                f"(channels, height, width); it is {est.image_shape!r}."
            ) from error
    return {
        "n_features": n_features,
        "n_outputs": est.n_components,
        "hidden_layer_sizes": tuple(est.hidden_layer_sizes),
        "image_shape": shape,
    }


def fit_backbone(est, X, codes, sizes, rng):
    """Train the backbone that stays."""
    if est.backbone is None:
        return
    backbone = train_backbone(est, X, codes, sizes, rng)
    if sizes is None:
        est._transformer = backbone
        est.module_ = FewShotModel(None, None)
        return
    est._module_args |= {"module": est.backbone, "sizes": sizes}
    est.module_ = FewShotModel(backbone, None).to(est.device_)


def center_folds(features, fold, power):
    """Make unit rows, and subtract the mean from those of each backbone."""
    rows = np.empty(features.shape, np.float32)
    for number in np.unique(fold):
        inside = fold == number
        mean = np.asarray(unit_rows(features[inside], power).mean(axis=0)).ravel()
        rows[inside] = unit_rows(features[inside], power, mean)
    return rows


def train_adapter(est, rows, plan, earlier, seed, rng, data):
    """Train the gradient network on tasks of the known classes.

    The last item of `data` is what the learner itself is to be adapted to.
    """
    generator = make_generator(rng)
    if earlier is not None and (
        earlier["adapter"] is None or est.phi not in ("fit", "scratch")
    ):
        earlier = None  # there is nothing to go on with
    if earlier is not None:
        adapter, args = copy.deepcopy(earlier["adapter"]), earlier["args"]
        asked = start_adapter(est, plan, rows.shape[1], generator)[1]
        if args != asked:
            raise InvalidParameterError(
                "warm_start=True goes on with the gradient network of the last fit, but "
                "its parameters have changed since; set warm_start=False to fit anew."
            )
    else:
        adapter, args = start_adapter(est, plan, rows.shape[1], generator)
    est.module_.adapter = adapter.to(est.device_)
    est._module_args = est._module_args | {"adapter": args}
    if est.phi not in ("fit", "scratch"):
        return
    model, transform = est.module_, est._transformer
    score, intervals = None, []
    if plan.valid is not None:
        tasks = plan.fixed(rows, est.n_validation_episodes, seed)
        tasks = [tuple(part.to(est.device_) for part in pair) for pair in tasks]

        def score(network):
            found = episode_accuracies(network, tasks)
            intervals.append(interval_of(found))
            return found.mean()

    if earlier is not None:
        est.history_, est._optimizer_state = (
            earlier["history_"],
            earlier["_optimizer_state"],
        )
    est._train(
        model.adapter.train(),
        EpisodeLoss(),
        plan.batches(rows, est, np.random.RandomState(rng.randint(2**31 - 1))),
        score=score,
        go_on=earlier is not None,
        listeners=bridge(
            est,
            *data[:2],
            est.max_epochs,
            module=model,
            derive=lambda module: {"_state": own_state(est, data[2], module.adapter)},
        ),
    )
    for row, interval in zip(est.history_[::-1], intervals[::-1]):
        row["valid_ci95"] = interval
    model.adapter = est.net_.module_.eval()
    est.module_, est._transformer = model, transform


def own_state(est, task, adapter):
    """What is known of the known classes themselves.

    The prototypes learn from rows without a label, but no row is kept.
    """
    ((state, _),) = adapt_to_tasks([task], own_how(est, adapter))
    names = ("prototypes", "scale", "bias", "center", "columns")
    return {name: state[name] for name in names if name in state}
