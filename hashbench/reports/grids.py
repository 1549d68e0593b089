"""Groups of what was measured: which rows belong together, and which differ in one parameter alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from hashbench.files.hashing import canonical_hash
from hashbench.runs.records.record import Record
from hashbench.runs.records.verdicts import method_of

T = TypeVar("T")


def grouped(rows: Iterable[T], key: Callable[[T], Any]) -> dict[Any, list[T]]:
    """Return rows by their key, keys ascending."""
    groups: dict[Any, list[T]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return dict(sorted(groups.items()))


def method_names(records: Iterable[Record], label: Callable[[Record], str]) -> dict[str, str]:
    """Return by `method_of` a name for each method of a table or figure, the same at all its code lengths.

    Parameters
    ----------
    records : iterable of Record
        Of one setting.
    label : callable
        Returns what a record's method is called; the newest record's holds. Where several methods have one, such as
        an edited plugin and what it was before, the begin of their code's SHA-256 tells them apart.
    """
    newest = {method_of(record): record for record in sorted(records, key=lambda record: record.date)}
    names: dict[str, str] = {}
    for shared, keys in grouped(newest, lambda key: label(newest[key])).items():
        sources = {key: newest[key].config["source"] for key in keys}
        tails = sources if len(set(sources.values())) == len(keys) else dict(zip(keys, keys, strict=True))
        names |= {key: f"{shared} ({tails[key][:7]})" if len(keys) > 1 else shared for key in keys}
    return names


def one_parameter_grids(
    rows: Iterable[T], config: Callable[[T], Mapping[str, Any]]
) -> Iterator[tuple[str, str, str, list[T]]]:
    """Yield the groups of rows that differ in one parameter of one method.

    Parameters
    ----------
    rows : iterable
    config : callable
        Returns of a row a mapping with ``method``, ``source`` and ``params``.

    Yields
    ------
    method, parameter : str
    rest : str
        What else tells this group from its siblings, such as ``n_iter=5``.
    rows : list
    """
    for (method, _), members in grouped(rows, lambda row: (config(row)["method"], config(row)["source"])).items():
        for parameter in dict.fromkeys(name for row in members for name in config(row)["params"]):
            having = [row for row in members if parameter in config(row)["params"]]

            def rest(row: T, parameter: str = parameter) -> str:
                return canonical_hash({k: v for k, v in config(row)["params"].items() if k != parameter})

            grids = [
                group
                for group in grouped(having, rest).values()
                if len({canonical_hash(config(row)["params"][parameter]) for row in group}) > 1
            ]
            shared = [config(group[0])["params"] for group in grids]
            for group in grids:
                params = config(group[0])["params"]
                differing = [k for k in params if k != parameter and any(other.get(k) != params[k] for other in shared)]
                yield method, parameter, ",".join(f"{k}={params[k]}" for k in differing), group
