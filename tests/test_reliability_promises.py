"""Determinism and isolation: what a fit and an answer depend on, and what they leave.

Identifiers such as R401 name a promise.
"""

import copy
import gc
import logging
import os
import pickle
import random
import signal
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import joblib
import numpy as np
import psutil
import pytest
import sklearn
import torch
from estimators import (
    CASES,
    IDS,
    answers,
    assert_same_answers,
    assert_valid_answers,
    callables,
)

import skdeep


@pytest.fixture(scope="module", params=CASES, ids=IDS)
def case(request):
    return request.param


@pytest.fixture(scope="module")
def fitted(case):
    return case.fitted()


@pytest.fixture(scope="module")
def rows(case):
    return case.make_data()[2]


@pytest.fixture(scope="module")
def expected(fitted, rows):
    return answers(fitted, rows)


def fit_and_answer(case, **params):
    X, y, rows = case.make_data()
    return answers(case.new(**params).fit(X, y), rows)


def test_R401_same_seed_gives_the_same_bits(case, expected):
    for _ in range(2):
        assert_same_answers(fit_and_answer(case), expected)


def test_R401_refit_of_one_instance_gives_the_same_bits(case, fitted, rows, expected):
    X, y, _ = case.make_data()
    estimator = copy.deepcopy(fitted)
    for _ in range(2):
        assert_same_answers(answers(estimator.fit(X, y), rows), expected)


def test_R401_two_seeds_give_two_models(case, expected):
    other = fit_and_answer(case, random_state=1)
    assert any((other[name] != expected[name]).any() for name in other)


@pytest.mark.slow
def test_R401_loky_processes_give_the_same_bits(case, expected):
    parallel = joblib.Parallel(n_jobs=2)
    try:
        for found in parallel(joblib.delayed(_fit_in_process)(case.id) for _ in "ab"):
            assert_same_answers(found, expected)
    finally:
        joblib.externals.loky.get_reusable_executor().shutdown(wait=True)


def _fit_in_process(name):
    sys.path.insert(0, os.path.dirname(__file__))
    import estimators

    (case,) = (case for case in estimators.CASES if case.id == name)
    return fit_and_answer(case)


PROGRAM = """
import pickle, sys
from estimators import CASES, answers
found = {}
for case in CASES:
    X, y, rows = case.make_data()
    found[case.id] = answers(case.new().fit(X, y), rows)
with open(sys.argv[1], "wb") as file:
    pickle.dump(found, file)
"""


def run_python(program, *args, env=None, **options):
    """Run a program in a fresh interpreter that finds this folder and the package."""
    folder = Path(__file__).parent
    path = os.pathsep.join([str(folder), str(folder.parent)])
    env = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", **(env or {})}
    options = {"capture_output": True, "text": True, "timeout": 120, **options}
    return subprocess.run([sys.executable, "-c", program, *args], env=env, **options)


@pytest.mark.slow
def test_R401_hash_seed_changes_nothing(tmp_path):
    contents = []
    for hash_seed in ("1", "2"):
        path = tmp_path / hash_seed
        done = run_python(PROGRAM, str(path), env={"PYTHONHASHSEED": hash_seed})
        assert done.returncode == 0, done.stderr
        contents.append(pickle.loads(path.read_bytes()))
    for case in CASES:
        for content in contents:
            assert_same_answers(content[case.id], fit_and_answer(case))


def global_random_states():
    return (
        random.getstate(),
        pickle.dumps(np.random.get_state()),  # noqa: NPY002
        torch.get_rng_state().numpy().tobytes(),
    )


def test_R402_global_generators_are_left_alone(case, rows):
    X, y, _ = case.make_data()
    before = global_random_states()
    estimator = case.new().fit(X, y)
    assert global_random_states() == before
    answers(estimator, rows)
    pickle.loads(pickle.dumps(estimator))
    assert global_random_states() == before


class ForeignNet(torch.nn.Module):
    """Network with dropout whose constructor draws from torch's global generator."""

    def __init__(self, n_features=5, n_outputs=4):
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(n_features, 8),
            torch.nn.ReLU(),
            torch.nn.Linear(8, n_outputs),
        )

    def forward(self, X):
        return self.layers(X)


def test_R402_networks_of_the_user_are_built_without_a_trace(case):
    if "module" not in case.estimator.get_params():
        pytest.skip("takes no network")
    X, y, rows = case.make_data()
    before = global_random_states()
    results = []
    for _ in range(2):
        estimator = case.new(module=ForeignNet).fit(X, y)
        copied = pickle.loads(pickle.dumps(estimator))
        results.append(answers(estimator, rows))
        assert_same_answers(answers(copied, rows), results[-1])
        assert global_random_states() == before
    assert_same_answers(*results)


def test_R402_network_given_as_instance_is_copied_and_not_trained(case):
    if "module" not in case.estimator.get_params():
        pytest.skip("takes no network")
    X, y, _ = case.make_data()
    network = ForeignNet()
    before = copy.deepcopy(network.state_dict())
    estimator = case.estimator.__class__(
        **{**case.estimator.get_params(), "module": network}
    )
    estimator.fit(X, y)
    assert estimator.module is network
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])
        assert network.training


def test_R403_global_seeds_change_nothing(case, expected):
    states = global_random_states()
    for number in (1, 2):
        random.seed(number)
        np.random.seed(number)  # noqa: NPY002
        torch.manual_seed(number)
        assert_same_answers(fit_and_answer(case), expected)
    random.setstate(states[0])
    np.random.set_state(pickle.loads(states[1]))  # noqa: NPY002
    torch.set_rng_state(torch.tensor(np.frombuffer(states[2], dtype=np.uint8).copy()))


def test_R404_float32_and_float64_agree(case, expected):
    X, y, rows = case.make_data()
    estimator = case.new().fit(X.astype(np.float32), y)
    for name, answer in answers(estimator, rows.astype(np.float32)).items():
        if name == "predict":
            np.testing.assert_array_equal(answer, expected[name])
        else:
            np.testing.assert_allclose(answer, expected[name], rtol=1e-2, atol=1e-4)


BY_ROW = [case for case in CASES if case.by_row]
NETWORKS = {
    "as it is": {},
    "linear": {"hidden_layer_sizes": ()},
    "odd widths": {"hidden_layer_sizes": (7, 13), "n_components": 3},
    "wide": {"hidden_layer_sizes": (130,), "n_components": 33},
    "one number": {"hidden_layer_sizes": (1,), "n_components": 1},
    "convolution": {
        "module": "conv",
        "module_params": {"channels": (3, 5)},
    },
}
SPLITS = {
    "one at a time": lambda n: np.array_split(np.arange(n), n),
    "chunks of 7": lambda n: np.array_split(np.arange(n), range(7, n, 7)),
    "permuted": lambda n: [np.random.RandomState(0).permutation(n)],
    "reversed pairs": lambda n: np.array_split(np.arange(n)[::-1], n // 2),
}


@pytest.fixture(scope="module")
def fitted_networks():
    return {}


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("n_features", [5, 16, 49])
@pytest.mark.parametrize("by_row", BY_ROW, ids=[case.id for case in BY_ROW])
def test_R405_R406_answer_to_a_row_is_independent_of_the_others_bit_for_bit(
    by_row, n_features, network, split, fitted_networks
):
    params = by_row.estimator.get_params()
    if not params.keys() >= NETWORKS[network].keys():
        pytest.skip("has no such parameters")
    X, y, rows = by_row.make_data()
    X, rows = (np.tile(part, 10)[:, :n_features] for part in (X, rows))
    key = by_row.name, n_features, network
    if key not in fitted_networks:
        settings = NETWORKS[network]
        if settings.get("module") == "conv" and n_features == 5:
            settings = {**settings, "module_params": {"image_shape": (1, 1, 5)}}
        fitted_networks[key] = by_row.new(max_epochs=1, **settings).fit(X, y)
    estimator = fitted_networks[key]
    for name in callables(estimator):
        ask = getattr(estimator, name)
        whole = ask(rows)
        for part in SPLITS[split](len(rows)):
            np.testing.assert_array_equal(ask(rows[part]), whole[part])


def test_R405_network_of_the_user_answers_by_row_up_to_rounding(case):
    if "module" not in case.estimator.get_params():
        pytest.skip("takes no network")
    X, y, rows = case.make_data()
    estimator = case.new(module=ForeignNet).fit(X, y)
    for name in callables(estimator):
        ask = getattr(estimator, name)
        single = np.concatenate([ask(rows[[number]]) for number in range(len(rows))])
        np.testing.assert_allclose(single, ask(rows), rtol=1e-5, atol=1e-6)


def test_R408_thread_count_of_neighbours_changes_nothing(case, expected):
    if "n_jobs" not in case.estimator.get_params():
        pytest.skip("has no n_jobs")
    assert_same_answers(fit_and_answer(case, n_jobs=2), expected)


def global_settings():
    return {
        "grad": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        "dtype": torch.get_default_dtype(),
        "device": torch.get_default_device(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "anomaly": torch.is_anomaly_enabled(),
        "cudnn": torch.backends.cudnn.benchmark,
        "threads": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "numpy errors": np.geterr(),
        "numpy print": np.get_printoptions(),
        "environment": dict(os.environ) | {"PYTEST_CURRENT_TEST": ""},
        "folder": os.getcwd(),
        "signals": [signal.getsignal(number) for number in range(1, 30)],
        "sklearn": sklearn.get_config(),
        "warnings": list(warnings.filters),
        "handlers": list(logging.getLogger().handlers),
        "level": logging.getLogger().level,
        "excepthook": sys.excepthook,
        "recursion": sys.getrecursionlimit(),
        "switch": sys.getswitchinterval(),
    }


def test_R409_global_settings_are_left_alone(case, rows):
    X, y, _ = case.make_data()
    # libraries that are imported on first use may set what they like at their import
    answers(case.new().fit(X, y), rows)
    before, threads = global_settings(), set(threading.enumerate())
    estimator = case.new().fit(X, y)
    assert global_settings() == before
    answers(pickle.loads(pickle.dumps(estimator)), rows)
    assert global_settings() == before
    assert set(threading.enumerate()) <= threads
    with pytest.raises(ValueError, match="NaN"):
        estimator.fit(X * np.nan, y)
    assert global_settings() == before


class DefaultDtype:
    def __init__(self, dtype):
        self.dtype = dtype

    def __enter__(self):
        self.before = torch.get_default_dtype()
        torch.set_default_dtype(self.dtype)

    def __exit__(self, *args):
        torch.set_default_dtype(self.before)


class Deterministic:
    def __enter__(self):
        torch.use_deterministic_algorithms(True)

    def __exit__(self, *args):
        torch.use_deterministic_algorithms(False)


MODES = {
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "float64 by default": lambda: DefaultDtype(torch.float64),
    "bfloat16 by default": lambda: DefaultDtype(torch.bfloat16),
    "deterministic": Deterministic,
    "meta device by default": lambda: torch.device("meta"),
    "anomaly detection": lambda: torch.autograd.set_detect_anomaly(
        True, check_nan=False
    ),
    "numpy errors raised": lambda: np.errstate(all="raise", under="ignore"),
}


@pytest.mark.filterwarnings("ignore:Anomaly Detection:UserWarning")
@pytest.mark.parametrize("mode", MODES)
def test_R410_mode_of_the_caller_changes_nothing(mode, case, rows, expected):
    X, y, _ = case.make_data()
    with MODES[mode]():
        estimator = case.new().fit(X, y)
        inside = answers(estimator, rows)
        loaded = pickle.loads(pickle.dumps(estimator))
        copied = copy.deepcopy(estimator)
    for found in (estimator, loaded, copied):
        assert_same_answers(answers(found, rows), expected)
    assert_same_answers(inside, expected)


def test_R410_fit_inside_inference_mode_can_be_continued_outside(case, rows):
    if "warm_start" not in case.estimator.get_params():
        pytest.skip("has no warm start")
    X, y, _ = case.make_data()
    results = []
    for mode in (torch.inference_mode, torch.enable_grad):
        with mode():
            estimator = case.new(warm_start=True).fit(X, y)
            loaded = pickle.loads(pickle.dumps(estimator))
        results += [answers(found.fit(X, y), rows) for found in (estimator, loaded)]
    for result in results:
        assert_same_answers(result, results[0])


def test_R411_nothing_is_written_to_the_outputs(case, rows, capfd):
    X, y, _ = case.make_data()
    estimator = case.new().fit(X, y)
    answers(pickle.loads(pickle.dumps(estimator)), rows)
    assert capfd.readouterr() == ("", "")


def test_R411_verbose_writes_one_line_an_epoch(case, capfd):
    case.fitted(verbose=1)
    out, err = capfd.readouterr()
    assert out == ""
    assert len(err.splitlines()) == case.n_heard()


def test_R412_inputs_are_never_written_to(case):
    X, y, rows = (np.array(part) for part in case.make_data())
    kept = [part.copy() for part in (X, y, rows)]
    answers(case.new().fit(X, y), rows)
    for dtype in (np.float32, np.float64):
        given = X.astype(dtype)
        before = given.copy()
        estimator = case.new().fit(given, y)
        np.testing.assert_array_equal(given, before)
        answers(estimator, given)
        np.testing.assert_array_equal(given, before)
    for part, copied in zip((X, y, rows), kept):
        np.testing.assert_array_equal(part, copied)


def test_R412_answers_do_not_share_memory_with_the_model_or_the_input(fitted, rows):
    for name in callables(fitted):
        X = rows.astype(np.float32)
        first = getattr(fitted, name)(X)
        second = getattr(fitted, name)(X)
        assert first.flags.writeable
        assert not np.shares_memory(first, X)
        assert not np.shares_memory(first, second)


@pytest.mark.slow
def test_R413_many_fits_leave_no_memory_threads_files_or_children(case, rows, tmp_path):
    X, y, _ = case.make_data()
    process = psutil.Process()

    def measure():
        gc.collect()
        return {
            "threads": threading.active_count(),
            "native threads": process.num_threads(),
            "files": process.num_fds(),
            "children": len(process.children(recursive=True)),
            "temporary files": len(os.listdir(tmp_path)),
        }

    for number in range(100):
        answers(case.new(random_state=number, max_epochs=1).fit(X, y), rows)
        if number == 29:
            before, resident = measure(), process.memory_info().rss
    assert measure() == before
    assert process.memory_info().rss - resident < 8 * 2**20


IMPORT = """
import os, random, socket, sys, threading, warnings
import numpy, sklearn, torch, skorch, scipy.sparse
def refuse(*args, **kwargs):
    raise RuntimeError("a socket was opened")
socket.socket.__init__ = refuse
random.seed(0), numpy.random.seed(0), torch.manual_seed(0)
before = (
    random.getstate(), numpy.random.get_state()[1].tolist(), torch.get_rng_state().tolist(),
    threading.active_count(), dict(os.environ), os.getcwd(), warnings.filters[:],
    torch.get_num_threads(), sys.path[:], sorted(os.listdir("/proc/self/task")),
)
import skdeep
for name in skdeep.__all__:
    getattr(skdeep, name)
after = (
    random.getstate(), numpy.random.get_state()[1].tolist(), torch.get_rng_state().tolist(),
    threading.active_count(), dict(os.environ), os.getcwd(), warnings.filters[:],
    torch.get_num_threads(), sys.path[:], sorted(os.listdir("/proc/self/task")),
)
assert before == after
"""


@pytest.mark.slow
def test_R414_import_has_no_side_effect_and_is_silent():
    done = run_python(IMPORT, env={"PYTHONWARNINGS": "error:::skdeep"})
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_R415_no_training_row_is_in_the_pickled_or_saved_bytes(case, tmp_path):
    X, y, rows = case.make_data()
    for dtype in (np.float64, np.float32):
        estimator = case.new(warm_start=False).fit(X.astype(dtype), y)
        estimator = estimator.fit(X.astype(dtype), y)
        skdeep.save(estimator, tmp_path / "model.skdeep")
        contents = {
            "pickle": pickle.dumps(estimator),
            "file": (tmp_path / "model.skdeep").read_bytes(),
        }
        answers(estimator, rows)
        contents["pickle after a question"] = pickle.dumps(estimator)
        for kind, content in contents.items():
            for part in (X[:90], rows):
                for kept in (np.float64, np.float32):
                    for row in part.astype(kept):
                        assert row.tobytes() not in content, kind
                        # nor any two neighbouring values of it
                        assert row[:2].tobytes() not in content, kind


def test_R415_fitted_state_does_not_grow_with_the_data(case):
    X, y, _ = case.make_data()
    sizes = [
        len(pickle.dumps(case.new().fit(np.tile(X, (n, 1)), np.concatenate([y] * n))))
        for n in (1, 8)
    ]
    n_more = 7 * len(y)
    assert sizes[1] - sizes[0] < 2000 + case.bytes_per_row * n_more


def test_section_4_concurrent_answers_equal_serial_ones(fitted, rows, expected):
    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(lambda _: answers(fitted, rows), range(64)):
            assert_same_answers(found, expected)


def test_section_4_concurrent_fits_equal_serial_ones(case):
    seeds = [0, 1, 2, 3] * 2
    serial = [fit_and_answer(case, random_state=number) for number in seeds[:4]]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda n: fit_and_answer(case, random_state=n), seeds))
    for number, result in zip(seeds, found):
        assert_same_answers(result, serial[number])


def test_section_4_concurrent_fits_of_user_networks_equal_serial_ones(case):
    if "module" not in case.estimator.get_params():
        pytest.skip("takes no network")
    serial = fit_and_answer(case, module=ForeignNet)
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(fit_and_answer, case, module=ForeignNet) for _ in range(8)]
    for job in jobs:
        assert_same_answers(job.result(), serial)


def test_section_4_answers_while_another_thread_fits(case, fitted, rows, expected):
    with ThreadPoolExecutor(2) as pool:
        fit = pool.submit(fit_and_answer, case, max_epochs=5)
        for _ in range(20):
            assert_same_answers(answers(fitted, rows), expected)
        assert fit.result()


FORK = """
import os, sys, time
import numpy as np, torch
torch.set_num_threads(2)
from estimators import CASES, answers, assert_same_answers
rng = np.random.RandomState(0)
a = torch.randn(600, 600)
(a @ a).sum()  # starts the worker threads of torch
for case in CASES:
    X, y, rows = case.make_data()
    estimator = case.new().fit(X, y)
    many = np.tile(rows, (500 if case.by_row else 50, 1))
    expected = answers(estimator, many)
    child = os.fork()
    if child == 0:
        found = answers(estimator, many)
        for name in found:
            assert np.allclose(found[name], expected[name], atol=1e-6)
        case.new().fit(X, y)
        os._exit(7)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        time.sleep(0.05)
    else:
        os.kill(child, 9)
        sys.exit("the child did not answer")
    assert os.waitstatus_to_exitcode(status) == 7
    assert torch.get_num_threads() == 2
    assert_same_answers(answers(estimator, many), expected)
"""


@pytest.mark.slow
def test_R509_forked_child_answers_and_trains():
    # two threads on cores that others use, too, wait for each other; the promise is about
    # a child that never answers, for which the program itself has a limit
    env = {"OMP_NUM_THREADS": "2", "PYTHONWARNINGS": "ignore"}
    done = run_python(FORK, env=env, timeout=900)
    assert done.returncode == 0, done.stderr


def test_R508_answers_for_many_rows_take_bounded_memory(case, fitted):
    n_copies = 2500 if case.by_row else 500  # (50 000, 5), or fewer to search among
    rows = np.tile(case.make_data()[2], (n_copies, 1)).astype(np.float32)
    process = psutil.Process()
    answers(fitted, rows[:5000])
    resident, peak, done = process.memory_info().rss, [0], threading.Event()

    def watch():
        while not done.wait(0.002):
            peak[0] = max(peak[0], process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    assert_valid_answers(fitted, rows, len(rows))
    done.set()
    watcher.join()
    assert peak[0] - resident < 512 * 2**20
