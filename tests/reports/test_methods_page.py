"""docs/methods.md is what the docstrings and the leaderboard say, and every method says how faithful it is."""

from pathlib import Path

import pytest

from hashbench import load_method
from hashbench.plugins.docstrings import fidelity, sections
from hashbench.reports.leaderboards.methods_page import methods_page

ROOT = Path(__file__).resolve().parents[2]
METHODS = sorted(path.stem for path in (ROOT / "methods").glob("*.py"))


@pytest.fixture(scope="module")
def page():
    if not (ROOT / "docs" / "methods.md").is_file():
        pytest.skip("needs a checkout")
    return methods_page()


def test_the_page_is_of_the_present_methods(page):
    path = ROOT / "docs" / "methods.md"
    assert path.read_text("utf-8") == page, f"python -m hashbench.reports.leaderboards.methods_page > {path}"


@pytest.mark.parametrize("name", METHODS)
def test_every_method_says_how_faithful_it_is(name, page):
    method_class = load_method(name)
    assert fidelity(method_class).endswith(".")
    part = page.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
    for fact in ("- Paper: ", "- Inputs: ", "- Cost: ", "- Fidelity: ", "- Defaults: "):
        assert part.count(fact) == 1
    assert " ".join(part.split()).find(fidelity(method_class).replace("``", "`")) > 0


def test_costs_are_the_boards(page):
    lines = (ROOT / "leaderboards" / "cifar10.csv").read_text("utf-8").splitlines()
    rows = [dict(zip(lines[0].split(","), line.split(","), strict=False)) for line in lines[1:]]
    costs = {row["method"]: row["fit_s"] for row in rows if row["n_bits"] == "32" and "[" not in row["method"]}
    assert "cibhash" in costs
    shown = {line.split("`")[1]: line.split(" | ")[-1] for line in page.splitlines() if line.startswith("| [`")}
    expected = {name: f"{float(cost):.3g} s |" if cost else "not timed yet |" for name, cost in costs.items()}
    assert expected.items() <= shown.items()


class Said:
    """A summary.

    More.

    Parameters
    ----------
    n_bits : int
        Length.

    Fidelity
    --------
    Compared,
    here.

    Notes
    -----
    Last.
    """


def test_a_docstring_is_taken_apart():
    assert list(sections(Said)) == ["", "Parameters", "Fidelity", "Notes"]
    assert sections(Said)[""] == "A summary.\n\nMore.\n\n"
    assert fidelity(Said) == "Compared, here."
    assert fidelity(type("Silent", (), {})) == ""


def test_info_prints_it_once(cli):
    shown = cli("info", "itq").stdout
    assert "fidelity     Written from the paper, with the authors' 51 alternations" in shown
    assert shown.count("51 alternations. It was not compared") == 1
    assert "Attributes\n----------\n" in shown


def test_info_of_a_method_that_does_not_say(tmp_path, cli):
    (tmp_path / "mine.py").write_text(
        "from hashbench import HashMethod\nclass Mine(HashMethod):\n    def __init__(self, n_bits=8):\n"
        "        self.n_bits = n_bits\n"
    )
    done = cli("info", "mine", "--plugin", tmp_path / "mine.py")
    assert "fidelity     not stated" in done.stdout
