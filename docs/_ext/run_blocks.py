"""Run the ``python`` blocks of a Markdown page, and show what they print and draw.

The blocks of a page are one script, run in order in an empty folder. What a block
prints stands below it as text, and the figures that it leaves open as pictures, so that
no number on a page can be older than the code.
"""

import contextlib
import io
import re
import tempfile
from pathlib import Path

from sphinx.util import logging

logger = logging.getLogger(__name__)

BLOCK = re.compile(r"^```python\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
FIGURES = "_build/figures"


def run_page(app, docname, content):
    """Extend the source of a Markdown page by the results of its blocks."""
    if app.env.doc2path(docname).suffix != ".md" or not BLOCK.search(content[0]):
        return
    logger.info("running %s", docname)
    figures = Path(app.srcdir, FIGURES)
    figures.mkdir(parents=True, exist_ok=True)
    page = _Page(docname, figures)
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        content[0] = BLOCK.sub(page.run_block, content[0])


class _Page:
    """Namespace and figures of one page."""

    def __init__(self, docname, figures):
        self.docname = docname
        self.figures = figures
        self.n_figures = 0
        self.namespace = {"__name__": "__main__"}
        self.failed = False

    def run_block(self, match):
        """The block, followed by its output."""
        if self.failed:
            return match.group()
        printed = io.StringIO()
        try:
            with contextlib.redirect_stdout(printed):
                code = compile(match[1], f"{self.docname}.md", "exec")
                exec(code, self.namespace)
        except Exception as error:
            self.failed = True
            logger.warning(
                "the block %r fails: %r", match[1][:60], error, location=self.docname
            )
        text = printed.getvalue().rstrip()
        shown = (
            f"\n```{{code-block}} text\n:class: output\n\n{text}\n```\n" if text else ""
        )
        return match.group() + shown + "".join(self.pictures())

    def pictures(self):
        """Save the open figures, and yield the Markdown that shows them."""
        import matplotlib.pyplot as plt

        for number in plt.get_fignums():
            figure = plt.figure(number)
            stem = self.docname.replace("/", "_")
            self.n_figures += 1
            path = self.figures / f"{stem}_{self.n_figures}.png"
            figure.savefig(path, dpi=160, bbox_inches="tight")
            plt.close(figure)
            width = round(figure.get_figwidth() * 100)
            yield f"\n```{{image}} /{FIGURES}/{path.name}\n:width: {width}px\n```\n"


def setup(app):
    app.connect("source-read", run_page)
    return {"parallel_read_safe": False, "parallel_write_safe": True}
