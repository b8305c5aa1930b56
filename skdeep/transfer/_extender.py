"""The extender: a trained model learns new classes from new data alone."""

from numbers import Integral, Real

import torch
from sklearn.base import ClassifierMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skdeep.base import BaseDeepEstimator, all_or_nothing
from skdeep.transfer._answers import ExtendedAnswersMixin
from skdeep.transfer._chains import collapsed, extended
from skdeep.transfer._cloning import FrozenSourceMixin
from skdeep.transfer._fitting import fit_extender, make_extension
from skdeep.transfer._modes import source_tags
from skdeep.utils._params import HasMethods, Interval, ListOf, StrOptions

_COUNT = Interval(Integral, 1, None, closed="left")
_AUTO = StrOptions({"auto"})


class AdapterExtender(
    ExtendedAnswersMixin,
    FrozenSourceMixin,
    TransformerMixin,
    ClassifierMixin,
    BaseDeepEstimator,
):
    """Teach a trained classifier or tagger new classes, from new data alone.

    The old model, the *source*, stays as it is: its training data are not needed, and
    it is not trained any further. Beside it a small model is trained on the new data. It
    sees what the source says about them, and learns where the source is right and where
    one of the new classes is meant [1]_.

    Parameters
    ----------
    estimator : object
        The source: a fitted classifier or pipeline of scikit-learn (also frozen, or
        found by a search), a net of skorch, a ``torch.nn.Module`` that gives logits (or
        ends with a softmax layer), an `AdapterExtender`, a `SequenceTagger`, or
        any object that predicts a list of tags for a list of tokens.

    mode : {"auto", "classifier", "sequence"}, default="auto"
        Whether a sample is a row with one label, or a sentence with a tag for each
        token. "auto" sees it from `estimator` or, if that does not tell, from the data.

    method : {"auto", "adapter", "finetune", "stacking", "gate"}, default="auto"
        How the new classes are learned. "adapter" trains a network beside the source and
        joins both below the output layer. "finetune" does without the source's answers
        there: old output weights are copied, new ones are added. "stacking" is a
        logistic regression on features and scores of the source. "gate" decides by the
        distance to the new rows and by the confidence of the source whether a row is
        new; it needs no row of an old class. "auto" is "gate" if there are only new
        classes, and else what does best on held-out new rows; for taggers "adapter".

    prefit : bool, default=True
        Whether `estimator` is fitted. False fits a copy of it on the data of the first
        call: `fit` gives a model that answers like it, `partial_fit` extends that.

    combine : {"concat", "sum"}, default="concat"
        How the hidden layer and the adapter are joined.

    source_signal : {"auto", "logits", "proba", "hard", "gold"}, default="auto"
        What the adapter sees of the source's answer. "auto" is "logits" for classifiers
        and "hard", the most probable tag, for taggers. "gold", for taggers, is the true
        old tag in training, as in the published code. The gate takes "logits".

    skip_connection : bool, default=True
        Whether the source has a direct way to the output. For classifiers its scores are
        added to those of the old classes, with a factor that is learned; for taggers the
        tags that it predicts become features of the wide path.

    trainable : {"all", "top"}, default="all"
        Whether all weights of the target network are trained or the top layers only.

    adapter_kind : {"lstm", "conv", "linear"}, default="lstm"
        Network over the source's answers, of taggers.

    adapter_hidden_size : int or "auto", default="auto"
        Its size. "auto" is 100 for classifiers, and for taggers the size of the layer
        that it joins.

    adapter_layers : int, default=1
        Its depth.

    adapter_dropout : float, default=0.1
        Dropout below the output layer.

    hidden_layer_sizes : sequence of int or "auto", default="auto"
        Hidden layers of the classifier beside the source. "auto" is ``(128,)``; empty
        for a linear one.

    dropout : float or "auto", default="auto"
        Their dropout. "auto" is 0.2 for classifiers and 0.5 for taggers.

    new_annotation : {"auto", "full", "new_only"}, default="auto"
        Whether labels in the new data can be of all classes, or of new ones only. "auto"
        sees it from the data, and says so. With "new_only" a tagger keeps old tags that
        there are, and doubts "O" alone.

    distill : float or "auto", default="auto"
        Weight of the distance between the source's answer and that of the extender, for
        the old classes. "auto" is 1.0 for classifiers and 0.0 for taggers.

    temperature : float, default=2.0
        Both answers are flattened by it for that purpose.

    features : {"auto", "input", "scores", "both"} or fitted transformer, default="auto"
        What the classifier beside the source sees of a row. "input" is X, "scores" are
        those of the source, a transformer makes something of X. "auto" is the output of
        all steps of a pipeline but the last; the features of an `AdapterExtender`; else
        X, or the scores if X is text or has missing values. "both" adds the scores to
        that. Where rows of the fit had no missing values, but the source takes them,
        later ones are replaced by means of the fit.

    novelty : {"auto", "knn", "mahalanobis"} or None, default="auto"
        Distance of the gate. None is without a gate.

    novelty_quantile : float, default=0.93
        Share of the new rows that the gate is to recognise.

    class_weight : {"auto", "balanced"}, dict or None, default="auto"
        Weights of the classes in the new data. "auto" gives all old classes together
        the weight of all new ones, unless there are `sample_weight`.

    max_epochs : int or "auto", default="auto"
        Passes over the new data; 20 for taggers, and for classifiers 60, or as many as
        make 320 steps, but not below 15.

    batch_size : int or "auto", default="auto"
        Rows or sentences of a step; 64 or 32.

    lr : float or "auto", default="auto"
        Learning rate; 3e-3 for classifiers and 1e-3 for taggers.

    lr_schedule : {"cosine", "linear"} or None, default="linear"
        How the learning rate falls to zero.

    optimizer : {"adam", "adamw", "sgd"} or callable, default="adamw"
        Name of an optimizer, or a class with the interface of ``torch.optim``.

    optimizer_params : dict or None, default=None
        Further arguments of the optimizer.

    weight_decay : float, default=1e-4
        Decay of the weights.

    max_grad_norm : float or None, default=5.0
        Bound on the norm of the gradient.

    early_stopping : bool, default=False
        Whether to hold out `validation_fraction` of the new data, to stop after
        `n_iter_no_change` epochs without a better score on them and to keep the best
        weights.

    validation_fraction : float, default=0.1
        Fraction of the new data held out.

    n_iter_no_change : int, default=5
        Patience in epochs.

    warm_start : bool, default=False
        Whether pickles keep the new data, as they were read, so that `partial_fit` can
        add others. Networks start anew in any case.

    callbacks : list or None, default=None
        Further callbacks of skorch.

    net_params : dict or None, default=None
        Arguments of ``skorch.NeuralNet``; also ``precision=`` and ``compile=``.

    device : str, default="auto"
        Where to train: "cpu", "cuda", "mps", ..., or "auto" for the fastest there is.

    random_state : int, RandomState instance or None, default=None
        Seeds the weights, the order of the samples and what is held out.

    verbose : int, default=0
        Log one line per epoch if greater than 0.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Old and new classes together, sorted. For taggers, the tags.

    old_class_mask_ : ndarray of shape (n_classes,), dtype bool
        Which of them the source knows.

    base_classes_ : ndarray of shape (n_old,)
        Classes of the source, in its order.

    new_classes_ : ndarray of shape (n_new,)
        The others.

    estimator_ : object
        The source in use: `estimator`, a fitted copy of it with ``prefit=False``, or a
        copy in evaluation mode of a network that was in training mode.

    mode_ : {"classifier", "sequence"}
        What `mode` became.

    method_ : {"adapter", "finetune", "stacking", "gate", "source"}
        What `method` became; "source" as long as there is nothing but the source.

    annotation_ : {"full", "new_only"}
        What `new_annotation` became.

    gamma_ : float or None
        Factor of the source's scores in those of the old classes, if there is one.

    retention_ : float or None
        Share of the new rows with an old label on which extender and source agree; None
        without such rows. For taggers, of the tokens with an old tag, those filled in
        from the source among them.

    n_parameters_ : int
        Numbers learned, those of the source left out.

    old_types_ : list of str
        Of taggers: types of entities that the source knows.

    new_types_ : list of str
        Of taggers: the others.

    scheme_ : {"BIO", "BIOES", "BILOU", "IO", "plain"}
        Of taggers: how tags mark the spans of entities.

    module_ : torch.nn.Module
        The network beside the source, of methods that have one.

    history_ : list of dict
        Losses and seconds of each epoch; empty for methods without epochs.

    n_iter_ : int
        Number of epochs run.

    best_epoch_ : int
        Epoch whose weights were kept.

    net_ : skorch.NeuralNet
        The net that did the training; not there after unpickling.

    device_ : str
        Where the network is.

    n_features_in_ : int
        Number of features seen in `fit`, if rows have such a number.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if X had any.

    See Also
    --------
    skdeep.transfer.compare_extensions : The methods side by side.
    skdeep.metrics.make_extension_scorer : Scores that do not reward forgetting.
    sklearn.frozen.FrozenEstimator : Keeps an estimator from being fitted.

    Notes
    -----
    Fit and prediction ask the source once for each row. Beyond that, with n rows of d
    features, C classes and hidden layers of width h, a network costs O(n h (d + C)) time
    for each epoch or prediction, stacking O(n C (d + C)) for each step of its solver or
    prediction. The gate compares each row with all new ones.

    `clone` hands a fitted `estimator` on by reference, so that grid
    searches, cross-validation and pipelines work.

    Accuracy on the new data sees few old rows and rewards forgetting; take
    ``scoring=make_extension_scorer("harmonic")`` in a search.

    A pipeline that the source was trained in belongs inside, as
    ``AdapterExtender(pipeline)``: a scaler in front of the extender would be fitted anew
    and feed the source numbers that it does not know.

    The settings of the paper, for taggers, are ``source_signal="gold"``,
    ``skip_connection=False``, ``optimizer="sgd"``, ``lr=0.005``, ``lr_schedule=None``,
    ``batch_size=1``, ``max_epochs=100`` and ``n_iter_no_change=20``. The wide path and the
    transitions of a tagger keep the default rates of `SequenceTagger`.

    References
    ----------
    .. [1] Chen and Moschitti, "Transfer Learning for Sequence Labeling Using Source
       Model and Target Data", AAAI 2019.

    Examples
    --------
    A forest knows eight digits, and learns the other two from 40 rows of each:

    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from skdeep.transfer import AdapterExtender
    >>> X, y = load_digits(return_X_y=True)
    >>> old = np.flatnonzero(y < 8)
    >>> forest = RandomForestClassifier(random_state=0).fit(X[old[:700]], y[old[:700]])
    >>> new = np.concatenate([np.flatnonzero(y == digit)[:40] for digit in (8, 9)])
    >>> extender = AdapterExtender(forest, new_annotation="new_only", random_state=0)
    >>> extender.fit(X[new], y[new]).classes_
    array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    >>> extender.new_classes_
    array([8, 9])
    """

    _parameter_constraints = {
        **{
            name: rule
            for name, rule in BaseDeepEstimator._parameter_constraints.items()
            if name not in ("module", "module_params")
        },
        "estimator": [
            HasMethods("predict"),
            HasMethods("predict_proba"),
            HasMethods("decision_function"),
            torch.nn.Module,
        ],
        "mode": [StrOptions({"auto", "classifier", "sequence"})],
        "method": [StrOptions({"auto", "adapter", "finetune", "stacking", "gate"})],
        "prefit": ["boolean"],
        "combine": [StrOptions({"concat", "sum"})],
        "source_signal": [StrOptions({"auto", "logits", "proba", "hard", "gold"})],
        "skip_connection": ["boolean"],
        "trainable": [StrOptions({"all", "top"})],
        "adapter_kind": [StrOptions({"lstm", "conv", "linear"})],
        "adapter_hidden_size": [_COUNT, _AUTO],
        "adapter_layers": [_COUNT],
        "adapter_dropout": [Interval(Real, 0, 1, closed="left")],
        "hidden_layer_sizes": [ListOf(_COUNT), _AUTO],
        "dropout": [Interval(Real, 0, 1, closed="left"), _AUTO],
        "new_annotation": [StrOptions({"auto", "full", "new_only"})],
        "distill": [Interval(Real, 0, None, closed="left"), _AUTO],
        "temperature": [Interval(Real, 0, None, closed="neither")],
        "features": [
            StrOptions({"auto", "input", "scores", "both"}),
            HasMethods("transform"),
        ],
        "novelty": [StrOptions({"auto", "knn", "mahalanobis"}), None],
        "novelty_quantile": [Interval(Real, 0, 1, closed="neither")],
        "class_weight": [StrOptions({"auto", "balanced"}), dict, None],
        "max_epochs": [_COUNT, _AUTO],
        "batch_size": [_COUNT, _AUTO],
        "lr": [Interval(Real, 0, None, closed="neither"), _AUTO],
    }
    _make_module = staticmethod(make_extension)

    def __init__(
        self,
        estimator,
        *,
        mode="auto",
        method="auto",
        prefit=True,
        combine="concat",
        source_signal="auto",
        skip_connection=True,
        trainable="all",
        adapter_kind="lstm",
        adapter_hidden_size="auto",
        adapter_layers=1,
        adapter_dropout=0.1,
        hidden_layer_sizes="auto",
        dropout="auto",
        new_annotation="auto",
        distill="auto",
        temperature=2.0,
        features="auto",
        novelty="auto",
        novelty_quantile=0.93,
        class_weight="auto",
        max_epochs="auto",
        batch_size="auto",
        lr="auto",
        lr_schedule="linear",
        optimizer="adamw",
        optimizer_params=None,
        weight_decay=1e-4,
        max_grad_norm=5.0,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=5,
        warm_start=False,
        callbacks=None,
        net_params=None,
        device="auto",
        random_state=None,
        verbose=0,
    ):
        self.estimator = estimator
        self.mode = mode
        self.method = method
        self.prefit = prefit
        self.combine = combine
        self.source_signal = source_signal
        self.skip_connection = skip_connection
        self.trainable = trainable
        self.adapter_kind = adapter_kind
        self.adapter_hidden_size = adapter_hidden_size
        self.adapter_layers = adapter_layers
        self.adapter_dropout = adapter_dropout
        self.hidden_layer_sizes = hidden_layer_sizes
        self.dropout = dropout
        self.new_annotation = new_annotation
        self.distill = distill
        self.temperature = temperature
        self.features = features
        self.novelty = novelty
        self.novelty_quantile = novelty_quantile
        self.class_weight = class_weight
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.lr_schedule = lr_schedule
        self.optimizer = optimizer
        self.optimizer_params = optimizer_params
        self.weight_decay = weight_decay
        self.max_grad_norm = max_grad_norm
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.net_params = net_params
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    @all_or_nothing
    def fit(self, X, y, *, X_unlabeled=None, sample_weight=None, classes=None):
        """Learn new classes; or fit a copy of the source, with ``prefit=False``.

        Parameters
        ----------
        X : object of length n_samples
            New rows, as the source takes them: an array, a sparse matrix, a frame, a
            list of text. For a tagger, a list of lists of tokens. Rows that the source
            was trained on mislead: there it looks better than it is.

        y : array-like of shape (n_samples,)
            Their labels: new classes, and old ones as far as they are known. For a
            tagger, a list of lists of tags.

        X_unlabeled : object of length n_unlabeled, default=None
            Rows without a label, such as normal traffic. With them, data of new classes
            alone make a better model.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows; a weight of zero leaves a row out.

        classes : array-like of shape (n_old,), default=None
            Names of the source's outputs, in their order, if it has no ``classes_``,
            such as a ``torch.nn.Module``. Else all classes to be expected: another
            label is refused.

        Returns
        -------
        self : AdapterExtender
            Fitted estimator.
        """
        fit_extender(self, X, y, X_unlabeled, sample_weight, classes)
        return self

    @all_or_nothing
    def partial_fit(self, X, y, *, X_unlabeled=None, sample_weight=None, classes=None):
        """Add new data, of classes seen before or not.

        The result is that of one `fit` on the data of all calls; the first call is a
        `fit`. What was read of the new data is kept for that in memory, but not in
        pickles unless ``warm_start=True``. `extend` goes on without it.

        Parameters
        ----------
        X : object of length n_samples
            Further rows.

        y : array-like of shape (n_samples,)
            Their labels.

        X_unlabeled : object of length n_unlabeled, default=None
            Further rows without a label.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        classes : array-like of shape (n_classes,), default=None
            As in `fit`.

        Returns
        -------
        self : AdapterExtender
            Fitted estimator.
        """
        go_on = hasattr(self, "classes_")
        fit_extender(self, X, y, X_unlabeled, sample_weight, classes, go_on=go_on)
        return self

    def extend(self, X, y, *, X_unlabeled=None, sample_weight=None):
        """Make an extender of this one, for further classes; this one stays as it is.

        Parameters
        ----------
        X : object of length n_samples
            New rows.

        y : array-like of shape (n_samples,)
            Their labels; at least one that this extender does not know.

        X_unlabeled : object of length n_unlabeled, default=None
            Rows without a label.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        extender : AdapterExtender
            Fitted, with the same parameters; its `estimator` is this one. Each link of
            such a chain adds to the cost of a prediction; see `collapse`.
        """
        check_is_fitted(self)
        return extended(self, X, y, X_unlabeled, sample_weight)

    def collapse(self, X):
        """Make one extension out of a chain of them, for faster predictions.

        Parameters
        ----------
        X : object of length n_samples
            Rows of all classes, without a label. The chain's answers to them are what
            is learned.

        Returns
        -------
        extender : AdapterExtender
            Fitted, with the innermost source of the chain as its `estimator`.
        """
        check_is_fitted(self)
        return collapsed(self, X)

    def __getstate__(self):
        state = super().__getstate__()
        if not self.warm_start:
            state.pop("_seen", None)
        return state

    def __sklearn_tags__(self):
        return source_tags(self, super().__sklearn_tags__())
