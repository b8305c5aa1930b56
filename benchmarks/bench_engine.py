"""Cost of the training engine and of prediction beside a plain torch loop.

The same perceptron, data, optimizer and number of steps in three loops: by hand, in our
engine, and in skorch as it comes. Targets at batch 128: training at most 1.25 times the
plain loop, prediction at most 1.5 times.
"""

import copy
import types

import numpy as np
import torch
from _tools import interleaved, report
from skorch import NeuralNet
from torch import nn

from skdeep._engine import TensorBatches, make_net, run
from skdeep.base import forward

SETTINGS = types.SimpleNamespace(
    callbacks=None,
    max_grad_norm=None,
    lr_schedule=None,
    verbose=0,
    optimizer="adam",
    optimizer_params=None,
    net_params=None,
    weight_decay=0.0,
    max_epochs=5,
)


def plain_fit(module, X, y, batch_size, n_epochs):
    X, y = torch.from_numpy(X), torch.from_numpy(y)
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-3, fused=True)
    criterion = nn.CrossEntropyLoss()
    module.train()
    for _ in range(n_epochs):
        total = 0.0
        for rows in torch.randperm(len(X)).split(batch_size):
            optimizer.zero_grad()
            loss = criterion(module(X[rows]), y[rows])
            loss.backward()
            optimizer.step()
            total += loss.item()


def engine_fit(module, X, y, batch_size, n_epochs):
    batches = TensorBatches(
        X, y, batch_size, shuffle=True, generator=torch.Generator().manual_seed(0)
    )
    net = make_net(
        SETTINGS, module, nn.CrossEntropyLoss(), device="cpu", lr=1e-3, n_steps=1
    )
    run(net, batches, None, n_epochs, [])


def skorch_fit(module, X, y, batch_size, n_epochs):
    NeuralNet(
        module,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        optimizer__fused=True,
        lr=1e-3,
        batch_size=batch_size,
        max_epochs=n_epochs,
        train_split=None,
        verbose=0,
    ).fit(X, y)


def plain_predict(module, X, batch_size):
    module.eval()
    with torch.inference_mode():
        parts = [module(part) for part in torch.from_numpy(X).split(batch_size)]
        return torch.cat(parts).numpy()


def main():
    torch.set_num_threads(1)
    rng = np.random.RandomState(0)
    rows = []
    module = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 10))
    for n_samples, batch_size in ((20_000, 128), (8_000, 32), (200, 32)):
        X = rng.normal(size=(n_samples, 20)).astype(np.float32)
        y = rng.randint(10, size=n_samples)
        n_epochs = max(2, 30_000 // n_samples)
        loops = {"plain": plain_fit, "skdeep": engine_fit, "skorch": skorch_fit}
        seconds = interleaved(
            {
                name: lambda fit=fit: fit(
                    copy.deepcopy(module), X, y, batch_size, n_epochs
                )
                for name, fit in loops.items()
            }
        )
        n_batches = n_epochs * -(-n_samples // batch_size)
        row = {"work": "train", "n_samples": n_samples, "batch_size": batch_size}
        row |= {f"{k}_us_per_batch": 1e6 * v / n_batches for k, v in seconds.items()}
        row["skdeep_over_plain"] = seconds["skdeep"] / seconds["plain"]
        row["skorch_over_plain"] = seconds["skorch"] / seconds["plain"]
        rows.append(row)
    for n_samples in (1, 2_000, 20_000):
        X = rng.normal(size=(n_samples, 20)).astype(np.float32)
        times = max(5, 100_000 // (n_samples + 100))
        net = NeuralNet(module, criterion=nn.CrossEntropyLoss, verbose=0).initialize()
        seconds = interleaved(
            {
                "plain": lambda: [plain_predict(module, X, 4096) for _ in range(times)],
                "skdeep": lambda: [forward(module, X, "cpu") for _ in range(times)],
                "skorch": lambda: [net.predict(X) for _ in range(times // 20 or 1)],
            }
        )
        seconds["skorch"] *= times / (times // 20 or 1)
        row = {"work": "predict", "n_samples": n_samples, "batch_size": 4096}
        row |= {f"{k}_us_per_batch": 1e6 * v / times for k, v in seconds.items()}
        row["skdeep_over_plain"] = seconds["skdeep"] / seconds["plain"]
        row["skorch_over_plain"] = seconds["skorch"] / seconds["plain"]
        rows.append(row)
    report("engine", rows)


if __name__ == "__main__":
    main()
