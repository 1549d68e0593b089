"""The commands that compute a leaderboard's rows again, read from the rows."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from hashbench.data.protocol import ASYMMETRIC, NameParts
from hashbench.features.hardware.precision import PRECISION_WORDS
from hashbench.reports.leaderboards.columns import Line
from hashbench.results.rows import NO_SEED

How = tuple[tuple[str, ...], str, str, str]
"""Options of data and features, threads, seeds and code lengths: what methods share that one command computes."""


def commands(dataset: str, rows: Sequence[Line], features: Mapping[str, Any]) -> list[str]:
    """Return the commands that compute the rows of a leaderboard, the last one publishing them.

    Methods that share all else stand in one command, deterministic ones with those of the most seeds. Rows that do not
    tell their seeds are left out, and so are imported and tuned ones. The number of threads is set, since eigenvectors
    differ with it.

    Parameters
    ----------
    dataset : str
    rows : sequence of dict from str to str
    features : mapping
        The entries of features.json.
    """
    out = f"runs/{dataset}"
    lines = [
        f"{_threads(threads)}hashbench run --dataset {dataset} {shlex.join(options)} \\\n"
        f"  --methods {shlex.quote(','.join(methods))} \\\n"
        f"  --bits {bits} --seeds {seeds} --out {out}"
        for (options, threads, seeds, bits), methods in _grouped(rows, features).items()
    ]
    return [*lines, f"hashbench publish {out} --to reproduced"]


def _threads(threads: str) -> str:
    return f"OMP_NUM_THREADS={threads} OPENBLAS_NUM_THREADS={threads} " if threads.isdecimal() else ""


def _grouped(rows: Sequence[Line], features: Mapping[str, Any]) -> dict[How, list[str]]:
    """Return methods by what one command shares."""
    lengths: dict[tuple[tuple[str, ...], str, str, str], list[int]] = {}
    for row in rows:
        if row["seeds"] and not row["origin"] and not row["tuned"]:
            key = tuple(_options(row, features)), row["threads"], row["method"], row["seeds"]
            lengths.setdefault(key, []).append(int(row["n_bits"]))
    grouped: dict[How, list[str]] = {}
    for (options, threads, method, seeds), bits in lengths.items():
        others = (other for chosen, _, _, other in lengths if chosen == options)
        listed = ",".join((_most(others) if seeds == NO_SEED else seeds).split())
        grouped.setdefault((options, threads, listed, ",".join(map(str, sorted(bits)))), []).append(method)
    return grouped


def _most(seeds: Iterable[str]) -> str:
    """Return the longest of several lists of seeds, 0 where no method has any."""
    return max((one for one in seeds if one != NO_SEED), key=lambda one: len(one.split()), default="0")


def _options(row: Line, features: Mapping[str, Any]) -> Iterator[str]:
    key = features[row["features"]]
    name = NameParts.of(row["protocol"])
    yield from ("--protocol", name.choice)
    if name.lists:
        yield from ("--splits", "DIR")
    if name.ranking == ASYMMETRIC:
        yield from ("--distance", "asymmetric")
    if key["backbone"] is None:
        return
    yield from ("--backbone", key["backbone"])
    if key.get("image_size") is not None:
        yield from ("--image-size", str(key["image_size"]), "--precision", PRECISION_WORDS[key["precision"]])
