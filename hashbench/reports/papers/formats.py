"""Tables for papers as text that is ready to paste: Markdown, LaTeX with booktabs, CSV, and for the terminal."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence

from rich.console import Console
from rich.markup import escape

from hashbench.files.html import Bold, html_table
from hashbench.files.paths import printable
from hashbench.files.writing import csv_safe, number_text
from hashbench.reports.console import new_table, print_note, print_title
from hashbench.reports.papers.grid import Grid

LONGEST = 1000
"""Characters of a name."""
LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
}
MISSING = "–"


def to_markdown(grids: Sequence[Grid]) -> str:
    """Return tables in the Markdown of GitHub."""
    return "\n".join(_markdown(grid) for grid in grids)


def _markdown(grid: Grid) -> str:
    heads = ["method", *(f"{n_bits} bits" for n_bits in grid.bits)]
    rows = [[markdown_safe(method), *_cells(grid, method, _markdown_cell)] for method in grid.scores]
    lines = ["|".join(["", *(f" {cell} " for cell in row), ""]) for row in (heads, *rows)]
    lines.insert(1, "|---|" + "---:|" * len(grid.bits))
    notes = markdown_safe(" ".join(grid.notes))
    return "\n".join([f"**{markdown_safe(grid.title)}**", "", *lines, "", notes, ""])


def _markdown_cell(grid: Grid, method: str, n_bits: int) -> str:
    mean, std = grid.scores[method][n_bits].text()
    return (f"**{mean}**" if grid.is_best(method, n_bits) else mean) + std + _star(grid, method, n_bits, r"\*")


def to_latex(grids: Sequence[Grid]) -> str:
    """Return tables in LaTeX; they need the package booktabs."""
    return "\n".join(["% needs \\usepackage{booktabs}", *map(_latex, grids)])


def _latex(grid: Grid) -> str:
    heads = ["method", *(f"{n_bits} bits" for n_bits in grid.bits)]
    rows = [[latex_safe(method), *_cells(grid, method, _latex_cell, "--")] for method in grid.scores]
    notes = latex_safe(" ".join(grid.notes)).replace("±", r"$\pm$").replace("*", "$^{*}$")
    return "\n".join(
        [
            r"\begin{table}",
            r"  \centering",
            rf"  \caption{{{latex_safe(grid.title)}. {notes}}}",
            rf"  \begin{{tabular}}{{l{'r' * len(grid.bits)}}}",
            r"    \toprule",
            f"    {' & '.join(heads)} \\\\",
            r"    \midrule",
            *(f"    {' & '.join(row)} \\\\" for row in rows),
            r"    \bottomrule",
            r"  \end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _latex_cell(grid: Grid, method: str, n_bits: int) -> str:
    mean, std = grid.scores[method][n_bits].text(r"$\pm$")
    shown = rf"\textbf{{{mean}}}" if grid.is_best(method, n_bits) else mean
    return shown + std + _star(grid, method, n_bits, "$^{*}$")


def to_html(grids: Sequence[Grid]) -> str:
    """Return tables in HTML, for notebooks and pages."""
    return "".join(_html(grid) for grid in grids)


def _html(grid: Grid) -> str:
    heads = ["method", *(f"{n_bits} bits" for n_bits in grid.bits)]
    rows = [[method, *_cells(grid, method, _html_cell)] for method in grid.scores]
    return html_table(grid.title, heads, rows, grid.notes)


def _html_cell(grid: Grid, method: str, n_bits: int) -> str:
    text = "".join(grid.scores[method][n_bits].text()) + _star(grid, method, n_bits, "*")
    return Bold(text) if grid.is_best(method, n_bits) else text


def to_csv(grids: Sequence[Grid]) -> str:
    """Return a line for each score, numbers as in results.csv; no cell begins as a formula does."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    head = ["dataset", "protocol", "backbone", "metric", "method", "n_bits", "mean", "std", "n_seeds", "verdict"]
    writer.writerow(head)
    for grid in grids:
        setting = [grid.dataset, grid.protocol, grid.backbone, grid.metric]
        for method, row in grid.scores.items():
            names = [csv_safe(printable(text, LONGEST)) for text in (*setting, method)]
            for n_bits, score in sorted(row.items()):
                std = "" if score.std is None else number_text(score.std)
                writer.writerow([*names, n_bits, number_text(score.mean), std, score.n_seeds, score.verdict])
    return stream.getvalue()


def print_grids(grids: Sequence[Grid], console: Console) -> None:
    """Print tables for people."""
    for grid in grids:
        print_title(printable(grid.title, LONGEST), console)
        table = new_table(console)
        table.add_column("method", overflow="fold")
        for n_bits in grid.bits:
            table.add_column(f"{n_bits} bits", justify="right", no_wrap=True)
        for method in grid.scores:
            table.add_row(escape(printable(method, LONGEST)), *_cells(grid, method, _rich_cell))
        console.print(table)
        for note in grid.notes:
            print_note(note, console)


def _rich_cell(grid: Grid, method: str, n_bits: int) -> str:
    mean, std = grid.scores[method][n_bits].text()
    shown = f"[bold]{mean}[/bold]" if grid.is_best(method, n_bits) else mean
    return shown + std + (_star(grid, method, n_bits, "*") or " ")


def _cells(grid: Grid, method: str, cell: Callable[[Grid, str, int], str], missing: str = MISSING) -> list[str]:
    return [cell(grid, method, n_bits) if n_bits in grid.scores[method] else missing for n_bits in grid.bits]


def _star(grid: Grid, method: str, n_bits: int, star: str) -> str:
    return star if grid.is_as_good(method, n_bits) else ""


def markdown_safe(text: str) -> str:
    r"""Return a text that Markdown shows as it is.

    Examples
    --------
    >>> print(markdown_safe("agh[n_layers=2] <b>|"))
    agh\[n\_layers=2\] &lt;b&gt;\|
    """
    escaped = re.sub(r"([\\`*_{}\[\]#|~!])", r"\\\1", printable(text, LONGEST))
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def latex_safe(text: str) -> str:
    r"""Return a text that LaTeX sets as it is.

    Examples
    --------
    >>> print(latex_safe("agh[n_layers=2] 5%"))
    agh[n\_layers=2] 5\%
    """
    escaped = "".join(LATEX.get(letter, letter) for letter in printable(text, LONGEST))
    return f"{{}}{escaped}" if escaped[:1] in ("[", "*") else escaped  # else the end of the line above takes it
