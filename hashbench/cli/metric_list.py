"""hashbench's metrics as lines of ``hashbench list``, read from their source: importing them takes a second."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "evaluation" / "metrics"
WIDTH = 40
"""Characters of names that decide the width of their column."""


def metric_lines() -> list[str]:
    """Return a line for each class of metrics: its names, and what it is."""
    stated = [one for path in sorted(FOLDER.glob("*.py")) for one in _stated(path)]
    width = max(len(forms) for forms, _ in stated if len(forms) <= WIDTH)
    return [f"  {forms:<{width}}  {title}" for forms, title in stated]


def _stated(path: Path) -> Iterator[tuple[str, str]]:
    for node in ast.parse(path.read_bytes()).body:
        if isinstance(node, ast.ClassDef):
            values = {
                target.id: part.value.value
                for part in node.body
                if isinstance(part, ast.Assign) and isinstance(part.value, ast.Constant)
                for target in part.targets
                if isinstance(target, ast.Name)
            }
            if "forms" in values:
                yield str(values["forms"]), str(values["title"])
