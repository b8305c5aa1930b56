"""Write formulas as MathML: drawn by the browser itself, without a script or a network."""

from html import escape

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number

logger = logging.getLogger(__name__)


def write_inline(translator, node):
    translator.body.append(convert(node, as_block=False))
    raise nodes.SkipNode


def write_block(translator, node):
    body = translator.body
    body.append(translator.starttag(node, "div", CLASS="math-block"))
    body.append(convert(node, as_block=True))
    if node["number"]:
        body.append(
            f'<span class="eqno">({get_node_equation_number(translator, node)})'
        )
        translator.add_permalink_ref(node, "Link to this equation")
        body.append("</span>")
    body.append("</div>\n")
    raise nodes.SkipNode


def convert(node, *, as_block):
    """MathML of a formula; one that cannot be converted is a warning."""
    formula = node.astext()
    if as_block and r"\\" in formula and r"\begin" not in formula:
        formula = rf"\begin{{aligned}}{formula}\end{{aligned}}"
    try:
        return tex2mathml(formula, as_block=as_block)
    except (MathError, SyntaxError) as error:
        logger.warning("formula %r: %s", formula, error, location=node)
        return f"<code>{escape(formula)}</code>"


def setup(app):
    app.add_html_math_renderer("mathml", (write_inline, None), (write_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
