"""Bridge to the callbacks of scikit-learn (`ProgressBar`, `ScoringMonitor`, ...).

They came with scikit-learn 1.9 as an experimental interface. Only this file touches it,
so a change there costs a feature and not the package.
"""

import copy

from skorch.callbacks import Callback

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # pragma: no cover

    class CallbackSupportMixin:
        """Stands in where scikit-learn has no callbacks."""

    def with_callbacks(method):
        return method


class SklearnBridge(Callback):
    """Report the start and the end of the fit and of each epoch.

    Parameters
    ----------
    estimator : BaseDeepEstimator
        The estimator in the middle of its fit.

    X, y : array-like
        Data of the fit, for callbacks that score.

    max_epochs : int
        Largest number of epochs, over all parts.

    n_parts : int, default=1
        Trainings that the fit consists of.

    module : torch.nn.Module or None, default=None
        What becomes ``module_``, if it is more than what a part trains.

    derive : callable or None, default=None
        Maps a copy of that module to a dict of what else has to be set for answers.
    """

    stop = False

    def __init__(
        self, estimator, X, y, max_epochs, n_parts=1, module=None, derive=None
    ):
        self.estimator = estimator
        self.data = {"X": X, "y": y}
        self.max_epochs = max_epochs
        self.n_parts_left = n_parts
        self.module = module
        self.derive = derive
        self.context_ = None

    def _arguments(self, net):
        def attributes():
            module = net.module_ if self.module is None else self.module
            module = copy.deepcopy(module).eval()
            more = {} if self.derive is None else self.derive(module)
            return {"module_": module, **more}

        return {
            "estimator": self.estimator,
            "reconstruction_attributes": attributes,
            **self.data,
        }

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        if self.context_ is not None:
            return
        self.context_ = self.estimator._init_callback_context(
            max_subtasks=self.max_epochs
        )
        self.context_.call_on_fit_task_begin(estimator=self.estimator, **self.data)

    def on_epoch_begin(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        self.epoch_ = self.context_.subcontext(task_name="epoch")
        self.epoch_.call_on_fit_task_begin(estimator=self.estimator, **self.data)

    def on_epoch_end(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        self.stop = self.epoch_.call_on_fit_task_end(**self._arguments(net))

    def on_train_end(self, net, X=None, y=None, **kwargs):
        self.n_parts_left -= 1
        if self.n_parts_left == 0:
            self.end(net)

    def end(self, net):
        """Tell that the fit is over; a part that was never begun is no reason to wait."""
        self.n_parts_left = 0
        self.context_.call_on_fit_task_end(**self._arguments(net))


def bridge(estimator, X, y, max_epochs, **options):
    """Callbacks that connect one fit to scikit-learn; none if nobody listens."""
    listens = hasattr(estimator, "_skl_callbacks")
    return [SklearnBridge(estimator, X, y, max_epochs, **options)] if listens else []
