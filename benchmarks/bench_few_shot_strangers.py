"""A pile with rows of no class: requests out of scope among those of five new intents.

Requests of CLINC150 as texts. A learner with a backbone of its own is fitted on 110 intents;
tasks are drawn from the other 40, with 15 rows a class without a label and, in the same pile,
0 to 150 of the 1,200 requests that have none of the intents. Accuracy is that of the 75 rows
that have a class. Three seeds, each with its own intents, learner and 200 tasks; the tasks
are the same for all rows of the table. The interval is 1.96 standard errors over all tasks.

Usage: python benchmarks/bench_few_shot_strangers.py [--quick]
"""

import sys
import warnings

import numpy as np
import torch
from _tools import report
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline, make_union
from threadpoolctl import threadpool_limits

from skdeep.datasets import fetch_clinc150
from skdeep.few_shot import SemiSupervisedMetaLearner
from skdeep.model_selection import ClassDisjointShuffleSplit, EpisodeSampler

STRANGERS = (0, 25, 75, 150)
SHOTS = (1, 5)
MODELS = {
    "prototypes": {"method": "prototype"},
    "bd_cspn": {"method": "bd_cspn"},
    "tim": {"method": "tim"},
    "default": {},
    "outlier_weight=5": {"outlier_weight": 5.0},
    "outlier_weight=10": {"outlier_weight": 10.0},
    "outlier_weight=20": {"outlier_weight": 20.0},
    "outlier_weight=40": {"outlier_weight": 40.0},
}


def features(texts, base, seed):
    """Words and pieces of words in 256 dimensions, learned from the base texts."""
    model = make_pipeline(
        make_union(
            TfidfVectorizer(sublinear_tf=True),
            TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True),
        ),
        TruncatedSVD(256, random_state=seed),
    )
    return model.fit(texts[base]).transform(texts).astype(np.float32)


def tasks(X, y, strangers, n_shot, n_tasks, seed):
    """Support, labels and query of each task, and the order of its strangers."""
    rng = np.random.default_rng(seed)
    sampler = EpisodeSampler(
        n_way=5, n_shot=n_shot, n_query=15, n_episodes=n_tasks, random_state=seed
    )
    for support, query in sampler.split(X, y):
        far = strangers[rng.permutation(len(strangers))]
        yield X[support], y[support], X[query], y[query], far


def accuracies(learner, drawn, n_strangers, options):
    """Accuracy in each task on the rows that have a class."""
    problems = [
        (support, labels, np.concatenate([query, far[:n_strangers]]))
        for support, labels, query, _, far in drawn
    ]
    adapted = learner.adapt_many(problems, **options)
    return [
        (classifier.transduction_[len(labels) :][: len(y_query)] == y_query).mean()
        for classifier, (_, labels, _, y_query, _) in zip(adapted, drawn)
    ]


def main():
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    seeds, n_tasks = ((0,), 40) if "--quick" in sys.argv else ((0, 1, 2), 200)
    texts, intents = fetch_clinc150(out_of_scope=True, return_X_y=True)
    known, found = intents < 150, {}
    with threadpool_limits(1):
        for seed in seeds:
            split = ClassDisjointShuffleSplit(1, test_size=40, random_state=seed)
            base, new = next(split.split(texts[known], intents[known]))
            X = features(texts, base, seed)
            learner = SemiSupervisedMetaLearner(backbone="mlp", random_state=seed)
            learner.fit(X[base], intents[base])
            for n_shot in SHOTS:
                drawn = list(
                    tasks(X[new], intents[new], X[~known], n_shot, n_tasks, seed)
                )
                for model, options in MODELS.items():
                    for n in STRANGERS:
                        own = accuracies(learner, drawn, n, options)
                        found.setdefault((n_shot, model, n), []).append(own)
            print(f"seed {seed} done", flush=True)
    report("few_shot_strangers", [row(key, runs) for key, runs in found.items()])


def row(key, runs):
    """Mean over all tasks, its interval, and the spread of the seeds."""
    every = 100 * np.concatenate(runs)
    return {
        **dict(zip(("n_shot", "model", "strangers"), key)),
        "accuracy": f"{every.mean():.2f}",
        "ci95": f"{1.96 * every.std(ddof=1) / len(every) ** 0.5:.2f}",
        "std_seeds": f"{100 * np.std([np.mean(run) for run in runs]):.2f}",
    }


if __name__ == "__main__":
    main()
