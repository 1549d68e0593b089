"""Links between pages, and from pages to files, lead somewhere: to a file that is there, and to a heading in it."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(
    path
    for path in (
        *ROOT.glob("*.md"),
        *(ROOT / "docs").glob("*.md"),
        *(ROOT / "docs" / "findings").glob("*.md"),
        ROOT / "leaderboards" / "README.md",
    )
    if path.is_file()
)


def prose(page):
    """Return a page without its blocks and spans of code."""
    text = re.sub(r"^ *```.*?^ *```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"(?<!\[)`[^`\n]*`", "", text)


def anchors(page):
    """Return the anchors that headings have."""
    heads = re.findall(r"^#+ +(.*)$", re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), f"{page.name}: {target}"
        assert not anchor or anchor in anchors(file), f"{page.name}: {target}"


def test_the_pages_are_of_the_site():
    toctree = (ROOT / "docs" / "index.md").read_text()
    docs = ROOT / "docs"
    for page in (*docs.glob("*.md"), *(docs / "findings").glob("*.md")):
        name = page.relative_to(docs).with_suffix("").as_posix()
        assert name == "index" or f"\n{name}\n" in toctree, name


def test_the_reference_has_every_public_name():
    import hashbench

    text = (ROOT / "docs" / "api.md").read_text()
    assert {name for name in hashbench.__all__ if f":: hashbench.{name}\n" not in text} == set()
