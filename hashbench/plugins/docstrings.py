"""Reads a plugin's numpydoc docstring, section by section.

Docstrings are no part of a plugin's identity (`hashbench.files.source`), so a fact that decides no result, such as how
a method was compared with its authors' code, is there.
"""

from __future__ import annotations

import inspect
import re

FIDELITY = "Fidelity"
"""Section on how a method was compared with its authors' code, or that it was not."""
KIND = "Kind"
"""Section on what kind of method it is, in a word: linear, kernel, graph, deep, bound."""
_HEADING = re.compile(r"^([A-Z]\w*(?: \w+)*)\n-{3,}\n", re.MULTILINE)


def sections(plugin_class: type) -> dict[str, str]:
    """Return a class's docstring section by section, as `in_sections` does."""
    return in_sections(inspect.getdoc(plugin_class) or "")


def in_sections(docstring: str) -> dict[str, str]:
    """Return a docstring's sections as they are written, by title; what comes before the first has the title ''."""
    parts = _HEADING.split(docstring)
    return dict(zip(["", *parts[1::2]], parts[::2], strict=True))


def fidelity(plugin_class: type) -> str:
    """Return how faithful a method is to its authors' code, on one line; empty where its docstring does not say."""
    return " ".join(sections(plugin_class).get(FIDELITY, "").split())
