"""Entries of the multi-label sets, which all come from one repository."""

from skdeep.datasets._entry import DataFile, Dataset

_FOLDER = "tsoumakas/mulan/43f6389095ad71984264db4387a8074b22bc7d4a/data/multi-label"


def _entry(name, task, *, n_samples, n_features, n_classes, citation, files):
    """Entry of a set from the size and the checksum of each of its three files."""
    endings = ("-train.arff", "-test.arff", ".xml")
    return Dataset(
        name=name,
        task=f"multi-label classification ({task})",
        n_samples=n_samples,
        n_features=n_features,
        n_classes=n_classes,
        licence="none stated (repository GPL-3.0)",
        source="https://github.com/tsoumakas/mulan",
        citation=citation,
        files=tuple(
            DataFile(f"{_FOLDER}/{name}/{name}{ending}", n_bytes, sha256)
            for ending, (n_bytes, sha256) in zip(endings, files)
        ),
        family="multilabel",
    )


MULTILABEL_DATASETS = (
    _entry(
        "emotions",
        "moods of music",
        n_samples=593,
        n_features=72,
        n_classes=6,
        citation=(
            "K. Trohidis, G. Tsoumakas, G. Kalliris, I. Vlahavas (2008). Multilabel "
            "Classification of Music into Emotions. Proceedings of the 9th "
            "International Conference on Music Information Retrieval, 325-330."
        ),
        files=(
            (
                252080,
                "bbe704106c79bb8fb99c1d1d2e9bde081d6a2daeb01f100862f11fd91a3c1f98",
            ),
            (
                132007,
                "f13d4b746b7b5c8eb484bd751d6ac463d4560dff998a93516a5c1fe35daf6c8f",
            ),
            (323, "dbce8e6ccbbb2fcbfd9e9edbb230d7ed12692c6e13f59fdbc0161fa9b6cf2dc0"),
        ),
    ),
    _entry(
        "yeast",
        "functions of genes",
        n_samples=2417,
        n_features=103,
        n_classes=14,
        citation=(
            "A. Elisseeff, J. Weston (2001). A Kernel Method for Multi-Labelled "
            "Classification. Advances in Neural Information Processing Systems 14, "
            "681-687."
        ),
        files=(
            (
                1501117,
                "e759dc991ff54694a4ff9c4314f3be0d6fd2b1994a4b563f57e416394c6aebbd",
            ),
            (
                918515,
                "4aaac102bff9669a765bf0b378602e5cc8c3b181048282e2f003117b496d552a",
            ),
            (526, "c3056cc26444b5158b1588d1b73bec9c45429e10f0957ad085903423cb81f247"),
        ),
    ),
    _entry(
        "birds",
        "species in sound recordings",
        n_samples=645,
        n_features=260,
        n_classes=19,
        citation=(
            "F. Briggs et al. (2013). The 9th annual MLSP competition: New methods for "
            "acoustic classification of multiple simultaneous bird species in a noisy "
            "environment. IEEE International Workshop on Machine Learning for Signal "
            "Processing."
        ),
        files=(
            (
                539367,
                "8f215db6ee163149901e753977f631ba8bea0e0e8e1abc42b234414822f8ae36",
            ),
            (
                540883,
                "51ba6326d65ccdd7c755b6461280eb6d2769c7f59d8e12fd4250f91e6ca28326",
            ),
            (889, "0f4ea547b2b3d538c8402662daf689e0d4520cc8b4f5ba113c2e7c01700f010f"),
        ),
    ),
    _entry(
        "medical",
        "diagnosis codes of short texts",
        n_samples=978,
        n_features=1449,
        n_classes=45,
        citation=(
            "J. P. Pestian, C. Brew, P. Matykiewicz, D. J. Hovermale, N. Johnson, "
            "K. B. Cohen, W. Duch (2007). A shared task involving multi-label "
            "classification of clinical free text. Biological, translational, and "
            "clinical language processing (BioNLP), 97-104."
        ),
        files=(
            (69680, "c764f45756ab1c553b8b4eaaf5605a5610a43bbbcf37492d0f1a12bf9c9e2244"),
            (99124, "6be472e75a6c0b0916187f343a398011b1b26f8f0ddc682c575312ad3532f6c4"),
            (1818, "51fa9d5c09e48caff3f0a0c75db1c9aa85944f8e35451f3ad8bd56fc422286ce"),
        ),
    ),
    _entry(
        "bibtex",
        "tags of publications",
        n_samples=7395,
        n_features=1836,
        n_classes=159,
        citation=(
            "I. Katakis, G. Tsoumakas, I. Vlahavas (2008). Multilabel Text "
            "Classification for Automated Tag Suggestion. Proceedings of the ECML/PKDD "
            "2008 Discovery Challenge."
        ),
        files=(
            (
                2292961,
                "8dcc9de6e0b2cebaec8c1f4fac78431adeeb73cfd3ab879b530a66d366e59174",
            ),
            (
                1215637,
                "9b03329cde64d3f994bdf7fbbac3f3b10fe185c311cb9ae725475f59c7f3f922",
            ),
            (5880, "08fe20013c1e75dcf1888c185f5187c95e76495b8518ce289b4d3afce38d1232"),
        ),
    ),
    _entry(
        "delicious",
        "tags of web pages",
        n_samples=16105,
        n_features=500,
        n_classes=983,
        citation=(
            "G. Tsoumakas, I. Katakis, I. Vlahavas (2008). Effective and Efficient "
            "Multilabel Classification in Domains with Large Number of Labels. "
            "Proceedings of the ECML/PKDD 2008 Workshop on Mining Multidimensional "
            "Data."
        ),
        files=(
            (
                3056590,
                "030186cdb542ebdd32052fcdbb1ebe30115b3a22518c1b4b198c45eb827aebe1",
            ),
            (
                757565,
                "2dfb01723a819914b0ca83361177ed413ce3f2169851d9f228d4692915d63944",
            ),
            (34303, "4e0c0f93c7d86a39b9fca4aaefaa00e9428f2c80277732dfbf03ca48e2c14da2"),
        ),
    ),
)
