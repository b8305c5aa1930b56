"""The classifier: encode the target, solve the first look, train the chains."""

import numpy as np
import torch
from sklearn.base import ClassifierMixin
from sklearn.utils import check_random_state

from skdeep.base import BaseDeepEstimator, all_or_nothing
from skdeep.exceptions import InvalidParameterError
from skdeep.multilabel._answers import ChainAnswersMixin
from skdeep.multilabel._batches import LabelSetBatches
from skdeep.multilabel._entry import enter_data
from skdeep.multilabel._first_look import solve_first_look
from skdeep.multilabel._modules import make_chains, takes_sparse
from skdeep.multilabel._objectives import ChainLoss
from skdeep.multilabel._setup import (
    CONSTRAINTS,
    check_combinations,
    hold_out,
    loss_settings,
    resolve_batch_size,
    resolve_objectives,
    start_chains,
    stops_early,
)
from skdeep.multilabel._tuning import (
    DEFAULT_SHARES,
    held_out_rows,
    tune_answers,
    validation_score,
)
from skdeep.nn import seed_dropout
from skdeep.utils._torch import make_generator, resolve_device


class DynamicChainClassifier(ChainAnswersMixin, ClassifierMixin, BaseDeepEstimator):
    """Find the labels of each row one after the other, the easy ones first.

    A recurrent network takes one label at a time, knowing those that it has taken
    before, until it stops by itself. The order of the labels is not given: it is
    learned for each row, so that labels that are easy to tell help with the hard ones
    [1]_. The chain starts from a first look at all labels: ridge regression and, for
    dense rows, trees.

    Parameters
    ----------
    order : {"dynamic", "frequent", "rare", "random", "instance_random"}, array-like \
            of shape (n_labels,) or None, default="dynamic"
        Order in which the chain learns to take the labels of a row: its own; frequent
        or rare labels first; one random permutation; a new random one for each row and
        visit; or the given permutation. None is the network without a chain, each
        label by itself.

    training : {"mixed", "permutation", "reinforce", "set", "ocd", "pla", "mla"}, \
            default="mixed"
        How a dynamic order is learned. "permutation": the labels that the model itself
        finds, in its order, wrong ones cut out and missed ones appended. "reinforce":
        policy gradient for `reward`, after a start with "permutation". "mixed": the
        members of the ensemble take turns in these two. "set": any label that is still
        missing is right. "ocd": optimal completion distillation, along sampled chains.
        "pla", "mla": true labels at those steps of the model's own chain where they
        cost least; what the chain has found stays in its place ("pla") or may move.
        Fixed orders are learned by maximum likelihood, whatever this says, but refuse
        all values but the first two.

    n_estimators : int, default=4
        Members of the ensemble, trained side by side with weights and rollouts of their
        own.

    joint_decoding : bool, default=True
        Whether the members decide on each label together, by their mean
        log-probability. If False, each goes its own way; their scores are averaged, and
        their sets vote.

    first_look : {"ridge", "trees", "auto"} or None, default="auto"
        A model whose opinion each step of the chain starts from; for rows of the
        training it is the opinion with the row left out. "ridge" is ridge regression in
        closed form, in random Fourier features of dense rows or in the columns of
        sparse ones; "trees" has randomised trees beside it, for dense rows and at most
        16,777,216 pairs of a row and a label. "auto" is "trees" with the built-in
        perceptron, and None with other networks.

    rollout : {"greedy", "sample"}, default="greedy"
        How the model's own order is found in training.

    rollout_steps : int or None, default=None
        Labels taken from the model before the rest follows at random; 0 is the same as
        ``order="instance_random"``. None is two more than the 99 % quantile of the
        number of labels.

    reward : {"f1", "hamming", "subset", "ndcg"} or callable, default="f1"
        What "reinforce" learns for: F1 score of the set, right minus wrong labels, the
        whole set, or the ranking. A callable ``reward(hits, alive, n_true)`` gets
        tensors of shape (B, T), (B, T) and (B,) and returns the reward of each step.

    baseline : {"rollouts", "value", "greedy"}, default="rollouts"
        What is subtracted from the returns: the mean of the other rollouts of the row,
        a learned value of the state, or the return of the greedy chain.

    n_rollouts : int, default=2
        Chains drawn for each row by "reinforce".

    all_actions : bool, default=False
        Whether "reinforce" weighs every label by the reward of its own step, instead of
        the drawn ones by all that followed.

    rl_start : float, default=0.25
        Fraction of the training after which "reinforce" begins, though not before five
        epochs.

    rl_weight : float, default=2.0
        Weight of the policy gradient.

    ml_weight : float, default=0.5
        Weight of the likelihood beside it.

    entropy : float, default=0.01
        Weight of the entropy of the steps, which keeps "reinforce" exploring.

    discount : float, default=1.0
        Discount of later rewards.

    loss_reduction : {"token", "row"}, default="token"
        Whether the likelihood is averaged over all steps, or summed over the steps of a
        row.

    aux_weight : float, default=1.0
        Weight of the binary cross-entropy of the head, where the head is learned:
        without a first look, or with ``order=None``.

    decision : {"beam", "chain", "greedy", "marginal", "f1"}, default="beam"
        How `predict` chooses a set. "beam": the likeliest one of a beam search, all its
        orders summed up; "chain": the labels of the chain in the beam with the least
        cost per step, which favours long ones; "greedy": the likeliest label at each
        step until the stop; "marginal": all labels with a score above `threshold`;
        "f1": the set with the greatest expected F1 score under the beam.

    beam_size : int, default=5
        Chains kept by the beam search.

    proba : {"auto", "path", "position", "head", "beam", "sample"}, default="auto"
        What `predict_proba` is. "path": probability to be taken at some step of the
        greedy path; "position": the sooner taken the higher; "head": the first look;
        "beam": share of the beam that holds the label; "sample": probability to be in
        the set, whatever the order, estimated along `n_draws` drawn chains; the one to
        choose where the numbers matter, or for a chain without a first look; its
        standard error is below ``0.5 / sqrt(n_draws)``. "auto" is the mean of the first
        four with the shares in `score_weights_`.

    threshold : float or "auto", default="auto"
        Cut for ``decision="marginal"``; "auto" takes the best one for the F1 score of
        held-out rows, by the scores that `proba` asks for.

    min_labels : int or "auto", default="auto"
        Least number of labels of an answer; "auto" is 1 if every row of the training
        has a label, else 0.

    max_labels : int or None, default=None
        Greatest number of labels of an answer; None is that of the training.

    n_draws : int, default=32
        Chains drawn for each row by ``proba="sample"``, and orders by `log_set_proba`.

    rescore_weight : float, default=0.5
        Weight of the logits of the head in the choice between the chains of a beam.

    input_scale : float or "auto", default="auto"
        Factor on X. "auto" brings dense columns to mean 0 and variance 1, and sparse
        rows to a length of about 8, by a factor between 1 and 10. Networks of your own
        get X as it is, unless a number is given.

    label_size : int, default=64
        Size of the embedding of a label.

    label_skip : bool, default=True
        Whether the logits of the head are added to those of each step.

    module : {"mlp", "conv", "identity"}, class, callable, torch.nn.Module or None, \
            default=None
        Network that encodes a row, behind which ReLU and dropout follow. None is
        "mlp"; "identity" is one linear map. A class or callable is called with
        `module_params`, once for each member; an instance is copied.

    module_params : dict or None, default=None
        Arguments of the network.

    hidden_layer_sizes : sequence of int, default=(256,)
        Width of each layer of the encoder; the last one is the size of the encoding.
        Empty is one linear map to `hidden_size` values.

    hidden_size : int, default=128
        Size of the state of the chain.

    dropout : float, default=0.5
        Dropout behind the encoder; one mask for all steps of a row.

    input_dropout : float, default=0.3
        Dropout of the input of "mlp".

    max_epochs : int, default=12
        Passes over the training data.

    batch_size : int or "auto", default="auto"
        Rows of a mini-batch; "auto" is a sixteenth of the rows, between 32 and 128.

    lr : float, default=1e-3
        Learning rate.

    lr_schedule : {"cosine", "linear"} or None, default="cosine"
        How the learning rate falls to zero.

    optimizer : {"adam", "adamw", "sgd"} or callable, default="adamw"
        Name of an optimizer, or a class with the interface of ``torch.optim``.

    optimizer_params : dict or None, default=None
        Further arguments of the optimizer.

    weight_decay : float, default=0.0
        Decay of the weights.

    max_grad_norm : float or None, default=1.0
        Bound on the norm of the gradient.

    early_stopping : bool or "auto", default="auto"
        Whether to stop after `n_iter_no_change` epochs without progress on held-out
        rows, and to keep the best weights. "auto" is True for 1,000 rows or more: the
        progress on fewer is noise.

    validation_fraction : float, default=0.1
        Fraction of the rows held out, from each pair of members others. What the pairs
        say about them decides on early stopping, `score_weights_` and `threshold_`.

    n_iter_no_change : int, default=10
        Patience in epochs. Only used if `early_stopping` is True.

    validation_metric : {"f1", "ndcg", "subset_accuracy"}, callable or None, \
            default=None
        What to watch on held-out rows: mean F1 score of the rows, nDCG@5, the share of
        right sets; None is the mean of the first two. A callable gets the true sets,
        the found ones and the scores, arrays of shape (n_samples, n_labels).

    warm_start : bool, default=False
        Whether `fit` goes on from the weights of the last fit.

    callbacks : list or None, default=None
        Further callbacks of skorch.

    net_params : dict or None, default=None
        Arguments of ``skorch.NeuralNet``; also ``precision=`` and ``compile=``.

    device : str, default="auto"
        Where to train: "cpu", "cuda", "mps", ..., or "auto" for the fastest there is.

    random_state : int, RandomState instance or None, default=None
        Seeds the weights, the batches, the rollouts, the dropout and the held-out rows.

    verbose : int, default=0
        Log one line per epoch if greater than 0.

    Attributes
    ----------
    classes_ : ndarray of shape (n_labels,)
        Column numbers of the labels, or the classes of a 1-d target.

    label_names_ : ndarray of shape (n_labels,)
        Column names of the target, if it was a frame.

    n_labels_ : int
        Number of labels.

    label_frequency_ : ndarray of shape (n_labels,)
        How often each label occurs in the training data; after `partial_fit`, in all
        that came.

    label_order_ : ndarray of shape (n_labels,) or None
        The order, if it is a fixed one. Training that goes on keeps it.

    min_labels_ : int
        Least number of labels in an answer, if `min_labels` is "auto".

    max_labels_ : int
        Greatest number of labels in an answer, if `max_labels` is None. Where training
        goes on, sets of all calls count.

    score_weights_ : tuple of four floats
        Shares of "path", "position", "head" and "beam" in ``proba="auto"``.

    threshold_ : float
        Cut for ``decision="marginal"`` where `threshold` is "auto"; 0.5 if no row was
        held out.

    input_scale_ : float or ndarray of shape (n_features,)
        Factor on X.

    module_ : torch.nn.Module
        The trained ensemble.

    history_ : list of dict
        Of each epoch: the losses, the mean reward, the validation score, seconds.

    n_iter_ : int
        Number of epochs run.

    best_epoch_ : int
        Epoch whose weights were kept.

    net_ : skorch.NeuralNet
        The net that did the training; not there after unpickling.

    device_ : str
        Where the network is.

    n_features_in_ : int
        Number of features seen in `fit`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if X had any.

    See Also
    --------
    skdeep.multilabel.compare_orders : All orders side by side, on your data.
    skdeep.metrics.LabelOrderDisplay : See the order that was used.
    sklearn.multioutput.ClassifierChain : One order for all rows, one model per label.

    Notes
    -----
    A step of the chain costs O(H (H + E) + E L) a row for states of size H, label
    embeddings of size E and L labels; a row needs one step for each of its labels. The
    first look costs O(n M^2 + M^3) once, for at most 2,048 features M, and 300 trees,
    whose leaves let the fitted model grow with the rows, up to some 20 MB.

    The paper's setting is ``first_look=None`` and ``joint_decoding=False`` with
    ``n_estimators=2``, ``training="mixed"``, ``hidden_size=2048``,
    ``label_size=512``, ``early_stopping=True``.

    References
    ----------
    .. [1] Nam, Kim, Loza Mencía, Park, Sarikaya and Fürnkranz, "Learning
       context-dependent label permutations for multi-label classification", ICML 2019.

    Examples
    --------
    >>> from sklearn.datasets import make_multilabel_classification
    >>> from skdeep.multilabel import DynamicChainClassifier
    >>> X, Y = make_multilabel_classification(300, n_classes=4, random_state=0)
    >>> chain = DynamicChainClassifier(n_estimators=2, random_state=0).fit(X, Y)
    >>> chain.predict(X[:3]).shape
    (3, 4)
    >>> labels, proba = chain.predict_order(X[:1])[0]  # in the order they were found
    """

    _parameter_constraints = CONSTRAINTS
    _make_module = staticmethod(make_chains)

    def __init__(
        self,
        order="dynamic",
        *,
        training="mixed",
        n_estimators=4,
        joint_decoding=True,
        first_look="auto",
        rollout="greedy",
        rollout_steps=None,
        reward="f1",
        baseline="rollouts",
        n_rollouts=2,
        all_actions=False,
        rl_start=0.25,
        rl_weight=2.0,
        ml_weight=0.5,
        entropy=0.01,
        discount=1.0,
        loss_reduction="token",
        aux_weight=1.0,
        decision="beam",
        beam_size=5,
        proba="auto",
        threshold="auto",
        min_labels="auto",
        max_labels=None,
        n_draws=32,
        rescore_weight=0.5,
        input_scale="auto",
        label_size=64,
        label_skip=True,
        module=None,
        module_params=None,
        hidden_layer_sizes=(256,),
        hidden_size=128,
        dropout=0.5,
        input_dropout=0.3,
        max_epochs=12,
        batch_size="auto",
        lr=1e-3,
        lr_schedule="cosine",
        optimizer="adamw",
        optimizer_params=None,
        weight_decay=0.0,
        max_grad_norm=1.0,
        early_stopping="auto",
        validation_fraction=0.1,
        n_iter_no_change=10,
        validation_metric=None,
        warm_start=False,
        callbacks=None,
        net_params=None,
        device="auto",
        random_state=None,
        verbose=0,
    ):
        self.order = order
        self.training = training
        self.n_estimators = n_estimators
        self.joint_decoding = joint_decoding
        self.first_look = first_look
        self.rollout = rollout
        self.rollout_steps = rollout_steps
        self.reward = reward
        self.baseline = baseline
        self.n_rollouts = n_rollouts
        self.all_actions = all_actions
        self.rl_start = rl_start
        self.rl_weight = rl_weight
        self.ml_weight = ml_weight
        self.entropy = entropy
        self.discount = discount
        self.loss_reduction = loss_reduction
        self.aux_weight = aux_weight
        self.decision = decision
        self.beam_size = beam_size
        self.proba = proba
        self.threshold = threshold
        self.min_labels = min_labels
        self.max_labels = max_labels
        self.n_draws = n_draws
        self.rescore_weight = rescore_weight
        self.input_scale = input_scale
        self.label_size = label_size
        self.label_skip = label_skip
        self.module = module
        self.module_params = module_params
        self.hidden_layer_sizes = hidden_layer_sizes
        self.hidden_size = hidden_size
        self.dropout = dropout
        self.input_dropout = input_dropout
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
        self.validation_metric = validation_metric
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.net_params = net_params
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    @all_or_nothing
    def fit(self, X, y):
        """Learn to find the labels.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows. Sparse rows are never made dense as a whole.

        y : {array-like, sparse matrix} of shape (n_samples, n_labels), or array-like \
                of shape (n_samples,)
            Indicator matrix of zeros and ones; or one class for each row, which makes
            this an ordinary classifier.

        Returns
        -------
        self : DynamicChainClassifier
            Fitted estimator.
        """
        return self._fit(X, y, go_on=self.warm_start)

    @all_or_nothing
    def partial_fit(self, X, y, classes=None):
        """Train for one more epoch, at a constant learning rate.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows. The first call solves the first look, which stays as it is; later ones
            may bring a single row.

        y : {array-like, sparse matrix} of shape (n_samples, n_labels), or array-like \
                of shape (n_samples,)
            Targets, as in `fit`. Frames must have the columns of the first call, in the
            same order.

        classes : array-like of shape (n_classes,) or None, default=None
            All classes of a 1-d target, if the first call may not hold them all.

        Returns
        -------
        self : DynamicChainClassifier
            Fitted estimator.
        """
        if self.early_stopping is True:
            raise InvalidParameterError(
                "partial_fit does not support early_stopping=True, because each call "
                "would hold out other rows; set early_stopping=False."
            )
        return self._fit(X, y, go_on=True, classes=classes, max_epochs=1)

    def _fit(self, X, y, *, go_on, classes=None, max_epochs=None):
        data = X, y
        go_on = go_on and hasattr(self, "module_")
        check_combinations(self)
        incremental = max_epochs is not None
        X, Y = enter_data(
            self, X, y, classes=classes, go_on=go_on, incremental=incremental
        )
        rng = check_random_state(self.random_state)
        outsiders = hold_out(self, X.shape[0], incremental, rng)
        if go_on:  # the same seed must not draw the same batches again
            rng = np.random.RandomState(rng.randint(2**31 - 1, size=self.n_iter_)[-1])
        generator = make_generator(rng)
        self.device_ = resolve_device(self.device)
        module = start_chains(self, X, go_on, generator)
        left_out = np.zeros((X.shape[0], 1), dtype=np.float32)
        if module.look is not None and not (go_on and incremental):
            with torch.no_grad():
                left_out = solve_first_look(module.look, module.scaler, X, Y, rng)
            if module.look.trees is not None:
                sizes = {"tree_sizes": module.look.trees.sizes}
                self._module_args = self._module_args | sizes
        batches = LabelSetBatches(
            X,
            Y,
            (left_out, outsiders),
            resolve_batch_size(self, X.shape[0]),
            generator=generator,
            keep_sparse=takes_sparse(module),
        )
        max_epochs = max_epochs or self.max_epochs
        criterion = ChainLoss(
            resolve_objectives(self),
            self.label_order_,
            loss_settings(self, Y, len(batches), self.n_iter_ if go_on else 0),
            make_generator(rng, self.device_),
            self.hidden_size,
        )
        seed_dropout(module, make_generator(rng, self.device_))
        if not (go_on and incremental):
            self.score_weights_, self._thresholds = DEFAULT_SHARES, {}
        held = held_out_rows(self, X, Y, left_out, outsiders)
        score = validation_score(self, held) if held and stops_early(self, X) else None
        self._train(
            module,
            criterion,
            batches,
            go_on=go_on,
            max_epochs=max_epochs,
            schedule=not incremental,
            score=score,
            data=data,
        )
        if held and not self._single:
            tune_answers(self, held)
        return self

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        tags.input_tags.sparse = True
        return tags
