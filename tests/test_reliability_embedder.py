"""Odd samples that only an embedder can be asked about: zero vectors and duplicates."""

import numpy as np
import pytest
import torch

from skdeep import TCMEmbedder
from skdeep.exceptions import DivergedError


def linear_embedder(n_components=3, **params):
    """Embedder that maps zero to zero."""
    return TCMEmbedder(
        n_components=n_components,
        module=torch.nn.Linear,
        module_params={"in_features": 5, "out_features": n_components, "bias": False},
        max_epochs=2,
        random_state=0,
        device="cpu",
        **params,
    )


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_R130_zero_vector_stays_zero_and_is_like_nothing(metric, blobs):
    X, y = blobs
    X = X * (np.arange(len(X)) % 5 > 0)[:, None]
    embedder = linear_embedder(metric=metric).fit(X, y)
    embeddings = embedder.transform(X)
    assert (embeddings[::5] == 0).all()
    assert np.isfinite(embeddings).all()
    assert np.isfinite(embedder.threshold_)
    assert np.isfinite(embedder.score(X, y))
    distance = embedder.pair_distance(X[:5], X[5:10])
    assert np.isfinite(distance).all()
    # similarity 0 of two zero vectors, and of a zero vector and another
    unit = embedder.pair_distance(X[[0, 0]], X[[5, 1]])
    np.testing.assert_allclose(unit, 1 if metric == "cosine" else 2**0.5, rtol=1e-6)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_R131_distances_of_duplicates_are_zero(metric, blobs):
    X, y = blobs
    embedder = linear_embedder(metric=metric).fit(X, y)
    np.testing.assert_array_equal(embedder.pair_distance(X, X), 0)
    assert embedder.predict_pairs(X, X, threshold=0.0).all()


def test_R134_more_components_than_features(blobs):
    X, y = blobs
    embedder = linear_embedder(40).fit(X, y)
    assert embedder.transform(X).shape == (90, 40)


def test_R132_diverging_data_name_the_remedy(blobs):
    X, y = blobs
    embedder = TCMEmbedder(hidden_layer_sizes=(), max_epochs=2, device="cpu", lr=1e18)
    with pytest.raises(DivergedError, match="Lower `lr`, scale X"):
        embedder.fit(X * 1e30, y)
