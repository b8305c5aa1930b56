"""The contract of SequenceTagger: schemes, copies, searches, seeds, faults, files."""

import copy
import inspect
import json
import pickle
import warnings
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from refusals import assert_refused
from sklearn.base import clone
from sklearn.exceptions import NotFittedError, SkipTestWarning
from sklearn.model_selection import GridSearchCV, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import check_estimator, estimator_checks_generator
from skorch.callbacks import Callback
from tagging_data import X_NEW, X_OLD, Y_OLD, quick_tagger

import skdeep
from skdeep.transfer import SequenceTagger

X_TEST = [*X_NEW[:3], [], ["Blue"], ["unheard", "of"]]


@pytest.fixture(scope="module")
def fitted():
    """A fitted tagger; tests must not change it."""
    return quick_tagger().fit(X_OLD, Y_OLD)


@pytest.fixture(scope="module")
def expected(fitted):
    return fitted.predict_marginals(X_TEST)


def assert_answers(tagger, expected):
    for one, other in zip(tagger.predict_marginals(X_TEST), expected):
        assert_array_equal(one, other)


def test_scikit_learn_contract():
    with pytest.warns(SkipTestWarning, match="requires input"):
        check_estimator(SequenceTagger())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SkipTestWarning)
        assert len(list(estimator_checks_generator(SequenceTagger()))) >= 1


def test_tags_tell_what_goes_in():
    tags = get_tags(SequenceTagger())
    assert tags.estimator_type is None  # splitters would take tags for several labels
    assert tags.target_tags.required
    assert tags.input_tags.string
    assert not tags.input_tags.two_d_array
    assert not tags.no_validation
    assert not tags._skip_test


SCHEMES = {
    "BIO": ("BIO", "BI", "B"),
    "BIOES": ("BIOES", "BIE", "S"),
    "BILOU": ("BILOU", "BIL", "U"),
    "IO": ("IO", "III", "I"),
}


def tagged(marks):
    """The albums and books of the shared data in another scheme."""
    _, several, single = marks
    book, long, short = (
        ["O", f"{single}-book", "O", "O"],
        ["O", *(f"{mark}-album" for mark in several)],
        ["O", f"{single}-album"],
    )
    if several == "BI":
        long = ["O", "B-album", "I-album", "I-album"]
    return [long, book, short] * 6


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("output", ["crf", "softmax"])
def test_answers_come_back_in_the_scheme_of_the_training_data(scheme, output):
    y = tagged(SCHEMES[scheme])
    tagger = quick_tagger(output=output, max_epochs=20).fit(X_OLD, y)
    assert tagger.scheme_ == scheme
    assert tagger.entity_types_ == ["album", "book"]
    assert tagger.predict(X_OLD) == y
    assert tagger.score(X_OLD, y) == 1.0
    bio = ["B-album", "B-book", "I-album", "I-book", "O"]
    assert tagger.classes_.tolist() == (
        ["I-album", "I-book", "O"] if scheme == "IO" else bio
    )


@pytest.mark.parametrize("scheme", ["BIOES", "BILOU"])
def test_schemes_of_spans_are_learned_alike(scheme, fitted, expected):
    assert_answers(quick_tagger().fit(X_OLD, tagged(SCHEMES[scheme])), expected)


def test_plain_tags_are_learned_and_scored_token_by_token():
    y = [["V", "N", "P", "N"], ["V", "N", "P", "P"], ["V", "N"]] * 6
    tagger = quick_tagger(max_epochs=20).fit(X_OLD, y)
    assert tagger.scheme_ == "plain"
    assert tagger.classes_.tolist() == tagger.entity_types_ == ["N", "P", "V"]
    assert tagger.predict(X_OLD) == y
    wrong = [["V", "N", "P", "P"], *y[1:]]
    assert tagger.score(X_OLD, wrong) == pytest.approx(59 / 60)
    with pytest.raises(ValueError, match="Sentence 0 has 4 tokens.* 3 tags"):
        tagger.score(X_OLD, [["V", "N", "P"], *y[1:]])


def test_constrained_answers_are_legal_where_free_ones_need_not_be():
    # every tag at every place in turn: what is learned is illegal half of the time
    X = [["a", "a"], ["b", "b"]] * 10
    y = [["B-x", "I-x"], ["B-y", "I-y"]] * 10
    tagger = quick_tagger(output="softmax", deep=False).fit(X, y)
    mixed = [["a", "b"], ["b", "a"], ["b"], ["a", "a", "b", "b"]] * 3
    for tags in tagger.predict(mixed):
        for before, tag in zip(["O", *tags], tags):
            assert tag[0] != "I" or before[2:] == tag[2:]
    tagger.set_params(constrained_decoding=False)
    free = tagger.predict(mixed)
    scores = tagger.predict_marginals(mixed)
    for tags, proba in zip(free, scores):
        assert tags == tagger.classes_[proba.argmax(axis=1)].tolist()


def test_marginals_are_probabilities_of_the_classes(fitted):
    proba = fitted.predict_marginals(X_TEST)
    assert [part.shape for part in proba] == [(len(x), 5) for x in X_TEST]
    assert all(part.dtype == np.float32 for part in proba)
    whole = np.vstack(proba)
    np.testing.assert_allclose(whole.sum(axis=1), 1, rtol=1e-5)
    assert (whole >= 0).all()


def test_clone_has_the_parameters_and_no_fitted_state(fitted):
    copied = clone(fitted)
    assert copied.get_params() == fitted.get_params()
    for ask in (copied.predict, copied.predict_marginals):
        with pytest.raises(NotFittedError):
            ask(X_TEST)
    with pytest.raises(NotFittedError):
        copied.score(X_OLD, Y_OLD)


COPIES = {
    "pickle": lambda tagger: pickle.loads(pickle.dumps(tagger)),
    "pickle 2": lambda tagger: pickle.loads(pickle.dumps(tagger, protocol=2)),
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
}


@pytest.mark.parametrize("how", COPIES)
def test_copies_answer_alike(how, fitted, expected):
    assert_answers(COPIES[how](fitted), expected)


def test_joblib_files_answer_alike(fitted, expected, tmp_path):
    joblib.dump(fitted, tmp_path / "tagger.joblib")
    for mode in (None, "r"):
        loaded = joblib.load(tmp_path / "tagger.joblib", mmap_mode=mode)
        assert_answers(loaded, expected)


@pytest.mark.parametrize("params", [{}, {"output": "softmax"}, {"deep": False}])
def test_saved_file_answers_alike_bit_for_bit(params, tmp_path):
    tagger = quick_tagger(**params).fit(X_OLD, Y_OLD)
    skdeep.save(tagger, tmp_path / "tagger.skdeep")
    loaded = skdeep.load(tmp_path / "tagger.skdeep")
    assert_answers(loaded, tagger.predict_marginals(X_TEST))
    assert loaded.predict(X_TEST) == tagger.predict(X_TEST)
    assert loaded.get_params() == tagger.get_params()
    assert loaded.scheme_ == "BIO"
    assert loaded.entity_types_ == ["album", "book"]
    refitted = loaded.fit(X_OLD, Y_OLD)
    assert_answers(refitted, tagger.predict_marginals(X_TEST))


def test_state_holds_arrays_and_plain_values_only(fitted):
    plain = (np.ndarray, np.generic, str, int, float, bool, type(None))

    def visit(value, path):
        if isinstance(value, dict):
            for key, item in value.items():
                visit(item, f"{path}[{key!r}]")
        elif isinstance(value, (list, tuple)):
            for index, item in enumerate(value):
                visit(item, f"{path}[{index}]")
        else:
            assert isinstance(value, plain), f"{path} is {type(value)}"

    visit(fitted.__getstate__(), "state")


def test_fitted_attributes_are_documented(fitted):
    names = [name for name in vars(fitted) if name.endswith("_") and name[0] != "_"]
    documented = " ".join(
        line for line in inspect.getdoc(SequenceTagger).splitlines() if " : " in line
    )
    for name in names:
        assert name in documented, f"{name} is not documented"
    assert fitted.n_iter_ == len(fitted.history_) == len(fitted.loss_curve_) == 6
    assert fitted.n_parameters_ == sum(
        weight.size for weight in fitted.__getstate__()["_weights"].values()
    )
    for epoch in json.loads(json.dumps(fitted.history_)):
        assert all(isinstance(value, (int, float)) for value in epoch.values())


def test_parameters_changed_after_the_fit_do_not_change_the_network(fitted, expected):
    tagger = copy.deepcopy(fitted)
    tagger.set_params(wide=False, deep=False, hidden_size=3, output="softmax")
    assert_answers(tagger, expected)
    assert_answers(pickle.loads(pickle.dumps(tagger)), expected)


def test_lists_go_through_searches_and_validations():
    search = GridSearchCV(
        quick_tagger(), {"max_epochs": [1, 6]}, cv=2, error_score="raise"
    ).fit(X_OLD, Y_OLD)
    assert search.best_score_ > 0.9
    assert search.predict(X_OLD[:2]) == Y_OLD[:2]
    arrays = [np.array([*data, None], dtype=object)[:-1] for data in (X_OLD, Y_OLD)]
    scores = cross_val_score(quick_tagger(), *arrays, cv=3)
    assert scores.min() > 0.9
    result = cross_validate(quick_tagger(), X_OLD, Y_OLD, cv=2, return_estimator=True)
    assert all(tagger.scheme_ == "BIO" for tagger in result["estimator"])


@pytest.mark.slow
def test_search_is_the_same_with_two_processes():
    scores = [
        GridSearchCV(quick_tagger(), {"lr": [1e-3, 1e-2]}, cv=2, n_jobs=n_jobs)
        .fit(X_OLD, Y_OLD)
        .cv_results_["mean_test_score"]
        for n_jobs in (1, 2)
    ]
    assert_array_equal(*scores)


def lower(X):
    return [[token.lower() for token in sentence] for sentence in X]


def test_works_at_the_end_of_a_pipeline():
    model = make_pipeline(FunctionTransformer(lower), quick_tagger(max_epochs=15))
    assert model.fit(X_OLD, Y_OLD).score(X_OLD, Y_OLD) == 1.0
    alone = quick_tagger(max_epochs=15).fit(lower(X_OLD), Y_OLD)
    assert model.predict(X_TEST) == alone.predict(lower(X_TEST))
    assert clone(model).fit(X_OLD, Y_OLD).predict(X_TEST) == model.predict(X_TEST)


def test_threads_get_the_same_answers(fitted, expected):
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(fitted.predict_marginals, [X_TEST] * 16):
            for one, other in zip(found, expected):
                assert_array_equal(one, other)


def test_fits_in_threads_are_those_of_one_after_the_other():
    def fit(seed):
        return quick_tagger(random_state=seed).fit(X_OLD, Y_OLD)

    serial = [fit(seed).predict_marginals(X_TEST) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        for tagger, expected in zip(pool.map(fit, range(4)), serial):
            assert_answers(tagger, expected)


@pytest.mark.parametrize(
    "params", [{}, {"output": "softmax"}, {"deep": False}, {"early_stopping": True}]
)
def test_R401_R402_same_seed_same_bits_and_global_generators_are_left_alone(params):
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    states = torch.get_rng_state(), pickle.dumps(np.random.get_state())  # noqa: NPY002
    one, other = (quick_tagger(**params).fit(X_OLD, Y_OLD) for _ in range(2))
    assert_answers(one, other.predict_marginals(X_TEST))
    assert torch.equal(torch.get_rng_state(), states[0])
    assert pickle.dumps(np.random.get_state()) == states[1]  # noqa: NPY002
    third = quick_tagger(**params, random_state=1).fit(X_OLD, Y_OLD)
    assert any(
        (a != b).any()
        for a, b in zip(third.predict_marginals(X_TEST), one.predict_marginals(X_TEST))
    )


MODES = {
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "numpy errors raised": lambda: np.errstate(all="raise", under="ignore"),
    "meta device by default": lambda: torch.device("meta"),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("output", ["crf", "softmax"])
def test_R410_mode_of_the_caller_changes_nothing(mode, output):
    expected = quick_tagger(output=output).fit(X_OLD, Y_OLD)
    with MODES[mode]():
        tagger = quick_tagger(output=output).fit(X_OLD, Y_OLD)
        inside = tagger.predict(X_TEST), tagger.predict_marginals(X_TEST)
    assert inside[0] == expected.predict(X_TEST)
    assert_answers(expected, inside[1])
    assert_answers(tagger, inside[1])


def test_R410_default_dtype_of_the_caller_changes_nothing(expected):
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        tagger = quick_tagger().fit(X_OLD, Y_OLD)
        assert_answers(tagger, expected)
        assert_answers(pickle.loads(pickle.dumps(tagger)), expected)
    finally:
        torch.set_default_dtype(before)


def test_R411_training_is_silent(capfd):
    quick_tagger().fit(X_OLD, Y_OLD).predict(X_TEST)
    assert capfd.readouterr() == ("", "")
    quick_tagger(verbose=1, max_epochs=2).fit(X_OLD, Y_OLD)
    assert any(capfd.readouterr())


def test_R412_input_is_left_alone():
    X, y = copy.deepcopy(X_OLD), copy.deepcopy(Y_OLD)
    quick_tagger().fit(X, y).predict(X)
    assert (X, y) == (X_OLD, Y_OLD)


def test_early_stopping_keeps_the_best_epoch():
    tagger = quick_tagger(
        early_stopping=True, max_epochs=40, n_iter_no_change=3, validation_fraction=0.3
    ).fit(X_OLD, Y_OLD)
    scores = tagger.validation_scores_
    assert len(scores) == tagger.n_iter_ < 40
    assert scores[tagger.best_epoch_ - 1] == max(scores) == 1.0
    assert tagger.n_iter_ == tagger.best_epoch_ + 3
    assert tagger.score(X_OLD, Y_OLD) > 0.9


def test_sentences_that_are_held_out_teach_no_words():
    X = [["play", f"word{number:02}"] for number in range(20)]
    y = [["O", "B-x"]] * 20
    tagger = quick_tagger(early_stopping=True, validation_fraction=0.25).fit(X, y)
    assert len(tagger._vocabulary["words"]) == 1 + 15


def test_early_stopping_with_nothing_left_to_train_on_is_refused():
    tagger = quick_tagger(early_stopping=True)
    assert_refused(
        tagger,
        lambda: tagger.fit([["a"], []], [["O"], []]),
        "early_stopping=True.*1 of 1",
        "validation_fraction",
    )


def test_warm_start_goes_on_where_the_last_fit_ended():
    tagger = quick_tagger(warm_start=True).fit(X_OLD, Y_OLD)
    before = tagger.predict_marginals(X_TEST)
    copied = pickle.loads(pickle.dumps(tagger))
    tagger.fit(X_OLD, Y_OLD)
    assert tagger.n_iter_ == len(tagger.history_) == 12
    assert tagger.history_[6]["train_loss"] < tagger.history_[0]["train_loss"]
    assert any(
        (one != other).any()
        for one, other in zip(tagger.predict_marginals(X_TEST), before)
    )
    assert_answers(copied.fit(X_OLD, Y_OLD), tagger.predict_marginals(X_TEST))


def test_warm_start_refuses_tags_that_it_does_not_know():
    tagger = quick_tagger(warm_start=True).fit(X_OLD, Y_OLD)
    assert_refused(
        tagger,
        lambda: tagger.fit([["a"]], [["B-new"]]),
        "'B-new'.*does not know",
        "AdapterExtender",
    )


def test_unknown_tags_are_named_as_they_were_given():
    y = [["S-book", "S-album"]] * 3
    tagger = quick_tagger(warm_start=True).fit([["a", "b"]] * 3, y)
    message = r"y holds the tags \['S-new'\], which"
    assert_refused(tagger, lambda: tagger.fit([["a", "b"]], [["S-new", "O"]]), message)


def test_without_warm_start_a_second_fit_begins_anew(expected):
    tagger = quick_tagger().fit(X_NEW, [["O"] * len(x) for x in X_NEW])
    assert_answers(tagger.fit(X_OLD, Y_OLD), expected)
    assert len(tagger.history_) == 6


def test_R413_network_is_in_evaluation_mode_and_has_no_generators(fitted):
    for tagger in (fitted, pickle.loads(pickle.dumps(fitted))):
        assert not any(part.training for part in tagger.module_.modules())
        for part in tagger.module_.modules():
            assert getattr(part, "generator", None) is None


def test_callbacks_of_scikit_learn_and_skorch_see_the_data():
    seen = []

    class Look(Callback):
        def on_epoch_end(self, net, **kwargs):
            seen.append(net.history[-1, "train_loss"])

    tagger = quick_tagger(callbacks=[Look()])
    tagger.fit(iter(X_OLD), iter(Y_OLD))
    assert seen == tagger.loss_curve_
