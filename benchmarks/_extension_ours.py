"""Our taggers of the extension benchmark: sources, and what they are extended by."""

import time
import warnings
from functools import cache
from itertools import product
from typing import NamedTuple

from _extension_data import load, n_tokens
from _extension_peers import CrfTagger, installed

from skdeep.transfer import AdapterExtender, SequenceTagger


class Model(NamedTuple):
    """One row of the table.

    Attributes
    ----------
    name : str
        As printed.

    source : {"crf", "softmax", "crfsuite"}
        Output layer of our source, or the source of others.

    params : tuple of (str, object)
        Parameters of the extender; or the part of the data that a tagger of its own is
        fitted to.

    annotation : {"full", "new_only"}
        Of the new sentences.
    """

    name: str
    source: str = "crf"
    params: tuple | str = ()
    annotation: str = "full"


def extender(name, source="crf", annotation="full", **params):
    """A model that extends a source."""
    return Model(name, source, tuple(params.items()), annotation)


TAGGERS = [
    Model("SequenceTagger, source", params="source"),
    extender("AdapterExtender"),
    extender("AdapterExtender, finetune", method="finetune"),
    Model("SequenceTagger, target only", params="target"),
    Model("SequenceTagger, all data", params="together"),
]
METHODS = {
    "adapter": {},
    "adapter, no skip": {"skip_connection": False},
    "finetune": {"method": "finetune"},
}
GRID = [
    extender(
        f"{output}, {trainable}, {method}",
        output,
        **({} if trainable == "all" else {"trainable": trainable}),
        **METHODS[method],
    )
    for output, trainable, method in product(
        ("crf", "softmax"), ("all", "top"), METHODS
    )
]
NEW_ONLY = [
    extender("AdapterExtender", annotation="new_only"),
    extender("AdapterExtender, finetune", annotation="new_only", method="finetune"),
    extender(
        "AdapterExtender, O as it is", annotation="new_only", new_annotation="full"
    ),
]
SIGNALS = [
    extender("source_signal=hard"),
    extender("source_signal=proba", source_signal="proba"),
    extender("source_signal=logits", source_signal="logits"),
    extender("source_signal=gold", source_signal="gold"),
    extender("combine=sum", combine="sum"),
    extender("adapter_kind=conv", adapter_kind="conv"),
    extender("adapter_kind=linear", adapter_kind="linear"),
    extender(
        "gold, skip_connection=False", source_signal="gold", skip_connection=False
    ),
]
FOREIGN = [
    extender("AdapterExtender(crfsuite)", "crfsuite"),
    extender("AdapterExtender(crfsuite), new only", "crfsuite", "new_only"),
]


@cache
def fitted_source(data, norne, kind, seed):
    """A tagger fitted to the old data, and CPU seconds of the fit."""
    if kind == "crfsuite":
        tagger = CrfTagger()
    else:
        tagger = SequenceTagger(output=kind, random_state=seed)
    start = time.process_time()
    tagger.fit(*load(data, norne).source)
    return tagger, time.process_time() - start


@cache
def answers(data, norne, source, params, annotation, seed):
    """What a model predicts for the test sentences, and what that took.

    Returns
    -------
    y_pred, source_pred : list of list of str
        Tags by the model, and by its source.

    y_more : list of list of str
        Tags by the model of the sentences that no model was fitted to.

    costs : dict
        CPU seconds of the fit, tokens of all epochs a second of it, and tokens a second
        of the prediction.
    """
    scenario = load(data, norne)
    if params == "source":
        model, seconds = fitted_source(data, norne, source, seed)
        part = scenario.source
    elif isinstance(params, str):
        part = getattr(scenario, params)
        model = SequenceTagger(output=source, random_state=seed)
        model, seconds = _timed_fit(model, part)
    else:
        part = scenario.target if annotation == "full" else scenario.target_new_only
        base, _ = fitted_source(
            data, norne, source, seed if source != "crfsuite" else 0
        )
        model = AdapterExtender(base, random_state=seed, **dict(params))
        model, seconds = _timed_fit(model, part)
    X_test = scenario.test[0]
    start = time.process_time()
    y_pred = model.predict(X_test)
    costs = {
        "fit_s": seconds,
        "train_tokens_s": n_tokens(part[0]) * model.n_iter_ / seconds,
        "predict_tokens_s": n_tokens(X_test) / (time.process_time() - start),
    }
    source_pred = None
    if isinstance(params, tuple):
        source_pred = base.predict(X_test)
    y_more = model.predict(scenario.more[0]) if scenario.more[0] else []
    return y_pred, source_pred, y_more, costs


def _timed_fit(model, part):
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that only new types are tagged
        model.fit(*part)
    return model, time.process_time() - start


def can_run(model):
    """Whether all that it needs is installed."""
    return model.source != "crfsuite" or installed()
