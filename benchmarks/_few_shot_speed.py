"""What adapting costs: one call, many tasks at once, and the memory of these."""

import gc
import multiprocessing
import resource
import warnings

import torch
from _few_shot_data import load, load_out_of_fold, load_test_episodes
from _tools import cpu_seconds
from threadpoolctl import threadpool_limits

from skdeep.few_shot import SemiSupervisedMetaLearner

METHODS = "sib", "prototype", "bd_cspn", "tim", "pt_map", "ilpc"
SHOTS = 1, 5
N_TASKS = 1000
SPEED_KEYS = "data", "n_shot", "method"


def speed_rows(data):
    """Rows of the table of times and memory, each measured in a process of its own."""
    for n_shot in SHOTS:
        for method in METHODS:
            # the peak of a process never falls: what ran before would hide the next
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                yield pool.apply(measure, (data, n_shot, method))


def measure(data, n_shot, method):
    """CPU milliseconds on one thread, and megabytes, as one row."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    with threadpool_limits(1):
        learner = SemiSupervisedMetaLearner(phi="pretrained", power=0.5, device="cpu")
        base = load_out_of_fold(data)
        learner.fit(base.X, base.y, tasks=base.part)
        problems = tasks(data, n_shot)
        one = cpu_seconds(lambda: learner.adapt(*problems[0], method=method), 50)
        gc.collect()
        before = peak_megabytes()
        classifiers = learner.adapt_many(problems, method=method)
        extra = peak_megabytes() - before
        del classifiers
        many = cpu_seconds(lambda: learner.adapt_many(problems, method=method), 3)
    return {
        "data": data,
        "n_shot": n_shot,
        "method": method,
        "adapt_ms": 1000 * one,
        "adapt_many_ms_a_task": 1000 * many / N_TASKS,
        f"extra_mb_of_{N_TASKS}_tasks": extra,
    }


def tasks(data, n_shot):
    """Test episodes as problems; the first ones come again."""
    rows, _ = load(data)
    episodes = load_test_episodes(data, n_shot, "balanced")
    numbers = [number % len(episodes) for number in range(N_TASKS)]
    return [
        (
            rows.X[episodes.support[number]],
            episodes.y_support[number],
            rows.X[episodes.query[number]],
        )
        for number in numbers
    ]


def peak_megabytes():
    """Most memory that this process has had so far (Linux counts in kilobytes)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
