"""Merges rows into a leaderboard: what is replaced, what stays, and which verdicts still hold."""

from __future__ import annotations

from collections.abc import Sequence

from hashbench.reports.leaderboards.columns import VERDICT, Line, identity, judged_together


def merged(old: Sequence[Line], new: Sequence[Line]) -> tuple[list[Line], list[str]]:
    """Return the rows of a leaderboard after publishing, and notes on it.

    A row of the same method replaces the old one, unless the old one has more seeds of the same code. The rows of a
    setting at all code lengths are judged together, as they say of each other how far seeds scatter: where all are new,
    their verdicts hold. Where nothing but verdicts would change, nothing does. Else new rows are next to old ones,
    whose values per query are not at hand: the verdicts of that setting are emptied.

    Parameters
    ----------
    old, new : sequence of dict from str to str
        Rows of one leaderboard; the new ones of one setting, at all code lengths, were compared with each other.
    """
    before = {identity(row): row for row in old}
    rows, notes, placed = dict(before), [], dict[tuple[str, ...], Line]()
    for row in new:
        other = before.get(identity(row))
        if other is not None and other["source"] == row["source"] and int(other["n_seeds"]) > int(row["n_seeds"]):
            notes.append(
                f"kept {row['method']} at {row['n_bits']} bits: {other['n_seeds']} seeds against {row['n_seeds']}"
            )
        else:
            rows[identity(row)] = placed[identity(row)] = row
    result = []
    for key in dict.fromkeys(map(judged_together, rows.values())):
        together = {name: row for name, row in rows.items() if judged_together(row) == key}
        staying = [name for name in together if name not in placed]
        changed = [name for name, row in together.items() if not _is_same(before.get(name), row)]
        if staying and changed:
            result += [_unjudged(row) for row in together.values()]
            notes += _lost(together, len(staying))
        elif staying:
            result += [before[name] for name in together]
        else:
            result += list(together.values())
    return result, notes


def _unjudged(row: Line) -> Line:
    return {name: "" if name.endswith(VERDICT) else cell for name, cell in row.items()}


def _is_same(one: Line | None, other: Line) -> bool:
    """Return whether two rows differ in nothing but verdicts."""
    if one is None:
        return False
    first, second = ({name: cell for name, cell in _unjudged(row).items() if cell} for row in (one, other))
    return first == second


def _lost(together: dict[tuple[str, ...], Line], n_staying: int) -> list[str]:
    row = next(iter(together.values()))
    return [
        f"{row['protocol']}, {row['backbone']}: verdicts are empty at all code lengths, as {n_staying} of "
        f"{len(together)} rows stay from before; publish all runs at once to have them"
    ]
