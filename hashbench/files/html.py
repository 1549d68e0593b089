"""Tables in HTML, for notebooks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from hashbench.files.paths import printable

LONGEST = 1000
"""Characters of a cell."""


class Bold(str):
    """A cell in bold."""


def html_text(text: str) -> str:
    """Return a text as HTML: nothing in it is markup, and every character can be seen."""
    return escape(printable(text, LONGEST))


def html_table(caption: str, head: Sequence[str], rows: Iterable[Sequence[str]], notes: Sequence[str] = ()) -> str:
    """Return a table in HTML; the first cell of a row is its name.

    Parameters
    ----------
    caption : str
    head : sequence of str
    rows : iterable of sequences of str
        A cell that is `Bold` is shown so.
    notes : sequence of str
        Lines below the table.
    """
    heads = "".join(f'<th scope="col">{html_text(one)}</th>' for one in head)
    lines = "\n".join(f"<tr>{_cells(row)}</tr>" for row in rows)
    below = "".join(f"<div>{html_text(note)}</div>\n" for note in notes)
    return (
        f'<div class="hashbench">\n<table>\n<caption>{html_text(caption)}</caption>\n'
        f"<thead><tr>{heads}</tr></thead>\n<tbody>\n{lines}\n</tbody>\n</table>\n{below}</div>\n"
    )


def _cells(row: Sequence[str]) -> str:
    name, *values = row
    shown = (f"<b>{html_text(one)}</b>" if isinstance(one, Bold) else html_text(one) for one in values)
    return f'<th scope="row">{html_text(name)}</th>' + "".join(f"<td>{one}</td>" for one in shown)
