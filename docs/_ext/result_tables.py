"""Directive ``result-tables``: the tables of ``benchmarks/results`` that there are."""

import csv
import io
from pathlib import Path

from docutils.parsers.rst import directives
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
    """Show every csv file whose name matches one of the patterns, such as ``tcm_*``.

    With options, which name columns, a file becomes a table for each value of `each`,
    with a line for each value of `index` and a cell for each one of `columns`; see
    `spread`. `where` keeps the rows with some values, as ``part=grid data=snips``, and
    `show` the columns that it names, in their order.
    """

    required_arguments = 1
    optional_arguments = 20
    option_spec = dict.fromkeys(
        ("each", "index", "columns", "cell", "last", "join", "where", "show"),
        directives.unchanged_required,
    )

    def run(self):
        found = {
            path for name in self.arguments for path in RESULTS.glob(f"{name}.csv")
        }
        tables = []
        for path in sorted(found):
            self.env.note_dependency(str(path))
            options = {k: v.split() for k, v in self.options.items()}
            text = path.read_text(encoding="utf-8")
            text = select(text, options.pop("where", ()), options.pop("show", None))
            if not text:
                continue
            named = {path.name: legible(text)}
            if options:
                named = spread(text, **options)
            for name, rows in named.items():
                table = TABLE.format(name=name, rows=as_csv(rows))
                tables += self.parse_text_to_nodes(table)
        return tables or self.parse_text_to_nodes(
            "No result is stored yet; the scripts of `benchmarks/` write them."
        )


def select(text, where, show):
    """Some rows and columns of a csv file, as text; empty if no row is left.

    Parameters
    ----------
    text : str
        Content of the file.

    where : list of str
        Values that a row must have, such as ``part=grid``.

    show : list of str or None
        Columns to keep.
    """
    rows = list(csv.DictReader(io.StringIO(text)))
    wanted = dict(condition.split("=") for condition in where)
    rows = [row for row in rows if all(row[k] == v for k, v in wanted.items())]
    if not rows:
        return ""
    columns = show or list(rows[0])
    return as_csv([columns, *([row[column] for column in columns] for row in rows)])


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


def spread(text, *, each, index, columns, cell, last=(), join=("±",)):
    """Tables with the values of some columns side by side.

    Parameters
    ----------
    text : str
        Content of a csv file.

    each, index, columns : list of str
        Columns whose values name the table, the line and the column of a cell.

    cell : list of str
        Columns of which the numbers are shown in a cell, with one decimal each; as it
        is, a number and the half-width of an interval.

    last : list of str, default=()
        Columns of which the mean over a line is shown at its end.

    join : list of str, default=("±",)
        What stands between the numbers of a cell.

    Returns
    -------
    tables : dict of str to list of list of str
        The first row of each holds the names of the columns.
    """
    tables = {}
    for row in csv.DictReader(io.StringIO(text)):
        name, line, place = (
            tuple(row[key] for key in keys) for keys in (each, index, columns)
        )
        tables.setdefault(name, {}).setdefault(line, {})[place] = row
    found = {}
    for name, lines in tables.items():
        places = list(dict.fromkeys(place for line in lines.values() for place in line))
        titles = [", ".join(named(*pair) for pair in zip(columns, p)) for p in places]
        rows = [[*index, *titles, *last]]
        for line, cells in lines.items():
            values = [
                f" {join[0]} ".join(f"{float(cells[p][key]):.1f}" for key in cell)
                if p in cells
                else ""
                for p in places
            ]
            sums = [sum(float(c[key]) for c in cells.values()) for key in last]
            ends = [rounded(str(total / len(cells)), 2) for total in sums]
            rows.append([*line, *values, *ends])
        found[", ".join(named(*pair) for pair in zip(each, name))] = rows
    return found


def named(column, value):
    """A value as a title: numbers need the name of their column."""
    return f"{column} {value}".replace("_", " ") if value.isdigit() else value


def rounded(cell, n_digits=3):
    """Significant digits of a number with a decimal point; other cells as they are."""
    try:
        if "." not in cell:
            return cell
        number = float(f"{float(cell):.{n_digits}g}")
        if abs(number) < 1e-12:  # rounding
            return "0"
        return f"{number:.0f}" if abs(number) >= 10**n_digits else f"{number:g}"
    except ValueError:
        return cell


def as_csv(rows):
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def setup(app):
    app.add_directive("result-tables", ResultTables)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
