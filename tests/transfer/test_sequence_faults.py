"""Extenders of taggers: wrong parameters, trainings that stop, what pickles hold."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from refusals import assert_refused, forbid_training
from skorch.callbacks import Callback
from tagging_data import (
    X_NEW,
    X_NEXT,
    X_OLD,
    Y_NEW,
    Y_NEXT,
    Y_OLD,
    quick_extender,
    quick_tagger,
)

from skdeep.exceptions import DivergedError, InvalidParameterError
from skdeep.transfer import AdapterExtender, SequenceTagger

X_TEST = [*X_OLD[:3], [], *X_NEW[:2], ["unheard", "of"]]


@pytest.fixture(scope="module")
def source():
    """A tagger of albums and books; tests must not change it."""
    return quick_tagger(max_epochs=20).fit(X_OLD, Y_OLD)


@pytest.fixture(scope="module")
def fitted(source):
    return quick_extender(source).fit(X_NEW, Y_NEW)


@pytest.fixture(scope="module")
def expected(fitted):
    return fitted.predict_marginals(X_TEST)


def assert_answers(extender, expected):
    for one, other in zip(extender.predict_marginals(X_TEST), expected):
        assert_array_equal(one, other)


def test_R415_new_sentences_are_in_no_pickle_unless_asked_for(source):
    X = [["by", "Secret", "Person"]] * 6
    y = [["O", "B-artist", "I-artist"]] * 6
    for warm_start in (False, True):
        extender = quick_extender(
            source, warm_start=warm_start, new_annotation="new_only"
        ).fit(X, y)
        # words are rows of a table, in lower case; sentences are not kept
        assert (b"Secret" in pickle.dumps(extender)) == warm_start


class Stop(Callback):
    def on_batch_end(self, net, **kwargs):
        raise KeyboardInterrupt


def test_R501_stopped_fit_leaves_the_old_extender(source):
    extender = quick_extender(source).fit(X_NEW, Y_NEW)
    before, attributes = pickle.dumps(extender), vars(extender).copy()
    extender.set_params(callbacks=[Stop()])
    for call in (extender.fit, extender.partial_fit):
        with pytest.raises(KeyboardInterrupt):
            call(X_NEXT, Y_NEXT)
    extender.set_params(callbacks=None)
    assert vars(extender) == attributes
    assert pickle.dumps(extender) == before
    fresh = quick_extender(source, callbacks=[Stop()])
    with pytest.raises(KeyboardInterrupt):
        fresh.fit(X_NEW, Y_NEW)
    assert vars(fresh).keys() == vars(quick_extender(source)).keys()


def test_R512_diverging_training_is_an_error(source):
    extender = quick_extender(source, lr=1e30, optimizer="sgd", max_grad_norm=None)
    assert_refused(extender, lambda: extender.fit(X_NEW, Y_NEW), error=DivergedError)


@pytest.mark.parametrize("value", [object(), "nonsense", float("nan"), -1])
@pytest.mark.parametrize(
    "name",
    [
        name
        for name in AdapterExtender(SequenceTagger()).get_params(deep=False)
        if name != "estimator"
    ],
)
def test_wrong_parameter_is_refused_by_name(name, value, source, monkeypatch):
    forbid_training(monkeypatch)
    extender = quick_extender(source)
    setattr(extender, name, value)
    with pytest.raises(InvalidParameterError, match=rf"(?<!\w){name}(?!\w)"):
        extender.fit(X_NEW, Y_NEW)


def test_values_of_numpy_are_as_good_as_those_of_python(source, expected):
    kinds = {int: np.int64, float: np.float64, str: np.str_, bool: np.bool_}
    params = {
        name: kinds[type(value)](value)
        for name, value in quick_extender(source).get_params(deep=False).items()
        if type(value) in kinds
    }
    extender = AdapterExtender(source, **params).fit(X_NEW, Y_NEW)
    assert_answers(extender, expected)
    sized = quick_extender(source, adapter_hidden_size=np.int64(5)).fit(X_NEW, Y_NEW)
    assert type(sized._module_args["adapter"]["hidden_size"]) is int
