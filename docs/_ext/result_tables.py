"""Directive ``result-tables``: the tables of ``benchmarks/results`` that there are."""

import csv
import io
from pathlib import Path

from sphinx.util.docutils import SphinxDirective

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"

TABLE = """
```{{csv-table}} {name}
:header-rows: 1
:class: result-table

{rows}
```
"""


class ResultTables(SphinxDirective):
    """Show every csv file whose name matches one of the patterns, such as ``tcm_*``."""

    required_arguments = 1
    optional_arguments = 20

    def run(self):
        found = {
            path for name in self.arguments for path in RESULTS.glob(f"{name}.csv")
        }
        if not found:
            return self.parse_text_to_nodes(
                "No result is stored yet; the scripts of `benchmarks/` write them."
            )
        tables = []
        for path in sorted(found):
            self.env.note_dependency(str(path))
            rows = as_csv(legible(path.read_text(encoding="utf-8")))
            tables += self.parse_text_to_nodes(TABLE.format(name=path.name, rows=rows))
        return tables


def legible(text):
    """Three digits, means and deviations in one cell, no empty column.

    Parameters
    ----------
    text : str
        Content of a csv file. A column ``<name>_sd`` holds the deviations of the column
        ``<name>``.

    Returns
    -------
    rows : list of list of str
        The first row holds the names of the columns.
    """
    table = list(csv.DictReader(io.StringIO(text)))
    columns = [c for c in table[0] if any(row[c] for row in table)]
    shown = [
        c for c in columns if c.removesuffix("_sd") not in columns or c[-3:] != "_sd"
    ]
    rows = [[c.replace("_", " ") for c in shown]]
    for row in table:
        cells = []
        for column in shown:
            deviation = row.get(f"{column}_sd")
            cells.append(
                rounded(row[column])
                + (f" ± {rounded(deviation, 2)}" if deviation else "")
            )
        rows.append(cells)
    return rows


def rounded(cell, n_digits=3):
    """Significant digits of a number with a decimal point; other cells as they are."""
    try:
        return f"{float(cell):.{n_digits}g}" if "." in cell else cell
    except ValueError:
        return cell


def as_csv(rows):
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def setup(app):
    app.add_directive("result-tables", ResultTables)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
