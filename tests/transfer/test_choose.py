"""Tests of the choice of a method, and of the rows held out for it."""

import numpy as np
import pytest
from head_data import LAYOUT, all_classes, make_rows, settings
from numpy.testing import assert_array_equal

from skdeep.transfer import _choose
from skdeep.transfer._choose import choose_method, held_out_score
from skdeep.transfer._holding import class_folds, hold_out

RNG = np.random.RandomState


def test_only_new_classes_take_the_gate():
    rows = make_rows(np.repeat([1, 3], 6))
    assert choose_method(settings(), rows, LAYOUT, RNG(0)) == "gate"
    without = settings(novelty=None, max_epochs=2)
    assert choose_method(without, rows, LAYOUT, RNG(0)) in ("adapter", "stacking")


def test_choice_repeats_itself_and_leaves_the_estimator_alone():
    rows = make_rows(all_classes(6))
    est = settings(max_epochs=3)
    before = vars(est).copy()
    found = {choose_method(est, rows, LAYOUT, RNG(0)) for _ in range(2)}
    assert len(found) == 1
    assert found <= {"adapter", "stacking"}
    assert vars(est) == before


def test_the_better_method_on_rows_left_out_is_taken(monkeypatch):
    class Fixed:
        def __init__(self, shift):
            self.shift = shift

        def log_proba(self, est, features, scores):
            log_proba = np.full((len(scores), 5), -5.0)
            right = features.argmax(axis=1) % 5
            log_proba[np.arange(len(scores)), (right + self.shift) % 5] = -0.1
            return log_proba

    rows = make_rows(all_classes(6))
    for good, expected in ((0, "stacking"), (1, "adapter")):
        monkeypatch.setattr(_choose, "_fit_fast", lambda *a, g=good: Fixed(g))
        monkeypatch.setattr(_choose, "fit_adapter", lambda *a, g=good: Fixed(1 - g))
        assert choose_method(settings(), rows, LAYOUT, RNG(0)) == expected


def test_the_network_must_be_better_by_more_than_chance(monkeypatch):
    class Nothing:
        def log_proba(self, est, features, scores):
            return np.zeros((len(scores), 5))

    for name in ("_fit_fast", "fit_adapter"):
        monkeypatch.setattr(_choose, name, lambda *a: Nothing())
    rows = make_rows(np.repeat([0, 1, 2, 3], [20, 9, 20, 7]))  # 16 new rows: 0.5 / 4
    for score, expected in ((0.82, "stacking"), (0.83, "adapter")):
        scores = iter([0.7, score])
        monkeypatch.setattr(_choose, "held_out_score", lambda *a, s=scores: next(s))
        assert choose_method(settings(), rows, LAYOUT, RNG(0)) == expected


def test_large_and_tiny_data_are_not_tried():
    tiny = make_rows([0, 1, 2])
    assert choose_method(settings(), tiny, LAYOUT, RNG(0)) == "stacking"
    large = settings(max_epochs=10**6)
    assert choose_method(large, make_rows(all_classes(6)), LAYOUT, RNG(0)) == "stacking"


def test_score_by_hand_count():
    # old: 1 of 2 right; new: 1 of 1: harmonic mean 2 / (2 + 1) = 2/3
    log_proba = np.log([[0.8, 0.1, 0.1], [0.7, 0.2, 0.1], [0.1, 0.1, 0.8]])
    codes, is_old = np.array([0, 1, 2]), np.array([True, True, False])
    assert held_out_score(log_proba, codes, is_old) == pytest.approx(2 / 3)


def test_score_of_one_group_is_its_accuracy():
    log_proba = np.log([[0.8, 0.2], [0.8, 0.2]])
    assert held_out_score(log_proba, np.array([0, 1]), np.ones(2, bool)) == 0.5


def test_folds_spread_each_class():
    codes = np.array([0] * 6 + [1] * 3 + [2])
    fold = class_folds(codes, 3, RNG(0))
    for number in range(3):
        counts = np.bincount(codes[fold == number], minlength=3)
        assert counts[:2].tolist() == [2, 1]
    assert_array_equal(fold, class_folds(codes, 3, RNG(0)))


def test_held_out_rows_leave_one_of_each_class():
    codes = np.array([0] * 10 + [1] * 10 + [2] + [3] * 2)
    kept, held = hold_out(codes, 0.2, RNG(0))
    assert_array_equal(np.sort(np.concatenate([kept, held])), np.arange(23))
    assert_array_equal(np.unique(codes[kept]), [0, 1, 2, 3])
    assert (np.bincount(codes[held], minlength=4)[:2] == 2).all()
    kept, held = hold_out(codes, 0.9, RNG(0))
    assert_array_equal(np.unique(codes[kept]), [0, 1, 2, 3])
