"""The site: ``python -m sphinx -W docs site`` makes it of the pages here, the docstrings and the boards."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

from hashbench.cli.main import COMMANDS
from hashbench.reports.leaderboards.checks import read_rows
from hashbench.reports.leaderboards.commands import commands
from hashbench.reports.leaderboards.csv_files import read_entries
from hashbench.reports.papers.formats import to_markdown
from hashbench.reports.papers.sources import grids_of

DOCS = Path(__file__).resolve().parent
BOARDS = DOCS.parent / "leaderboards"
PAGES, REPORTS = DOCS / "boards", DOCS / "_reports"
"""What is made for the site; git ignores both."""
REPORT = "The [interactive report](../reports/{name}.html): intervals, costs, and where each number comes from.\n"

project = "hashbench"
author = copyright = "The hashbench developers"
release = tomllib.loads((DOCS.parent / "pyproject.toml").read_text())["project"]["version"]
extensions = ["myst_parser", "sphinx.ext.autodoc", "numpydoc"]
myst_heading_anchors = 3
numpydoc_show_class_members = False
autodoc_typehints = "none"  # numpydoc's sections say the types
autodoc_default_options = {"exclude-members": "set_fit_request, get_metadata_routing"}  # scikit-learn's own
exclude_patterns = ["example-package"]
html_theme = "furo"
html_title = f"hashbench {release}"
html_extra_path = ["_reports"]
html_show_sphinx = False
suppress_warnings = ["myst.xref_missing"]  # links to files of the repository, which tests/test_links.py looks for


def make_pages(app):
    """Write a page for each leaderboard, and its report where hashbench can make one."""
    PAGES.mkdir(exist_ok=True)
    (REPORTS / "reports").mkdir(parents=True, exist_ok=True)
    features = read_entries(BOARDS).features
    for board in sorted(BOARDS.glob("*.csv")):
        has_report = "report" in COMMANDS
        if has_report:
            to = REPORTS / "reports" / f"{board.stem}.html"
            subprocess.run([sys.executable, "-m", "hashbench", "report", board, "-o", to], check=True)
        lines = "\n".join(commands(board.stem, read_rows(board), features))
        page = [
            f"# {board.stem}\n",
            REPORT.format(name=board.stem) if has_report else "",
            to_markdown(grids_of(board)),
            f"All columns: {{download}}`{board.name} <../../leaderboards/{board.name}>`.\n",
            f"## Compute it again\n\n```sh\n{lines}\n```\n",
        ]
        (PAGES / f"{board.stem}.md").write_text("\n".join(page))
    columns = (BOARDS / "README.md").read_text()
    (PAGES / "columns.md").write_text(re.sub(r"## Reproduce them.*?(?=## Columns)", "", columns, flags=re.DOTALL))


def setup(app):
    """Have the pages made before Sphinx looks for sources."""
    app.connect("config-inited", lambda app, config: make_pages(app))
