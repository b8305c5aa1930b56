"""The meta-learner: from a table with many classes to classifiers for new ones."""

from numbers import Integral, Real

import numpy as np
from sklearn.base import (
    ClassifierMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
)
from sklearn.utils import check_consistent_length, check_random_state, get_tags
from sklearn.utils.validation import check_is_fitted

from skdeep.base import BaseDeepEstimator, all_or_nothing, forward
from skdeep.few_shot._adapting import task_logits
from skdeep.few_shot._answers import TaskAnswersMixin
from skdeep.few_shot._attributes import LearnedAttributesMixin
from skdeep.few_shot._features import is_transformer, transformed, unit_rows
from skdeep.few_shot._fitting import fit_learner
from skdeep.few_shot._labels import encode_partly
from skdeep.few_shot._learned import METHODS, Learned, check_codes, own_how
from skdeep.few_shot._many import adapt_classifiers
from skdeep.few_shot._training import make_model
from skdeep.utils._params import HasMethods, Interval, ListOf, StrOptions
from skdeep.utils._torch import resolve_device
from skdeep.utils._validation import flatten_images, validate_rows

_COUNT = Interval(Integral, 1, None, closed="left")


class SemiSupervisedMetaLearner(
    TaskAnswersMixin,
    LearnedAttributesMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    ClassifierMixin,
    BaseDeepEstimator,
):
    """Learn from many classes how to learn new ones from a few rows.

    Fit it once on a table with many labelled classes. `adapt` then makes a classifier
    for classes never seen, from one to five labelled rows of each and a pile of rows
    without a label, in milliseconds. How a pile is used is learned from thousands of
    small tasks drawn from the known classes: a network stands in for the gradient that
    the missing labels would give [1]_.

    It is a classifier of the known classes, too, and a transformer.

    Parameters
    ----------
    backbone : {"mlp", "conv4"}, torch.nn.Module, callable, transformer or None, \
            default=None
        What makes features of a row. None: X holds features already. "mlp" and "conv4"
        are networks of the package; a callable returns a module. A transformer of
        scikit-learn, such as `TCMEmbedder`, is copied and fitted on X and y. Networks
        are trained as classifiers of the known classes, with a softmax over cosines.

    image_shape : tuple of int or None, default=None
        (channels, height, width) of the images that rows hold. Not needed if X has four
        dimensions, or for "conv4" and square grey images.

    n_components : int, default=128
        Size of the features of "mlp" and "conv4".

    hidden_layer_sizes : sequence of int, default=(512,)
        Hidden layers of "mlp".

    backbone_max_epochs : int, default=10
        Passes of the backbone's training over the data.

    backbone_lr : float, default=2e-3
        Its learning rate.

    backbone_batch_size : int, default=64
        Rows of its mini-batches.

    cross_fit : int, default=2
        Folds of classes. The features that tasks are drawn from come from backbones
        which have not seen these classes: on classes that it was trained on, a backbone
        makes every task easy, and nothing can be learned. 0 and 1 are without. Only with
        a backbone.

    method : {"sib", "prototype", "soft_kmeans", "bd_cspn", "laplacian", "tim", \
            "alpha_tim", "pt_map", "label_propagation", "ilpc"}, default="sib"
        How to adapt. All but "sib" are rules without anything to learn.

    phi : {"fit", "scratch", "pretrained"} or fitted SemiSupervisedMetaLearner, \
            default="fit"
        The network that stands in for the gradient. "fit" goes on from the one that
        comes with the package, "scratch" starts anew, "pretrained" trains nothing. A
        learner gives its own as it is: `n_steps` to `support_gradient` are not read.

    gradient_net : {"equivariant", "paper"}, default="equivariant"
        The published network is made for one number of classes, knows their order, and
        starts from scratch. The other one takes any number of classes in any order, sees
        what the neighbours of a row are, and how large the classes seem to be.

    n_steps : int, default=3
        Steps of an adaptation.

    n_neighbors : int, default=8
        Rows of a task that vote on each row; not in the paper.

    inner_lr : float or "learned", default="learned"
        Rate of the steps. "learned" is 1e-3 with ``gradient_net="paper"``.

    support_gradient : bool, default=True
        Whether labelled rows pull at the prototypes in every step; in the paper they
        only make the first ones.

    n_way : int or (int, int), default=(2, 10)
        Classes of a training task, or lowest and highest number.

    n_shot : int or (int, int), default=(1, 5)
        Their labelled rows, or lowest and highest number; less if too few classes have.

    n_query : int, default=15
        Their rows without a label, on average.

    query_balance : {"balanced", "mixed"} or float, default="mixed"
        Class shares in the pile of a training task: equal, drawn from a Dirichlet
        distribution with this concentration, or half of the tasks each way.

    max_epochs : int, default=10
        Passes over `episodes_per_epoch` tasks.

    episodes_per_epoch : int, default=320
        Tasks between two looks at the validation tasks.

    batch_size : int, default=16
        Tasks of a step.

    lr : float, default=2e-3
        Learning rate.

    lr_schedule : {"cosine", "linear"} or None, default="cosine"
        How the learning rate falls to zero.

    optimizer : {"adam", "adamw", "sgd"} or callable, default="adam"
        Name of an optimizer, or a class with the interface of ``torch.optim``.

    optimizer_params : dict or None, default=None
        Further arguments of the optimizer.

    weight_decay : float, default=0.0
        Decay of the weights; it plays the part of a prior in the paper, with 5e-4.

    max_grad_norm : float or None, default=1.0
        Bound on the norm of the gradient.

    scale : float, default=10.0
        Where the factor on the cosines starts, with ``phi="scratch"``.

    power : float or "auto", default="auto"
        Exponent of the magnitudes of the features, before rows are brought to length 1.
        "auto" is 0.5, or 0.35, 0.7 or 1 if tasks of the known classes are easier with
        that; of sparse rows, 0.5, or 1 if a feature is negative.

    center : bool, default=False
        Whether the mean of the known rows is subtracted after the power.

    class_prior : {"auto", "uniform"} or None, default="auto"
        See `FewShotClassifier`; for `adapt`, which takes arrays as well.

    outlier_weight : float or None, default=None
        See `FewShotClassifier`.

    early_stopping : bool or "auto", default="auto"
        Whether to hold classes out, to stop after `n_iter_no_change` epochs without a
        better accuracy on tasks of them, and to keep the best weights. It is off if it
        would leave less than 2 * `n_way` classes, of a pair the lower; True warns then.

    validation_fraction : float, default=0.15
        Fraction of the classes held out, of each fold and of each of `tasks`.

    n_validation_episodes : int, default=200
        Tasks of the held-out classes, always the same.

    n_iter_no_change : int, default=5
        Patience in epochs. Only used if `early_stopping` is on.

    unlabeled_label : int, str or float, default=-1
        Label that marks a row without one; -1 and 1 alone are two classes in `fit`.

    warm_start : bool, default=False
        Whether `fit` goes on from the gradient network of the last fit.

    callbacks : list or None, default=None
        Further callbacks of skorch.

    net_params : dict or None, default=None
        Arguments of ``skorch.NeuralNet``; also ``precision=`` and ``compile=``.

    device : str, default="auto"
        Where to train: "cpu", "cuda", "mps", ..., or "auto" for the fastest there is.

    random_state : int, RandomState instance or None, default=None
        Seeds the weights, the held-out classes and the tasks.

    verbose : int, default=0
        Log one line per epoch if greater than 0.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The known classes.

    backbone_ : torch.nn.Module, fitted transformer or None
        What makes the features.

    phi_ : torch.nn.Module or None
        The gradient network.

    power_ : float
        Exponent of the features.

    scale_ : float
        Factor on the cosines, after the last step.

    step_sizes_ : ndarray of shape (n_steps,)
        Rates of the steps.

    support_weights_ : ndarray of shape (n_steps,)
        What a labelled row counts in each step, where a row of the pile counts up to 1
        before the network has its say.

    init_weight_ : ndarray of shape (n_components,) or float
        Weights of the features in the first prototypes; 1.0 unless
        ``gradient_net="paper"``.

    prototypes_ : ndarray of shape (n_classes, n_components)
        Of the known classes.

    method_ : str
        The rule in use: `method`, or "prototype" if there were too few classes to learn
        from.

    module_ : torch.nn.Module
        Backbone and gradient network.

    history_ : list of dict
        Of each epoch: losses, validation accuracy and its interval, seconds.

    n_iter_ : int
        Number of epochs run.

    best_epoch_ : int
        Epoch whose weights were kept.

    net_ : skorch.NeuralNet
        The net that did the training; not there after unpickling.

    device_ : str
        Where the networks are.

    n_features_in_ : int
        Number of features seen in `fit`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if X had any.

    See Also
    --------
    FewShotClassifier : The classifier that `adapt` returns.
    skdeep.model_selection.EpisodeSampler : Draws tasks for any classifier.
    skdeep.model_selection.few_shot_score : Accuracy over many tasks.

    Notes
    -----
    A task with n rows, C classes, d features and K steps costs
    O(n^2 d + K n C d) time; training keeps O(K (n C + C d)) floats of each task.

    The paper's setting is ``gradient_net="paper"``, ``phi="scratch"``, ``n_steps=3``,
    ``n_way=5``, ``n_shot=1`` or 5, ``query_balance="balanced"``, ``cross_fit=0``,
    ``power=1.0``, ``batch_size=1``, ``optimizer="sgd"``, ``lr=1e-3``,
    ``lr_schedule=None``, ``optimizer_params={"momentum": 0.9, "nesterov": True}``,
    ``weight_decay=5e-4``, ``max_grad_norm=None``, ``episodes_per_epoch=1000`` and
    ``max_epochs=50``.

    References
    ----------
    .. [1] Hu, Moreno, Xiao, Shen, Obozinski, Lawrence and Damianou, "Empirical Bayes
       Transductive Meta-Learning with Synthetic Gradients", ICLR 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from skdeep.few_shot import SemiSupervisedMetaLearner
    >>> X, y = load_digits(return_X_y=True)
    >>> known = y < 5
    >>> learner = SemiSupervisedMetaLearner(
    ...     n_way=3, max_epochs=1, random_state=0
    ... ).fit(X[known], y[known])
    >>> X_new, y_new = X[~known], y[~known]
    >>> few = [np.flatnonzero(y_new == digit)[0] for digit in range(5, 10)]
    >>> classifier = learner.adapt(X_new[few], y_new[few], X_new)
    >>> classifier.predict(X_new).shape
    (896,)
    """

    _parameter_constraints = {
        **{
            name: rule
            for name, rule in BaseDeepEstimator._parameter_constraints.items()
            if name not in ("module", "module_params")
        },
        "backbone": [
            StrOptions({"mlp", "conv4"}),
            callable,
            HasMethods("fit", "transform"),
            None,
        ],
        "image_shape": [ListOf(_COUNT), None],
        "n_components": [_COUNT],
        "hidden_layer_sizes": [ListOf(_COUNT)],
        "backbone_max_epochs": [_COUNT],
        "backbone_lr": [Interval(Real, 0, None, closed="neither")],
        "backbone_batch_size": [Interval(Integral, 2, None, closed="left")],
        "cross_fit": [Interval(Integral, 0, None, closed="left")],
        "method": [StrOptions(METHODS)],
        "phi": [StrOptions({"fit", "scratch", "pretrained"}), HasMethods("adapt")],
        "gradient_net": [StrOptions({"equivariant", "paper"})],
        "n_steps": [_COUNT],
        "n_neighbors": [_COUNT],
        "inner_lr": [Interval(Real, 0, 1, closed="right"), StrOptions({"learned"})],
        "support_gradient": ["boolean"],
        "n_way": [Interval(Integral, 2, None, closed="left"), ListOf(_COUNT)],
        "n_shot": [_COUNT, ListOf(_COUNT)],
        "n_query": [_COUNT],
        "query_balance": [
            StrOptions({"balanced", "mixed"}),
            Interval(Real, 0, None, closed="neither"),
        ],
        "episodes_per_epoch": [_COUNT],
        "batch_size": [_COUNT],
        "scale": [Interval(Real, 0, None, closed="neither")],
        "power": [Interval(Real, 0, 1, closed="right"), StrOptions({"auto"})],
        "center": ["boolean"],
        "class_prior": [StrOptions({"auto", "uniform"}), None],
        "outlier_weight": [Interval(Real, 0, None, closed="neither"), None],
        "early_stopping": ["boolean", StrOptions({"auto"})],
        "n_validation_episodes": [_COUNT],
        "unlabeled_label": [Interval(Real, None, None, closed="neither"), str],
    }
    _make_module = staticmethod(make_model)

    def __init__(
        self,
        backbone=None,
        *,
        image_shape=None,
        n_components=128,
        hidden_layer_sizes=(512,),
        backbone_max_epochs=10,
        backbone_lr=2e-3,
        backbone_batch_size=64,
        cross_fit=2,
        method="sib",
        phi="fit",
        gradient_net="equivariant",
        n_steps=3,
        n_neighbors=8,
        inner_lr="learned",
        support_gradient=True,
        n_way=(2, 10),
        n_shot=(1, 5),
        n_query=15,
        query_balance="mixed",
        max_epochs=10,
        episodes_per_epoch=320,
        batch_size=16,
        lr=2e-3,
        lr_schedule="cosine",
        optimizer="adam",
        optimizer_params=None,
        weight_decay=0.0,
        max_grad_norm=1.0,
        scale=10.0,
        power="auto",
        center=False,
        class_prior="auto",
        outlier_weight=None,
        early_stopping="auto",
        validation_fraction=0.15,
        n_validation_episodes=200,
        n_iter_no_change=5,
        unlabeled_label=-1,
        warm_start=False,
        callbacks=None,
        net_params=None,
        device="auto",
        random_state=None,
        verbose=0,
    ):
        self.backbone = backbone
        self.image_shape = image_shape
        self.n_components = n_components
        self.hidden_layer_sizes = hidden_layer_sizes
        self.backbone_max_epochs = backbone_max_epochs
        self.backbone_lr = backbone_lr
        self.backbone_batch_size = backbone_batch_size
        self.cross_fit = cross_fit
        self.method = method
        self.phi = phi
        self.gradient_net = gradient_net
        self.n_steps = n_steps
        self.n_neighbors = n_neighbors
        self.inner_lr = inner_lr
        self.support_gradient = support_gradient
        self.n_way = n_way
        self.n_shot = n_shot
        self.n_query = n_query
        self.query_balance = query_balance
        self.max_epochs = max_epochs
        self.episodes_per_epoch = episodes_per_epoch
        self.batch_size = batch_size
        self.lr = lr
        self.lr_schedule = lr_schedule
        self.optimizer = optimizer
        self.optimizer_params = optimizer_params
        self.weight_decay = weight_decay
        self.max_grad_norm = max_grad_norm
        self.scale = scale
        self.power = power
        self.center = center
        self.class_prior = class_prior
        self.outlier_weight = outlier_weight
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_validation_episodes = n_validation_episodes
        self.n_iter_no_change = n_iter_no_change
        self.unlabeled_label = unlabeled_label
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.net_params = net_params
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    @all_or_nothing
    def fit(self, X, y, tasks=None):
        """Learn from known classes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or array of \
                shape (n_samples, channels, height, width)
            Rows of many classes.

        y : array-like of shape (n_samples,)
            Their classes. Rows with `unlabeled_label` are only used as a pile when the
            learner adapts itself to the known classes.

        tasks : array-like of shape (n_samples,), default=None
            Task of each row: an alphabet, a customer, a sensor. Training tasks are drawn
            within one of them, and a label in two of them is two classes.

        Returns
        -------
        self : SemiSupervisedMetaLearner
            Fitted estimator.
        """
        data = X, y
        X, image_shape = flatten_images(X)
        reset = not (self.warm_start and hasattr(self, "module_"))
        X = self._validate_rows(X, reset=reset)
        self.classes_, codes = encode_partly(self, y, self.unlabeled_label)
        check_consistent_length(X, codes)
        check_codes(self, codes)
        self.device_ = resolve_device(self.device)
        rng = check_random_state(self.random_state)
        fit_learner(self, X, codes, tasks, image_shape, rng, data)
        return self

    def adapt(self, X_support, y_support, X_unlabeled=None, **options):
        """Make a classifier for new classes; the learner stays as it is.

        Parameters
        ----------
        X_support : {array-like, sparse matrix} of shape (n_support, n_features)
            Rows with a label, any number of each class.

        y_support : array-like of shape (n_support,)
            Labels of at least two classes. `unlabeled_label` marks further rows of the
            pile.

        X_unlabeled : {array-like, sparse matrix} of shape (n_unlabeled, n_features), \
                default=None
            The pile: rows without a label. May be what is to be predicted.

        **options : dict
            Parameters of `FewShotClassifier`.

        Returns
        -------
        classifier : FewShotClassifier
            Fitted.
        """
        return self.adapt_many([(X_support, y_support, X_unlabeled)], **options)[0]

    def adapt_many(self, problems, **options):
        """Make classifiers for many tasks at once, faster than one by one.

        Parameters
        ----------
        problems : list of (X_support, y_support, X_unlabeled)
            As for `adapt`; the last one may be None.

        **options : dict
            Parameters of `FewShotClassifier`.

        Returns
        -------
        classifiers : list of FewShotClassifier
            Fitted.
        """
        check_is_fitted(self)
        return adapt_classifiers(self, problems, options)

    def transform(self, X):
        """Features of rows, of length 1.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        features : {ndarray, CSR matrix} of shape (n_samples, n_components), \
                dtype float32
            Sparse if X is, unless a backbone makes them dense.
        """
        check_is_fitted(self)
        return self._unit_rows(X)

    def score(self, X, y, sample_weight=None):
        """Accuracy on rows of the known classes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        y : array-like of shape (n_samples,)
            Their classes.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        score : float
            Share of right answers.
        """
        check_is_fitted(self)
        if not np.isin(np.asarray(y), self.classes_).any():
            raise ValueError(
                "No label in y is a class that this learner knows, so its accuracy says "
                "nothing. To see how well it learns new classes use "
                "skdeep.model_selection.few_shot_score, or in a search "
                "scoring=skdeep.metrics.make_few_shot_scorer(...)."
            )
        return super().score(X, y, sample_weight)

    def _validate_rows(self, X, *, reset, **check_params):
        X, _ = flatten_images(X)
        return validate_rows(self, X, reset=reset, accept_sparse=True, **check_params)

    def _unit_rows(self, X, overwrite=False):
        """Rows as the rules compare them."""
        X = self._validate_rows(X, reset=False)
        features = self._raw_features(X)
        overwrite = overwrite and features is X  # others may belong to a transformer
        return unit_rows(features, self.power_, self._mean, overwrite)

    def _raw_features(self, X):
        return self._features_of(X, self._transformer, self.module_.backbone)

    def _features_of(self, X, transformer=None, module=None, device=None):
        """Features of a transformer, of a network, or the rows themselves."""
        if transformer is not None:
            return transformed(transformer, X)
        return X if module is None else forward(module, X, device or self.device_)

    def _as_learned(self, steps=None):
        return Learned(steps, self, self.module_.adapter, self.method_, self.device_)

    def _logits(self, X):
        how = own_how(self, self.module_.adapter)
        return task_logits(self._state, self._unit_rows(X), how)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = not is_transformer(self.backbone) or bool(
            get_tags(self.backbone).input_tags.sparse
        )
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags
