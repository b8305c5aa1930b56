"""Speed and memory of the chain classifier.

Seconds and peak of memory of one member with early stopping on bibtex, of the default
there, of one member on delicious with its 983 labels, and of a fit on 200,000 x 50,000
sparse rows; a training step of the decoder beside a plain loop over the steps.

Run ``bench_chain_speed.py [case ...]``; the data are downloaded. Rows of the results file
that are not measured again are kept.
"""

import argparse
import csv
import multiprocessing
import resource
import time

import numpy as np
import scipy.sparse as sp
import torch
from _tools import RESULTS, interleaved, report
from bench_multilabel import evaluate, load

from skdeep.multilabel import DynamicChainClassifier
from skdeep.multilabel._modules import ChainNet
from skdeep.utils._torch import build


def timed_fit(data, **params):
    """Seconds of fit and prediction of one chain classifier."""
    X, Y, X_test, Y_test = load(data)
    chain = DynamicChainClassifier(random_state=0, device="cpu", **params)
    start = time.process_time()
    chain.fit(X, Y)
    middle = time.process_time()
    labels = chain.predict(X_test)
    end = time.process_time()
    row = evaluate("", chain.predict_proba(X_test), labels, Y_test)
    row = {key: row[key] for key in ("subset_accuracy", "example_f1", "p_at_1")}
    return {
        "cpu_seconds_fit": middle - start,
        "cpu_seconds_predict": end - middle,
        "epochs": chain.n_iter_,
        "peak_megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        **row,
    }


def decoder_steps(n_rows=128, n_steps=5, n_labels=159, n_hidden=256, n_label=128):
    """Milliseconds of a training step of our decoder, and of a plain loop."""
    generator = torch.Generator().manual_seed(0)
    encoded = torch.randn(n_rows, n_hidden, generator=generator)
    order = torch.rand(n_rows, n_labels, generator=generator).argsort(1)
    symbols = order[:, :n_steps].contiguous()
    net = build(
        lambda: ChainNet(
            torch.nn.Identity(),
            n_hidden,
            n_labels,
            hidden_size=n_hidden,
            label_size=n_label,
            label_skip=True,
            has_look=False,
            has_head=True,
        ),
        generator=generator,
    )
    linears = {
        "state": torch.nn.Linear(n_hidden, n_hidden),
        "readout": torch.nn.Linear(n_hidden, n_label),
        "before": torch.nn.Linear(n_label, n_label, bias=False),
        "context": torch.nn.Linear(n_hidden, n_label, bias=False),
        "output": torch.nn.Linear(n_label, n_labels + 1),
        "head": torch.nn.Linear(n_hidden, n_labels),
    }
    cell = torch.nn.GRUCell(n_label + n_hidden, n_hidden)
    embedding = torch.nn.Embedding(n_labels, n_label)

    def ours():
        logits, _ = net.teacher_force(net(encoded), symbols)
        torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), symbols.flatten()
        ).backward()

    def plain():
        state = torch.tanh(linears["state"](encoded))
        vector, loss = torch.zeros(n_rows, n_label), 0
        for step in range(n_steps):
            state = cell(torch.cat([vector, encoded], 1), state)
            hidden = linears["readout"](state) + linears["before"](vector)
            hidden = torch.tanh(hidden + linears["context"](encoded))
            head = torch.nn.functional.pad(linears["head"](encoded), (0, 1))
            logits = linears["output"](hidden) + head
            loss = loss + torch.nn.functional.cross_entropy(logits, symbols[:, step])
            vector = embedding(symbols[:, step])
        loss.backward()

    seconds = interleaved({"ours": ours, "plain loop": plain}, repeats=101)
    return {
        "ours_ms": 1e3 * seconds["ours"],
        "plain_loop_ms": 1e3 * seconds["plain loop"],
        "ratio": seconds["plain loop"] / seconds["ours"],
    }


def large_sparse():
    """Extra memory of a fit and a prediction on 200,000 x 50,000 sparse rows."""
    rng = np.random.default_rng(0)
    n_rows, n_features, n_stored, n_labels = 200_000, 50_000, 20, 100
    columns = rng.integers(n_features, size=n_rows * n_stored, dtype=np.int32)
    starts = np.arange(0, n_rows * n_stored + 1, n_stored, dtype=np.int32)
    values = np.ones(len(columns), dtype=np.float32)
    X = sp.csr_array((values, columns, starts), shape=(n_rows, n_features))
    marks = (columns.reshape(n_rows, n_stored)[:, :2] % n_labels).ravel()
    rows = np.repeat(np.arange(n_rows), 2)
    Y = sp.csr_array((np.ones(len(rows)), (rows, marks)), shape=(n_rows, n_labels))
    Y.data[:] = 1
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    start = time.process_time()
    chain = DynamicChainClassifier(
        training="permutation",
        n_estimators=1,
        max_epochs=1,
        random_state=0,
        device="cpu",
    )
    found = chain.fit(X, Y).predict(X)
    return {
        "peak_megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "megabytes_above_data": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        / 1024
        - before,
        "cpu_seconds_fit": time.process_time() - start,
        "labels_found": float(found.sum() / n_rows),
    }


SINGLE = {"training": "permutation", "n_estimators": 1, "early_stopping": True}
SPEED = {
    "decoder step, training": decoder_steps,
    "bibtex, one member, early stopping": lambda: timed_fit("bibtex", **SINGLE),
    "bibtex, default": lambda: timed_fit("bibtex"),
    "delicious, one member": lambda: timed_fit(
        "delicious", training="permutation", n_estimators=1
    ),
    "200,000 x 50,000 sparse, one member, one epoch": large_sparse,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("cases", nargs="*", default=list(SPEED))
    path, rows = RESULTS / "multilabel_speed.csv", {}
    if path.exists():
        with open(path, newline="") as file:
            rows = {row["case"]: row for row in csv.DictReader(file)}
    for name in parser.parse_args().cases:
        # a process of its own, for its peak of memory
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            rows[name] = {"case": name, **pool.apply(call, (name,))}
        report("multilabel_speed", list(rows.values()))


def call(name):
    """Run a case in another process."""
    return SPEED[name]()


if __name__ == "__main__":
    main()
