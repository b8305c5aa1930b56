"""The network of the published method, on batches and on whole levels."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from skdeep.cluster._levels import Level, Nodes, grow, make_level, unit_rows
from skdeep.cluster._paper_graphs import GraphBatches, NodeSampler, TrainingGraph
from skdeep.cluster._paper_inference import link_probability
from skdeep.cluster._paper_network import (
    LanderNetwork,
    as_tensor,
    edge_weights,
    input_parts,
    neighbor_sum,
)
from skdeep.nn import seed_dropout
from skdeep.utils._torch import build

VARIANTS = {
    "plain": {},
    "features only": {"use_cluster_features": False},
    "deeper": {"n_layers": 2},
    "deepest": {"n_layers": 4},
    "attention": {"attention": True},
    "heads": {"attention": True, "n_heads": 3},
    "deeper attention": {"attention": True, "n_heads": 2, "n_layers": 3},
}


def random_level(n_nodes=41, n_features=6, k=4, seed=0):
    rng = np.random.default_rng(seed)
    X = unit_rows(rng.standard_normal((n_nodes, n_features)).astype(np.float32))
    level = make_level(Nodes.of_rows(X), k)
    level.means = (0.9 * X[::-1]).copy()  # unlike the features
    return level


def make_network(generator_seed=0, hidden_size=10, **params):
    generator = torch.Generator().manual_seed(generator_seed)
    module = build(lambda: LanderNetwork(6, hidden_size, **params), generator=generator)
    with torch.no_grad():  # biases that start at zero would hide mistakes
        for name, weight in module.named_parameters():
            if "bias" in name:
                weight.normal_(generator=generator)
    return module.eval()


def training_graph(level, seed=0):
    labels = np.random.default_rng(seed).integers(0, 5, len(level))
    return TrainingGraph.of_level(level, labels)


@pytest.fixture(params=VARIANTS)
def variant(request):
    return VARIANTS[request.param]


def softmax(values):
    shifted = np.exp(values - values.max())
    return shifted / shifted.sum()


def encode_one_by_one(module, level):
    """Codes of all nodes, written out for each node, neighbour and head."""
    h = np.concatenate(
        [part.numpy() for part in input_parts(level, module.use_cluster_features)], 1
    ).astype(float)
    for layer in module.layers:
        weights = {n: p.detach().double().numpy() for n, p in layer.named_parameters()}
        codes = []
        for i, (row, a) in enumerate(zip(level.neighbors, level.similarity)):
            if "linear.weight" in weights:
                total = sum(a[e] / a.sum() * h[j] for e, j in enumerate(row))
                pair = np.concatenate([h[i], total])
                code = weights["linear.weight"] @ pair + weights["linear.bias"]
            else:
                outputs = []
                for head in range(layer.n_heads):
                    size = layer.n_outputs
                    W = weights["weight"][head * size : (head + 1) * size]
                    e = [
                        weights["source"][head] @ (W @ h[j])
                        + weights["target"][head] @ (W @ h[i])
                        for j in row
                    ]
                    share = softmax(np.array([max(x, 0.2 * x) for x in e]))
                    output = sum(s * (W @ h[j]) for s, j in zip(share, row))
                    output = output + weights["bias"][head]
                    outputs.append(output + weights["outer_bias"][head])
                code = np.mean(outputs, axis=0)
            codes.append(np.maximum(code, 0))
        h = np.array(codes)
    return h


def logits_one_by_one(module, level):
    codes = encode_one_by_one(module, level)
    weights = {n: p.detach().double().numpy() for n, p in module.named_parameters()}

    def affine(name, x):
        return weights[f"{name}.weight"] @ x + weights[f"{name}.bias"]

    def prelu(name, x):
        return np.where(x > 0, x, weights[f"{name}.weight"] * x)

    return np.array(
        [
            [
                affine(
                    "head.3",
                    prelu(
                        "head.2",
                        affine(
                            "head.1",
                            prelu(
                                "head.0",
                                affine("source", codes[j]) + affine("target", codes[i]),
                            ),
                        ),
                    ),
                )
                for j in row
            ]
            for i, row in enumerate(level.neighbors)
        ]
    )


def test_logits_are_those_of_a_computation_one_by_one(variant):
    level, module = random_level(), make_network(**variant)
    batch, _ = NodeSampler(training_graph(level), module).take(np.arange(len(level)))
    with torch.no_grad():
        logits = module(batch)
    assert_allclose(logits, logits_one_by_one(module, level), atol=2e-5)


def test_a_batch_gives_the_logits_of_the_whole_graph(variant):
    level, module = random_level(), make_network(**variant)
    sampler = NodeSampler(training_graph(level), module)
    with torch.no_grad():
        whole = module(sampler.take(np.arange(len(level)))[0])
        for centers in [np.array([7]), np.array([30, 2, 11])]:
            part = module(sampler.take(centers)[0])
            assert_allclose(part, whole[centers], atol=1e-6)


def test_inference_gives_the_probabilities_of_the_whole_graph(variant):
    level, module = random_level(), make_network(**variant)
    batch, _ = NodeSampler(training_graph(level), module).take(np.arange(len(level)))
    with torch.no_grad():
        expected = module(batch).softmax(-1)[..., 1]
    found = link_probability(module, level)
    assert_allclose(found, expected, atol=1e-6)
    assert found.dtype == np.float32


def test_probabilities_do_not_depend_on_slices_or_places_bit_for_bit(variant):
    level, module = random_level(), make_network(**variant)
    found = link_probability(module, level)
    assert_array_equal(link_probability(module, level, batch_size=8), found)
    order = np.random.default_rng(0).permutation(len(level))
    moved = Level(
        level.nodes,
        level.features[order],
        level.means[order],
        level.sizes,
        0,
        np.argsort(order)[level.neighbors[order]],
        level.similarity[order],
    )
    assert_array_equal(link_probability(module, moved), found[order])


@pytest.mark.parametrize("n_rows", [40, 41, 43])
def test_identical_rows_get_identical_probabilities_and_link(n_rows):
    rng = np.random.default_rng(0)
    X = unit_rows(rng.standard_normal((n_rows, 6)).astype(np.float32))
    X = np.concatenate([X, X])
    module = make_network(use_cluster_features=False)
    with torch.no_grad():
        module.head[3].bias += torch.tensor([-9.0, 9.0])  # links whatever it may
    forest = grow(
        X,
        lambda level: link_probability(module, level),
        n_neighbors=1,
        tau=0.5,
        max_levels=1,
    )
    assert_array_equal(forest.labels[:n_rows], np.arange(n_rows))
    assert_array_equal(forest.labels[n_rows:], np.arange(n_rows))


def test_weights_of_a_node_without_similar_neighbours_are_zero():
    level = random_level()
    level.similarity[3] = 0
    weight = edge_weights(level)
    assert (weight[3] == 0).all()
    assert_allclose(weight.sum(1), np.arange(41) != 3, rtol=1e-6)


def test_sum_over_neighbours():
    level = random_level()
    weight = edge_weights(level)
    found = neighbor_sum(as_tensor(level.features), as_tensor(level.neighbors), weight)
    expected = np.einsum("nk,nkd->nd", weight, level.features[level.neighbors])
    assert_allclose(found, expected, atol=1e-6)


@pytest.mark.filterwarnings("error")
def test_arrays_that_must_not_be_written_to_are_left_alone():
    level, module = random_level(), make_network()
    expected = link_probability(module, level)
    for name in ("features", "means", "neighbors", "similarity"):
        getattr(level, name).flags.writeable = False
    assert_array_equal(link_probability(module, level), expected)
    NodeSampler(training_graph(level), module).take(np.arange(3))


@pytest.mark.parametrize("attention", [False, True])
def test_gradients_of_all_weights_by_finite_differences(attention):
    level = random_level(9, k=2)
    module = make_network(hidden_size=4, n_layers=2, attention=attention).double()
    batch, _ = NodeSampler(training_graph(level), module).take(np.array([1, 4]))
    batch.inputs = batch.inputs.double()
    batch.hops = [(ids, weight.double()) for ids, weight in batch.hops]
    names = [name for name, _ in module.named_parameters()]

    def logits(*weights):
        return torch.func.functional_call(module, dict(zip(names, weights)), batch)

    assert torch.autograd.gradcheck(logits, tuple(module.parameters()))


def test_sizes_of_the_layers_are_the_published_ones():
    module = LanderNetwork(6, 10, n_layers=4)
    shapes = [tuple(layer.linear.weight.shape) for layer in module.layers]
    assert shapes == [(10, 24), (10, 20), (5, 20), (5, 10)]
    assert tuple(module.source.weight.shape) == (5, 5)


@pytest.mark.parametrize("attention", [False, True])
def test_weights_come_from_the_generator_alone(attention):
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    networks = [
        build(
            lambda: LanderNetwork(6, 10, attention=attention, n_heads=2),
            generator=torch.Generator().manual_seed(seed),
        )
        for seed in (0, 0, 1)
    ]
    assert torch.equal(torch.rand(1), expected)
    one, same, other = (
        torch.nn.utils.parameters_to_vector(net.parameters()) for net in networks
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert (networks[0].head[0].weight == 0.25).all()


def test_attention_weights_have_the_spread_of_the_published_ones():
    module = build(
        lambda: LanderNetwork(200, 300, attention=True, n_heads=3),
        generator=torch.Generator().manual_seed(0),
    )
    (layer,) = module.layers
    assert layer.weight.std().item() == pytest.approx(
        (4 / (400 + 900)) ** 0.5, rel=0.02
    )
    assert layer.source.std().item() == pytest.approx((4 / 1200) ** 0.5, rel=0.1)


@pytest.mark.parametrize("attention", [False, True])
def test_dropout_draws_from_its_generator_and_only_in_training(attention):
    level, module = random_level(), make_network(dropout=0.5, attention=attention)
    batch, _ = NodeSampler(training_graph(level), module).take(np.arange(5))
    assert torch.equal(module(batch), module(batch))
    module.train()
    first, again = (
        (seed_dropout(module, torch.Generator().manual_seed(0)), module(batch))[1]
        for _ in range(2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, module(batch))


def test_batches_of_a_pass_hold_each_node_once():
    module = make_network()
    graphs = [training_graph(random_level(41)), training_graph(random_level(13))]
    similarity = [graph.level.similarity for graph in graphs]
    generator = torch.Generator().manual_seed(0)
    batches = GraphBatches(graphs, module, 10, generator=generator)
    assert len(batches) == 10
    found = list(batches)
    assert [len(batch) for batch, _ in found[0::2]] == [10, 10, 10, 10, 1]
    # 13 nodes are used up after two batches and begun again
    assert [len(batch) for batch, _ in found[1::2]] == [10, 3, 10, 3, 10]
    assert [len(batch) for batch, _ in batches][1::2] == [3, 10, 3, 10, 3]
    for rows, which in [(found[0::2], 0), (found[1:4:2], 1)]:
        seen = np.concatenate([target[0] for _, target in rows])
        assert_array_equal(
            np.unique(seen, axis=0), np.unique(similarity[which], axis=0)
        )


def test_without_shuffling_each_pass_is_the_first():
    module = make_network()
    graphs = [training_graph(random_level(41)), training_graph(random_level(13))]
    batches = GraphBatches(graphs, module, 10, shuffle=False)
    first, again = list(batches), list(batches)
    for (batch, target), (batch_again, target_again) in zip(first, again):
        assert torch.equal(batch.inputs, batch_again.inputs)
        assert all(map(torch.equal, target, target_again))
    assert_array_equal(first[0][1][0], graphs[0].level.similarity[:10])


def test_a_batch_can_be_sent_to_a_device():
    level, module = random_level(), make_network(n_layers=2)
    batch, _ = NodeSampler(training_graph(level), module).take(np.arange(3))
    moved = batch.to("meta")
    assert moved.inputs.is_meta
    assert moved.neighbors.is_meta
    assert all(part.is_meta for hop in moved.hops for part in hop)
    assert len(moved) == 3
