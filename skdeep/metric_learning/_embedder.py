"""The embedder: encode, train with a base loss plus TCM, calibrate one threshold."""

from numbers import Integral, Real

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils.validation import check_is_fitted

from skdeep.base import BaseDeepEstimator, all_or_nothing
from skdeep.exceptions import InvalidParameterError
from skdeep.metric_learning._augment import AUGMENTATIONS, resolve_augment
from skdeep.metric_learning._batches import (
    ClassBalancedBatches,
    check_pairs,
)
from skdeep.metric_learning._calibration import VALIDATION_METRICS
from skdeep.metric_learning._losses import (
    BASE_LOSSES,
    MetricLoss,
    TCMLoss,
    has_class_vectors,
    start_base_loss,
    try_loss,
)
from skdeep.metric_learning._modules import (
    default_lr,
    encoder_args,
    make_unit_encoder,
    start_encoder,
    takes_sparse,
    validation_score,
)
from skdeep.metric_learning._verification import VerificationMixin
from skdeep.nn import find_image_shape, seed_dropout
from skdeep.utils._classes import hold_out_classes
from skdeep.utils._params import Interval, ListOf, StrOptions
from skdeep.utils._torch import make_generator, resolve_device
from skdeep.utils._validation import encode_labels, flatten_images, validate_rows


class TCMEmbedder(
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    VerificationMixin,
    BaseDeepEstimator,
):
    """Embed samples so that one distance threshold fits all classes.

    A network maps samples to vectors of length one, trained with a retrieval loss plus
    the threshold-consistent margin (TCM) [1]_, which holds the pairs of all classes to
    the same absolute similarities. The classes of later data may be new.

    Parameters
    ----------
    base_loss : str, torch.nn.Module, class or callable, default="smooth_ap"
        One of "smooth_ap", "recall_at_k", "proxy_anchor", "arcface", "cosface",
        "norm_softmax", "proxy_nca", "multi_similarity", "contrastive", "triplet" and
        "supcon"; or a module that takes (embeddings, labels), such as any loss of
        pytorch-metric-learning, or its class; or a function (n_classes, n_components)
        -> module, where turned images count as classes (see `augment`).

    n_components : int, default=128
        Size of an embedding.

    base_loss_params : dict or None, default=None
        Further arguments of the base loss, e.g. ``{"temperature": 0.05}``.

    tcm_weight : float, default=1.0
        Weight of TCM. With 0 this is plain metric learning, the baseline.

    pos_margin : float, default=0.9
        Cosine similarity above which a pair of one class costs nothing.

    neg_margin : float, default=0.5
        Cosine similarity below which a pair of two classes costs nothing.

    tcm_pos_weight : float, default=1.0
        Weight of the pairs of one class: they make the classes consistent.

    tcm_neg_weight : float, default=0.1
        Weight of the pairs of two classes: they add spread. The paper has 1.

    tcm_warmup : float, default=1.0
        Fraction of the steps over which the weight of TCM rises from zero. The paper
        has 0; a network trained from scratch then may collapse.

    classes_per_batch : int, default=32
        Classes in a mini-batch.

    samples_per_class : int, default=4
        Samples of each of these classes.

    batch_chunk : int or None, default=None
        Samples of a mini-batch that the network sees at a time; None is all of them.
        The loss is that of the whole batch and its gradient is the same, for less
        memory and a second forward pass. Batch normalisation sees a chunk.

    augment : {"auto", "affine", "affine_turns"}, callable or None, default="auto"
        Random changes of the training samples. "affine" turns (by 15 degrees at most),
        moves, scales and shears images. "affine_turns" also turns all images of a class
        by 90, 180 or 270 degrees and counts the result as another class. "auto" is
        "affine_turns" for square images and "affine" for others, and None for rows; it
        adds no classes if `base_loss` is a module with weights, which knows how many
        there are. A callable ``augment(X, generator)`` gets tensors of shape (n_samples,
        n_features).

    target_far : float, default=0.01
        False accept rate at which `fit` puts `threshold_`.

    target_frr : float or None, default=None
        If given, `threshold_` is put at this false reject rate instead.

    metric : {"euclidean", "cosine"}, default="euclidean"
        Distance between embeddings: the length of the difference, or one minus the
        cosine. Both are in [0, 2] and rank alike. The methods go by that of the last
        fit, as `threshold_` does.

    module : {"mlp", "conv", "identity"}, class, callable, torch.nn.Module or None, \
            default=None
        Network. None is "conv" for images and "mlp" for rows; "identity" is one linear
        map. A class or callable is called with `module_params`; an instance is copied.
        What it returns for a row is the embedding, before scaling to length one.

    module_params : dict or None, default=None
        Arguments of the network, e.g. ``{"channels": (16, 32)}`` for "conv".

    hidden_layer_sizes : sequence of int, default=(512,)
        Width of each hidden layer of "mlp".

    dropout : float, default=0.5
        Dropout behind the hidden layers of "mlp".

    input_dropout : float or "auto", default="auto"
        Dropout of the input of "mlp"; of the stored values if X is sparse. "auto" is
        0.3 for sparse X, and 0 else.

    max_epochs : int, default=20
        Passes over the training data.

    max_steps : int or None, default=None
        Mini-batches after which the training ends, rounded up to whole epochs.

    lr : float or "auto", default="auto"
        Learning rate. "auto" is 2e-4 for "mlp", 2e-3 for "conv" and 1e-3 for others.

    lr_schedule : {"cosine", "linear"} or None, default="cosine"
        How the learning rate falls to zero.

    loss_lr_multiplier : float, default=10.0
        Times `lr` is the learning rate of the class vectors of a proxy loss.

    optimizer : {"adam", "adamw", "sgd"} or callable, default="adamw"
        Name of an optimizer, or a class with the interface of ``torch.optim``.

    optimizer_params : dict or None, default=None
        Further arguments of the optimizer.

    weight_decay : float, default=1e-4
        Decay of the weights.

    max_grad_norm : float or None, default=10.0
        Bound on the norm of the gradient.

    early_stopping : bool, default=False
        Whether to hold out `validation_fraction` of the **classes**, to stop after
        `n_iter_no_change` epochs without progress on them, to keep the best weights,
        and to calibrate `threshold_` on them.

    validation_fraction : float, default=0.2
        Fraction of the classes held out. Only used if `early_stopping` is True.

    n_iter_no_change : int, default=10
        Patience in epochs. Only used if `early_stopping` is True.

    validation_metric : {"recall_at_1", "map_at_r", "mean_utility"}, callable or None, \
            default=None
        What to watch on the held-out classes; None is "recall_at_1". A callable gets
        (y_true, embeddings); greater is better.

    warm_start : bool, default=False
        Whether `fit` goes on from the weights of the last fit.

    callbacks : list or None, default=None
        Further callbacks of skorch.

    net_params : dict or None, default=None
        Arguments of ``skorch.NeuralNet``; also ``precision=`` and ``compile=``.

    device : str, default="auto"
        Where to train: "cpu", "cuda", "mps", ..., or "auto" for the fastest there is.

    random_state : int, RandomState instance or None, default=None
        Seeds the weights, the batches, the dropout and the held-out classes.

    verbose : int, default=0
        Log one line per epoch if greater than 0.

    Attributes
    ----------
    module_ : torch.nn.Module
        The trained network, (n_samples, n_features) -> (n_samples, n_components).

    threshold_ : float
        Largest distance at which a pair is accepted as one class.

    threshold_origin_ : {"training", "held-out", "calibrated"}
        Which classes `threshold_` was chosen on: those of the training, those that
        `early_stopping` held out, or those of `calibrate_threshold`.

    calibration_curve_ : dict of ndarray
        "thresholds", "far" and "frr" of the pairs that `threshold_` was chosen on.

    classes_ : ndarray of shape (n_classes,)
        Classes seen in `fit`.

    n_components_ : int
        Size of an embedding.

    history_ : list of dict
        Of each epoch: the losses, the fraction of hard pairs, seconds.

    n_iter_ : int
        Number of epochs run.

    best_epoch_ : int
        Epoch whose weights were kept.

    best_validation_score_ : float or None
        Its validation score; None without `early_stopping`.

    net_ : skorch.NeuralNet
        The net that did the training; not there after unpickling.

    device_ : str
        Where the network is.

    n_features_in_ : int
        Number of features seen in `fit`; pixels times channels for images.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if X had any.

    See Also
    --------
    skdeep.metrics.opis_score : How far the thresholds of the classes are apart.
    skdeep.model_selection.ClassDisjointKFold : Folds for classes never seen.
    sklearn.neighbors.NeighborhoodComponentsAnalysis : Linear, without margins.

    Notes
    -----
    A step on B samples costs O(B^2 (n_components + samples_per_class)) beside the
    network. A threshold calibrated on the classes of the training does not carry over: on
    new classes many more strangers pass. Set ``early_stopping=True``, or call
    `calibrate_threshold` with other classes.

    "mlp" is the sum of a perceptron and of a linear map that starts as a random
    projection, on rows scaled by one number: training begins near the geometry of the
    input.

    The setting of the paper [1]_ is ``tcm_neg_weight=1, tcm_warmup=0`` with
    ``base_loss_params={"include_query": True}``.

    References
    ----------
    .. [1] Zhang, Xu, Tang, Fang, Wu, Tighe and Xing, "Threshold-Consistent Margin Loss
       for Open-World Deep Metric Learning", ICLR 2024.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skdeep.metric_learning import TCMEmbedder
    >>> X, y = load_digits(return_X_y=True)
    >>> known = y < 6
    >>> embedder = TCMEmbedder(max_epochs=5, random_state=0).fit(X[known], y[known])
    >>> embedder.transform(X[~known]).shape  # digits never seen in training
    (714, 128)
    """

    _parameter_constraints = {
        **BaseDeepEstimator._parameter_constraints,
        "base_loss": [StrOptions(BASE_LOSSES), callable],
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "base_loss_params": [dict, None],
        "tcm_weight": [Interval(Real, 0, None, closed="left")],
        "pos_margin": [Interval(Real, -1, 1, closed="both")],
        "neg_margin": [Interval(Real, -1, 1, closed="both")],
        "tcm_pos_weight": [Interval(Real, 0, None, closed="left")],
        "tcm_neg_weight": [Interval(Real, 0, None, closed="left")],
        "tcm_warmup": [Interval(Real, 0, 1, closed="both")],
        "classes_per_batch": [Interval(Integral, 2, None, closed="left")],
        "samples_per_class": [Interval(Integral, 2, None, closed="left")],
        "batch_chunk": [Interval(Integral, 4, None, closed="left"), None],
        "augment": [StrOptions(AUGMENTATIONS), callable, None],
        "target_far": [Interval(Real, 0, 1, closed="neither")],
        "target_frr": [Interval(Real, 0, 1, closed="neither"), None],
        "metric": [StrOptions({"euclidean", "cosine"})],
        "hidden_layer_sizes": [ListOf(Interval(Integral, 1, None, closed="left"))],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "input_dropout": [Interval(Real, 0, 1, closed="left"), StrOptions({"auto"})],
        "lr": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
        "max_steps": [Interval(Integral, 1, None, closed="left"), None],
        "loss_lr_multiplier": [Interval(Real, 0, None, closed="neither")],
        "validation_metric": [StrOptions(VALIDATION_METRICS), callable, None],
    }

    _make_module = staticmethod(make_unit_encoder)

    def __init__(
        self,
        base_loss="smooth_ap",
        n_components=128,
        *,
        base_loss_params=None,
        tcm_weight=1.0,
        pos_margin=0.9,
        neg_margin=0.5,
        tcm_pos_weight=1.0,
        tcm_neg_weight=0.1,
        tcm_warmup=1.0,
        classes_per_batch=32,
        samples_per_class=4,
        batch_chunk=None,
        augment="auto",
        target_far=0.01,
        target_frr=None,
        metric="euclidean",
        module=None,
        module_params=None,
        hidden_layer_sizes=(512,),
        dropout=0.5,
        input_dropout="auto",
        max_epochs=20,
        max_steps=None,
        lr="auto",
        lr_schedule="cosine",
        loss_lr_multiplier=10.0,
        optimizer="adamw",
        optimizer_params=None,
        weight_decay=1e-4,
        max_grad_norm=10.0,
        early_stopping=False,
        validation_fraction=0.2,
        n_iter_no_change=10,
        validation_metric=None,
        warm_start=False,
        callbacks=None,
        net_params=None,
        device="auto",
        random_state=None,
        verbose=0,
    ):
        self.base_loss = base_loss
        self.n_components = n_components
        self.base_loss_params = base_loss_params
        self.tcm_weight = tcm_weight
        self.pos_margin = pos_margin
        self.neg_margin = neg_margin
        self.tcm_pos_weight = tcm_pos_weight
        self.tcm_neg_weight = tcm_neg_weight
        self.tcm_warmup = tcm_warmup
        self.classes_per_batch = classes_per_batch
        self.samples_per_class = samples_per_class
        self.batch_chunk = batch_chunk
        self.augment = augment
        self.target_far = target_far
        self.target_frr = target_frr
        self.metric = metric
        self.module = module
        self.module_params = module_params
        self.hidden_layer_sizes = hidden_layer_sizes
        self.dropout = dropout
        self.input_dropout = input_dropout
        self.max_epochs = max_epochs
        self.max_steps = max_steps
        self.lr = lr
        self.lr_schedule = lr_schedule
        self.loss_lr_multiplier = loss_lr_multiplier
        self.optimizer = optimizer
        self.optimizer_params = optimizer_params
        self.weight_decay = weight_decay
        self.max_grad_norm = max_grad_norm
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.validation_metric = validation_metric
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.net_params = net_params
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    @all_or_nothing
    def fit(self, X, y):
        """Learn the embedding, and calibrate the threshold.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), or array \
                of shape (n_samples, channels, height, width)
            Training samples: rows, or images. Sparse rows stay sparse in "mlp" and
            "identity", and are made dense one batch at a time for other networks.

        y : array-like of shape (n_samples,)
            Their classes: integers, booleans or strings.

        Returns
        -------
        self : TCMEmbedder
            Fitted estimator.
        """
        return self._fit(X, y, go_on=self.warm_start)

    @all_or_nothing
    def partial_fit(self, X, y):
        """Train for one more epoch, at a constant learning rate and weight of TCM.

        Parameters
        ----------
        X : array-like or sparse matrix
            As in `fit`; the first call fixes the number of features.

        y : array-like of shape (n_samples,)
            Their classes. They may be new, unless the base loss has class vectors.

        Returns
        -------
        self : TCMEmbedder
            Fitted estimator.
        """
        if self.early_stopping:
            raise InvalidParameterError(
                "partial_fit does not support early_stopping=True, because each call "
                "would hold out other classes; set early_stopping=False."
            )
        return self._fit(X, y, go_on=True, max_epochs=1)

    def _fit(self, X, y, *, go_on, max_epochs=None):
        data = X, y
        go_on = go_on and hasattr(self, "module_")
        X, y = self._validate_fit_data(X, y, go_on)
        self._metric = self.metric
        rng = check_random_state(self.random_state)
        incremental = max_epochs is not None
        held_out = y[:0]
        if self.early_stopping and go_on:
            held_out = self._held_out_classes  # others would be known to the network
        elif self.early_stopping:
            held_out = hold_out_classes(y, self.validation_fraction, rng)
        self._held_out_classes = held_out
        train = np.flatnonzero(~np.isin(y, held_out))
        if go_on:  # the same seed must not draw the same batches again
            rng = np.random.RandomState(rng.randint(2**31 - 1, size=self.n_iter_)[-1])
        generator = make_generator(rng)
        self.device_ = resolve_device(self.device)
        if not go_on:
            self._module_args = encoder_args(self, X, self._image_shape)
        module = start_encoder(self, X, go_on, generator)
        self.n_components_ = self._n_features_out = self.n_components
        augment, n_variants = resolve_augment(
            self.augment, self._image_shape, not has_class_vectors(self.base_loss)
        )
        base_loss, codes = start_base_loss(self, go_on, y[train], n_variants, generator)
        batches = ClassBalancedBatches(
            X[train] if len(held_out) else X,
            codes,
            self.classes_per_batch,
            self.samples_per_class,
            generator=generator,
            augment=augment,
            n_classes=len(self._loss_classes),
            n_variants=n_variants,
            keep_sparse=augment is None and takes_sparse(module),
        )
        max_epochs = max_epochs or self.max_epochs
        if self.max_steps is not None:
            max_epochs = min(max_epochs, -(-self.max_steps // len(batches)))
        tcm = TCMLoss(
            self.pos_margin, self.neg_margin, self.tcm_pos_weight, self.tcm_neg_weight
        )
        warmup = 0 if incremental else self.tcm_warmup
        n_warmup_steps = int(warmup * max_epochs * len(batches))
        criterion = MetricLoss(base_loss, tcm, self.tcm_weight, n_warmup_steps)
        try_loss(criterion, self.n_components, len(self._loss_classes) * n_variants)
        lr = default_lr(module) if self.lr == "auto" else self.lr
        seed_dropout(module, make_generator(rng, self.device_))
        module.chunk_size = self.batch_chunk
        X_held, y_held = X, y
        if len(held_out):
            X_held, y_held = (part[np.isin(y, held_out)] for part in (X, y))
        self._train(
            module,
            criterion,
            batches,
            go_on=go_on,
            max_epochs=max_epochs,
            lr=lr,
            schedule=not incremental,
            score=validation_score(self, X_held, y_held) if len(held_out) else None,
            param_groups=[("base_loss.*", {"lr": lr * self.loss_lr_multiplier})],
            data=data,
        )
        self._loss_weights = {
            name: value.detach().cpu().numpy().copy()
            for name, value in criterion.base_loss.state_dict().items()
        }
        origin = "held-out" if len(held_out) else "training"
        self._calibrate(X_held, y_held, rng, origin)
        return self

    def _validate_fit_data(self, X, y, go_on):
        """Check everything that can be wrong before the first step.

        Returns
        -------
        X : ndarray or CSR of shape (n_samples, n_features), dtype float32

        y : ndarray of shape (n_samples,)
            Labels as given.
        """
        if self.pos_margin <= self.neg_margin:
            raise InvalidParameterError(
                f"`pos_margin` must be greater than `neg_margin`, but they are "
                f"{self.pos_margin} and {self.neg_margin}: pairs of one class have to "
                "be more alike than pairs of two classes."
            )
        classes, codes = encode_labels(self, y)
        X, image_shape = flatten_images(X)
        X = validate_rows(
            self, X, reset=not go_on, accept_sparse=True, ensure_min_samples=2
        )
        check_consistent_length(X, codes)
        check_pairs(type(self).__name__, classes, codes)
        self.classes_ = np.union1d(self.classes_, classes) if go_on else classes
        if not go_on:
            if self.module == "conv" and image_shape is None:
                image_shape = find_image_shape(self.module_params, X.shape[1])
            self._image_shape = image_shape
        elif image_shape not in (None, self._image_shape):
            raise ValueError(
                f"X has images of shape {image_shape}, but the earlier fit had "
                f"{self._image_shape}."
            )
        return X, classes[codes]

    def transform(self, X):
        """Embed samples.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), or array \
                of shape (n_samples, channels, height, width)
            Samples.

        Returns
        -------
        X_new : ndarray of shape (n_samples, n_components), dtype float32
            Embeddings of length one.
        """
        return self._embed(X)

    def _embed(self, X):
        """`transform` without the wrapping of ``set_output``."""
        check_is_fitted(self)
        X, image_shape = flatten_images(X)
        if image_shape not in (None, self._image_shape):
            raise ValueError(
                f"X has images of shape {image_shape}, but {type(self).__name__} was "
                f"fitted on {self._image_shape or 'rows'}."
            )
        X = validate_rows(self, X, reset=False, accept_sparse=True)
        return self._forward(X)

    def score(self, X, y):
        """Recall at 1: how often the nearest other sample is of the same class.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples, also of classes never seen.

        y : array-like of shape (n_samples,)
            Their classes.

        Returns
        -------
        score : float
            In [0, 1]; greater is better.
        """
        return VALIDATION_METRICS["recall_at_1"](y, self._embed(X))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags
