"""Deep-learning estimators for scikit-learn pipelines.

Importing this package is cheap: a name is resolved on first use, so a script that needs
only the scorers never pays for torch.
"""

from importlib import import_module as _import_module

from skdeep._version import __version__

_SUBMODULES = (
    "cluster",
    "datasets",
    "exceptions",
    "few_shot",
    "metric_learning",
    "metrics",
    "model_selection",
    "multilabel",
    "neighbors",
    "nn",
    "transfer",
)
_PUBLIC = {
    "AdapterExtender": "transfer",
    "DynamicChainClassifier": "multilabel",
    "FewShotClassifier": "few_shot",
    "HiLanderClusterer": "cluster",
    "SemiSupervisedMetaLearner": "few_shot",
    "SequenceTagger": "transfer",
    "TCMEmbedder": "metric_learning",
    "inspect": "_persistence",
    "load": "_persistence",
    "opis_score": "metrics",
    "save": "_persistence",
    "show_versions": "utils._show_versions",
}
__all__ = [*_PUBLIC, *_SUBMODULES, "__version__"]


def __getattr__(name):
    if name in _SUBMODULES:
        return _import_module(f"{__name__}.{name}")
    if name in _PUBLIC:
        return getattr(_import_module(f"{__name__}.{_PUBLIC[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return __all__


TYPE_CHECKING = False
if TYPE_CHECKING:
    from skdeep import (  # noqa: F401
        cluster,
        datasets,
        exceptions,
        few_shot,
        metric_learning,
        metrics,
        model_selection,
        multilabel,
        neighbors,
        nn,
        transfer,
    )
    from skdeep._persistence import inspect, load, save  # noqa: F401
    from skdeep.cluster import HiLanderClusterer  # noqa: F401
    from skdeep.few_shot import (  # noqa: F401
        FewShotClassifier,
        SemiSupervisedMetaLearner,
    )
    from skdeep.metric_learning import TCMEmbedder  # noqa: F401
    from skdeep.metrics import opis_score  # noqa: F401
    from skdeep.multilabel import DynamicChainClassifier  # noqa: F401
    from skdeep.transfer import AdapterExtender, SequenceTagger  # noqa: F401
    from skdeep.utils._show_versions import show_versions  # noqa: F401
