"""Files that ship with the package; also read from a zipped installation."""

from importlib.resources import files


def read_bundled(dataset):
    """Content of each file of a bundled set, by file name."""
    folder = files("skdeep.datasets").joinpath("data")
    return {
        file.filename: folder.joinpath(file.path).read_bytes() for file in dataset.files
    }


def read_description(name):
    """Text of the description of a data set."""
    path = files("skdeep.datasets").joinpath("descr", f"{name}.rst")
    return path.read_text(encoding="utf-8")
