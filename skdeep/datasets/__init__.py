"""Real data for examples, tests and first steps.

``load_*`` reads a set that ships with the package; ``fetch_*`` downloads one once,
verifies its checksum and keeps it in the data home.
"""

from skdeep.datasets._banking77 import fetch_banking77
from skdeep.datasets._clinc150 import fetch_clinc150
from skdeep.datasets._conll import read_conll
from skdeep.datasets._extension_split import extension_split
from skdeep.datasets._home import clear_data_home, get_data_home
from skdeep.datasets._multilabel import fetch_multilabel
from skdeep.datasets._omniglot import fetch_omniglot, load_omniglot100
from skdeep.datasets._snips import load_snips
from skdeep.datasets._snips_full import fetch_snips
from skdeep.datasets._split import class_disjoint_split
from skdeep.datasets._table import list_datasets
from skdeep.datasets._wnut17 import load_wnut17

__all__ = [
    "class_disjoint_split",
    "clear_data_home",
    "extension_split",
    "fetch_banking77",
    "fetch_clinc150",
    "fetch_multilabel",
    "fetch_omniglot",
    "fetch_snips",
    "get_data_home",
    "list_datasets",
    "load_omniglot100",
    "load_snips",
    "load_wnut17",
    "read_conll",
]
