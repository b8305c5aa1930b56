"""The files of the Snips data set, one for training and one for testing an intent."""

from skdeep.datasets._entry import DataFile, Dataset

INTENTS = (
    "AddToPlaylist",
    "BookRestaurant",
    "GetWeather",
    "PlayMusic",
    "RateBook",
    "SearchCreativeWork",
    "SearchScreeningEvent",
)
_SOURCE = "https://github.com/sonos/nlu-benchmark"
_CITATION = (
    "A. Coucke, A. Saade, A. Ball, T. Bluche, A. Caulier, D. Leroy, C. "
    "Doumouro, T. Gisselbrecht, F. Caltagirone, T. Lavril, M. Primet, J. Dureau "
    "(2018). Snips Voice Platform: an embedded Spoken Language Understanding "
    "system for private-by-design voice interfaces. arXiv:1805.10190."
)
_FOLDER = (
    "sonos/nlu-benchmark/b86ac7f1577868c42158d0dec77db50956046696/"
    "2017-06-custom-intent-engines"
)
_FILES = (
    DataFile(
        f"{_FOLDER}/AddToPlaylist/train_AddToPlaylist_full.json",
        833810,
        "fee1b4645352e70ed8a40f1f87c3b53fc3bf75f8ebc82252a22b82c107e75b01",
    ),
    DataFile(
        f"{_FOLDER}/AddToPlaylist/validate_AddToPlaylist.json",
        44160,
        "14cc9ee49ae477b1452632a6e835498cf4c32da397b16967c82abb3e50403e83",
    ),
    DataFile(
        f"{_FOLDER}/BookRestaurant/train_BookRestaurant_full.json",
        980018,
        "7677e82cd6e9a8191f0a4502568c786278c984900b4796d3628e46f1abf73ef4",
    ),
    DataFile(
        f"{_FOLDER}/BookRestaurant/validate_BookRestaurant.json",
        49353,
        "4f7258ccc768b777b2eb8916532db9aa50dbd058ddf1ffb0dc59218963e7442a",
    ),
    DataFile(
        f"{_FOLDER}/GetWeather/train_GetWeather_full.json",
        743646,
        "86f414b2ad8a993134d85d16e25e5d337beae47cef993c0af2a5f440405c60f6",
    ),
    DataFile(
        f"{_FOLDER}/GetWeather/validate_GetWeather.json",
        39612,
        "60c095e193655d6ca92be220fed3926ca25e18cd70c85664145efe25d80993af",
    ),
    DataFile(
        f"{_FOLDER}/PlayMusic/train_PlayMusic_full.json",
        675343,
        "901ddbe9781d1fdb8196e789c543f80df3d29ca6e237da64947905adcc0312e4",
    ),
    DataFile(
        f"{_FOLDER}/PlayMusic/validate_PlayMusic.json",
        33122,
        "922212775e26259d5bffeaf79b6048d070ca017d229df00b2cc9800f71c75d20",
    ),
    DataFile(
        f"{_FOLDER}/RateBook/train_RateBook_full.json",
        506364,
        "bb43e4b74134300d5766f6b420d0357a63402987a225f6dc92c806c9c040ce04",
    ),
    DataFile(
        f"{_FOLDER}/RateBook/validate_RateBook.json",
        52854,
        "c1f8b4114da0bb5e8afd78a8062766e18b2eabb0e717539598db01b09d04619b",
    ),
    DataFile(
        f"{_FOLDER}/SearchCreativeWork/train_SearchCreativeWork_full.json",
        292392,
        "87b3432de48c71c205aa5238b41d9e3f2d70bdfcd0bea2427544fb9e4bd5e5bb",
    ),
    DataFile(
        f"{_FOLDER}/SearchCreativeWork/validate_SearchCreativeWork.json",
        31404,
        "8a5e830eddb185d3e4a9d27ded140a145d04766bdce0e58834676ede32d13e77",
    ),
    DataFile(
        f"{_FOLDER}/SearchScreeningEvent/train_SearchScreeningEvent_full.json",
        364989,
        "5447e9440c02e2fb08c3ae16b9f58a4d1332b4bc77fd34691402b02aa4399765",
    ),
    DataFile(
        f"{_FOLDER}/SearchScreeningEvent/validate_SearchScreeningEvent.json",
        35716,
        "81e1445713e03c7c3e615353c5f3fee05f369fe9834100b9b9735900a96b9498",
    ),
)

SNIPS = Dataset(
    name="snips",
    task="multi-label classification, classification, tagging of texts",
    n_samples=2800,
    n_features=None,
    n_classes=39,
    licence="CC0 1.0",
    source=_SOURCE,
    citation=_CITATION,
    files=(
        DataFile(
            "snips_2800.tsv.gz",
            64597,
            "36538fa5bb9d427a35963e9947079919e78802799b556c93e0154d1c7bbe7575",
        ),
    ),
    bundled=True,
)
SNIPS_FULL = Dataset(
    name="snips_full",
    task="multi-label classification, classification, tagging of texts",
    n_samples=14484,
    n_features=None,
    n_classes=39,
    licence="CC0 1.0",
    source=_SOURCE,
    citation=_CITATION,
    files=_FILES,
    function="fetch_snips",
)
