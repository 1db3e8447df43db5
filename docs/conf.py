"""Settings of Sphinx for `make docs`: README and docs as they are read in the repository, as HTML.

The source folder is the repository, so that links between README, CHANGELOG and docs/ hold in both.
"""

from pathlib import Path

project = "ptywidgets"
author = "The ptywidgets developers"
release = (Path(__file__).parents[1] / "ptywidgets" / "_version.py").read_text(encoding="utf-8").split('"')[-2]
extensions = ["myst_parser"]
include_patterns = ["*.md", "docs/**.md", "docs/index.rst"]
root_doc = "docs/index"
html_theme = "alabaster"
myst_heading_anchors = 4
