"""Each rule against its plain version, and what all rules have in common."""

import numpy as np
import plain_rules as plain
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from skdeep.few_shot import _graph
from skdeep.few_shot._rules import RULES
from skdeep.few_shot._tasks import Tasks

N_SUPPORT, N_QUERY, N_FEATURES = 9, 14, 5
SHOTS = ([1, 1, 1], [2, 1, 3], [5, 1, 1])
# large steps, so that a wrong gradient shows after a few of them
TRAINED = {"scale": 8.0, "n_steps": 4, "lr": 0.05}
SHARES = np.array([[1.0, 1.0, 1.0], [3.0, 1.0, 2.0], [0.5, 0.25, 0.25]])

# options of the rule, options of its plain version
CASES = {
    "prototype": ({}, {}),
    "soft_kmeans": ({"n_steps": 3}, {"n_steps": 3}),
    "bd_cspn": ({"sharpness": 4.0}, {"sharpness": 4.0}),
    "laplacian": ({}, {}),
    "tim": (TRAINED, TRAINED),
    "alpha_tim": (TRAINED, TRAINED),
    "pt_map": ({"n_rounds": 40, "sharpness": 4.0}, {"sharpness": 4.0}),
    "label_propagation": ({"n_neighbors": 4, "n_rounds": 60}, {"n_neighbors": 4}),
    "ilpc": (
        {"n_neighbors": 4, "n_cleaning_steps": 3, "n_rounds": 60},
        {"n_neighbors": 4, "n_cleaning_steps": 3, "n_rounds": 2000},
    ),
}


def make_task(rng, shots, n_query):
    """Rows around one centre a class; the pile has rows that count less."""
    centres = rng.normal(size=(3, N_FEATURES))
    y = np.repeat(np.arange(3), shots)
    hidden = rng.randint(3, size=n_query)
    rows = centres[np.r_[y, hidden]] + rng.normal(size=(len(y) + n_query, N_FEATURES))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    weight = rng.choice([1.0, 1.0, 0.3], size=n_query)
    return rows[: len(y)], y, rows[len(y) :], weight


@pytest.fixture
def single(seed):
    """Three tasks of different size, each as (support, y, query, weight)."""
    rng = np.random.RandomState(seed)
    return [make_task(rng, shots, n) for shots, n in zip(SHOTS, (14, 9, 11))]


@pytest.fixture
def batch(single):
    """The same tasks as one padded batch."""
    return plain.padded_tasks(single, N_SUPPORT, N_QUERY)


def options_of(name, tasks=slice(None)):
    options = dict(CASES[name][0])
    if name in ("pt_map", "ilpc"):
        options["shares"] = torch.from_numpy(SHARES[tasks])
    return options


def with_query(tasks, query, weight):
    return tasks._replace(query=query, weight=weight)


def classify(answer, rows):
    """Probabilities (B, n, C) of rows by the classifier of an answer."""
    centres = torch.zeros_like(answer.prototypes[:, 0]) + answer.center
    tables = [
        plain.cosine_table((own - centre).numpy(), prototypes.numpy())
        for own, centre, prototypes in zip(rows, centres, answer.prototypes)
    ]
    logits = answer.scale[:, None, None] * torch.from_numpy(np.stack(tables))
    return (logits + answer.bias[:, None]).softmax(dim=2)


@pytest.mark.parametrize("name", RULES)
def test_rule_agrees_with_its_article_written_in_loops(name, single, batch):
    answer = RULES[name](batch, **options_of(name))
    for i, task in enumerate(single):
        options = dict(CASES[name][1])
        if name in ("pt_map", "ilpc"):
            options["shares"] = SHARES[i]
        expected = getattr(plain, name)(*task, **options)
        found = answer.proba[i, : len(task[2])]
        assert_allclose(found, expected, rtol=0, atol=1e-5, err_msg=f"task {i}")


@pytest.mark.parametrize("name", RULES)
def test_a_task_in_a_padded_batch_has_the_answer_it_has_alone(name, single, batch):
    together = RULES[name](batch, **options_of(name))
    for i, task in enumerate(single):
        alone = plain.padded_tasks([task], len(task[1]), len(task[2]))
        alone = RULES[name](alone, **options_of(name, slice(i, i + 1)))
        for field in ("prototypes", "scale", "bias"):
            mine, other = getattr(together, field)[i], getattr(alone, field)[0]
            assert_allclose(mine, other, rtol=0, atol=1e-8, err_msg=field)
        found = together.proba[i, : len(task[2])]
        assert_allclose(found, alone.proba[0], rtol=0, atol=1e-8)


@pytest.mark.parametrize("name", RULES)
def test_classes_in_another_order_get_the_same_answers(name, batch):
    order = torch.tensor([2, 0, 1])
    options = options_of(name)
    first = RULES[name](batch, **options)
    if "shares" in options:
        options["shares"] = options["shares"][:, order]
    second = RULES[name](batch._replace(targets=batch.targets[:, :, order]), **options)
    assert_allclose(second.proba, first.proba[:, :, order], rtol=0, atol=1e-8)
    assert_allclose(second.prototypes, first.prototypes[:, order], rtol=0, atol=1e-8)
    assert_allclose(second.bias, first.bias[:, order], rtol=0, atol=1e-8)


@pytest.mark.parametrize("name", RULES)
def test_rows_in_another_order_get_the_same_answers(name, batch):
    options = options_of(name)
    rng = np.random.RandomState(1)
    query, support = rng.permutation(N_QUERY), rng.permutation(N_SUPPORT)
    moved = Tasks(
        batch.support[:, support],
        batch.targets[:, support],
        batch.query[:, query],
        batch.weight[:, query],
    )
    first, second = RULES[name](batch, **options), RULES[name](moved, **options)
    real = batch.weight[:, query] > 0
    assert_allclose(second.proba[real], first.proba[:, query][real], rtol=0, atol=1e-8)
    assert_allclose(second.prototypes, first.prototypes, rtol=0, atol=1e-8)


@pytest.mark.parametrize("name", RULES)
def test_a_row_with_weight_0_has_no_influence(name, batch):
    weight = batch.weight.clone()
    weight[:, 2] = 0
    other = batch.query.clone()
    other[:, 2] = other[:, 5]  # the same as another row, the worst for a graph
    first = RULES[name](with_query(batch, batch.query, weight), **options_of(name))
    second = RULES[name](with_query(batch, other, weight), **options_of(name))
    real = weight > 0
    assert_allclose(second.proba[real], first.proba[real], rtol=0, atol=1e-8)
    assert_allclose(second.prototypes, first.prototypes, rtol=0, atol=1e-8)
    assert_allclose(second.bias, first.bias, rtol=0, atol=1e-8)


@pytest.mark.parametrize(
    "name", ["soft_kmeans", "bd_cspn", "tim", "alpha_tim", "pt_map"]
)
def test_a_row_given_twice_with_half_its_weight_counts_once(name, batch):
    query = torch.cat([batch.query, batch.query], dim=1)
    weight = torch.cat([batch.weight, batch.weight], dim=1) / 2
    once = RULES[name](batch, **options_of(name))
    twice = RULES[name](with_query(batch, query, weight), **options_of(name))
    assert_allclose(twice.prototypes, once.prototypes, rtol=0, atol=1e-8)
    assert_allclose(twice.proba[:, :N_QUERY], once.proba, rtol=0, atol=1e-8)


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("n_rows", [0, 4])
def test_a_task_without_pile_has_its_plain_prototypes(name, batch, n_rows):
    # no row at all, or rows that only fill up
    empty = with_query(batch, batch.query[:, :n_rows] * 0, batch.weight[:, :n_rows] * 0)
    answer, expected = RULES[name](empty), RULES["prototype"](batch)
    assert_allclose(answer.prototypes, expected.prototypes, rtol=0, atol=1e-12)
    assert_array_equal(answer.bias, torch.zeros(3, 3))
    assert answer.proba.shape == (3, n_rows, 3)
    assert torch.isfinite(answer.proba).all()


@pytest.mark.parametrize("name", RULES)
def test_one_task_without_pile_in_a_batch_has_its_plain_prototypes(name, batch):
    weight = batch.weight.clone()
    weight[1] = 0
    mixed = with_query(batch, batch.query, weight)
    answer, plain_answer = RULES[name](mixed), RULES["prototype"](batch)
    whole = RULES[name](batch)
    assert_allclose(answer.prototypes[1], plain_answer.prototypes[1], atol=1e-12)
    assert_allclose(answer.prototypes[[0, 2]], whole.prototypes[[0, 2]], atol=1e-12)


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_all_zero_rows_give_finite_answers(name, dtype, batch):
    query, support = batch.query.clone(), batch.support.clone()
    query[:, 3], support[1, 1] = 0, 0
    support[0] = 0  # a task whose prototypes are all zero
    tasks = batch._replace(support=support, query=query)
    answer = RULES[name](Tasks(*(part.to(dtype) for part in tasks)))
    for part in answer[:4]:
        assert part.dtype == dtype
        assert torch.isfinite(part).all()
    assert torch.as_tensor(answer.center).isfinite().all()
    sums = answer.proba.sum(dim=2)
    assert_allclose(sums, torch.ones_like(sums), rtol=1e-5)


@pytest.mark.parametrize("name", RULES)
def test_float32_under_inference_mode_agrees_with_float64(name, batch):
    with torch.inference_mode():
        single = RULES[name](Tasks(*(part.float() for part in batch)))
    double = RULES[name](batch)
    assert_allclose(single.proba, double.proba, rtol=0, atol=2e-3)


@pytest.mark.parametrize("name", RULES)
def test_a_pile_of_one_row_is_enough(name, batch):
    answer = RULES[name](with_query(batch, batch.query[:, :1], batch.weight[:, :1]))
    assert all(torch.as_tensor(part).isfinite().all() for part in answer)


@pytest.mark.parametrize(
    "name", ["prototype", "soft_kmeans", "bd_cspn", "tim", "alpha_tim"]
)
def test_the_classifier_of_an_answer_gives_the_probabilities_of_the_pile(name, batch):
    answer = RULES[name](batch)
    expected = classify(answer, batch.query)
    assert_allclose(answer.proba, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["pt_map", "ilpc"])
def test_balanced_rules_give_further_rows_the_wanted_shares(name, batch):
    answer = RULES[name](batch, shares=torch.from_numpy(SHARES))
    proba = classify(answer, batch.query)
    found = (batch.weight[:, :, None] * proba).sum(dim=1)
    found = found / found.sum(dim=1, keepdim=True)
    assert_allclose(found, SHARES / SHARES.sum(axis=1, keepdims=True), atol=1e-3)


def test_published_alpha_lies_between_2_and_7(batch):
    # 1 row a class on average: 2; 2 rows: 3.25; 7 / 3 rows: 2 + 1.25 * 4 / 3
    for i, alpha in enumerate((2, 3.25, 2 + 5 / 3)):
        task = Tasks(*(part[i : i + 1] for part in batch))
        auto, given = RULES["alpha_tim"](task), RULES["alpha_tim"](task, alpha=alpha)
        assert_allclose(auto.prototypes, given.prototypes, rtol=0, atol=1e-12)


def test_alpha_1_is_the_entropy_of_tim(batch):
    options = {**TRAINED, "conditional_weight": 0.7}
    first = RULES["alpha_tim"](batch, alpha=1.0, **options)
    close = RULES["alpha_tim"](batch, alpha=1 + 1e-6, **options)
    second = RULES["tim"](batch, **options)
    assert_array_equal(first.prototypes, second.prototypes)
    assert_allclose(close.prototypes, second.prototypes, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["label_propagation", "ilpc", "laplacian"])
def test_large_piles_are_searched_in_blocks_with_the_same_answers(
    name, batch, monkeypatch
):
    expected = RULES[name](batch, **options_of(name))
    monkeypatch.setattr(_graph, "_ENTRIES_AT_ONCE", 200)
    monkeypatch.setattr(_graph, "_DENSE_ROWS", 0)
    found = RULES[name](batch, **options_of(name))
    assert_allclose(found.proba, expected.proba, rtol=0, atol=1e-10)


def test_rows_out_of_reach_have_the_probabilities_of_prototypes():
    # two rows near the classes, one at right angles to everything
    eye = torch.eye(3, dtype=torch.float64)[None]
    tasks = Tasks(
        eye[:, :2],
        torch.eye(2, dtype=torch.float64)[None],
        torch.cat([eye[:, :2], eye[:, 2:]], dim=1),
        torch.ones(1, 3, dtype=torch.float64),
    )
    answer = RULES["label_propagation"](tasks, n_neighbors=2)
    assert_allclose(answer.proba[0], [[1, 0], [0, 1], [0.5, 0.5]], atol=1e-12)
