"""README.md of the leaderboards, made of the columns: ``python -m hashbench.reports.leaderboards.dictionary``."""

from __future__ import annotations

from hashbench.reports.leaderboards.columns import HEAD, IDENTITY, SETTING, TAIL, Column, of_metric

TEXT = """# Leaderboards

One CSV file per data set, a row per method and code length. `hashbench publish RUN [RUN ...]` writes them from a run's
records after it has computed every metric again from the codes; `hashbench validate --code leaderboards/*.csv` checks
them and names the rows whose method has changed since. They are never edited by hand.

Rows are compared with each other where they agree in these columns, their setting:
{setting}.
In a setting each {method} has one row: publishing it again replaces the row, unless that one rests on more seeds of
the same code. Verdicts need all rows of a setting: publish its runs in one command. If some rows stay from an earlier
publish, the setting's verdicts are empty until all are published together; the intervals are each row's own and stay.

`features.json` and `methods.json` hold what is too long for a cell, each entry under the begin of the SHA-256 of its
canonical JSON (sorted keys, no spaces).

## Columns

{columns}
"""


def dictionary() -> str:
    """Return the text of README.md."""
    rows = [*map(_line, HEAD), *map(_line, of_metric("<metric>")), *map(_line, TAIL)]
    return TEXT.format(
        setting=", ".join(f"`{name}`" for name in SETTING),
        method=" and ".join(f"`{name}`" for name in IDENTITY if name not in SETTING),
        columns="\n".join(["| column | meaning | holds |", "|---|---|---|", *rows]),
    )


def _line(column: Column) -> str:
    return f"| `{column.name}` | {column.meaning} | {column.expected} |"


if __name__ == "__main__":
    print(dictionary(), end="")
