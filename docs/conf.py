"""The documentation site: Sphinx reads Markdown, the docstrings, the command line's parser and the examples."""

import shutil
from pathlib import Path

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

import embedseg_ops

project = "embedseg_ops"
author = "the authors of embedseg_ops"
release = version = embedseg_ops.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_argparse_cli"]
# what needs packages that the documentation does not install is shown without its results
exclude_patterns = ["conf.py", "examples/lightning_module.py", "examples/monai_sliding_window.py"]
default_role = "literal"  # `x` in a docstring is code

html_theme = "furo"
html_title = "embedseg_ops"
html_show_copyright = False
html_math_renderer = "mathml"  # browsers draw it themselves: no script from elsewhere

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
# The examples are Python files that Jupyter opens as notebooks; the site shows what they print and draw.
nb_custom_formats = {".py": ["jupytext.reads", {"fmt": "py:percent"}]}
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 120
nb_output_stderr = "remove"  # progress bars

autodoc_typehints = "description"
autodoc_member_order = "bysource"
napoleon_use_rtype = False


def write_math(writer: HTML5Translator, node: nodes.math | nodes.math_block) -> None:
    """Write a formula as MathML."""
    block = isinstance(node, nodes.math_block)
    formula = convert(node.astext(), display="block" if block else "inline")
    writer.body.append(f'<div style="margin: 1em 0">{formula}</div>' if block else formula)
    raise nodes.SkipNode


def setup(app: Sphinx) -> None:
    """Bring the examples in, which Sphinx reads only below its own folder; pages link to where they are kept."""
    app.add_html_math_renderer("mathml", (write_math, None), (write_math, None))
    docs = Path(app.srcdir)
    shutil.copytree(docs.parent / "examples", docs / "examples", dirs_exist_ok=True)
    app.connect("source-read", lambda _, name, text: text.append(text.pop().replace("](../examples/", "](examples/")))
