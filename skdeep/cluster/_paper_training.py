"""What the training of the published method consists of, built from plain values."""

from typing import NamedTuple

from skdeep.cluster._paper_graphs import GraphBatches, training_graphs
from skdeep.cluster._paper_loss import LanderLoss
from skdeep.cluster._paper_network import LanderNetwork
from skdeep.neighbors import knn_graph
from skdeep.utils._torch import build


class PaperSettings(NamedTuple):
    """Numbers of the published method; the defaults are those of its programs for faces.

    Parameters
    ----------
    fit_neighbors, fit_levels : sequence of int
        See `skdeep.cluster._paper_graphs.training_graphs`.

    hidden_size, n_layers, attention, n_heads, dropout, use_cluster_features
        See `skdeep.cluster._paper_network.LanderNetwork`.

    balance, focal_gamma
        See `skdeep.cluster._paper_loss.LanderLoss`.

    batch_size : int
        Centres of a batch.
    """

    fit_neighbors: tuple = (9, 4, 2)
    fit_levels: tuple = (2, 3, 4)
    hidden_size: int = 512
    n_layers: int = 1
    attention: bool = False
    n_heads: int = 1
    dropout: float = 0.0
    use_cluster_features: bool = True
    balance: bool = True
    focal_gamma: float | None = None
    batch_size: int = 4096

    def network_args(self, n_features):
        """Arguments of `LanderNetwork` for rows of a size."""
        return {
            "n_features": n_features,
            "hidden_size": self.hidden_size,
            "n_layers": self.n_layers,
            "attention": self.attention,
            "n_heads": self.n_heads,
            "dropout": self.dropout,
            "use_cluster_features": self.use_cluster_features,
        }


def set_up_training(X, y, settings, *, generator, search=knn_graph):
    """Build network, loss and batches of the published method.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features), dtype float32
        At least 2 rows, of length one.

    y : ndarray of shape (n_samples,)
        Their classes.

    settings : PaperSettings
        Numbers of the method.

    generator : torch.Generator
        On the CPU; source of the weights, of the order of the nodes and of the edges
        that are left out for balance.

    search : callable, default=knn_graph
        See `skdeep.cluster._levels.make_level`.

    Returns
    -------
    module : LanderNetwork
        With new weights, on the CPU.

    criterion : LanderLoss
        Its loss.

    batches : GraphBatches
        Training data.
    """
    args = settings.network_args(X.shape[1])
    module = build(lambda: LanderNetwork(**args), generator=generator)
    criterion = LanderLoss(settings.balance, settings.focal_gamma, generator)
    graphs = training_graphs(
        X, y, settings.fit_neighbors, settings.fit_levels, search=search
    )
    batches = GraphBatches(graphs, module, settings.batch_size, generator=generator)
    return module, criterion, batches
