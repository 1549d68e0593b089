"""README.md of the leaderboards, made of columns and rows: ``python -m hashbench.reports.leaderboards.dictionary``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hashbench.reports.leaderboards.checks import read_rows
from hashbench.reports.leaderboards.columns import HEAD, IDENTITY, SETTING, TAIL, Column, of_metric
from hashbench.reports.leaderboards.commands import commands
from hashbench.reports.leaderboards.csv_files import read_entries
from hashbench.reports.leaderboards.reproduced import DEFAULT, read_spread

TEXT = """# Leaderboards

One CSV file per data set, a row per method and code length. `hashbench publish RUN [RUN ...]` writes them from a run's
records after it has computed every metric again from the codes; `hashbench validate --code leaderboards/*.csv` checks
them and names the rows whose method has changed since. They are never edited by hand.

Rows are compared with each other where they agree in these columns, their setting:
{setting}.
In a setting each {method} has one row: publishing it again replaces the row, unless that one rests on more seeds of
the same code. Verdicts need all rows of a setting at all of its code lengths, which say of each other how far seeds
scatter: publish its runs in one command. If some rows stay from an earlier publish, the setting's verdicts are empty
until all are published together; the intervals are each row's own and stay.

`features.json` and `methods.json` hold what is too long for a cell, each entry under the begin of the SHA-256 of its
canonical JSON (sorted keys, no spaces).

## Compute them again

These commands give each board's rows, every metric column to the last digit where the processor is of the same kind
(others round matrix products otherwise, and a bit can flip), with the threads that they set (eigenvectors differ with
them). `hashbench data prepare NAME --from DIR` comes first where the data is not embedded, and methods named `faiss_…`
need `pip install "hashbench[faiss]"`. A row's key `features` tells whether your features are made as its were; a
backbone's weights are named there by their SHA-256. Verdicts are the same once all of a setting's rows are there.

{commands}

## On another processor

`hashbench validate --against runs/cifar10 leaderboards/cifar10.csv` compares the rows that your run (or a bundle) gives
with published ones. A row is equal, within the spread between processors, or beyond it; the last ends with exit code 2.
Rows of other seeds, parameters or code are named and not compared. `spread.json` states the spread by data set, method
(`*` for all others) and metric, {default} where it states none, and how it was measured:

{spreads}

## Columns

{columns}
"""


def dictionary(directory: Path) -> str:
    """Return the text of README.md.

    Parameters
    ----------
    directory : Path
        Where the leaderboards are.
    """
    rows = [*map(_line, HEAD), *map(_line, of_metric("<metric>")), *map(_line, TAIL)]
    return TEXT.format(
        setting=", ".join(f"`{name}`" for name in SETTING),
        method=" and ".join(f"`{name}`" for name in IDENTITY if name not in SETTING),
        commands="\n\n".join(_commands(directory)),
        default=DEFAULT,
        spreads="\n".join(f"- `{path.name}`: {read_spread(path).measured}" for path in _boards(directory)),
        columns="\n".join(["| column | meaning | holds |", "|---|---|---|", *rows]),
    )


def _commands(directory: Path) -> Iterator[str]:
    features = read_entries(directory).features
    for path in _boards(directory):
        lines = "\n".join(commands(path.stem, read_rows(path), features))
        yield f"`{path.name}`:\n\n```sh\n{lines}\n```"


def _boards(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.csv"))


def _line(column: Column) -> str:
    return f"| `{column.name}` | {column.meaning} | {column.expected} |"


if __name__ == "__main__":
    print(dictionary(Path("leaderboards")), end="")
