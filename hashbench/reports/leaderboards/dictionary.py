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

There is one CSV file per data set, with one row per method and code length. `hashbench publish RUN [RUN ...]` computes
all metrics of a run again from its codes, and writes the rows. `hashbench validate --code leaderboards/*.csv` checks
the files, and names rows whose method's code has changed. Never edit them by hand.

Rows are compared if they have the same setting, which is the columns
{setting}.
In a setting each {method} has one row. Publishing it again replaces the row, unless the old one has more seeds of the
same code. Verdicts need all rows of a setting at all code lengths, because these estimate the variance between seeds
together. So publish all runs of a setting in one command. If some rows are from an earlier publish, the verdicts of the
setting are empty until all rows are published together. Intervals depend on one row only, and stay.

`features.json` and `methods.json` have the values that are too long for a cell. The key of an entry is the beginning of
the SHA-256 of its canonical JSON (sorted keys, no spaces).

## Reproduce them

These commands compute the rows of each leaderboard. On the same kind of processor, with the threads that the commands
set, all digits of the metrics are equal. Other processors round matrix products differently, and a bit can flip;
eigenvectors depend on the number of threads. If the data is not embedded, prepare it first: `hashbench data prepare
NAME --from DIR`. Methods named `faiss_…` need `pip install "hashbench[faiss]"`. Compare the key `features` of a row
with yours: equal keys mean equal features, on other processors to rounding; a key includes the SHA-256 of the
backbone's weights. Verdicts are the same when all rows of a setting are present. Tuned rows are not among them: a run
of their `method`, as the column has it, gives the same numbers.

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
