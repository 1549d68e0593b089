"""What a method is at a glance, read from its source: importing a method may take seconds, or fail."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hashbench.files.reached import PACKAGE, read_source
from hashbench.plugins.docstrings import KIND, in_sections
from hashbench.plugins.plugin import Plugin

FAMILIES = {"DeepMethod": "deep", "KernelMethod": "kernel", "LinearMethod": "linear"}
"""What kind of method derives from which class of ``hashbench.learning``, unless its docstring says another."""
_YEAR = re.compile(r"\b(?:19|20)\d\d\b")


@dataclass(frozen=True)
class Glance:
    """What a method is; empty texts where its source does not say.

    Attributes
    ----------
    needs : {"features", "views", ""}
        What it is trained on.
    reads_labels : bool
    family : str
        ``linear``, ``kernel``, ``graph``, ``deep``, or another word from its docstring's section ``Kind``.
    year : str
        When its paper was published.
    """

    needs: str = ""
    reads_labels: bool = False
    family: str = ""
    year: str = ""


def glance(plugin: Plugin) -> Glance:
    """Return what a method is at a glance; its file is not imported."""
    try:
        classes = _method_classes(plugin.file) if plugin.file is not None else []
    except (OSError, SyntaxError, ValueError):
        classes = []
    if not classes:
        return Glance()
    bases = {node.name for node in classes} | {ast.unparse(base) for node in classes for base in node.bases}
    family = next((one for name, one in FAMILIES.items() if name in bases), "other")
    said = in_sections(ast.get_docstring(classes[0]) or "").get(KIND, "").strip()
    year = _YEAR.search(_attribute(classes, "paper") or "")
    return Glance(
        needs="views" if any(_fit_takes_views(node) for node in classes) else "features",
        reads_labels=_attribute(classes, "supervision") == "supervised",
        family=said or family,
        year=year.group() if year else "",
    )


def _method_classes(file: Path) -> list[ast.ClassDef]:
    """Return the classes that a plugin's class is made of, itself first; the last in the file that is a method."""
    found: list[ast.ClassDef] = []
    for name in _module(file)[0]:
        chain = list(_chain(file, name, frozenset()))
        if any(ast.unparse(base).rpartition(".")[2] == "HashMethod" for node in chain for base in node.bases):
            found = chain
    return found


def _chain(file: Path, name: str, seen: frozenset[str]) -> Iterator[ast.ClassDef]:
    """Yield a class and those that it derives from, as far as they are in the file or in hashbench."""
    classes, imports = _module(file)
    if name in classes and name not in seen:
        yield classes[name]
        for base in classes[name].bases:
            yield from _chain(file, ast.unparse(base), seen | {name})
    elif name in imports:
        module, original = imports[name]
        source = PACKAGE.joinpath(*module.split(".")[1:]).with_suffix(".py")
        if module.startswith("hashbench.") and source.is_file():
            yield from _chain(source, original, frozenset())


@functools.lru_cache(256)
def _module(file: Path) -> tuple[Mapping[str, ast.ClassDef], Mapping[str, tuple[str, str]]]:
    """Return a module's classes, and its imported names with module and name."""
    body = ast.parse(read_source(file)).body
    classes = {node.name: node for node in body if isinstance(node, ast.ClassDef)}
    froms = [node for node in body if isinstance(node, ast.ImportFrom)]
    return classes, {one.asname or one.name: (node.module or "", one.name) for node in froms for one in node.names}


def _attribute(classes: list[ast.ClassDef], name: str) -> Any:
    """Return a constant class attribute, as the first class has it that sets it; None where there is none."""
    for node in classes:
        for statement in node.body:
            targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
            value = getattr(statement, "value", None)
            if any(isinstance(one, ast.Name) and one.id == name for one in targets) and isinstance(value, ast.Constant):
                return value.value
    return None


def _fit_takes_views(node: ast.ClassDef) -> bool:
    fits = (one for one in node.body if isinstance(one, ast.FunctionDef) and one.name == "fit")
    return any(argument.arg == "views" for fit in fits for argument in fit.args.args + fit.args.kwonlyargs)
