"""Supervised hierarchical clustering over neighbour graphs."""

import numpy as np
from sklearn.base import ClusterMixin, clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from skdeep.base import BaseDeepEstimator, all_or_nothing, use_one_thread_after_fork
from skdeep.cluster._attributes import ResultAttributesMixin
from skdeep.cluster._checks import (
    check_alike,
    check_classes,
    check_combination,
    check_distances,
    check_extendable,
    check_other_dim,
    needs_labels,
    split_groups,
)
from skdeep.cluster._fitting import (
    fit_paper,
    fit_structural,
    make_network,
    use_builtin,
)
from skdeep.cluster._rules import PARAMETER_RULES
from skdeep.cluster._running import attach, join, rows_of, run_clusterer
from skdeep.metrics import bcubed_f_score
from skdeep.utils._torch import make_generator, resolve_device
from skdeep.utils._validation import encode_labels, validate_rows


class HiLanderClusterer(ResultAttributesMixin, ClusterMixin, BaseDeepEstimator):
    """Group rows of classes never seen, after learning from classes that are known.

    `fit` learns from labelled rows what a cluster looks like in the graph of nearest
    neighbours; `predict` groups other rows, of other classes. The number of clusters
    comes out, and clusters may have any size. Without labels, `fit` uses built-in
    networks, which makes this a clusterer like any other.

    Train the embedding on other classes than this, or use
    `skdeep.model_selection.CrossFitTransformer`: on the classes that it was trained on,
    an embedding makes clusters look far too clean.

    Parameters
    ----------
    n_neighbors : int or "auto", default="auto"
        Neighbours of a row in the graph. "auto" takes that one of 10, 20, 40 and 80,
        none above the usual size of a class, with which the built-in networks, which
        know none of the classes, cluster them best; 15 without labels, 9 in mode "paper".

    mode : {"structural", "paper"}, default="structural"
        "structural" learns from the shape of the graph alone and works for rows of any
        origin. "paper" is the method as published [1]_.

    decode : {"partition", "tree"}, default="partition"
        How rows are merged in mode "structural": by communities in the graph of link
        probabilities, or by trees as in the paper. Further levels always use trees.

    tau : float or "auto", default=0.7
        Probability in [0, 1] above which a link is used; between clusters only, where
        rows come together by communities (`decode`). "auto" chooses as `n_neighbors`
        does.

    resolution : float or "auto", default=0.02
        Mean squared link probability, over all pairs, that holds a community together;
        smaller makes larger clusters. Only for ``decode="partition"``. "auto" chooses as
        `n_neighbors` does.

    min_inside : float, default=0.4
        Least share of a row's links, weighed by probability, that must lead into its
        cluster; a row with less is a cluster of its own, as noise is. 0 keeps all.
        Only for ``decode="partition"``.

    init : {"auto", "builtin", "random"}, default="auto"
        Weights that the training starts from in mode "structural". "auto" takes the
        built-in ones if they are for these networks.

    edge_features : {"structural", "embedding", "both"}, default="structural"
        What the networks read about an edge: the shape of the graph around it, the
        products of the coordinates, or both. Only in mode "structural".

    node_feature : {"auto", "mean", "peak"}, default="auto"
        Row that stands for a cluster on the next level: the mean of its rows, or the
        row at its peak. "auto" is "peak" in mode "paper", else "mean".

    max_levels : int, default=10
        Largest number of levels.

    metric : {"cosine", "precomputed"}, default="cosine"
        "precomputed" takes for X a square sparse matrix of cosine distances, such as
        ``KNeighborsTransformer(metric="cosine", mode="distance")`` gives.

    knn : {"auto", "exact", "pynndescent", "faiss"} or callable, default="auto"
        Neighbour search. "auto" is exact up to 80,000 rows. A callable gets the unit
        rows and a number, and returns indices and cosine similarities, both of shape
        (n_samples, n_neighbors).

    allow_other_dim : bool, default=False
        Whether `predict` takes rows with another number of features than `fit`, from
        another embedding. Not with coordinates among the edge features.

    hidden_layer_sizes : sequence of int, default=(64, 64)
        Widths of the networks in mode "structural".

    hidden_size : int, default=128
        Width of the network in mode "paper"; 512 there.

    n_layers : int, default=1
        Layers over the graph, 1 to 4. Mode "paper".

    attention : bool, default=False
        Whether neighbours are weighted by attention. Mode "paper".

    n_heads : int, default=1
        Heads of the attention. Mode "paper".

    dropout : float, default=0.0
        Dropout of the input. Mode "paper".

    use_cluster_features : bool, default=True
        Whether the network also sees the mean of each cluster. Mode "paper".

    fit_neighbors : sequence of int, default=(9, 4, 2)
        Neighbours in the training graphs. Mode "paper".

    fit_levels : sequence of int, default=(2, 3, 4)
        Levels of the training graphs for each of `fit_neighbors`. Mode "paper".

    balance : bool, default=True
        Whether as many links as non-links are learned from. Mode "paper".

    focal_gamma : float or None, default=None
        Exponent of the focal loss; None is cross-entropy. Mode "paper".

    level_stop : bool, default=True
        Whether to stop after a level with few links. Mode "paper".

    threshold : {"prob", "sim"}, default="prob"
        What `tau` is compared with: link probabilities or similarities. Mode "paper".

    max_epochs : int, default=10
        Passes over the training edges for each of two looks at the rows; as many, or
        three times as many without built-in networks, for groups of rows. The paper takes
        250.

    batch_size : int, default=4096
        Edges of a batch; rows of a batch in mode "paper".

    lr : float, default=1e-3
        Learning rate. The paper takes 0.01 with "sgd".

    lr_schedule : {None, "cosine", "linear"}, default="cosine"
        Course of the learning rate.

    optimizer : {"adam", "adamw", "sgd"} or callable, default="adamw"
        Name of an optimizer, or a class with the interface of ``torch.optim``.

    optimizer_params : dict or None, default=None
        Further arguments of the optimizer, such as ``{"momentum": 0.9}``.

    weight_decay : float, default=1e-4
        Weight decay.

    max_grad_norm : float or None, default=None
        Largest norm of the gradient.

    early_stopping : bool, default=False
        Whether to hold out `validation_fraction` of the *classes* and keep the weights
        that were best on them, in both looks at the rows.

    validation_fraction : float, default=0.2
        Fraction of the classes held out by `early_stopping`.

    n_iter_no_change : int, default=10
        Epochs without progress after which to stop. Only used by `early_stopping`.

    warm_start : bool, default=False
        Whether `fit` goes on from the weights of the last one.

    callbacks : list or None, default=None
        Further callbacks of skorch.

    net_params : dict or None, default=None
        Arguments of ``skorch.NeuralNet``; also ``precision=`` and ``compile=``.

    n_jobs : int or None, default=None
        Threads of the neighbour search; None means 1.

    device : str, default="auto"
        Where to train: "cpu", "cuda", "mps", or "auto" for the fastest one present.

    random_state : int, RandomState instance or None, default=None
        Seeds weights, batches, held-out classes and an approximate search.

    verbose : int, default=0
        Log a line per epoch if greater than 0.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,), dtype int64
        Clusters of the rows given to `fit`, as `predict` would find them.

    result_ : ClusterResult
        All about them; the following attributes are taken from it.

    n_clusters_ : int
        Number of clusters.

    n_levels_ : int
        Number of levels.

    level_labels_ : list of ndarray of shape (n_samples,)
        Clusters after each level; empty if `groups` were given.

    peaks_ : ndarray of shape (`n_clusters_`,)
        Row at the root of each cluster.

    density_ : ndarray of shape (n_samples,)
        How much each row is one with its neighbours, in [-1, 1].

    outlier_scores_ : ndarray of shape (n_samples,)
        ``(1 - density_) / 2``.

    parent_, parent_proba_ : ndarray of shape (n_samples,)
        Row that each row is linked to, and the probability of the link.

    hierarchy_ : ndarray of shape (n_samples - 1, 4)
        Linkage matrix as of ``scipy.cluster.hierarchy``.

    knn_recall_ : float
        Share of true nearest neighbours in the graph, measured on 200 rows.

    classes_ : ndarray of shape (n_classes,) or None
        Classes learned from; None without labels.

    n_neighbors_ : int
        Neighbours in use: the parameter, or what "auto" has been settled to.

    tau_ : float
        Threshold in use.

    resolution_ : float
        Resolution in use.

    module_ : torch.nn.Module
        The trained networks.

    history_ : list of dict
        Losses and seconds of each epoch; `stage` counts the four trainings of mode
        "structural".

    n_iter_ : int
        Number of epochs run, over all stages.

    best_epoch_ : int
        Epoch whose weights are used, counted from 1.

    net_ : skorch.NeuralNet
        The skorch net of the last training, with its optimizer. Not kept in pickles.

    device_ : str
        Where the network is.

    n_features_in_ : int
        Number of features seen in `fit`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen in `fit`, if X has names that are all text.

    See Also
    --------
    sklearn.cluster.HDBSCAN : Clusters by density, learns nothing.
    skdeep.model_selection.ClassDisjointKFold : Splits for choosing parameters.
    skdeep.model_selection.CrossFitTransformer : Embeddings of classes as if never seen.

    Notes
    -----
    After the search for neighbours, `predict` takes
    O(n_samples n_neighbors (n_neighbors + n_features)) time, and memory for some thirty
    numbers per edge.

    Beyond the paper: edges are described by the graph around them, not by coordinates;
    all edges teach, for calibrated probabilities; each edge is looked at twice; rows are
    merged by communities, clusters by a network that has learned from such clusters.

    References
    ----------
    .. [1] Xing, He, Xiao, Wang, Xiong, Xia, Wipf, Zhang, Soatto, "Learning Hierarchical
       Graph Neural Networks for Image Clustering", ICCV 2021, arXiv:2107.01319.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skdeep import HiLanderClusterer
    >>> X, y = load_digits(return_X_y=True)
    >>> known = y < 5
    >>> clusterer = HiLanderClusterer(random_state=0).fit(X[known], y[known])
    >>> labels = clusterer.predict(X[~known])
    >>> clusterer.score(X[~known], y[~known]) > 0.8
    True
    """

    _parameter_constraints = {
        **BaseDeepEstimator._parameter_constraints,
        **PARAMETER_RULES,
    }
    _make_module = staticmethod(make_network)

    def __init__(
        self,
        n_neighbors="auto",
        *,
        mode="structural",
        decode="partition",
        tau=0.7,
        resolution=0.02,
        min_inside=0.4,
        init="auto",
        edge_features="structural",
        node_feature="auto",
        max_levels=10,
        metric="cosine",
        knn="auto",
        allow_other_dim=False,
        hidden_layer_sizes=(64, 64),
        hidden_size=128,
        n_layers=1,
        attention=False,
        n_heads=1,
        dropout=0.0,
        use_cluster_features=True,
        fit_neighbors=(9, 4, 2),
        fit_levels=(2, 3, 4),
        balance=True,
        focal_gamma=None,
        level_stop=True,
        threshold="prob",
        max_epochs=10,
        batch_size=4096,
        lr=1e-3,
        lr_schedule="cosine",
        optimizer="adamw",
        optimizer_params=None,
        weight_decay=1e-4,
        max_grad_norm=None,
        early_stopping=False,
        validation_fraction=0.2,
        n_iter_no_change=10,
        warm_start=False,
        callbacks=None,
        net_params=None,
        n_jobs=None,
        device="auto",
        random_state=None,
        verbose=0,
    ):
        self.n_neighbors = n_neighbors
        self.mode = mode
        self.decode = decode
        self.tau = tau
        self.resolution = resolution
        self.min_inside = min_inside
        self.init = init
        self.edge_features = edge_features
        self.node_feature = node_feature
        self.max_levels = max_levels
        self.metric = metric
        self.knn = knn
        self.allow_other_dim = allow_other_dim
        self.hidden_layer_sizes = hidden_layer_sizes
        self.hidden_size = hidden_size
        self.n_layers = n_layers
        self.attention = attention
        self.n_heads = n_heads
        self.dropout = dropout
        self.use_cluster_features = use_cluster_features
        self.fit_neighbors = fit_neighbors
        self.fit_levels = fit_levels
        self.balance = balance
        self.focal_gamma = focal_gamma
        self.level_stop = level_stop
        self.threshold = threshold
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
        self.n_jobs = n_jobs
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    @all_or_nothing
    def fit(self, X, y=None, groups=None):
        """Learn from labelled classes what a cluster is, and cluster their rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows; only their directions count. A square sparse matrix of distances with
            ``metric="precomputed"``.

        y : array-like of shape (n_samples,), default=None
            Their classes: at least two, one of them with two rows. None takes the
            built-in networks instead of learning.

        groups : array-like of shape (n_samples,), default=None
            Rows of different groups are put into graphs of their own: several data
            sets, cameras, or folds of an embedding. Only with `y`.

        Returns
        -------
        self : HiLanderClusterer
            Fitted estimator.
        """
        data = X, y
        go_on = self.warm_start and hasattr(self, "module_") and y is not None
        check_combination(self, y, groups)
        n_least = 1 if y is None else 2
        X = self._validate_rows(X, reset=not go_on, ensure_min_samples=n_least)
        self.device_ = resolve_device(self.device)
        rng = check_random_state(self.random_state)
        self._knn_seed = int(rng.randint(2**31 - 1))
        if y is None:
            self.classes_, self._edge_kind = None, "structural"
            use_builtin(self)
            self._result = vars(run_clusterer(self, rows_of(self, X)))
            return self
        self.classes_, y = encode_labels(self, y)
        check_consistent_length(X, y)
        check_classes(y)
        self._edge_kind = self.edge_features
        index = split_groups(groups, len(y))
        parts = [self._labelled_rows(X, y, rows) for rows in index]
        generator = make_generator(rng)
        fit = fit_paper if self.mode == "paper" else fit_structural
        results = fit(self, parts, rng, generator, data)
        result = join(results, index, len(y))
        result.graph = None  # the training rows are not needed any more
        self._result = vars(result)
        return self

    def predict(self, X):
        """Cluster new rows as a whole.

        The label of a row depends on the other rows, and labels start at 0 in each
        call.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        labels : ndarray of shape (n_samples,), dtype int64
            Clusters.
        """
        return self.cluster(X).labels

    def cluster(self, X):
        """Cluster new rows as a whole, and tell all about it.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        result : ClusterResult
            Labels, hierarchy, densities, and ways to cut again.
        """
        check_is_fitted(self)
        use_one_thread_after_fork()
        self._validate_params()
        return run_clusterer(self, rows_of(self, self._validate_rows(X, reset=False)))

    def fit_predict(self, X, y=None, groups=None):
        """Fit, and return the clusters of the rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        y : array-like of shape (n_samples,), default=None
            Their classes; None takes the built-in networks.

        groups : array-like of shape (n_samples,), default=None
            See `fit`.

        Returns
        -------
        labels : ndarray of shape (n_samples,), dtype int64
            Clusters.
        """
        if y is None and getattr(self, "classes_", None) is not None:
            raise ValueError(
                "This HiLanderClusterer is fitted on labelled classes, and fit_predict "
                "without y would forget them. Use predict(X) to cluster rows of new "
                "classes, or clone the estimator to use the built-in networks."
            )
        return self.fit(X, y, groups).labels_

    def partial_predict(self, X, result=None):
        """Assign further rows to clusters that are there.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Further rows.

        result : ClusterResult, default=None
            Clusters to extend, from `cluster`. None takes those of a fit without
            labels.

        Returns
        -------
        labels : ndarray of shape (n_samples,), dtype int64
            Clusters that are there keep their numbers. Rows that fit in none of them
            get new ones, together with each other where they belong together.

        Notes
        -----
        Neighbours are only searched for the new rows; the clusters that are there are
        not changed. The networks are asked about all edges, so give many rows at once.
        """
        check_is_fitted(self)
        use_one_thread_after_fork()
        self._validate_params()
        result = self.result_ if result is None else result
        check_extendable(self, result)
        rows = rows_of(self, self._validate_rows(X, reset=False))
        check_alike(result, rows)
        labels = np.empty(rows.n_samples, np.int64)
        kept = np.arange(rows.n_samples) if rows.kept is None else rows.kept
        if len(kept):
            labels[kept] = attach(self, result, rows)
        left = np.setdiff1d(np.arange(rows.n_samples), kept)
        start = max(result.n_clusters, labels[kept].max(initial=-1) + 1)
        labels[left] = start + np.arange(len(left))
        return labels

    def score(self, X, y):
        """BCubed F of the clusters of new rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        y : array-like of shape (n_samples,)
            Their classes.

        Returns
        -------
        score : float
            In [0, 1]; more is better.
        """
        return bcubed_f_score(y, self.predict(X))

    def _validate_rows(self, X, *, reset, **check_params):
        """Rows as float32, dense or CSR; distances as a square CSR matrix."""
        if self.metric == "precomputed":
            return check_distances(self, X, reset)
        owner = self
        if not reset and self.allow_other_dim:
            check_other_dim(self)
            owner, reset = clone(self), True
        return validate_rows(owner, X, reset=reset, accept_sparse=True, **check_params)

    def _labelled_rows(self, X, y, index):
        """One graph's rows, and the classes of those that are not zero."""
        if len(index) < len(y):
            X = X[index][:, index] if self.metric == "precomputed" else X[index]
        rows = rows_of(self, X)
        if len(rows) < 2:
            raise ValueError(
                "Each graph needs at least 2 rows that are not all zeros; join small "
                "`groups`."
            )
        return rows, y[index] if rows.kept is None else y[index][rows.kept]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.target_tags.required = needs_labels(self)
        tags.input_tags.pairwise = self.metric == "precomputed"
        return tags
