"""Constructor parameters: each wrong value is refused by name, early and fast."""

import copy
import inspect
import time

import numpy as np
import pytest
import torch
from estimators import CASES, IDS, answers, assert_same_answers
from refusals import assert_refused, forbid_training
from sklearn.base import clone

from skdeep import TCMEmbedder
from skdeep.base import BaseDeepEstimator
from skdeep.exceptions import InvalidParameterError
from skdeep.utils._params import StrOptions

WRONG = {
    "object": object(),
    "text": "no such option",
    "NaN": float("nan"),
    "-1": -1,
    "minus infinity": -np.inf,
    "infinity": np.inf,
    "bytes": b"1",
    "complex": 1j,
    "set": {1, 2},
    "list of None": [None],
}

# parameters for which a value of the table above is a legal one, and why
LEGAL = {
    # a cosine is in [-1, 1]; both margins are compared with each other afterwards
    ("pos_margin", "-1"),
    ("neg_margin", "-1"),
    # all cores
    ("n_jobs", "-1"),
    # skorch itself tells what a callback is
    ("callbacks", "list of None"),
    # any label may be the mark of rows without one
    ("unlabeled_label", "text"),
    ("unlabeled_label", "-1"),
}

CONSTRAINED = [
    (case, parameter, kind)
    for case in CASES
    for parameter in case.estimator.get_params(deep=False)
    for kind in WRONG
    if (parameter, kind) not in LEGAL
]


@pytest.fixture(scope="module")
def fitted():
    return {case.id: case.fitted() for case in CASES}


@pytest.mark.parametrize(
    ("case", "parameter", "kind"),
    CONSTRAINED,
    ids=[f"{case.id}-{parameter}-{kind}" for case, parameter, kind in CONSTRAINED],
)
def test_wrong_value_is_refused_by_name(case, parameter, kind, fitted, monkeypatch):
    forbid_training(monkeypatch)
    X, y, rows = case.make_data()
    estimator = copy.copy(fitted[case.id]).set_params(**{parameter: WRONG[kind]})
    messages = []

    def seconds_to_refuse():
        start = time.thread_time()
        message = assert_refused(
            estimator,
            lambda: estimator.fit(X, y),
            case.name if parameter != "device" else "device",
            rf"(?<!\w){parameter}(?!\w)",
            error=InvalidParameterError,
        )
        messages.append(message)
        return time.thread_time() - start

    assert any(seconds_to_refuse() < 0.05 for _ in range(3))
    message = messages[0]
    assert isinstance(WRONG[kind], str) or "must be" in message
    options = {
        option
        for rule in type(estimator)._parameter_constraints[parameter]
        if isinstance(rule, StrOptions)
        for option in rule.options
    }
    assert all(repr(option) in message for option in options)


@pytest.fixture(scope="module", params=CASES, ids=IDS)
def case(request):
    return request.param


def test_every_parameter_has_a_rule(case):
    names = set(case.estimator.get_params(deep=False))
    assert names <= set(type(case.estimator)._parameter_constraints)
    # and no rule is left over from a parameter that is gone
    own = set(type(case.estimator)._parameter_constraints)
    assert own - names <= set(BaseDeepEstimator._parameter_constraints)


def test_defaults_are_legal(case):
    type(case.estimator)()._validate_params()
    case.estimator._validate_params()


def test_values_of_numpy_are_as_good_as_those_of_python(case):
    X, y, rows = case.make_data()
    kinds = {int: np.int64, float: np.float32, str: np.str_, bool: np.bool_}
    same = {
        name: kinds[type(value)](value)
        for name, value in case.estimator.get_params(deep=False).items()
        if type(value) in kinds and kinds[type(value)](value).item() == value
    }
    assert same
    one = answers(case.new(**same).fit(X, y), rows)
    assert_same_answers(one, answers(case.fitted(), rows))


@pytest.mark.parametrize("value", [0, True, 1.5, 2.0, "3"])
def test_max_epochs_is_a_positive_integer(value, case, monkeypatch):
    forbid_training(monkeypatch)
    X, y, _ = case.make_data()
    estimator = case.new(max_epochs=value)
    assert_refused(
        estimator,
        lambda: estimator.fit(X, y),
        f"'max_epochs' parameter of {case.name} must be an int in the range",
        rf"Got {value!r} instead",
        error=InvalidParameterError,
    )


def test_contradicting_values_are_refused_by_name(case, monkeypatch):
    forbid_training(monkeypatch)
    X, y, _ = case.make_data()
    for parameter, value in case.contradicting.items():
        estimator = case.new(**{parameter: value})
        assert_refused(
            estimator,
            lambda: estimator.fit(X, y),  # noqa: B023
            parameter,
            error=InvalidParameterError,
        )


def test_constructor_and_set_params_look_at_nothing(case):
    for name in inspect.signature(type(case.estimator)).parameters:
        for value in WRONG.values():
            estimator = type(case.estimator)(**{name: value})
            assert estimator.set_params(**{name: value}) is estimator
            repr(estimator)


def test_unknown_parameter_is_refused_with_the_valid_names(case):
    with pytest.raises(ValueError, match="(?s)Invalid parameter 'epochs'.*max_epochs"):
        clone(case.estimator).set_params(epochs=3)


def test_data_are_not_looked_at_before_the_parameters(case):
    estimator = case.new(lr=-1)
    assert_refused(
        estimator,
        lambda: estimator.fit(object(), object()),
        "'lr' parameter",
        error=InvalidParameterError,
    )


@pytest.mark.parametrize("device", ["cuda", "cuda:7", "mps", "xpu", "cpu:1", "meta"])
def test_device_that_is_not_there_is_refused_with_those_that_are(device, case):
    X, y, _ = case.make_data()
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    if accelerator is not None and device.startswith(accelerator.type):
        pytest.skip("this device is there")
    estimator = case.new(device=device)
    assert_refused(
        estimator,
        lambda: estimator.fit(X, y),
        "device",
        device,
        "'cpu'",
        error=InvalidParameterError,
    )


def test_random_state_of_every_kind_is_taken(case):
    X, y, rows = case.make_data()
    expected = answers(case.new(random_state=3).fit(X, y), rows)
    for state in (np.int64(3), np.random.RandomState(3)):
        estimator = case.new().set_params(random_state=state)
        assert_same_answers(answers(estimator.fit(X, y), rows), expected)


def test_no_seed_follows_the_global_generator_of_numpy(case):
    X, y, rows = case.make_data()
    results = []
    before = np.random.get_state()  # noqa: NPY002
    try:
        for number in (1, 1, 2):
            np.random.seed(number)  # noqa: NPY002
            results.append(answers(case.new(random_state=None).fit(X, y), rows))
    finally:
        np.random.set_state(before)  # noqa: NPY002
    assert_same_answers(results[0], results[1])
    assert any((results[0][name] != results[2][name]).any() for name in results[0])


# what only the embedder has

SMALL = {"max_epochs": 1, "hidden_layer_sizes": (4,), "device": "cpu"}

EMBEDDER_ERRORS = {
    "margins reversed": (
        {"pos_margin": 0.3, "neg_margin": 0.5},
        "pos_margin.*neg_margin",
    ),
    "margins equal": ({"pos_margin": 0.5, "neg_margin": 0.5}, "pos_margin.*neg_margin"),
    "margin above 1": ({"pos_margin": 1.1}, r"pos_margin.*\[-1, 1\].*1\.1"),
    "margin below -1": ({"neg_margin": -1.1}, r"neg_margin.*\[-1, 1\].*-1\.1"),
    "negative weight of TCM": ({"tcm_weight": -0.1}, "tcm_weight"),
    "negative weight of pairs": ({"tcm_pos_weight": -1.0}, "tcm_pos_weight"),
    "negative weight of strangers": ({"tcm_neg_weight": -1.0}, "tcm_neg_weight"),
    "one class a batch": ({"classes_per_batch": 1}, "classes_per_batch.*2"),
    "one sample a class": ({"samples_per_class": 1}, "samples_per_class.*2"),
    "unknown base loss": (
        {"base_loss": "smooth_pa"},
        "base_loss.*arcface.*proxy_anchor.*recall_at_k.*smooth_ap.*Got 'smooth_pa'",
    ),
    "unknown argument of the base loss": (
        {"base_loss_params": {"heat": 1}},
        "base_loss_params.*smooth_ap.*heat",
    ),
    "unknown argument of the network": (
        {"module_params": {"depth": 1}},
        "module_params.*depth",
    ),
    "negative width": ({"hidden_layer_sizes": (4, -4)}, "hidden_layer_sizes"),
    "width of zero": ({"hidden_layer_sizes": (0,)}, "hidden_layer_sizes"),
    "width as text": ({"hidden_layer_sizes": "44"}, "hidden_layer_sizes"),
    "width without tuple": ({"hidden_layer_sizes": 44}, "hidden_layer_sizes"),
    "dropout of everything": ({"dropout": 1.0}, r"dropout.*\[0"),
    "rate of one": ({"target_far": 1.0}, r"target_far.*\(0"),
    "rate of zero": ({"target_frr": 0.0}, r"target_frr.*\(0"),
    "network of another width": (
        {"module": torch.nn.Linear(5, 3), "n_components": 4},
        "module.*3.*n_components=4",
    ),
    "network for other rows": (
        {"module": torch.nn.Linear(6, 64)},
        "module.*5 features",
    ),
    "network that is none": ({"module": dict}, "module"),
    "network of three dimensions": (
        {"module": torch.nn.Unflatten(1, (5, 1))},
        "module.*one vector",
    ),
    "images out of rows": ({"module": "conv"}, "conv.*5 features"),
    "shear of rows": ({"augment": "affine"}, "affine.*rows"),
    "too few classes to hold out": (
        {"early_stopping": True},
        "early_stopping=True.*2 .*3 such",
    ),
}


@pytest.mark.parametrize("row", EMBEDDER_ERRORS)
def test_embedder_refuses(row, blobs, monkeypatch):
    forbid_training(monkeypatch)
    params, words = EMBEDDER_ERRORS[row]
    embedder = TCMEmbedder(**{**SMALL, **params})
    assert_refused(embedder, lambda: embedder.fit(*blobs), words, error=ValueError)


def test_embedder_refuses_partial_fit_with_early_stopping(blobs):
    embedder = TCMEmbedder(**SMALL, early_stopping=True)
    assert_refused(
        embedder, lambda: embedder.partial_fit(*blobs), "early_stopping=False"
    )


@pytest.fixture(scope="module")
def embedder(blobs):
    return TCMEmbedder(**SMALL, n_components=4, random_state=0).fit(*blobs)


def test_embedder_refuses_pairs_of_unequal_number(embedder, blobs):
    X, _ = blobs
    for ask in (embedder.predict_pairs, embedder.pair_distance, embedder.pair_score):
        assert_refused(embedder, lambda: ask(X[:3], X[:4]), "X1", "X2", "3", "4")  # noqa: B023
        assert_refused(embedder, lambda: ask(X), "X1", "pairs", r"\(90, 5\)")  # noqa: B023


@pytest.mark.parametrize("threshold", ["far", float("nan"), object()])
def test_embedder_refuses_thresholds_that_are_no_number(threshold, embedder, blobs):
    X, y = blobs
    assert_refused(
        embedder, lambda: embedder.predict_pairs(X, X, threshold=threshold), "threshold"
    )
    assert_refused(
        embedder, lambda: embedder.identify(X, X, y, threshold=threshold), "threshold"
    )


CALIBRATION_ERRORS = {
    "rate of zero": ({"target_far": 0}, "target_far"),
    "rate above one": ({"target_frr": 1.5}, "target_frr"),
    "unknown criterion": ({"criterion": "roc"}, "criterion.*eer.*far.*frr"),
    "criterion without its rate": ({"criterion": "frr"}, "target_frr"),
    "beta of zero": ({"beta": 0, "criterion": "utility"}, "beta"),
    "beta as text": ({"beta": "one", "criterion": "utility"}, "beta"),
}


@pytest.mark.parametrize("row", CALIBRATION_ERRORS)
def test_embedder_refuses_calibration(row, embedder, blobs):
    params, words = CALIBRATION_ERRORS[row]
    assert_refused(
        embedder, lambda: embedder.calibrate_threshold(*blobs, **params), words
    )


def test_embedder_refuses_calibration_without_pairs(embedder, blobs):
    X, y = blobs
    for labels in (np.zeros(90), np.arange(90)):
        assert_refused(
            embedder,
            lambda: embedder.calibrate_threshold(X, labels),  # noqa: B023
            "pair|class",
        )
    assert_refused(
        embedder, lambda: embedder.calibrate_threshold(X, y[:-1]), "samples", "89", "90"
    )


def test_embedder_refuses_a_gallery_that_does_not_fit(embedder, blobs):
    X, y = blobs
    assert_refused(embedder, lambda: embedder.identify(X, X, y[:-1]), "89", "90")
    assert_refused(embedder, lambda: embedder.identify(X, X[:, 1:], y), "4 features")
    assert_refused(embedder, lambda: embedder.identify(X, X[:0], y[:0]), "0 sample")


def test_embedder_refuses_new_classes_for_class_vectors(blobs):
    X, y = blobs
    embedder = TCMEmbedder("proxy_anchor", 4, **SMALL, random_state=0).fit(X, y)
    assert_refused(
        embedder,
        lambda: embedder.partial_fit(X, y + 1),
        r"Class .*3.* new",
        "proxy_anchor",
    )
    assert embedder.partial_fit(X, y).n_iter_ == 2
