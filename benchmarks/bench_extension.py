"""A tagger learns a new type of entities from new sentences alone.

The source learns from the first 80 % of the sentences, in which the new type is not
marked; the extension from the others, without the source's data. F1 of the entities of the
old types, of the new one and of all, on further sentences; `source_old` is the F1 of the
source on the old types. The usual test sentences of Snips hold 109 new entities, so that
new-class F1 has a standard error of some four points; the columns `more_old`, `more_new` and
`more_all` come from 6,584 sentences of ``snips_4000`` that no model was fitted to.

* ``snips_4000``, ``snips``: requests to a voice assistant, 4000 or all 13,084; 38 old types
  and the new one "artist". They are downloaded.
* ``norne``: Norwegian news, blogs and reports; six old types and the new one "LOC". It is
  left out unless ``--norne`` names a folder with its files.

Parts:

* ``crfsuite``: CRFsuite fitted to old data, to new data, and to all, which no one has who
  needs an extension; and CRFsuite for the new data, with the tags of its frozen source as
  features. It is not random, and has one seed.
* ``taggers``: our tagger in the same roles, and our extender with and without adapter.
* ``new_only``: new sentences in which nothing but the new type is marked.
* ``grid``: {random field, softmax} x {all weights trained, top layers only} x {adapter,
  adapter alone as in the article, without our skip connection, fine-tuning}, five seeds,
  source and extension with the same output layer.
* ``signals``: what the adapter sees of the source, and how it is joined.
* ``foreign``: CRFsuite extended by our extender.
* ``speed``: tokens a CPU second of training, counted in each pass, and of prediction.

Nothing is chosen on the sentences of any column. The parameters of CRFsuite are chosen on a
part of its training sentences, ours are the default ones; the learning rates of the adapter
were chosen on 2,500 sentences between those for training and those of `more_*`.

Run ``bench_extension.py [--data name ...] [--part name ...] [--models name ...] [--seeds n
...] [--norne folder] [--missing]``. CRFsuite needs ``sklearn-crfsuite``; it is left out if it
is not installed. Rows of ``results/extension.csv``, one a seed, are written as they are
computed, and kept if they are not computed again; ``--missing`` computes none that is
there. ``results/extension_mean.csv`` has their means.
"""

import argparse
import csv
import statistics
import time
import warnings

import torch
from _extension_data import NEW_TYPE, load, n_tokens
from _extension_ours import (
    FOREIGN,
    GRID,
    NEW_ONLY,
    SIGNALS,
    TAGGERS,
    answers,
    can_run,
    fitted_source,
)
from _extension_peers import installed, peer_models, train_speed
from _tools import RESULTS, report
from threadpoolctl import threadpool_limits

from skdeep.metrics import extension_scores
from skdeep.transfer import AdapterExtender, SequenceTagger

# models, seeds
PARTS = {
    "taggers": (TAGGERS, 3),
    "new_only": (NEW_ONLY, 3),
    "grid": (GRID, 5),
    "signals": (SIGNALS, 3),
    "foreign": (FOREIGN, 3),
}
# what is computed for a set unless `--part` says something else
USUAL = {
    "snips_4000": ["crfsuite", *PARTS, "speed"],
    "norne": ["crfsuite", "taggers"],
    "snips": ["crfsuite", "taggers"],
}
KEYS = ("data", "annotation", "part", "model", "seed")
SCORES = ("old", "new", "all", "source_old", "more_old", "more_new", "more_all")
COSTS = ("fit_s", "train_tokens_s", "predict_tokens_s")
FILE = RESULTS / "extension.csv"


def scored(scenario, y_pred, source_pred, y_more):
    """F1 in percent."""
    found = extension_scores(
        scenario.test[1], y_pred, scenario.old_types, source_pred=source_pred
    )
    if y_more:
        more = extension_scores(scenario.more[1], y_more, scenario.old_types)
        found |= {f"more_{name}": value for name, value in more.items()}
    return {
        name: "" if found.get(name) is None else 100 * found[name] for name in SCORES
    }


def peer_rows(data, norne, wanted, done):
    """Rows of CRFsuite."""
    scenario = load(data, norne)
    source = source_pred = None
    for role, annotation, fit in peer_models(scenario):
        name = f"crfsuite, {role}"
        key = (data, annotation, "crfsuite", name, "0")
        if source is not None and (key in done or not wanted(name)):
            continue
        tagger = fit(source)
        start = time.process_time()
        y_pred = tagger.predict(scenario.test[0])
        seconds = time.process_time() - start
        if source is None:
            source = tagger
        else:
            source_pred = source_pred or source.predict(scenario.test[0])
        part = {"source": "source", "target only": "target", "all data": "together"}
        X_fit = getattr(scenario, part.get(role, "target"))[0]
        c1, c2 = tagger.chosen_
        yield {
            **dict(zip(KEYS, key)),
            **scored(
                scenario,
                y_pred,
                source_pred if tagger.source else None,
                tagger.predict(scenario.more[0]) if scenario.more[0] else [],
            ),
            "fit_s": tagger.seconds_,
            "train_tokens_s": train_speed(tagger, X_fit),
            "predict_tokens_s": n_tokens(scenario.test[0]) / seconds,
            "params": f"c1={c1} c2={c2}",
        }


def our_rows(data, norne, part, seed, wanted, done):
    """Rows of our own estimators."""
    scenario = load(data, norne)
    for model in filter(can_run, PARTS[part][0]):
        key = (data, model.annotation, part, model.name, str(seed))
        if key in done or not wanted(model.name):
            continue
        y_pred, source_pred, y_more, costs = answers(
            data, norne, model.source, model.params, model.annotation, seed
        )
        yield {
            **dict(zip(KEYS, key)),
            **scored(scenario, y_pred, source_pred, y_more),
            **costs,
            "params": "",
        }


def speed_rows(data, norne, repeats=3):
    """Tokens a CPU second, median of a few rounds in turn."""
    scenario = load(data, norne)
    (X, y), (X_new, y_new), X_test = scenario.source, scenario.target, scenario.test[0]
    makers = {
        "SequenceTagger": lambda: SequenceTagger(random_state=0).fit(X, y),
        "SequenceTagger, deep=False": lambda: SequenceTagger(
            deep=False, random_state=0
        ).fit(X, y),
        "AdapterExtender": lambda: AdapterExtender(
            fitted_source(data, norne, "crf", 0)[0], random_state=0
        ).fit(X_new, y_new),
    }
    if installed():
        from _extension_peers import CrfTagger

        makers["crfsuite"] = lambda: CrfTagger(None, 0.1, 0.1).fit(X, y)
    fitted_source(data, norne, "crf", 0)
    models, fits, predictions = {}, {}, {name: [] for name in makers}
    for name, make in makers.items():
        start = time.process_time()
        models[name] = make()
        fits[name] = time.process_time() - start
    for _ in range(repeats):
        for name, model in models.items():
            start = time.process_time()
            model.predict(X_test)
            predictions[name].append(time.process_time() - start)
    for name, model in models.items():
        n_fit = n_tokens(X_new if name == "AdapterExtender" else X)
        yield {
            "data": data,
            "model": name,
            "tokens": n_fit,
            "passes": model.n_iter_,
            "fit_s": fits[name],
            "train_tokens_s": n_fit * model.n_iter_ / fits[name],
            "predict_tokens_s": n_tokens(X_test) / statistics.median(predictions[name]),
        }


def read_rows():
    """Rows of the results file."""
    if not FILE.exists():
        return []
    with open(FILE, newline="") as file:
        return list(csv.DictReader(file))


def key_of(row):
    """What tells rows apart."""
    return tuple(str(row[name]) for name in KEYS)


def keep(row):
    """Write a row, in place of the one with the same key if there is one."""
    rows = [old for old in read_rows() if key_of(old) != key_of(row)]
    row = {k: f"{v:.4f}" if isinstance(v, float) else v for k, v in row.items()}
    RESULTS.mkdir(exist_ok=True)
    with open(FILE, "w", newline="") as file:
        writer = csv.DictWriter(
            file, [*KEYS, *SCORES, *COSTS, "params"], lineterminator="\n"
        )
        writer.writeheader()
        writer.writerows([*rows, row])
    shown = (f"{name} {float(row[name]):.2f}" for name in SCORES if row[name] != "")
    print(" | ".join(key_of(row)), *shown, f"{float(row['fit_s']):.1f} s", flush=True)


def means(rows):
    """Mean and standard deviation over the seeds of each model."""
    groups = {}
    for row in rows:
        groups.setdefault(key_of(row)[:-1], []).append(row)
    for key, members in groups.items():
        table = dict(zip(KEYS, key)) | {"seeds": len(members)}
        for name in SCORES:
            values = [float(row[name]) for row in members if row[name] != ""]
            table[name] = f"{statistics.fmean(values):.2f}" if values else ""
            if len(values) > 1:
                table[name] += f" +- {statistics.stdev(values):.2f}"
        for name in COSTS:
            table[name] = statistics.fmean(float(row[name]) for row in members)
        yield table


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", nargs="*", default=list(USUAL), choices=NEW_TYPE)
    parser.add_argument("--part", nargs="*", choices=USUAL["snips_4000"])
    parser.add_argument("--models", nargs="*")
    parser.add_argument("--seeds", nargs="*", type=int, default=range(5))
    parser.add_argument("--norne")
    parser.add_argument("--missing", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", FutureWarning)

    def wanted(name):
        return not options.models or name in options.models

    with threadpool_limits(1):
        for data in options.data:
            if data == "norne" and options.norne is None:
                continue
            norne = options.norne if data == "norne" else None
            parts = options.part or USUAL[data]
            done = set(map(key_of, read_rows())) if options.missing else set()
            if "crfsuite" in parts and installed():
                for row in peer_rows(data, norne, wanted, done):
                    keep(row)
            for seed in options.seeds:
                for part in (name for name in parts if name in PARTS):
                    if seed < PARTS[part][1]:
                        for row in our_rows(data, norne, part, seed, wanted, done):
                            keep(row)
            if "speed" in parts:
                report("extension_speed", list(speed_rows(data, norne)))
    report("extension_mean", list(means(read_rows())))


if __name__ == "__main__":
    main()
