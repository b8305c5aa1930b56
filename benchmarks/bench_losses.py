"""Cost of a loss step beside pytorch-metric-learning, and of TCM in a training step.

Forward and backward on 64 classes x 4 samples, 64 dimensions, one thread. Targets:
Smooth-AP at least 20 times faster than pytorch-metric-learning's, which is also right
only when there are as many classes as samples a class; TCM at most 5 % of a training
step whose base loss has the similarity matrix already.
"""

import time

import numpy as np
import torch
import torch.nn.functional as F
from _tools import interleaved, report
from pytorch_metric_learning import losses as pml
from skorch.callbacks import Callback

from skdeep.metric_learning import SmoothAPLoss, TCMEmbedder, TCMLoss
from skdeep.metric_learning._losses import MetricLoss
from skdeep.nn import MLP, ConvEncoder


def unit_batch(n_classes=64, n_samples=4, n_components=64):
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(n_classes * n_samples, n_components, generator=generator)
    return rows, torch.arange(n_classes).repeat_interleave(n_samples)


def ours(criterion, rows, y):
    rows = rows.clone().requires_grad_()
    unit = F.normalize(rows, dim=1)
    similarity, same = unit @ unit.T, y[:, None] == y
    loss = criterion(similarity, same.clone().fill_diagonal_(False), ~same)
    loss.backward()
    return loss.item()


def theirs(criterion, rows, y):
    rows = rows.clone().requires_grad_()
    loss = criterion(F.normalize(rows, dim=1), y)
    loss.backward()
    return loss.item()


def official_smooth_ap(rows, y, temperature=0.01):
    """The definition in float64, one query and one positive at a time."""
    unit = F.normalize(rows.double(), dim=1)
    S, y = (unit @ unit.T).numpy(), y.numpy()
    total = 0.0
    for q in range(len(y)):
        positives = np.flatnonzero(y == y[q])
        value = 0.0
        for i in positives:
            exponent = np.clip(-(S[q] - S[q, i]) / temperature, -50, 50)
            before = 1 / (1 + np.exp(exponent))
            before[i] = 0
            value += (1 + before[positives].sum()) / (1 + before.sum())
        total += value / len(positives)
    return 1 - total / len(y)


def loss_rows():
    rows, y = unit_batch()
    cases = {
        "smooth_ap": (SmoothAPLoss(include_query=True), pml.SmoothAPLoss()),
        "tcm": (TCMLoss(), pml.ThresholdConsistentMarginLoss()),
    }
    for name, (our_loss, their_loss) in cases.items():
        seconds = interleaved(
            {
                "ours": lambda: [ours(our_loss, rows, y) for _ in range(5)],
                "pml": lambda: theirs(their_loss, rows, y),
            },
            repeats=5,
        )
        mine, other = seconds["ours"] / 5, seconds["pml"]
        yield {
            "what": f"{name} step, 64 x 4",
            "skdeep_ms": 1e3 * mine,
            "peer_ms": 1e3 * other,
            "peer_over_skdeep": other / mine,
        }


def correctness_rows():
    for n_classes, n_samples in ((4, 4), (8, 4), (4, 8), (16, 4)):
        rows, y = unit_batch(n_classes, n_samples)
        right = official_smooth_ap(rows, y)
        yield {
            "what": f"smooth_ap value error, {n_classes} x {n_samples}",
            "skdeep_error": abs(
                ours(SmoothAPLoss(include_query=True), rows, y) - right
            ),
            "peer_error": abs(theirs(pml.SmoothAPLoss(), rows, y) - right),
        }


def tcm_share_rows():
    """Share of TCM in a whole step: network, base loss, backward, optimizer."""
    networks = {
        "conv, 28 x 28": (ConvEncoder((1, 28, 28), 64), 784),
        "mlp 784-512-64": (MLP(784, (512,), 64, dropout=0.1), 784),
    }
    y = torch.arange(32).repeat_interleave(4)
    for name, (network, n_features) in networks.items():
        X = torch.rand(128, n_features, generator=torch.Generator().manual_seed(0))
        optimizer = torch.optim.AdamW(network.parameters(), fused=True)

        def step(criterion, network=network, optimizer=optimizer, X=X):
            optimizer.zero_grad()
            criterion(F.normalize(network(X), dim=1), y)[0].backward()
            optimizer.step()

        plain = MetricLoss(SmoothAPLoss(), TCMLoss(), tcm_weight=0)
        full = MetricLoss(SmoothAPLoss(), TCMLoss(), tcm_weight=1)
        seconds = interleaved(
            {
                "plain": lambda: [step(plain) for _ in range(10)],
                "full": lambda: [step(full) for _ in range(10)],
            },
            repeats=41,
        )
        yield tcm_row(f"{name}, bare loop", seconds, n_steps=10)


def tcm_fit_rows():
    """Share of TCM in a step of `TCMEmbedder.fit`, which also makes and logs batches."""
    rng = np.random.default_rng(0)
    X = rng.random((4096, 784), dtype=np.float32)
    y = np.repeat(np.arange(256), 16)
    shapes = {"conv, 28 x 28": {"module": "conv"}, "mlp 784-512-128": {}}
    for name, params in shapes.items():
        clock = TrainingClock()
        model = TCMEmbedder(
            max_steps=32, device="cpu", random_state=0, callbacks=[clock], **params
        )
        times = {"plain": [], "full": []}
        for _ in range(16):
            for which, weight in (("plain", 0.0), ("full", 1.0)):
                model.set_params(tcm_weight=weight).fit(X, y)
                times[which].append(clock.seconds)
        seconds = {which: np.median(found[1:]) for which, found in times.items()}
        yield tcm_row(f"{name}, fit", seconds, n_steps=32)


class TrainingClock(Callback):
    """CPU seconds of the training alone, without the calibration of the threshold."""

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        self.start = time.process_time()

    def on_train_end(self, net, X=None, y=None, **kwargs):
        self.seconds = time.process_time() - self.start


def tcm_row(name, seconds, n_steps):
    return {
        "what": f"training step with TCM, {name}",
        "skdeep_ms": 1000 * seconds["full"] / n_steps,
        "without_tcm_ms": 1000 * seconds["plain"] / n_steps,
        "extra_percent": 100 * (seconds["full"] / seconds["plain"] - 1),
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.manual_seed(0)
    rows = [loss_rows(), correctness_rows(), tcm_share_rows(), tcm_fit_rows()]
    report("losses", [row for part in rows for row in part])
