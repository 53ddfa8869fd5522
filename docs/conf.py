"""The documentation site: Sphinx reads Markdown, the docstrings, the command line's parser and the examples."""

import shutil
from pathlib import Path

from sphinx.application import Sphinx

import embedseg_ops

project = "embedseg_ops"
author = "the authors of embedseg_ops"
release = version = embedseg_ops.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_argparse_cli"]
exclude_patterns = ["conf.py", "examples/drawn.py"]
default_role = "literal"  # `x` in a docstring is code

html_theme = "furo"
html_title = "embedseg_ops"

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


def setup(app: Sphinx) -> None:
    """Bring the examples in, which Sphinx reads only below its own folder; pages link to where they are kept."""
    docs = Path(app.srcdir)
    shutil.copytree(docs.parent / "examples", docs / "examples", dirs_exist_ok=True)
    app.connect("source-read", lambda _, name, text: text.append(text.pop().replace("](../examples/", "](examples/")))
