"""New classes from one or five labelled rows and a pile without labels.

600 fixed episodes of 5 classes with 75 query rows, which are the rows without label too.
The classes were never seen by the backbone of the features. ``balanced`` has 15 query rows
of every class, ``dir2`` class shares from Dirichlet(2).

* ``clinc150``: 128 features of short texts, 40 test classes of 150 rows.
* ``omniglot``: 64 features of characters, 46 test classes of 20 rows, balanced only.

All models see the same rows of length one: features as they are (power 1), or the square
roots of them (power 0.5); on clinc150 the models of others also get power 0.35, which our
learner chooses there. Parameters of the peers are chosen for each set, number of shots,
balance and power on 100 episodes of validation classes drawn in the same way, the mean of
the base rows to be subtracted being one of them where a peer can do so. Power ``auto`` is our
learner as it is by default, which chooses the power on the base classes. The interval is
1.96 standard errors over episodes. Milliseconds are those of one CPU thread for one episode
after the other; ours adapts to all at once, and the median of three times is given.

Run ``bench_few_shot.py [--data name ...] [--models name ...] [--power 1 ...] [--part peers
ours speed]``. Peers beside scikit-learn need ``easyfsl``; it is left out if it is not
installed, and works without torchvision. Rows of the results files that are not computed
again are kept. The part ``speed`` has a file of its own, ``few_shot_speed.csv``: milliseconds
of a single `adapt`, and milliseconds a task and extra memory of 1,000 tasks in `adapt_many`.
"""

import argparse
import csv
import time
import warnings

import numpy as np
import torch
from _few_shot_data import (
    CELLS,
    VALIDATION,
    draw_episodes,
    load,
    load_test_episodes,
)
from _few_shot_ours import OurModels
from _few_shot_peers import installed_peers
from _few_shot_speed import SPEED_KEYS, speed_rows
from _tools import RESULTS, report
from sklearn.model_selection import ParameterGrid
from threadpoolctl import threadpool_limits

N_VALIDATION = 100
POWERS = 1.0, 0.5, "auto"
CHOSEN_POWERS = {"clinc150": 0.35}  # what "auto" is where it is none of the others
KEYS = ("data", "n_shot", "balance", "power", "model")


def accuracies(classify, X, episodes, params):
    """Accuracy in each episode, and CPU milliseconds an episode."""
    found = []
    start = time.process_time()
    for support, y_support, query, y_query in zip(*episodes):
        labels = classify(X[support], y_support, X[query], **params)
        found.append((labels == y_query).mean())
    return np.array(found), 1000 * (time.process_time() - start) / len(episodes)


def choose(classify, grid, X, episodes):
    """Best point of a grid, and its mean accuracy."""
    points = list(ParameterGrid(grid))
    if len(points) == 1:
        return points[0], None
    values = [accuracies(classify, X, episodes, point)[0].mean() for point in points]
    return points[np.argmax(values)], 100 * max(values)


def describe(params):
    """Parameters as text."""
    return " ".join(
        f"{key}={'base mean' if isinstance(value, np.ndarray) else value}"
        for key, value in params.items()
        if value is not None
    )


def summary(found):
    """Mean accuracy in percent and its interval."""
    error = found.std(ddof=1) / len(found) ** 0.5
    return {"accuracy": 100 * found.mean(), "ci95": 196 * error}


def peer_rows(data, power, wanted):
    """Rows of the models of others."""
    if power == "auto":
        return
    rows, center = load(data, power)
    for name, peer in installed_peers().items():
        if not wanted(name):
            continue
        grid = dict(peer.grid)
        if peer.centered:
            grid["center"] = [None, center]
        if peer.own_power:
            grid["power_factor"] = [0.5 / power]
        for n_shot, balance in CELLS[data]:
            valid = draw_episodes(rows, VALIDATION, n_shot, balance, N_VALIDATION)
            params, value = choose(peer.classify, grid, rows.X, valid)
            episodes = load_test_episodes(data, n_shot, balance)
            episodes = episodes.first(peer.n_episodes)
            found, milliseconds = accuracies(peer.classify, rows.X, episodes, params)
            yield {
                **dict(zip(KEYS, (data, n_shot, balance, power, name))),
                **summary(found),
                "ms": milliseconds,
                "n_episodes": len(found),
                "params": describe(params),
                "on_validation_classes": "" if value is None else value,
            }


def our_rows(data, power, wanted):
    """Rows of our own estimators."""
    models = OurModels(data, power)
    for n_shot, balance in CELLS[data]:
        episodes = load_test_episodes(data, n_shot, balance)
        for name, found, milliseconds, seconds in models.answers(
            n_shot, episodes, wanted
        ):
            yield {
                **dict(zip(KEYS, (data, n_shot, balance, power, name))),
                **summary(found),
                "ms": milliseconds,
                "n_episodes": len(found),
                "params": f"fitted in {seconds:.1f} CPU s",
                "on_validation_classes": "",
            }


def keep_others(rows, name="few_shot", keys=KEYS):
    """The rows of a results file that are not computed again, and the new ones."""
    path = RESULTS / f"{name}.csv"
    if not path.exists():
        return rows
    new = {key_of(row, keys) for row in rows}
    with open(path, newline="") as file:
        old = list(csv.DictReader(file))
    old = [row for row in old if key_of(row, keys) not in new]
    return sorted(old + rows, key=lambda row: key_of(row, keys)[:-1])


def key_of(row, keys):
    """What tells rows apart, from numbers or from a file."""
    texts = {key: str(row[key]) for key in keys}
    if texts.get("power", "auto") != "auto":
        texts["power"] = f"{float(texts['power']):g}"
    return tuple(texts.values())


def power_of(text):
    """Power from the command line."""
    return text if text == "auto" else float(text)


def powers_of(data, part):
    """Powers at which a part of a whole run is computed."""
    if part == "peers" and data in CHOSEN_POWERS:
        return *POWERS, CHOSEN_POWERS[data]
    return POWERS


PARTS = {"peers": peer_rows, "ours": our_rows}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", nargs="*", default=list(CELLS))
    parser.add_argument("--models", nargs="*")
    parser.add_argument("--power", nargs="*", type=power_of)
    every = [*PARTS, "speed"]
    parser.add_argument("--part", nargs="*", choices=every, default=every)
    options = parser.parse_args()
    torch.set_num_threads(1)
    # classes of one row, rows that no label reaches, rows nobody is sure of
    warnings.simplefilter("ignore")

    def wanted(name):
        return not options.models or name in options.models

    with threadpool_limits(1):
        for data in options.data:
            for part in options.part:
                if part == "speed":
                    rows = keep_others(
                        list(speed_rows(data)), "few_shot_speed", SPEED_KEYS
                    )
                    report("few_shot_speed", rows)
                    continue
                for power in options.power or powers_of(data, part):
                    for row in PARTS[part](data, power, wanted):
                        report("few_shot", keep_others([row]))  # some take long


if __name__ == "__main__":
    main()
