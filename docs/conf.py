"""Settings of the documentation.

Everything is made from the sources at build time, without a network: the reference from
the docstrings, the gallery and the output under each code block by running the code,
the formulas as MathML, which browsers draw themselves.
"""

import os
import sys
from pathlib import Path

# before numpy and torch are imported: the networks of the examples are too small to gain
# from threads, and threads that wait for a busy core cost many times what they do
os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent / "_ext"))

import skdeep

project = "skdeep"
author = copyright = "The skdeep developers"
release = version = skdeep.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_parser",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "math_as_mathml",
    "run_blocks",
    "result_tables",
    "inherited_docstrings",
]
exclude_patterns = ["_build", "auto_examples/**/*.ipynb", "auto_examples/**/*.py"]
templates_path = ["_templates"]
default_role = "literal"
add_function_parentheses = False
toc_object_entries_show_parents = "hide"

if os.environ.get("SKDEEP_DOCS_INTERSPHINX") == "1":
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {
        "numpy": ("https://numpy.org/doc/stable", None),
        "python": ("https://docs.python.org/3", None),
        "sklearn": ("https://scikit-learn.org/stable", None),
        "skorch": ("https://skorch.readthedocs.io/en/stable", None),
        "torch": ("https://docs.pytorch.org/docs/stable", None),
    }

# pages that download data are run where that was asked for, and shown as code elsewhere
runs_downloads = os.environ.get("SKDEEP_DOCS_DOWNLOADS") == "1"

autosummary_generate = True
autodoc_typehints = "none"
numpydoc_show_class_members = False

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "filename_pattern": "/(plot|fetch)_" if runs_downloads else "/plot_",
    "gallery_dirs": "auto_examples",
    "subsection_order": [
        "../examples/multilabel",
        "../examples/cluster",
        "../examples/few_shot",
        "../examples/transfer",
        "../examples/metric_learning",
        "../examples/compose",
    ],
    "within_subsection_order": "FileNameSortKey",
    "doc_module": ("skdeep",),
    "backreferences_dir": "api/generated/backreferences",
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "image_srcset": ["2x"],
    "thumbnail_size": (400, 260),
    "plot_gallery": "True",
}

html_theme = "pydata_sphinx_theme"
html_title = f"skdeep {version}"
html_static_path = ["_static"]
html_css_files = ["skdeep.css"]
html_logo = "_static/logo.svg"
html_favicon = "_static/logo.svg"
html_math_renderer = "mathml"
html_show_sourcelink = False
html_copy_source = False
html_sidebars = {"index": [], "install": []}
html_theme_options = {
    "logo": {"text": "skdeep"},
    "navbar_align": "left",
    "navbar_end": ["theme-switcher"],
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "show_nav_level": 2,
    "show_prev_next": False,
}
