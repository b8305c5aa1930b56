"""Our models of the few-shot benchmark."""

import time
import warnings

import numpy as np
from _few_shot_data import load, load_out_of_fold

from skdeep.few_shot import SemiSupervisedMetaLearner
from skdeep.few_shot._learned import METHODS

PAPER = {
    "gradient_net": "paper",
    "phi": "scratch",
    "n_steps": 3,
    "n_way": 5,
    "query_balance": "balanced",
    "batch_size": 1,
    "optimizer": "sgd",
    "optimizer_params": {"momentum": 0.9, "nesterov": True},
    "lr": 1e-3,
    "lr_schedule": None,
    "weight_decay": 5e-4,
    "max_grad_norm": None,
    "early_stopping": False,
}
RULES = sorted(METHODS - {"sib"})


def our_learners(data, power, n_shot, seeds):
    """Learners by name, not fitted, and the options of `adapt_many`.

    Those that choose the power themselves are the ones that are trained here.
    """
    usual = {"power": power, "device": "cpu"}
    builtin = SemiSupervisedMetaLearner(phi="pretrained", **usual)
    if power != "auto":
        yield "ours: FewShotClassifier", builtin, {}
        yield "ours, class_prior=uniform", builtin, {"class_prior": "uniform"}
    for seed in seeds:
        learner = SemiSupervisedMetaLearner(random_state=seed, **usual)
        yield f"ours: SemiSupervisedMetaLearner, seed {seed}", learner, {}
        yield (
            f"ours: SemiSupervisedMetaLearner, class_prior=uniform, seed {seed}",
            learner,
            {"class_prior": "uniform"},
        )
        if power == "auto":
            continue
        paper = SemiSupervisedMetaLearner(
            **PAPER, **usual, n_shot=n_shot, random_state=seed
        )
        yield f"published network, seed {seed}", paper, {}
    for method in RULES if power != "auto" else ():
        yield f"our {method}", builtin, {"method": method}


class OurModels:
    """Fits each learner once, on rows whose backbones have not seen their classes.

    Parameters
    ----------
    data : str
        Which set.

    power : float or "auto"
        Of the features.

    seeds : sequence of int
        Of the learners that are trained.
    """

    def __init__(self, data, power, seeds=(0, 1, 2)):
        self.data, self.power, self.seeds = data, power, seeds
        self.rows, _ = load(data)  # the learners take the power themselves
        base = load_out_of_fold(data)
        self.base = base.X, base.y, base.part
        self.fitted = {}

    def answers(self, n_shot, episodes, wanted):
        """Names, accuracies of the episodes, milliseconds a task, seconds of the fit."""
        for name, learner, options in our_learners(
            self.data, self.power, n_shot, self.seeds
        ):
            if not wanted(name):
                continue
            key = repr(learner.get_params())
            if key not in self.fitted:
                start = time.process_time()
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    X, y, fold = self.base
                    learner.fit(X, y, tasks=fold)
                self.fitted[key] = learner, time.process_time() - start
            learner, seconds = self.fitted[key]
            found, ms = self.accuracies(learner, episodes, options)
            yield name, found, ms, seconds

    def accuracies(self, learner, episodes, options):
        """Accuracy in each episode, and CPU milliseconds an episode."""
        X = self.rows.X
        problems = [
            (X[support], y, X[query])
            for support, y, query in zip(
                episodes.support, episodes.y_support, episodes.query
            )
        ]
        seconds = []
        for _ in range(3):
            start = time.process_time()
            classifiers = learner.adapt_many(problems, **options)
            seconds.append(time.process_time() - start)
        ms = 1000 * np.median(seconds) / len(problems)
        n_query = episodes.query.shape[1]
        labels = [c.transduction_[-n_query:] for c in classifiers]
        return (np.array(labels) == episodes.y_query).mean(axis=1), ms
