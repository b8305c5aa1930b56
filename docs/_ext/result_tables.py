"""Directive ``result-tables``: the tables of ``benchmarks/results`` that there are."""

from pathlib import Path

from sphinx.util.docutils import SphinxDirective

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"

TABLE = """
```{{csv-table}} `{name}`
:file: {path}
:header-rows: 1
:class: result-table
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
            table = TABLE.format(name=path.name, path=path)
            tables += self.parse_text_to_nodes(table)
        return tables


def setup(app):
    app.add_directive("result-tables", ResultTables)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
