"""Mini-batches that the network sees a part at a time."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from numpy.testing import assert_allclose, assert_array_equal
from torch import nn

from skdeep.exceptions import InvalidParameterError
from skdeep.metric_learning import TCMEmbedder
from skdeep.metric_learning._modules import UnitEncoder
from skdeep.nn import MLP, ConvEncoder, SparseRows, seed_dropout


def rows(n=37, d=6):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(0))


def plain_network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh())


def gradients(module, X, encode=None):
    """Gradients of a loss that ties all rows of a batch together."""
    module.train().zero_grad()
    unit = (encode or module)(X)
    (unit @ unit.T).square().tril(-1).sum().backward()
    return [weight.grad.clone() for weight in module.parameters()]


@pytest.mark.parametrize("chunk_size", [4, 5, 18, 36, 37, 100])
def test_gradient_is_that_of_the_whole_batch(chunk_size):
    module, X = UnitEncoder(plain_network()), rows()
    expected = gradients(module, X)
    module.chunk_size = chunk_size
    for found, own in zip(gradients(module, X), expected):
        assert_allclose(found, own, atol=1e-5, rtol=1e-4)


def test_second_pass_drops_the_same_units_and_learns_no_moments_again():
    X = rows(40)

    def started():
        torch.manual_seed(0)
        module = UnitEncoder(MLP(6, (32,), 16, dropout=0.5, input_dropout=0.2))
        generator = torch.Generator().manual_seed(1)
        seed_dropout(module, generator)
        return module, generator

    module, generator = started()
    module.chunk_size = 10
    found = gradients(module, X)
    once, own_generator = started()
    expected = gradients(
        once,
        X,
        lambda X: torch.nn.functional.normalize(
            torch.cat([once.encoder(part) for part in X.split(10)]), dim=1
        ),
    )
    for mine, own in zip(found, expected):
        assert torch.equal(mine, own)
    for mine, own in zip(module.buffers(), once.buffers()):
        assert torch.equal(mine, own)
    assert torch.equal(generator.get_state(), own_generator.get_state())


def test_dropout_of_torch_is_repeated_too():
    network = nn.Sequential(nn.Linear(6, 64), nn.Dropout(0.5), nn.Linear(64, 8))
    module, X = UnitEncoder(network), rows(40)
    torch.manual_seed(3)
    expected = gradients(
        module,
        X,
        lambda X: torch.nn.functional.normalize(
            torch.cat([network(part) for part in X.split(10)]), dim=1
        ),
    )
    module.chunk_size = 10
    torch.manual_seed(3)
    for found, own in zip(gradients(module, X), expected):
        assert torch.equal(found, own)


def test_little_is_kept_for_the_gradient():
    def kept(chunk_size):
        module = UnitEncoder(ConvEncoder((1, 16, 16), 8)).train()
        module.chunk_size = chunk_size
        sizes = []

        def pack(tensor):
            if not isinstance(tensor, nn.Parameter):
                sizes.append(tensor.nbytes)
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            module(torch.zeros(256, 256))
        return sum(sizes)

    assert kept(16) < kept(None) / 20


@pytest.mark.parametrize("kind", ["rows", "images", "sparse rows"])
def test_embedder_trains_in_chunks(kind, known_digits):
    X, y = known_digits
    X = {"rows": X, "images": X.reshape(-1, 1, 8, 8), "sparse rows": sp.csr_array(X)}[
        kind
    ]
    params = {"max_epochs": 3, "random_state": 0, "device": "cpu", "n_components": 8}
    chunked = TCMEmbedder(batch_chunk=8, classes_per_batch=5, **params).fit(X, y)
    assert chunked.score(X, y) > 0.7
    again = TCMEmbedder(batch_chunk=8, classes_per_batch=5, **params).fit(X, y)
    assert_array_equal(again.transform(X), chunked.transform(X))


def test_embedding_of_a_plain_network_is_the_same(known_digits):
    X, y = known_digits
    network = nn.Sequential(nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 8))
    found = [
        TCMEmbedder(
            module=network,
            n_components=8,
            batch_chunk=size,
            max_epochs=2,
            random_state=0,
            device="cpu",
        )
        .fit(X, y)
        .transform(X)
        for size in (None, 8)
    ]
    assert_allclose(found[1], found[0], atol=1e-3)


@pytest.mark.parametrize("value", [0, 3, -8, 2.5, "auto"])
def test_other_chunks_are_refused(value, known_digits):
    with pytest.raises(InvalidParameterError, match="batch_chunk"):
        TCMEmbedder(batch_chunk=value).fit(*known_digits)


def test_slices_of_sparse_rows():
    X = sp.random_array((9, 5), density=0.4, rng=0, dtype=np.float32)
    X = sp.csr_array(X.toarray() * (np.arange(9) != 3)[:, None])
    network = MLP(5, (4,), 3).eval()
    whole = network(SparseRows.from_csr(X))
    for start, stop in [(0, 9), (0, 3), (3, 4), (2, 7), (7, 9)]:
        part = SparseRows.from_csr(X)[start:stop]
        assert len(part) == stop - start
        assert_allclose(
            network(part).detach(), whole[start:stop].detach(), atol=1e-6, rtol=1e-5
        )
