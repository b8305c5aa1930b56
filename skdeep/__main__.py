"""``python -m skdeep demo``: each estimator on bundled data, beside a baseline."""

import argparse
import sys
import time


def main(arguments=None):
    """Run the command line and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m skdeep", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("demo", help="fit the estimators on small real data")
    commands.add_parser("versions", help="what to paste into a bug report")
    options = parser.parse_args(arguments)
    if options.command == "versions":
        from skdeep import show_versions

        show_versions()
        return 0
    for title, rows in DEMOS:
        sys.stdout.write(f"\n{title}\n")
        _write_table(rows())
    return 0


def demo_metric_learning():
    """Unseen handwritten characters, compared by one distance threshold."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    from skdeep.datasets import load_omniglot100
    from skdeep.metric_learning import TCMEmbedder
    from skdeep.metrics import opis_score, recall_at_k_score

    X, y = load_omniglot100(split="train", return_X_y=True, flatten=False)
    X_test, y_test = load_omniglot100(split="test", return_X_y=True, flatten=False)
    X, X_test = X[:, None], X_test[:, None]  # one channel
    models = {
        "pixels": None,
        "LinearDiscriminantAnalysis": LinearDiscriminantAnalysis(),
        "TCMEmbedder(tcm_weight=0)": TCMEmbedder(tcm_weight=0, random_state=0),
        "TCMEmbedder()": TCMEmbedder(random_state=0),
    }
    rows = []
    for name, model in models.items():
        start = time.process_time()
        embeddings = X_test.reshape(len(X_test), -1)
        if isinstance(model, LinearDiscriminantAnalysis):
            model.fit(X.reshape(len(X), -1), y)
            embeddings = model.transform(embeddings)
        elif model is not None:
            embeddings = model.fit(X, y).transform(X_test)
        opis = opis_score(y_test, embeddings, return_details=True)
        rows.append(
            {
                "embedding": name,
                "recall@1": recall_at_k_score(y_test, embeddings),
                "OPIS": opis.opis,
                "mean utility": opis.mean_utility,
                "CPU seconds": time.process_time() - start,
            }
        )
    return rows


DEMOS = (
    (
        "TCMEmbedder: 40 characters never seen in training (Omniglot, bundled).\n"
        "Recall@1 and mean utility: more is better. OPIS, the spread of the classes\n"
        "at a common threshold: less is better.\n",
        demo_metric_learning,
    ),
)


def _write_table(rows):
    columns = list(rows[0])
    cells = [columns, *([_text(row[column]) for column in columns] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    for line in cells:
        first, *rest = (cell.rjust(width) for cell, width in zip(line, widths))
        sys.stdout.write("  ".join([first.strip().ljust(widths[0]), *rest]) + "\n")


def _text(value):
    return value if isinstance(value, str) else f"{value:.3f}"


if __name__ == "__main__":
    sys.exit(main())
