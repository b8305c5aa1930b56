"""What the chains are trained for, against loops over rows and steps."""

from itertools import permutations

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from tiny_chains import (
    all_chains,
    chain_log_proba,
    indicator,
    random_net,
    random_rows,
    step_log_proba,
)

from skdeep.multilabel._alignment import align_all, align_predicted
from skdeep.multilabel._decode import Walk, draw
from skdeep.multilabel._objectives import (
    ChainLoss,
    Settings,
    entropy,
    group_of_members,
    head_loss,
    row_mean,
    still_missing,
    taken_before,
    token_mean,
)

L = 4
OUTSIDERS = [-1, -1, 1, 0, -1, -1]  # the first group does not learn from row 3
MINE = torch.tensor([True, True, True, False, True, True])


def make_settings(**options):
    defaults = {
        "limits": (0, L),
        "rollout": "greedy",
        "rollout_steps": L,
        "reward": "f1",
        "baseline": "rollouts",
        "n_draws": 4,
        "all_actions": False,
        "n_warmup_steps": 0,
        "rl_weight": 2.0,
        "ml_weight": 0.5,
        "entropy": 0.0,
        "discount": 1.0,
        "n_tokens": 2.5,
        "aux_weight": 0.0,
    }
    return Settings(**{**defaults, **options})


def make_loss(*objectives, label_order=None, seed=0, **options):
    generator = torch.Generator().manual_seed(seed)
    settings = make_settings(**options)
    return ChainLoss(objectives, label_order, settings, generator, 8).double()


def target(Y, outsiders=OUTSIDERS):
    return Y, torch.tensor(outsiders)


@pytest.fixture
def net():
    return random_net(L, seed=3)


@pytest.fixture
def X():
    return random_rows(6, seed=1)


def greedy_rollouts(net, X):
    with torch.no_grad():
        symbols, _ = draw(Walk([net], [net(X)], (0, L)), L + 1)
    return [[label for label in row if label < L] for row in symbols.tolist()]


@pytest.fixture
def visited(net, X):
    """Sets of which the model misses one label, and the chains that result."""
    sets, chains = [], []
    for row, rollout in enumerate(greedy_rollouts(net, X)):
        kept = rollout[1:] if row % 2 else rollout[:-1]
        missing = sorted({*range(L)} - {*rollout} or {rollout[0]} - {*kept})[:1]
        sets.append({*kept, *missing})
        chains.append([*kept, *missing])
    return torch.from_numpy(indicator(sets, L) > 0), chains


def test_visited_chains_are_of_all_kinds(net, X, visited):
    Y, chains = visited
    rollouts = greedy_rollouts(net, X)
    assert len({len(chain) for chain in chains}) > 1
    assert any({*rollout} - {*chain} for rollout, chain in zip(rollouts, chains))
    assert any({*chain} - {*rollout} for rollout, chain in zip(rollouts, chains))


@pytest.mark.parametrize("n_tokens", [2.5, 1.0])
def test_likelihood_of_a_fixed_order_by_hand(net, X, n_tokens):
    order = np.array([2, 0, 3, 1])
    Y = torch.from_numpy(np.random.RandomState(0).rand(6, L) < 0.5)
    criterion = make_loss("order", label_order=order, n_tokens=n_tokens)
    loss, parts = criterion([(net, net(X))], target(Y))
    total = count = 0
    for x, y, mine in zip(X, Y, MINE):
        chain = [label for label in order if y[label]]
        total -= mine * chain_log_proba([net], x, chain)
        count += mine * n_tokens
    assert loss.item() == pytest.approx((total / count).item())
    assert parts["chain_loss"].item() == pytest.approx(loss.item())


@pytest.mark.parametrize("n_tokens", [2.5, 1.0])
def test_likelihood_of_the_own_order_by_hand(net, X, visited, n_tokens):
    Y, chains = visited
    criterion = make_loss("permutation", n_tokens=n_tokens)
    loss, _ = criterion([(net, net(X))], target(Y))
    total = count = 0
    for x, chain, mine in zip(X, chains, MINE):
        total -= mine * chain_log_proba([net], x, chain)
        count += mine * n_tokens
    assert loss.item() == pytest.approx((total / count).item())


def step_probabilities(net, x, chain):
    """Probabilities of all symbols at each step of a chain, and after it."""
    context, stop = net(x[None]), net.n_labels
    state, found = context.state, []
    for step, symbol in enumerate([stop, *chain]):
        state, logits = net.step(context, state, net.label_table()[symbol][None])
        log_proba = step_log_proba(logits[0], chain[:step], step, (0, stop), stop)
        found.append(log_proba.exp())
    return found


def test_any_label_that_is_left_is_right_for_the_set_objective(net, X, visited):
    Y, chains = visited
    loss, _ = make_loss("set", n_tokens=2.5)([(net, net(X))], target(Y))
    total = count = 0
    for x, chain, mine in zip(X, chains, MINE):
        for step, proba in enumerate(step_probabilities(net, x, chain)):
            right = chain[step:] or [L]
            total -= mine * proba[right].sum().log()
        count += 2.5 * mine
    assert loss.item() == pytest.approx((total / count).item())


def test_completion_distillation_wants_all_that_is_left_alike(net, X):
    Y = torch.from_numpy(np.random.RandomState(0).rand(6, L) < 0.5)
    with torch.no_grad():
        walk = Walk([net], [net(X)], (0, L))
        symbols, _ = draw(walk, L + 1, torch.Generator().manual_seed(7))
    loss, _ = make_loss("ocd", seed=7)([(net, net(X))], target(Y))
    total = count = 0
    for x, y, row, mine in zip(X, Y, symbols.tolist(), MINE):
        chain = row[: row.index(L)]
        for step, proba in enumerate(step_probabilities(net, x, chain)):
            left = [k for k in range(L) if y[k] and k not in chain[:step]] or [L]
            total -= mine * proba[left].log().mean()
            count += mine
    assert loss.item() == pytest.approx((total / count).item())


def endless_rollouts(net, X):
    """The model's own labels, past its stop until none is left."""
    with torch.no_grad():
        walk = Walk([net], [net(X)], (L, L))
        return draw(walk, L)[0].tolist()


@pytest.mark.parametrize("kind", ["pla", "mla"])
def test_labels_cost_least_at_the_steps_of_the_models_own_chain(kind, net, X):
    Y = torch.from_numpy(np.random.RandomState(0).rand(6, L) < 0.5)
    loss, _ = make_loss(kind, n_tokens=2.5)([(net, net(X))], target(Y))
    total = count = 0
    for x, y, chain, mine in zip(X, Y, endless_rollouts(net, X), MINE):
        labels = np.flatnonzero(y).tolist()
        steps = step_probabilities(net, x, chain)
        found = {label for label in chain[: len(labels)] if label in labels}
        orders = [
            order
            for order in permutations(labels)
            if kind == "mla"
            or all(order[chain.index(label)] == label for label in found)
        ]
        gains = [
            sum(steps[t][symbol].log() for t, symbol in enumerate([*order, L]))
            for order in orders
        ]
        total -= mine * max(gains)
        count += 2.5 * mine
    assert loss.item() == pytest.approx((total / count).item())


def test_alignments_differ_where_a_found_label_costs_less_elsewhere():
    # the first step finds label 0, but the second one would do without it
    proba = np.array([[0.5, 0.49, 0.01], [0.9, 0.05, 0.05]])
    labels = np.array([0, 1])
    assert align_all(-np.log(proba), labels).tolist() == [1, 0]
    found = align_predicted(-np.log(proba), np.array([0, 2]), labels)
    assert found.tolist() == [0, 1]


def test_head_loss_is_the_cross_entropy_summed_over_labels(net, X):
    Y = torch.from_numpy(np.random.RandomState(0).rand(6, L) < 0.5)
    proba = torch.sigmoid(net(X).head)
    of_rows = -torch.where(Y, proba, 1 - proba).log().sum(1)
    expected = of_rows[MINE].mean()
    assert head_loss(net(X).head, Y, MINE).item() == pytest.approx(expected.item())
    loss, parts = make_loss("head", aux_weight=3.0)([(net, net(X))], target(Y))
    assert loss.item() == pytest.approx(3 * expected.item())
    assert set(parts) == {"head_loss"}


@pytest.mark.parametrize("objective", ["permutation", "set", "head"])
def test_rows_of_outsiders_are_as_if_not_there(objective, net, X, visited):
    Y, _ = visited
    some = slice(None, None, 2)
    criterion = make_loss(objective, aux_weight=1.0)
    loss, _ = criterion([(net, net(X))], target(Y, [-1, 0] * 3))
    criterion = make_loss(objective, aux_weight=1.0)
    expected, _ = criterion([(net, net(X[some]))], target(Y[some], [-1] * 3))
    assert loss.item() == pytest.approx(expected.item())


def test_members_do_not_learn_from_the_rows_they_are_kept_from(X):
    nets = [random_net(L, seed=seed) for seed in range(4)]
    order = np.array([0, 1, 2, 3])
    Y = torch.from_numpy(np.random.RandomState(0).rand(6, L) < 0.5)
    outsiders = [0, 1, -1, 0, 1, -1]
    criterion = make_loss(*["order"] * 4, label_order=order)
    encoded = [(net, net(X)) for net in nets]
    loss, _ = criterion(encoded, target(Y, outsiders))
    expected = 0
    for index, net in enumerate(nets):
        mine = [row for row in range(6) if outsiders[row] != index // 2]
        alone = make_loss("order", label_order=order)
        everyone = [-1] * len(mine)
        expected += alone([(net, net(X[mine]))], target(Y[mine], everyone))[0]
    assert loss.item() == pytest.approx(expected.item())


def test_members_are_grouped_in_pairs():
    for n_members, expected in [
        (1, [0]),
        (2, [0, 0]),
        (3, [0, 0, 0]),
        (4, [0, 0, 1, 1]),
        (5, [0, 0, 1, 1, 1]),
    ]:
        assert group_of_members(n_members).tolist() == expected


def test_reward_sets_in_after_the_warm_up_only(net, X, visited):
    Y, _ = visited
    plain, _ = make_loss("permutation")([(net, net(X))], target(Y))
    criterion = make_loss("reinforce", n_warmup_steps=2)
    losses = [criterion([(net, net(X))], target(Y)) for _ in range(3)]
    for loss, parts in losses[:2]:
        assert loss.item() == pytest.approx(plain.item())
        assert "reward" not in parts
    loss, parts = losses[2]
    assert loss.item() != pytest.approx(plain.item())
    assert 0 <= parts["reward"] <= 1


def test_likelihood_and_reward_are_weighed_as_asked(net, X, visited):
    Y, _ = visited
    plain, _ = make_loss("permutation")([(net, net(X))], target(Y))

    def loss_of(**weights):
        criterion = make_loss("reinforce", seed=3, **weights)
        return criterion([(net, net(X))], target(Y))[0].item()

    reward = loss_of(ml_weight=0.0, rl_weight=1.0)
    assert loss_of(ml_weight=1.0, rl_weight=0.0) == pytest.approx(plain.item())
    expected = 0.3 * plain.item() + 1.7 * reward
    assert loss_of(ml_weight=0.3, rl_weight=1.7) == pytest.approx(expected)


OBJECTIVES = {
    "order": {},
    "permutation": {},
    "set": {"n_tokens": 1.0},
    "ocd": {},
    "pla": {},
    "mla": {"rollout": "sample"},
    "reinforce": {"entropy": 0.3},
    "reinforce greedy": {"baseline": "greedy", "discount": 0.8},
    "reinforce all actions": {"all_actions": True, "reward": "subset"},
    "reinforce ndcg": {"reward": "ndcg", "rollout_steps": 2},
    "head": {},
}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_gradients_equal_finite_differences(name):
    net = random_net(3, seed=2, spread=0.5, hidden_size=2, label_size=2)
    X = random_rows(3).requires_grad_()
    Y = torch.tensor([[True, False, True], [False, True, False], [False] * 3])
    options = {"limits": (0, 3), "rollout_steps": 3, "aux_weight": 0.7}

    def loss(*_):  # the weights are those of the network itself
        criterion = make_loss(
            name.split()[0],
            label_order=np.array([1, 2, 0]),
            **{**options, **OBJECTIVES[name]},
        )
        return criterion([(net, net(X))], target(Y, [-1, 0, -1]))[0]

    assert torch.autograd.gradcheck(loss, (X, *net.parameters()), fast_mode=True)


def test_learned_baseline_leaves_the_gradient_of_the_chain_alone(net, X, visited):
    Y, _ = visited
    criterion = make_loss("reinforce", baseline="value")
    loss, _ = criterion([(net, net(X))], target(Y))
    loss.backward()
    assert criterion.value.grad.abs().sum() > 0
    criterion.zero_grad()
    states = torch.randn(3, 8).double()
    assert (states @ criterion.value[0, :-1] == 0).all()  # it starts at zero


def test_entropy_of_a_uniform_step_is_the_logarithm_of_what_is_possible():
    log_proba = torch.tensor([[0.25, 0.25, 0.5, 0.0], [0.0, 0.0, 0.0, 1.0]]).log()
    expected = [1.5 * np.log(2), 0]
    assert_allclose(entropy(log_proba), expected, atol=1e-6)
    log_proba.requires_grad_()
    entropy(log_proba).sum().backward()
    assert torch.isfinite(log_proba.grad).all()


def test_right_symbols_by_hand():
    Y = torch.tensor([[True, False, True]])
    symbols = torch.tensor([[1, 2, 0, 3]])
    assert still_missing(symbols, Y).int().tolist() == [
        [[1, 0, 1, 0], [1, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 1]]
    ]
    assert taken_before(symbols, 3).int().tolist() == [
        [[0, 0, 0, 0], [0, 1, 0, 0], [0, 1, 1, 0], [1, 1, 1, 0]]
    ]


def test_means_over_steps_and_over_rows_by_hand():
    values = torch.tensor([[1.0, 2.0, torch.inf], [4.0, 8.0, 16.0]])
    alive = torch.tensor([[True, True, False], [True, True, True]])
    for mine, of_steps, of_rows in [
        ([True, True], 31 / 5, 31 / 2),
        ([True, False], 3 / 2, 3),
        ([False, True], 28 / 3, 28),
        ([False, False], 0, 0),
    ]:
        mine = torch.tensor(mine)
        assert token_mean(values, alive, mine) == pytest.approx(of_steps)
        assert row_mean(values, alive, mine) == pytest.approx(of_rows)


REWARDS_OF_SETS = {
    "f1": lambda found, true: 2 * len(found & true) / (len(found) + len(true)),
    "hamming": lambda found, true: len(found & true) - len(found - true),
    "subset": lambda found, true: float(found == true),
}


def flat_gradient(value, net):
    weights = [w for name, w in net.named_parameters() if not name.startswith("head")]
    return torch.cat([g.flatten() for g in torch.autograd.grad(value, weights)])


@pytest.fixture(scope="module")
def policy():
    """A chain that may reach every set of three labels, a row, and its true set."""
    return random_net(3, seed=3, spread=0.3, label_size=4), random_rows(1)[0], {0, 2}


def policy_gradient(net, x, true, seed=0, **options):
    """Gradient of the policy loss over 20,000 drawn chains."""
    n_rows, n_draws = 2000, 10
    options = {"limits": (0, 3), "rollout_steps": 3, "n_draws": n_draws, **options}
    criterion = make_loss("reinforce", seed=seed, **options)
    if criterion.value is not None:  # any baseline will do
        torch.nn.init.constant_(criterion.value, 0.2)
    Y = torch.from_numpy(indicator([true], 3) > 0).expand(n_rows, -1)
    context = net(x.expand(n_rows, -1))
    everyone = torch.ones(n_rows, dtype=torch.bool)
    loss, _ = criterion._policy_loss(0, net, context, Y, everyone)
    return flat_gradient(loss, net)


def chains_with_probability(net, x):
    """Every chain, its probability, and how many steps a drawn chain has on average."""
    proba = {chain: chain_log_proba([net], x, chain).exp() for chain in all_chains(3)}
    length = sum(p.item() * (len(chain) + 1) for chain, p in proba.items())
    return proba.items(), length


@pytest.mark.parametrize("reward", REWARDS_OF_SETS)
@pytest.mark.parametrize("baseline", ["rollouts", "greedy", "value"])
def test_policy_gradient_is_that_of_the_expected_reward(reward, baseline, policy):
    net, x, true = policy
    chains, length = chains_with_probability(net, x)
    worth = REWARDS_OF_SETS[reward]
    expected = sum(proba * worth(set(chain), true) for chain, proba in chains)
    exact = -flat_gradient(expected, net) / length  # the loss is a mean over steps
    found = policy_gradient(net, x, true, reward=reward, baseline=baseline)
    assert (found - exact).norm() < 0.08 * exact.norm()


def test_all_actions_give_the_gradient_of_the_next_reward_with_less_noise(policy):
    net, x, true = policy
    chains, length = chains_with_probability(net, x)
    f1, expected = REWARDS_OF_SETS["f1"], 0
    for chain, proba in chains:  # each step is answerable for its own reward alone
        for step, (label, p) in enumerate(
            zip(chain, step_probabilities(net, x, chain))
        ):
            before, after = set(chain[:step]), set(chain[: step + 1])
            gain = f1(after, true) - f1(before, true)
            expected = expected + proba.detach() * p[label].log() * gain
    exact = -flat_gradient(expected, net) / length
    drawn = policy_gradient(net, x, true, discount=0.0, baseline="greedy")
    every = policy_gradient(net, x, true, all_actions=True)
    assert (drawn - exact).norm() < 0.08 * exact.norm()
    assert (every - exact).norm() < 0.5 * (drawn - exact).norm()
