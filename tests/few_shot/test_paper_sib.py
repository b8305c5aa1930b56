"""The published adaptation: numbers of the official program, and properties."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from skdeep.few_shot._paper import (
    PaperAdapter,
    initial_prototypes,
    pull_back,
    split_length,
)
from skdeep.few_shot._tasks import Tasks
from skdeep.utils._torch import build

FOLDER = Path(__file__).parent.parent / "data" / "meta"
CASES = ["sib_k0_5way5shot", "sib_k3_5way1shot", "sib_k3_large_step"]
LAYERS = {
    "layer1.0": "hidden.0",
    "layer1.2": "norms.0",
    "layer2.0": "hidden.1",
    "layer2.2": "norms.1",
    "layer3": "output",
}


def our_name(name):
    """Name of a parameter of the official program in `PaperAdapter`."""
    if name.startswith("dni."):
        layer, kind = name[4:].rsplit(".", 1)
        return f"phi.{LAYERS[layer]}.{kind}"
    return {"scale_cls": "scale", "bias": "bias"}.get(name, "init_weight")


class Case:
    """One oracle case: its task, its numbers, and the module with its parameters."""

    def __init__(self, name, batch_norm="train"):
        with np.load(FOLDER / f"{name}.npz") as file:
            self.numbers = dict(file)
        rows, query = (F.normalize(self.get(key), dim=-1) for key in ("Xs", "Xq"))
        targets = F.one_hot(self.get("ys"), 5).double()
        self.tasks = Tasks(rows, targets, query, torch.ones(query.shape[:2]).double())
        self.module = PaperAdapter(
            rows.shape[-1],
            5,
            int(self.get("K")),
            float(self.get("lr")),
            batch_norm=batch_norm,
        ).double()
        self.module.load_state_dict(self.group("param"))

    def get(self, key):
        return torch.as_tensor(self.numbers[key])

    def group(self, prefix):
        """Numbers under a prefix, by our names."""
        return {
            our_name(key[len(prefix) + 1 :]): torch.as_tensor(value)
            for key, value in self.numbers.items()
            if key.startswith(f"{prefix}/")
        }

    def loss(self, logits):
        return F.cross_entropy(logits.flatten(0, 1), self.get("yq").flatten())


@pytest.fixture(params=CASES)
def case(request):
    return Case(request.param)


def close(found, expected):
    assert_close(found, expected, rtol=1e-10, atol=1e-10)


def make_module(n_features=6, n_way=3, seed=0, dtype=torch.float64, **params):
    """A module far from its start, so that no part of it is without effect."""
    generator = torch.Generator().manual_seed(seed)
    params = {"inner_lr": 0.05, **params}
    module = build(
        lambda: PaperAdapter(n_features, n_way, **params), generator=generator
    )
    with torch.no_grad():
        for weight in module.parameters():
            noise = torch.randn(weight.shape, generator=generator)
            weight += 0.3 * noise
    for norm in module.phi.norms:
        norm.running_mean.uniform_(0, 1, generator=generator)
        norm.running_var.uniform_(0.5, 2, generator=generator)
    return module.to(dtype)


def make_tasks(n_tasks=2, n_rows=9, n_way=3, n_features=6, seed=0):
    generator = torch.Generator().manual_seed(seed)

    def unit_rows(n):
        rows = torch.randn(n_tasks, n, n_features, generator=generator)
        return F.normalize(rows.double(), dim=-1)

    classes = torch.arange(2 * n_way) % n_way
    targets = F.one_hot(classes, n_way).double().expand(n_tasks, -1, -1)
    weight = torch.ones(n_tasks, n_rows).double()
    return Tasks(unit_rows(2 * n_way), targets, unit_rows(n_rows), weight)


def fill(tasks, n_support, n_query):
    """The same tasks with filling rows behind."""
    return Tasks(
        F.pad(tasks.support, (0, 0, 0, n_support)),
        F.pad(tasks.targets, (0, 0, 0, n_support)),
        F.pad(tasks.query, (0, 0, 0, n_query)),
        F.pad(tasks.weight, (0, n_query)),
    )


def logit_gradient(module, logits, weight):
    return module.phi(logits, module.phi.shares(weight))


def one_of(tasks, i):
    return Tasks(*(part[i : i + 1] for part in tasks))


def test_start_is_that_of_the_official_program(case):
    prototypes, logits = case.module.unroll(case.tasks, n_steps=0)
    close(prototypes[0], case.get("theta0"))
    close(logits[0], case.get("logits0"))


def test_first_step_is_that_of_the_official_program(case):
    theta, logits = case.get("theta0"), case.get("logits0")
    gradient = logit_gradient(case.module, logits, case.tasks.weight)
    found = case.module.scale * pull_back(gradient, case.tasks, *split_length(theta))
    close(found, case.get("synthetic_grad_step1"))


def test_all_steps_are_those_of_the_official_program(case):
    _, logits = case.module.unroll(case.tasks)
    assert len(logits) == case.module.n_steps + 1
    close(logits[-1], case.get("logits"))
    close(case.loss(logits[-1]), case.get("loss"))
    close(case.module.adapt(case.tasks)[0].proba, case.get("logits").softmax(-1))


def test_derivatives_through_all_steps_are_those_of_the_official_program(case):
    case.loss(case.module.unroll(case.tasks)[1][-1]).backward()
    for name, expected in case.group("grad").items():
        found = case.module.get_parameter(name).grad
        # without a step nothing depends on the network
        close(torch.zeros_like(expected) if found is None else found, expected)


def test_running_statistics_are_those_of_the_official_program(case):
    case.module.unroll(case.tasks)
    expected = case.group("after")
    assert len(expected) == 4
    for name, value in expected.items():
        close(case.module.get_buffer(name), value)


@pytest.mark.parametrize("training", [True, False])
def test_statistics_of_the_task_give_the_numbers_of_the_official_program(training):
    case = Case("sib_k3_large_step", batch_norm="auto")
    case.module.train(training)
    close(case.module.unroll(case.tasks)[1][-1], case.get("logits"))


def official_normalisation(module):
    """phi with the batch normalisation of torch instead of ours."""

    def phi(logits, weight):
        values = logits.flatten(0, 1)
        for linear, norm in zip(module.phi.hidden, module.phi.norms):
            values = F.batch_norm(
                F.relu(F.linear(values, linear.weight, linear.bias)),
                norm.running_mean,
                norm.running_var,
                norm.weight,
                norm.bias,
                training=False,
            )
        output = module.phi.output
        return F.linear(values, output.weight, output.bias).view_as(logits)

    return phi


@pytest.mark.parametrize(("batch_norm", "n_rows"), [("eval", 9), ("auto", 7)])
def test_running_statistics_normalise_as_torch_does(batch_norm, n_rows):
    module = make_module(batch_norm=batch_norm).eval()
    tasks = make_tasks(n_rows=n_rows)
    logits = module.unroll(tasks, n_steps=0)[1][0]
    expected = official_normalisation(module)(logits, tasks.weight)
    close(logit_gradient(module, logits, tasks.weight), expected)


def test_closed_form_is_what_autograd_gives():
    tasks = make_tasks()
    tasks.weight[:] = torch.rand(tasks.weight.shape, generator=torch.Generator())
    module = make_module()
    theta = initial_prototypes(tasks, module.init_weight).detach().requires_grad_()
    gradient = torch.randn(2, 9, 3, generator=torch.Generator()).double()
    directions, lengths = split_length(theta)
    outer = gradient * tasks.weight[..., None]
    (expected,) = torch.autograd.grad(tasks.query @ directions.mT, theta, outer)
    close(pull_back(gradient, tasks, directions, lengths), expected)


class Whole(torch.nn.Module):
    """A module whose output is all of the answer."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, tasks):
        return self.module.adapt(tasks)[0]


@pytest.mark.parametrize("batch_norm", ["auto", "train"])
def test_derivatives_through_the_steps_by_finite_differences(batch_norm):
    module = make_module(3, 2, n_steps=2, batch_norm=batch_norm)
    tasks = make_tasks(1, 8, 2, 3)
    names = ["init_weight", "scale", "bias", "phi.hidden.0.bias", "phi.output.weight"]

    def logits(support, query, *weights):
        rows = tasks._replace(support=support, query=query)
        found = torch.func.functional_call(
            Whole(copy.deepcopy(module)),
            {f"module.{name}": weight for name, weight in zip(names, weights)},
            (rows,),
        )
        return found.proba, found.prototypes

    inputs = [tasks.support, tasks.query, *map(module.get_parameter, names)]
    inputs = [value.detach().clone().requires_grad_() for value in inputs]
    assert torch.autograd.gradcheck(logits, inputs)


def test_answer_classifies_further_rows():
    module, tasks = make_module(), make_tasks()
    answer = module.adapt(tasks)[0]
    cosine = tasks.query @ F.normalize(answer.prototypes, dim=-1).mT
    logits = answer.scale[:, None, None] * cosine + answer.bias[:, None]
    close(logits.softmax(-1), answer.proba)


@pytest.mark.parametrize("batch_norm", ["auto", "train", "eval"])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("n_tasks", [1, 2])
def test_filling_rows_do_not_count(n_tasks, training, batch_norm):
    module = make_module(batch_norm=batch_norm).train(training)
    other = copy.deepcopy(module)
    tasks = make_tasks(n_tasks)
    expected, found = module.adapt(tasks)[0], other.adapt(fill(tasks, 2, 3))[0]
    close(found.prototypes, expected.prototypes)
    close(found.proba[:, :9], expected.proba)
    for value, filled in zip(module.buffers(), other.buffers()):
        close(filled, value)


def test_a_row_with_weight_two_counts_as_two_rows():
    module, tasks = make_module().eval(), make_tasks(1)
    doubled = tasks.weight.clone()
    doubled[:, 0] = 2
    twice = Tasks(
        tasks.support,
        tasks.targets,
        torch.cat([tasks.query, tasks.query[:, :1]], 1),
        torch.ones(1, 10).double(),
    )
    found = module.adapt(tasks._replace(weight=doubled))[0]
    close(found.prototypes, module.adapt(twice)[0].prototypes)


def test_tasks_of_a_batch_do_not_influence_each_other():
    module = make_module().eval()
    large, small = make_tasks(1, 9), make_tasks(1, 5, seed=1)
    both = Tasks(*map(torch.cat, zip(large, fill(small, 0, 4))))
    expected = [module.adapt(tasks)[0].prototypes for tasks in (large, small)]
    close(module.adapt(both)[0].prototypes, torch.cat(expected))


def test_tasks_of_a_batch_share_the_statistics_of_the_authors():
    module, tasks = make_module(batch_norm="train"), make_tasks()
    alone = module.adapt(one_of(tasks, 0))[0].prototypes
    assert not torch.allclose(module.adapt(tasks)[0].prototypes[:1], alone)
    joined = Tasks(*(part.flatten(0, 1)[None] for part in tasks))
    logits = module.unroll(tasks, n_steps=0)[1][0]
    found = logit_gradient(module, logits, tasks.weight).flatten(0, 1)[None]
    logits = logits.flatten(0, 1)[None]
    close(found, logit_gradient(module, logits, joined.weight))


def test_running_statistics_are_the_mean_over_tasks_with_enough_rows():
    module = make_module(n_steps=1)
    tasks = make_tasks(3)
    tasks.weight[2, :5] = 0  # 4 rows are too few
    logits = module.unroll(tasks, n_steps=0)[1][0]
    linear, norm = module.phi.hidden[0], module.phi.norms[0]
    values = linear(logits[:2]).relu()
    mean, variance = norm.running_mean.clone(), norm.running_var.clone()
    module.adapt(tasks)
    close(norm.running_mean, 0.9 * mean + 0.1 * values.mean(1).mean(0))
    close(norm.running_var, 0.9 * variance + 0.1 * values.var(1).mean(0))


@pytest.mark.parametrize(
    ("batch_norm", "training", "n_rows", "moves"),
    [
        ("auto", True, 9, True),
        ("auto", True, 7, False),
        ("auto", False, 9, False),
        ("eval", True, 9, True),
        ("eval", False, 9, False),
        ("train", True, 9, True),
        ("train", False, 9, True),
    ],
)
def test_when_running_statistics_move(batch_norm, training, n_rows, moves):
    module = make_module(batch_norm=batch_norm).train(training)
    before = copy.deepcopy(module)
    module(make_tasks(n_rows=n_rows))
    pairs = zip(module.buffers(), before.buffers())
    assert [not torch.equal(new, old) for new, old in pairs] == 6 * [moves]


def test_one_row_without_label_is_enough():
    answer, _ = make_module().adapt(make_tasks(n_rows=1))
    assert torch.isfinite(answer.prototypes).all()
    assert answer.proba.shape == (2, 1, 3)


def test_one_row_is_too_few_for_the_statistics_of_the_authors():
    module = make_module(batch_norm="train")
    with pytest.raises(ValueError, match='only 1 such row.*batch_norm="auto"'):
        module(make_tasks(1, 1))
    assert torch.isfinite(module.adapt(make_tasks(2, 1))[0].prototypes).all()
    assert torch.isfinite(module.adapt(make_tasks(1, 1), n_steps=0)[0].proba).all()


@pytest.mark.parametrize("batch_norm", ["auto", "train", "eval"])
@pytest.mark.parametrize("filling", [0, 3])
def test_without_rows_no_step_is_taken(batch_norm, filling):
    module = make_module(batch_norm=batch_norm)
    tasks = fill(make_tasks(n_rows=0), 0, filling)
    answer = module.adapt(tasks)[0]
    close(answer.prototypes, initial_prototypes(tasks, module.init_weight))
    assert answer.proba.shape == (2, filling, 3)


def test_every_step_is_returned():
    module, tasks = make_module(n_steps=4), make_tasks()
    prototypes, logits = module.unroll(tasks)
    assert len(prototypes) == len(logits) == 5
    for k, (theta, scores) in enumerate(zip(prototypes, logits)):
        answer = module.adapt(tasks, n_steps=k)[0]
        close(answer.prototypes, theta)
        close(answer.proba, scores.softmax(-1))
    assert not torch.allclose(logits[0], logits[-1])


def test_opposite_labelled_rows_and_rows_of_zeros_stay_finite():
    module, tasks = make_module(inner_lr=1e-3), make_tasks(1)
    support, query = tasks.support.clone(), tasks.query.clone()
    support[:, 3] = -support[:, 0]  # the prototype of their class is zero
    query[:, 0] = 0
    module.adapt(tasks._replace(support=support, query=query))[0].proba.sum().backward()
    for weight in module.parameters():
        assert torch.isfinite(weight.grad).all()


def test_new_module_is_plain_prototypes_with_weights_of_its_generator():
    def make(seed):
        generator = torch.Generator().manual_seed(seed)
        return build(lambda: PaperAdapter(6, 3), generator=generator)

    state = torch.get_rng_state()
    first, again, other = make(0), make(0), make(1)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first.phi.output.weight, again.phi.output.weight)
    assert not torch.equal(first.phi.output.weight, other.phi.output.weight)
    assert first.scale.item() == 10
    assert first.bias.item() == 0
    assert torch.equal(first.init_weight, torch.ones(6))


def test_another_number_of_classes_is_refused():
    with pytest.raises(ValueError, match=r'n_way=3 .* 4; .*gradient_net="equivariant"'):
        make_module()(make_tasks(n_way=4))


def test_published_settings_train_the_module():
    module = make_module(n_steps=3, inner_lr=1e-3)
    optimizer = torch.optim.SGD(
        module.parameters(), 1e-3, momentum=0.9, nesterov=True, weight_decay=5e-4
    )
    tasks, losses = make_tasks(1, 15), []
    truth = (torch.arange(15) % 3)[None]
    for _ in range(20):
        loss = F.cross_entropy(module.unroll(tasks)[1][-1].flatten(0, 1), truth[0])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
