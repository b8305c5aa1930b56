"""The table of data sets, its files in the package, and the data home."""

import os
import re
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

import pytest

from skdeep import datasets
from skdeep.datasets import clear_data_home, get_data_home, list_datasets
from skdeep.datasets._resources import read_bundled, read_description
from skdeep.datasets._table import DATASETS

BUNDLED = [dataset for dataset in DATASETS.values() if dataset.bundled]


def test_the_list_has_one_line_a_set_and_the_same_keys():
    lines = list_datasets()
    assert [line["name"] for line in lines] == list(DATASETS)
    keys = [
        "name",
        "task",
        "n",
        "d",
        "classes",
        "licence",
        "bytes",
        "bundled",
        "loader",
    ]
    assert all(list(line) == keys for line in lines)


def test_every_set_has_a_public_loader():
    for line in list_datasets():
        call = re.fullmatch(r'((load|fetch)_\w+)\((?:"(\w+)")?\)', line["loader"])
        assert call[1] in datasets.__all__
        assert call[2] == ("load" if line["bundled"] else "fetch")
        if line["name"] == "snips_full":  # the bundled part has the short name
            assert call[1] == "fetch_snips"
            continue
        assert call[3] or call[1].endswith(f"_{line['name']}")
        assert call[3] in (None, line["name"])


@pytest.mark.parametrize("dataset", BUNDLED, ids=lambda dataset: dataset.name)
def test_bundled_files_have_the_size_and_checksum_of_the_table(dataset):
    contents = read_bundled(dataset)
    for file in dataset.files:
        content = contents[file.filename]
        assert len(content) == file.n_bytes
        assert sha256(content).hexdigest() == file.sha256


def test_every_bundled_file_is_in_the_table_and_in_the_licences():
    folder = files("skdeep.datasets").joinpath("data")
    found = {path.name for path in folder.iterdir()} - {"LICENSES.md"}
    assert found == {file.path for dataset in BUNDLED for file in dataset.files}
    licences = folder.joinpath("LICENSES.md").read_text(encoding="utf-8")
    headings = [line for line in licences.splitlines() if line.startswith("## ")]
    assert set(" ".join(headings).replace("## ", "").replace(",", "").split()) == found


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=lambda dataset: dataset.name)
def test_downloads_are_pinned_and_described(dataset):
    for file in dataset.files:
        assert re.fullmatch("[0-9a-f]{64}", file.sha256)
        if not dataset.bundled:
            assert re.match(r"[^/]+/[^/]+/[0-9a-f]{40}/", file.path)
    text = read_description(dataset.name)
    for part in (dataset.licence, dataset.source, f"{dataset.n_samples}"):
        assert part in text
    for heading in ("Characteristics", "Origin", "Licence", "Citation", "Known faults"):
        assert f"**{heading}**" in text


def test_the_argument_names_the_home_before_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("SKDEEP_DATA", str(tmp_path / "by_environment"))
    assert get_data_home() == str(tmp_path / "by_environment")
    assert get_data_home(tmp_path / "by_argument") == str(tmp_path / "by_argument")
    assert sorted(os.listdir(tmp_path)) == ["by_argument", "by_environment"]


def test_the_home_is_in_the_home_of_the_user_by_default(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("SKDEEP_DATA", "")
    assert get_data_home() == str(tmp_path / "skdeep_data")
    assert get_data_home(Path("~", "other")) == str(tmp_path / "other")


def test_clearing_deletes_what_was_fetched_and_nothing_else(tmp_path):
    folder = tmp_path / "banking77"
    folder.mkdir()
    for name in ("train.csv", "test.csv.part_0123", "notes.txt"):
        (folder / name).write_text("text")
    (tmp_path / "omniglot").mkdir()
    (tmp_path / "thesis.tex").write_text("text")
    clear_data_home(tmp_path)
    rest = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")}
    assert rest == {"banking77", os.path.join("banking77", "notes.txt"), "thesis.tex"}


def test_clearing_removes_a_home_that_becomes_empty(tmp_path):
    home = tmp_path / "home"
    (home / "banking77").mkdir(parents=True)
    (home / "banking77" / "train.csv").write_text("text")
    clear_data_home(home)
    assert not home.exists()
    clear_data_home(home)  # nothing there is nothing to do
