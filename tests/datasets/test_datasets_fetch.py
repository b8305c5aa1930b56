"""Downloads: checksums, retries, mirrors, the cache, and every way to fail."""

import threading
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from urllib.error import HTTPError

import pytest

from skdeep.datasets import _fetch
from skdeep.datasets._fetch import fetch_files
from skdeep.exceptions import DatasetNotAvailableError

CONTENT = b"four legs, two wings\n" * 50
SHA256 = sha256(CONTENT).hexdigest()
PATH = "owner/repository/commit/animals.csv"


@pytest.fixture
def animals(make_dataset):
    return make_dataset("animals", {PATH: CONTENT})


@pytest.fixture
def upstream(server):
    server.contents[PATH] = CONTENT
    return server


def fetch(dataset, home, **options):
    return fetch_files(dataset, data_home=home, **{"delay": 0, **options})


def test_a_file_is_downloaded_once_and_then_read_from_the_home(
    animals, upstream, tmp_path
):
    for _ in range(2):
        assert fetch(animals, tmp_path) == {"animals.csv": CONTENT}
    assert upstream.requests == ["/" + PATH]
    assert (tmp_path / "animals" / "animals.csv").read_bytes() == CONTENT


def test_only_the_final_file_is_left_in_the_folder(animals, upstream, tmp_path):
    fetch(animals, tmp_path)
    assert [path.name for path in (tmp_path / "animals").iterdir()] == ["animals.csv"]


def test_a_file_placed_by_hand_needs_no_server(animals, tmp_path):
    (tmp_path / "animals").mkdir()
    (tmp_path / "animals" / "animals.csv").write_bytes(CONTENT)
    assert fetch(animals, tmp_path, download_if_missing=False)["animals.csv"] == CONTENT


@pytest.mark.parametrize("rotten", [b"", CONTENT[:-1], CONTENT + b"x"])
def test_a_damaged_file_in_the_home_is_downloaded_again_with_a_warning(
    animals, upstream, tmp_path, rotten
):
    path = tmp_path / "animals" / "animals.csv"
    path.parent.mkdir()
    path.write_bytes(rotten)
    with pytest.warns(UserWarning, match=f"{SHA256}.*downloaded again"):
        assert fetch(animals, tmp_path) == {"animals.csv": CONTENT}
    assert path.read_bytes() == CONTENT


def test_a_damaged_file_stays_if_no_better_one_is_to_be_had(animals, tmp_path):
    path = tmp_path / "animals" / "animals.csv"
    path.parent.mkdir()
    path.write_bytes(b"rotten")
    with (
        pytest.warns(UserWarning, match="wrong checksum"),
        pytest.raises(DatasetNotAvailableError),
    ):
        fetch(animals, tmp_path, n_retries=0)
    assert path.read_bytes() == b"rotten"


@pytest.mark.parametrize("rotten", [None, b"rotten"])
def test_without_permission_to_download_no_connection_is_opened(
    animals, tmp_path, monkeypatch, rotten
):
    def refuse(*args, **kwargs):
        raise RuntimeError("a connection was opened")

    monkeypatch.setattr(_fetch, "urlopen", refuse)
    if rotten:
        (tmp_path / "animals").mkdir()
        (tmp_path / "animals" / "animals.csv").write_bytes(rotten)
    fault = "has the wrong checksum" if rotten else "is missing"
    message = f"animals.csv {fault}.*`download_if_missing` is False"
    with pytest.raises(DatasetNotAvailableError, match=message):
        fetch(animals, tmp_path, download_if_missing=False)


def test_without_permission_to_download_no_folder_is_made(animals, tmp_path):
    home = tmp_path / "home"
    with pytest.raises(DatasetNotAvailableError):
        fetch(animals, home, download_if_missing=False)
    assert not home.exists()


@pytest.mark.parametrize("fault", [500, 503, 429, "truncate", "hang up"])
def test_a_passing_fault_is_tried_again(animals, upstream, tmp_path, fault):
    upstream.script = [fault, fault]
    assert fetch(animals, tmp_path) == {"animals.csv": CONTENT}
    assert len(upstream.requests) == 3


def test_a_stalled_connection_is_given_up_and_tried_again(
    animals, upstream, tmp_path, monkeypatch
):
    monkeypatch.setattr(_fetch, "TIMEOUT", 0.1)
    upstream.script = ["stall"]
    assert fetch(animals, tmp_path) == {"animals.csv": CONTENT}
    assert len(upstream.requests) == 2


@pytest.mark.parametrize("fault", [500, "truncate"])
def test_attempts_end_after_the_number_of_retries(animals, upstream, tmp_path, fault):
    upstream.script = [fault] * 10
    with pytest.raises(DatasetNotAvailableError):
        fetch(animals, tmp_path, n_retries=2)
    assert len(upstream.requests) == 3
    assert not (tmp_path / "animals").exists()


def test_pauses_double_within_a_quarter(animals, upstream, tmp_path, monkeypatch):
    pauses = []
    monkeypatch.setattr(_fetch, "sleep", pauses.append)
    upstream.script = [500] * 3
    fetch(animals, tmp_path, delay=1.0)
    assert len(pauses) == 3
    for pause, nominal in zip(pauses, [1, 2, 4]):
        assert 0.75 * nominal <= pause <= 1.25 * nominal


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_lasting_refusal_is_not_tried_again(animals, upstream, tmp_path, status):
    upstream.script = [status] * 10
    with pytest.raises(DatasetNotAvailableError, match=f"HTTP Error {status}"):
        fetch(animals, tmp_path)
    assert len(upstream.requests) == 1


def test_wrong_bytes_are_refused_with_both_checksums_and_the_address(
    animals, upstream, tmp_path
):
    upstream.script = ["wrong"]
    with pytest.raises(OSError, match="wrong checksum") as caught:
        fetch(animals, tmp_path)
    found = sha256(b"x" * len(CONTENT)).hexdigest()
    for part in (found, SHA256, f"{upstream.url}/{PATH}"):
        assert part in str(caught.value)
    assert len(upstream.requests) == 1
    assert not (tmp_path / "animals").exists()


def test_a_file_that_is_too_long_is_not_read_to_its_end(upstream):
    upstream.script = ["longer"]
    content = _fetch._get(f"{upstream.url}/{PATH}", len(CONTENT))
    assert len(content) == len(CONTENT) + 1


def test_a_file_that_is_too_long_is_refused(animals, upstream, tmp_path):
    upstream.script = ["longer"]
    with pytest.raises(OSError, match=f"more than the {len(CONTENT)} bytes"):
        fetch(animals, tmp_path)


def test_the_mirror_is_asked_first(animals, upstream, mirror, tmp_path):
    mirror.contents[PATH] = CONTENT
    assert fetch(animals, tmp_path) == {"animals.csv": CONTENT}
    assert (len(mirror.requests), len(upstream.requests)) == (1, 0)


@pytest.mark.parametrize("fault", [404, 500, "wrong", "truncate"])
def test_upstream_helps_out_where_the_mirror_fails(
    animals, upstream, mirror, tmp_path, fault
):
    mirror.contents[PATH] = CONTENT
    mirror.script = [fault] * 10
    assert fetch(animals, tmp_path, n_retries=1) == {"animals.csv": CONTENT}
    assert len(upstream.requests) == 1


def test_the_error_names_what_went_wrong_at_each_server(
    animals, upstream, mirror, tmp_path
):
    mirror.contents[PATH] = CONTENT
    mirror.script = ["wrong"]
    upstream.script = [404]
    with pytest.raises(DatasetNotAvailableError) as caught:
        fetch(animals, tmp_path)
    message = str(caught.value)
    assert message.index(mirror.url) < message.index("wrong checksum")
    assert message.index(upstream.url) < message.index("HTTP Error 404")


def test_offline_the_error_says_what_to_do(animals, tmp_path):
    with pytest.raises(DatasetNotAvailableError) as caught:
        fetch(animals, tmp_path, n_retries=0)
    message = str(caught.value)
    for part in (
        f"animals is not in {tmp_path}",
        "refused",
        "animals.csv",
        SHA256,
        "SKDEEP_DATA",
        "SKDEEP_DATA_MIRROR",
        "`load_omniglot100`",
        "`load_snips`",
    ):
        assert part in message


def test_a_mirror_that_is_no_web_address_is_refused(animals, tmp_path, monkeypatch):
    monkeypatch.setenv("SKDEEP_DATA_MIRROR", "file:///etc")
    with pytest.raises(ValueError, match="SKDEEP_DATA_MIRROR is 'file:///etc'"):
        fetch(animals, tmp_path)


def test_two_fetches_at_once_both_succeed(animals, upstream, tmp_path):
    upstream.meeting = threading.Barrier(2)  # answers only when both have asked
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda _: fetch(animals, tmp_path), range(2)))
    assert results == [{"animals.csv": CONTENT}] * 2
    assert len(upstream.requests) == 2
    assert [path.name for path in (tmp_path / "animals").iterdir()] == ["animals.csv"]


def test_a_failed_write_leaves_nothing_behind(animals, upstream, tmp_path, monkeypatch):
    def fail(source, target):
        raise OSError("disk full")

    monkeypatch.setattr(_fetch.os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        fetch(animals, tmp_path)
    assert list((tmp_path / "animals").iterdir()) == []


def test_several_files_come_in_the_order_of_the_table(make_dataset, server, tmp_path):
    contents = {"a/b/c/second.txt": b"2", "a/b/c/first.txt": b"1"}
    server.contents.update(contents)
    result = fetch(make_dataset("numbers", contents), tmp_path)
    assert list(result.items()) == [("second.txt", b"2"), ("first.txt", b"1")]


@pytest.mark.parametrize("n_retries", [-1, 1.5, "many"])
def test_a_strange_number_of_retries_is_refused(animals, tmp_path, n_retries):
    with pytest.raises(ValueError, match="`n_retries` is"):
        fetch(animals, tmp_path, n_retries=n_retries)


@pytest.mark.parametrize("delay", [-1, float("nan"), float("inf"), "long"])
def test_a_strange_delay_is_refused(animals, tmp_path, delay):
    with pytest.raises(ValueError, match="`delay` is"):
        fetch(animals, tmp_path, delay=delay)


@pytest.mark.parametrize(
    ("status", "passes"), [(404, False), (429, True), (500, True), (503, True)]
)
def test_which_answers_may_pass(status, passes):
    error = HTTPError("http://127.0.0.1", status, "", None, None)
    assert _fetch._may_pass(error) is passes
    error.close()
