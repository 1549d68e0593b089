"""Groups rows that differ in one parameter alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from hashbench.files.hashing import canonical_hash
from hashbench.results.setting import grouped_ascending

T = TypeVar("T")


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
    for (method, _), members in grouped_ascending(
        rows, lambda row: (config(row)["method"], config(row)["source"])
    ).items():
        for parameter in dict.fromkeys(name for row in members for name in config(row)["params"]):
            having = [row for row in members if parameter in config(row)["params"]]

            def rest(row: T, parameter: str = parameter) -> str:
                return canonical_hash({k: v for k, v in config(row)["params"].items() if k != parameter})

            grids = [
                group
                for group in grouped_ascending(having, rest).values()
                if len({canonical_hash(config(row)["params"][parameter]) for row in group}) > 1
            ]
            shared = [config(group[0])["params"] for group in grids]
            for group in grids:
                params = config(group[0])["params"]
                differing = [k for k in params if k != parameter and any(other.get(k) != params[k] for other in shared)]
                yield method, parameter, ",".join(f"{k}={params[k]}" for k in differing), group
