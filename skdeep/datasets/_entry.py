"""What the table of data sets says about one set and about one file of it."""

from dataclasses import dataclass
from pathlib import PurePosixPath


@dataclass(frozen=True)
class DataFile:
    """One file of a data set.

    Parameters
    ----------
    path : str
        Place below the upstream host for a download, below ``skdeep/datasets/data``
        for a bundled file.

    n_bytes : int
        Exact size.

    sha256 : str
        Checksum of the content.
    """

    path: str
    n_bytes: int
    sha256: str

    @property
    def filename(self):
        """Last part of the path: the name of the file in the data home."""
        return PurePosixPath(self.path).name


@dataclass(frozen=True)
class Dataset:
    """One data set.

    Parameters
    ----------
    name : str
        The loader is called ``load_<name>`` or ``fetch_<name>``, unless there is a
        `family` or a `function`.

    task : str
        What it is for, in a few words.

    n_samples : int
        Rows of both parts of its split together.

    n_features : int or None
        Columns of the default form; None for raw text.

    n_classes : int
        Distinct targets; of a multi-label set, labels.

    licence, source, citation : str
        Terms of use, place of origin, publication.

    files : tuple of DataFile
        All files.

    bundled : bool, default=False
        Whether the files are part of the package.

    family : str or None, default=None
        The sets of a family have one loader, ``fetch_<family>``, which takes the name.

    function : str or None, default=None
        Name of the loader, where it does not follow from that of the set.
    """

    name: str
    task: str
    n_samples: int
    n_features: int | None
    n_classes: int
    licence: str
    source: str
    citation: str
    files: tuple
    bundled: bool = False
    family: str | None = None
    function: str | None = None

    @property
    def loader(self):
        """The call that reads the set."""
        if self.family is not None:
            return f'fetch_{self.family}("{self.name}")'
        if self.function is not None:
            return f"{self.function}()"
        return f"{'load' if self.bundled else 'fetch'}_{self.name}()"

    @property
    def n_bytes(self):
        """Size of all files."""
        return sum(file.n_bytes for file in self.files)
