"""Cut docstrings that come from scikit-learn down to what can be read on our pages.

They refer to labels and to terms of scikit-learn's own glossary. The summary stays, and
the lists of parameters and of results.
"""

import re

KEPT = ("Parameters", "Returns", "Yields")


def shorten(app, what, name, obj, options, lines):
    """Keep the summary and the sections of `KEPT`; runs before numpydoc."""
    module = getattr(obj, "__module__", None) or ""
    if what not in ("method", "function") or not module.startswith("sklearn."):
        return
    sections, title = {None: []}, None
    for line, following in zip(lines, [*lines[1:], ""]):
        if line.strip() and re.fullmatch(r"-{3,}", following.strip()):
            title = line.strip()
            sections[title] = []
        sections[title].append(line)
    summary = "\n".join(sections.pop(None)).strip().split("\n\n")[0]
    kept = [line for title in KEPT for line in sections.get(title, [])]
    lines[:] = [*summary.splitlines(), "", "Inherited from scikit-learn.", "", *kept]
    lines[:] = [
        re.sub(r":(?:ref|term):`([^`<]+?)(?: <[^`]*)?`", r"\1", x) for x in lines
    ]


def setup(app):
    app.connect("autodoc-process-docstring", shorten, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
