"""Summarises a table in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from hashbench.reports.page.setting import Setting
from hashbench.results.rows import Row


def summaries(setting: Setting) -> list[dict[str, Any]]:
    """Return for each code length and metric who is best and who is not separable from it, in words."""
    return [
        {"bits": n_bits, "metric": metric, "text": " ".join(_sentences(rows, metric, n_bits))}
        for n_bits in setting.bits
        for metric in setting.metrics
        if (rows := [row for row in setting.rows if row.n_bits == n_bits and metric in row.scores])
    ]


def _sentences(rows: Sequence[Row], metric: str, n_bits: int) -> Iterator[str]:
    by_verdict: dict[str, list[str]] = {}
    for row in sorted(rows, key=lambda row: -row.scores[metric].merit):
        by_verdict.setdefault(row.scores[metric].verdict, []).append(row.label)
    best = max(rows, key=lambda row: row.scores[metric].merit)
    score = best.scores[metric]
    extreme = "lowest" if score.better == "lower" else "highest"
    yield f"{n_bits} bits: by {metric}, {best.label} has the {extreme} mean ({score.mean:.4f})."
    if set(by_verdict) == {""}:
        yield "The rows were not compared with each other, so there are no verdicts."
        return
    close, worse, unknown = (by_verdict.get(name, []) for name in ("not separable", "separable", "unknown"))
    if close:
        yield f"Not separable from it, so that their order is not known: {', '.join(close)}."
    if worse:
        yield f"Worse by more than chance: {len(worse)} of {len(rows)}."
    if unknown:
        yield f"No verdict: too few seeds for {', '.join(unknown)}."
