"""Extenders of taggers: what they keep, what they learn, what they refuse."""

import copy
import pickle
import warnings
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from refusals import assert_refused, forbid_training
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError, SkipTestWarning
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import check_estimator
from tagging_data import (
    X_NEW,
    X_NEXT,
    X_OLD,
    Y_NEW,
    Y_NEXT,
    Y_OLD,
    Y_ONLY_NEW,
    quick_extender,
    quick_tagger,
)

import skdeep
from skdeep.datasets import load_snips
from skdeep.metrics import entity_f1_score, make_extension_scorer
from skdeep.transfer import AdapterExtender, SequenceTagger

ALL_TAGS = ["B-album", "B-artist", "B-book", "I-album", "I-artist", "I-book", "O"]
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


def test_scikit_learn_contract(source):
    for extender in (
        AdapterExtender(source),
        AdapterExtender(SequenceTagger(), prefit=False),
        AdapterExtender(SequenceTagger(), mode="sequence"),
    ):
        with pytest.warns(SkipTestWarning, match="requires input"):
            check_estimator(extender)


def test_tags_tell_what_goes_in(source):
    for extender in (AdapterExtender(source), quick_extender(source).fit(X_NEW, Y_NEW)):
        tags = get_tags(extender)
        assert tags.estimator_type is None
        assert not is_classifier(extender)
        assert tags.classifier_tags is None
        assert tags.input_tags.string
        assert not tags.input_tags.two_d_array
        assert tags.target_tags.required


VARIANTS = {
    "default": {},
    "finetune": {"method": "finetune"},
    "no skip": {"skip_connection": False},
    "sum": {"combine": "sum"},
    "top": {"trainable": "top"},
    "conv": {"adapter_kind": "conv"},
    "linear": {"adapter_kind": "linear"},
    "two layers": {"adapter_layers": 2, "adapter_hidden_size": 5},
    "logits": {"source_signal": "logits"},
    "proba": {"source_signal": "proba"},
    "gold": {"source_signal": "gold"},
    "distilled": {"distill": 0.5, "temperature": 3.0},
    "early stopping": {"early_stopping": True, "validation_fraction": 0.2},
}


@pytest.mark.parametrize("row", VARIANTS)
def test_every_variant_learns_the_new_type_and_keeps_the_old_ones(row, source):
    extender = quick_extender(source, max_epochs=15, **VARIANTS[row])
    assert extender.fit(X_NEW, Y_NEW) is extender
    assert extender.classes_.tolist() == ALL_TAGS
    assert extender.score(X_NEW, Y_NEW) == 1.0
    assert entity_f1_score(Y_OLD, extender.predict(X_OLD)) > 0.7
    assert_answers(
        pickle.loads(pickle.dumps(extender)), extender.predict_marginals(X_TEST)
    )


@pytest.mark.parametrize(
    "params", [{"output": "softmax"}, {"deep": False}, {"wide": False}]
)
@pytest.mark.parametrize("row", ["default", "finetune", "no skip", "top"])
def test_sources_of_every_kind_are_extended(params, row):
    source = quick_tagger(max_epochs=20, **params).fit(X_OLD, Y_OLD)
    extender = quick_extender(source, max_epochs=40, **VARIANTS[row])
    extender.fit(X_NEW, Y_NEW)
    assert extender.classes_.tolist() == ALL_TAGS
    assert (extender.module_.crf is None) == (source.output == "softmax")
    assert extender.module_.deep == source.deep
    assert extender.score(X_NEW, Y_NEW) > 0.6


def test_fitted_attributes_tell_what_was_decided(fitted, source):
    assert fitted.mode_ == "sequence"
    assert fitted.method_ == "adapter"
    assert fitted.annotation_ == "full"
    assert fitted.scheme_ == "BIO"
    assert fitted.base_classes_.tolist() == source.classes_.tolist()
    assert fitted.new_classes_.tolist() == ["B-artist", "I-artist"]
    assert (
        fitted.classes_[fitted.old_class_mask_].tolist()
        == fitted.base_classes_.tolist()
    )
    assert (fitted.old_types_, fitted.new_types_) == (["album", "book"], ["artist"])
    assert fitted.estimator_ is source
    assert fitted.gamma_ is None
    assert 0 <= fitted.retention_ <= 1
    assert fitted.n_iter_ == len(fitted.history_) == 6
    assert fitted.n_parameters_ > source.n_parameters_


def test_the_source_is_left_alone_bit_for_bit(source):
    before, answers = pickle.dumps(source), source.predict_marginals(X_TEST)
    state = {name: w.clone() for name, w in source.module_.state_dict().items()}
    for params in VARIANTS.values():
        quick_extender(source, max_epochs=1, **params).fit(X_NEW, Y_NEW)
    assert pickle.dumps(source) == before
    for name, weight in source.module_.state_dict().items():
        assert torch.equal(weight, state[name])
    for one, other in zip(source.predict_marginals(X_TEST), answers):
        assert_array_equal(one, other)
    assert not any(part.training for part in source.module_.modules())


def test_only_the_top_is_trained_on_demand(source):
    extender = quick_extender(source, trainable="top").fit(X_NEW, Y_NEW)
    old, new = source.module_.state_dict(), extender.module_.state_dict()
    for name in old:
        if name.startswith(("encoder.", "lstm.")):
            rows = len(old[name])
            assert torch.equal(new[name][:rows], old[name])
    assert not torch.equal(new["hidden.weight"], old["hidden.weight"])


def test_predict_source_is_the_answer_of_the_source(fitted, source):
    assert fitted.predict_source(X_TEST) == source.predict(X_TEST)


def test_new_data_with_new_types_only_are_noticed(source):
    with pytest.warns(UserWarning, match="new types only.*new_annotation='full'"):
        extender = quick_extender(source, max_epochs=15).fit(X_NEW, Y_ONLY_NEW)
    assert extender.annotation_ == "new_only"
    # what the source finds is learned as if it had been tagged
    filled = [
        [o if n == "O" else n for o, n in zip(old, new)]
        for old, new in zip(source.predict(X_NEW), Y_ONLY_NEW)
    ]
    assert filled == Y_NEW
    assert extender.predict(X_NEW) == Y_NEW


def test_the_user_may_say_that_untagged_means_outside(source):
    extender = quick_extender(source, new_annotation="full", max_epochs=30)
    extender.fit(X_NEW, Y_ONLY_NEW)
    assert extender.annotation_ == "full"
    assert extender.predict(X_NEW) == Y_ONLY_NEW


def test_no_warning_where_the_user_has_said_it(source):
    extender = quick_extender(source, new_annotation="new_only").fit(X_NEW, Y_ONLY_NEW)
    assert extender.annotation_ == "new_only"
    mixed = quick_extender(source, new_annotation="new_only").fit(X_NEW, Y_NEW)
    assert mixed.annotation_ == "new_only"


def test_data_without_a_new_type_adapt_and_warn(source):
    with pytest.warns(UserWarning, match="no new type of entity"):
        extender = quick_extender(source).fit(X_OLD, Y_OLD)
    assert extender.new_types_ == []
    assert extender.classes_.tolist() == source.classes_.tolist()
    assert extender.annotation_ == "full"
    assert extender.score(X_OLD, Y_OLD) > 0.9


def test_warnings_point_to_the_caller(source):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        quick_extender(source, max_epochs=1).fit(X_NEW, Y_ONLY_NEW)
        quick_extender(source, max_epochs=1).fit(X_OLD, Y_OLD)
    assert [warning.filename for warning in caught] == [__file__] * 2


def test_sentences_without_tags_remind_of_the_old_types(source):
    X = [["by", "Michael", "Jackson"]] * 6
    y = [["O", "B-artist", "I-artist"]] * 6
    extender = quick_extender(source, new_annotation="new_only", max_epochs=20)
    extender.fit(X, y, X_unlabeled=X_OLD + [[]])
    assert extender.predict(X) == y
    assert extender.predict(X_OLD) == Y_OLD


def test_true_old_tags_cannot_be_shown_where_there_are_none(source, monkeypatch):
    forbid_training(monkeypatch)
    for params in ({"new_annotation": "new_only"}, {}):
        extender = quick_extender(source, source_signal="gold", **params)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            assert_refused(
                extender,
                lambda: extender.fit(X_NEW, Y_ONLY_NEW),  # noqa: B023
                "source_signal='gold'",
                "'hard', 'proba' or 'logits'",
            )


REFUSED = {
    "stacking": ({"method": "stacking"}, "method='stacking' is for classifiers"),
    "gate": ({"method": "gate"}, "method='gate' is for classifiers"),
    "sum of unequal sizes": (
        {"combine": "sum", "adapter_hidden_size": 3},
        "combine='sum'.*8.*adapter_hidden_size=3",
    ),
}


@pytest.mark.parametrize("row", REFUSED)
def test_parameters_that_do_not_fit_taggers_are_refused(row, source, monkeypatch):
    forbid_training(monkeypatch)
    params, words = REFUSED[row]
    extender = quick_extender(source, **params)
    assert_refused(extender, lambda: extender.fit(X_NEW, Y_NEW), words)


def test_there_is_nothing_to_add_to_without_a_deep_path(monkeypatch):
    source = quick_tagger(deep=False).fit(X_OLD, Y_OLD)
    forbid_training(monkeypatch)
    extender = quick_extender(source, combine="sum")
    assert_refused(
        extender, lambda: extender.fit(X_NEW, Y_NEW), "combine='sum'", "deep=False"
    )


def test_weights_of_sentences_are_refused(source, fitted):
    for call in (fitted.fit, fitted.partial_fit):
        assert_refused(
            fitted,
            lambda: call(X_NEW, Y_NEW, sample_weight=np.ones(18)),  # noqa: B023
            "sample_weight.*repeat",
        )


def test_unfitted_source_is_refused_before_anything_else():
    extender = quick_extender(quick_tagger())
    with pytest.raises(NotFittedError, match="fit `estimator` first"):
        extender.fit(X_NEW, Y_NEW)
    for ask in (extender.predict, extender.predict_marginals, extender.predict_source):
        with pytest.raises(NotFittedError):
            ask(X_NEW)


def test_label_outside_of_the_expected_ones_is_refused(source, monkeypatch):
    forbid_training(monkeypatch)
    extender = quick_extender(source)
    assert_refused(
        extender,
        lambda: extender.fit(X_NEW, Y_NEW, classes=["B-album", "B-book", "O"]),
        "'B-artist'.*classes",
    )


PLAIN_X = [["play", "Blue"], ["rate", "Dune"], ["see", "Paris", "now"]] * 6


def test_plain_tags_get_new_ones():
    y = [["V", "N"], ["V", "N"], ["V", "N", "N"]] * 6
    source = quick_tagger(max_epochs=20).fit(PLAIN_X, y)
    finer = [["V", "N"], ["V", "N"], ["V", "NP", "ADV"]] * 6
    extender = quick_extender(source, max_epochs=20).fit(PLAIN_X, finer)
    assert extender.scheme_ == "plain"
    assert extender.classes_.tolist() == ["ADV", "N", "NP", "V"]
    assert extender.new_types_ == ["ADV", "NP"]
    assert extender.predict(PLAIN_X) == finer
    assert extender.score(PLAIN_X, finer) == 1.0
    assert extender.score(PLAIN_X, y) == pytest.approx(5 / 7)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (Y_OLD, [["V"] * len(x) for x in X_NEW]),
        ([["V"] * len(x) for x in X_OLD], Y_NEW),
        ([["I-x"] * len(x) for x in X_OLD], Y_NEW),
        (Y_OLD, [["I-x"] * len(x) for x in X_NEW]),
    ],
)
def test_tags_that_mark_bounds_and_others_do_not_mix(old, new):
    source = quick_tagger(max_epochs=1).fit(X_OLD, old)
    extender = quick_extender(source)
    assert_refused(extender, lambda: extender.fit(X_NEW, new), "scheme.*bring both")


@pytest.mark.parametrize("scheme", ["BIO", "BIOES", "BILOU"])
def test_answers_are_in_the_scheme_of_the_source_whatever_that_of_the_new_tags(scheme):
    last, single = {"BIO": "IB", "BIOES": "ES", "BILOU": "LU"}[scheme]
    old = [
        ["O", "B-album", "I-album", f"{last}-album"],
        ["O", f"{single}-book", "O", "O"],
        ["O", f"{single}-album"],
    ] * 6
    source = quick_tagger(max_epochs=20).fit(X_OLD, old)
    own = [
        ["O", f"{single}-album", "O", "B-artist", f"{last}-artist"],
        ["O", f"{single}-book", "O", "O"],
        ["O", "B-album", "I-album", f"{last}-album"],
    ] * 6
    for y in (Y_NEW, own):
        extender = quick_extender(source, max_epochs=15).fit(X_NEW, y)
        assert extender.scheme_ == scheme
        assert extender.predict(X_NEW) == own
        assert extender.predict(X_OLD) == old


@pytest.mark.slow
def test_chain_of_three_and_one_in_its_place(source):
    before = pickle.dumps(source)
    first = quick_extender(source, max_epochs=15).fit(X_NEW, Y_NEW)
    second = first.extend(X_NEXT, Y_NEXT)
    X_last = [["ask", "Ada"], ["fly", "to", "Paris"]] * 6
    y_last = [["O", "B-person"], ["O", "O", "B-city"]] * 6
    link = pickle.dumps(second)
    third = second.extend(X_last, y_last)
    assert pickle.dumps(source) == before
    assert pickle.dumps(second) == link
    assert third.estimator_ is second
    assert third.old_types_ == ["album", "artist", "book", "city"]
    assert third.new_types_ == ["person"]
    assert third.predict(X_last) == y_last
    everything = [*X_OLD, *X_NEW, *X_NEXT, *X_last]
    single = third.collapse(sentence for sentence in everything)
    assert single.estimator_ is source
    assert set(single.classes_) == set(third.classes_)
    agreed = entity_f1_score(third.predict(everything), single.predict(everything))
    assert agreed > 0.9
    with pytest.raises(ValueError, match="takes for '(artist|city|person)'"):
        third.collapse(X_OLD[:3])


def test_links_of_a_chain_may_be_of_different_sizes(fitted):
    for params in (
        {"adapter_hidden_size": 3},
        {"adapter_kind": "conv"},
        {"adapter_layers": 2},
        {"skip_connection": False},
        {"method": "finetune"},
    ):
        link = quick_extender(fitted, **params).fit(X_NEXT, Y_NEXT)
        assert link.new_types_ == ["city"]
        assert len(link.predict(X_TEST)) == len(X_TEST)


def test_R216_extend_refuses_data_without_a_new_type(fitted):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        assert_refused(fitted, lambda: fitted.extend(X_NEW, Y_NEW), "known already")


def test_order_of_the_new_sentences_types_and_tags_does_not_matter_for_the_columns(
    source,
):
    for X, y in ((X_NEW, Y_NEW), (X_NEW[::-1], Y_NEW[::-1])):
        extender = quick_extender(source, max_epochs=1).fit(X, y)
        assert extender.classes_.tolist() == ALL_TAGS


def test_partial_fit_is_one_fit_of_all_data(source):
    parts = quick_extender(source)
    parts.partial_fit(X_NEW[:5], Y_NEW[:5]).partial_fit(
        iter(X_NEW[5:]), iter(Y_NEW[5:])
    )
    whole = quick_extender(source).fit(X_NEW, Y_NEW)
    assert_answers(parts, whole.predict_marginals(X_TEST))
    parts.partial_fit(X_NEXT, Y_NEXT)
    assert parts.new_types_ == ["artist", "city"]


def test_partial_fit_of_a_copy_needs_the_sentences(source):
    for warm_start in (False, True):
        extender = quick_extender(source, warm_start=warm_start).fit(X_NEW, Y_NEW)
        copied = pickle.loads(pickle.dumps(extender))
        if warm_start:
            assert copied.partial_fit(X_NEXT, Y_NEXT).new_types_ == ["artist", "city"]
        else:
            assert_refused(
                copied,
                lambda: copied.partial_fit(X_NEXT, Y_NEXT),  # noqa: B023
                "warm_start=True",
            )


def test_source_that_is_to_be_fitted_comes_first():
    extender = AdapterExtender(
        quick_tagger(max_epochs=20), prefit=False, max_epochs=6, random_state=0
    )
    extender.fit(X_OLD, Y_OLD)
    alone = quick_tagger(max_epochs=20).fit(X_OLD, Y_OLD)
    assert extender.method_ == "source"
    assert extender.predict(X_TEST) == alone.predict(X_TEST)
    assert_answers(extender, alone.predict_marginals(X_TEST))
    assert extender.score(X_OLD, Y_OLD) == 1.0
    assert not hasattr(extender.estimator, "module_")
    assert extender.partial_fit(X_NEW, Y_NEW).classes_.tolist() == ALL_TAGS


def test_clone_hands_the_source_on(fitted, source):
    copied = clone(fitted)
    assert copied.estimator is source
    with pytest.raises(NotFittedError):
        copied.predict(X_TEST)


COPIES = {
    "pickle": lambda extender: pickle.loads(pickle.dumps(extender)),
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
}


@pytest.mark.parametrize("how", COPIES)
def test_copies_answer_alike(how, fitted, expected, tmp_path):
    copied = COPIES[how](fitted)
    assert_answers(copied, expected)
    joblib.dump(copied, tmp_path / "extender.joblib")
    assert_answers(joblib.load(tmp_path / "extender.joblib"), expected)


def test_parameters_changed_after_the_fit_do_not_change_the_answers(fitted, expected):
    extender = copy.copy(fitted).set_params(
        source_signal="proba", skip_connection=False, method="finetune", dropout=0.1
    )
    assert_answers(extender, expected)
    assert_answers(pickle.loads(pickle.dumps(extender)), expected)


def test_save_refuses_an_extender_and_names_the_way_out(fitted, tmp_path):
    with pytest.raises(TypeError, match="AdapterExtender.*pickle"):
        skdeep.save(fitted, tmp_path / "extender.skdeep")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("freeze", [lambda source: source, FrozenEstimator])
def test_search_for_the_harmonic_mean(freeze, source):
    before = pickle.dumps(source)
    search = GridSearchCV(
        quick_extender(freeze(source)),
        {"method": ["adapter", "finetune"], "max_epochs": [6]},
        cv=2,
        scoring=make_extension_scorer("harmonic"),
        error_score="raise",
    ).fit(X_NEW, Y_NEW)
    assert search.best_score_ > 0.8
    assert search.best_estimator_.predict(X_NEW) == Y_NEW
    assert pickle.dumps(source) == before


@pytest.mark.slow
def test_search_is_the_same_with_two_processes(source):
    scores = [
        GridSearchCV(
            quick_extender(source),
            {"method": ["adapter", "finetune"]},
            cv=2,
            n_jobs=n_jobs,
            scoring=make_extension_scorer("harmonic"),
        )
        .fit(X_NEW, Y_NEW)
        .cv_results_["mean_test_score"]
        for n_jobs in (1, 2)
    ]
    assert_array_equal(*scores)


def test_validation_and_pipelines_hand_the_source_on(source):
    result = cross_validate(
        quick_extender(source), X_NEW, Y_NEW, cv=2, return_estimator=True
    )
    assert all(extender.estimator is source for extender in result["estimator"])
    assert result["test_score"].min() > 0.8
    arrays = [np.array([*data, None], dtype=object)[:-1] for data in (X_NEW, Y_NEW)]
    again = cross_validate(quick_extender(source), *arrays, cv=2)
    assert_array_equal(again["test_score"], result["test_score"])
    model = make_pipeline(FunctionTransformer(), quick_extender(source))
    assert clone(model).fit(X_NEW, Y_NEW).predict(X_NEW) == Y_NEW


def test_threads_get_the_same_answers(fitted, expected):
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(fitted.predict_marginals, [X_TEST] * 16):
            for one, other in zip(found, expected):
                assert_array_equal(one, other)


@pytest.mark.parametrize("row", VARIANTS)
def test_R401_R402_same_seed_same_bits(row, source):
    torch.manual_seed(1)
    state = torch.get_rng_state()
    one, other = (
        quick_extender(source, max_epochs=2, **VARIANTS[row]).fit(X_NEW, Y_NEW)
        for _ in range(2)
    )
    assert_answers(one, other.predict_marginals(X_TEST))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_R410_mode_of_the_caller_changes_nothing(mode, source, expected):
    with mode():
        extender = quick_extender(source).fit(X_NEW, Y_NEW)
        assert_answers(extender, expected)
    assert_answers(extender, expected)


def test_R405_answers_do_not_depend_on_the_batch(fitted, expected):
    for sentence, proba in zip(X_TEST, expected):
        (alone,) = fitted.predict_marginals([sentence])
        assert_allclose(alone, proba, atol=1e-5)


def test_R411_R412_training_is_silent_and_leaves_its_input_alone(source, capfd):
    X, y = copy.deepcopy(X_NEW), copy.deepcopy(Y_NEW)
    quick_extender(source).fit(X, y, X_unlabeled=X)
    assert (X, y) == (X_NEW, Y_NEW)
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_new_types_alone_on_real_requests_cost_little_of_the_old_ones():
    X, y = load_snips("tagging", return_X_y=True, split="train")
    X_test, y_test = load_snips("tagging", return_X_y=True, split="test")
    order = np.random.RandomState(0).permutation(len(X))

    def without(rows, wanted):
        """Tags of the artist alone, or of all but the artist."""
        return [
            [tag if (tag[2:] == "artist") == wanted else "O" for tag in tags]
            for tags in rows
        ]

    old = [X[place] for place in order[:1200]]
    new = [X[place] for place in order[1200:]]
    tagger = SequenceTagger(deep=False, max_epochs=10, random_state=0, device="cpu")
    tagger.fit(old, without([y[place] for place in order[:1200]], False))
    extender = AdapterExtender(
        tagger, new_annotation="new_only", max_epochs=10, random_state=0, device="cpu"
    ).fit(new, without([y[place] for place in order[1200:]], True))
    assert extender.new_types_ == ["artist"]
    answers = extender.predict(X_test)
    types = extender.old_types_
    before = entity_f1_score(y_test, tagger.predict(X_test), types=types)
    after = entity_f1_score(y_test, answers, types=types)
    assert before > 0.6
    assert after > before - 0.03
    assert entity_f1_score(y_test, answers, types=["artist"]) > 0.4
