"""Items by their paths: two spellings of a path are one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set

import numpy as np

from hashbench.data.leaks.finding import Finding
from hashbench.data.readers.match_names import normal


def path_ids(paths: Mapping[str, Sequence[str]]) -> dict[str, np.ndarray]:
    """Return a number for each path of each part, equal where the paths are, however they are written.

    Parameters
    ----------
    paths : mapping from str to sequence of str
        The parts' paths; `hashbench.data.readers.names.normal` says which spellings are one.

    Returns
    -------
    dict from str to ndarray of shape (n,), int64
        For `hashbench.data.leaks.overlap.overlaps`. The numbers count the different paths as they come.
    """
    numbers: dict[str, int] = {}
    return {
        part: np.fromiter((numbers.setdefault(normal(path), len(numbers)) for path in listed), np.int64, len(listed))
        for part, listed in paths.items()
    }


def alike_endings(paths: Mapping[str, Sequence[str]]) -> list[Finding]:
    """Return how many queries may be in another part under a longer path, such as an absolute one: a hint.

    Parameters
    ----------
    paths : mapping from str to sequence of str
        The parts' paths, ``query`` among them.
    """
    query, findings = list(map(normal, paths["query"])), []
    for part in ("database", "train"):
        other = list(map(normal, paths.get(part, [])))
        pairs = dict(_with_tails(query, set(other)))
        for path, tail in _with_tails(other, set(query)):
            pairs.setdefault(tail, path)
        for path, longer in list(pairs.items())[:1]:
            findings.append(
                Finding(
                    f"hint: {len(pairs):,} of {len(query):,} queries may be in the {part} list under a longer or "
                    f"shorter path ({path:.100} and {longer:.100}): --root compares the files"
                )
            )
    return findings


def _with_tails(paths: Sequence[str], others: Set[str]) -> Iterator[tuple[str, str]]:
    """Yield the paths that end in another path, whole folders apart, and the longest such ending."""
    for path in paths:
        tail = path
        while tail := tail.partition("/")[2]:
            if tail in others:
                yield path, tail
                break
