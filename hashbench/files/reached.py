"""Which definitions of hashbench's shared code a plugin reaches: what decides its result, and nothing else.

A plugin that imports one function of a module depends on that function, on the functions, classes and constants that
it names, and on theirs in turn. The rest of the module can change without touching the plugin's results.
"""

from __future__ import annotations

import ast
import functools
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
COUNTED = ("learning", "data/readers", "data/neighbors.py")
"""Folders and files of hashbench whose definitions belong to the plugins that reach them."""
EVERYTHING = "*"
"""In the place of a name: all names of a module."""
NAMELESS = ""
"""In the place of a name: the statements of a module that bind none."""
Wanted = tuple[Path, str]
"""A module's file, and a name in it."""


def read_source(file: Path) -> str:
    """Return the text of a Python file, decoded as Python itself does (byte order mark, coding cookie).

    Raises
    ------
    OSError, SyntaxError, UnicodeDecodeError
        The file cannot be read, names an unknown encoding, or is not in the one that it names.
    """
    with tokenize.open(file) as opened:
        return opened.read()


def reached_statements(files: Iterable[Path]) -> list[str]:
    """Return the source of all top-level statements in shared modules that a plugin's files reach.

    Parameters
    ----------
    files : iterable of Path
        The plugin's files.

    Returns
    -------
    list of str
        Each once, sorted by text, so that a definition may move to another shared module. A module that is reached at
        all counts with its statements that bind no name.

    Raises
    ------
    OSError, SyntaxError, ValueError
        A file cannot be read, or is not Python.
    """
    ahead = [wanted for file in files for wanted in _shared_imports(ast.parse(read_source(file)))]
    seen: set[Wanted] = set()
    found: set[str] = set()
    while ahead:
        wanted = file, name = ahead.pop()
        if wanted not in seen:
            seen.add(wanted)
            ahead.append((file, NAMELESS))
            for statement in _statements(file).get(name, []):
                found.add(statement.text)
                ahead += [*statement.imports, *((file, read) for read in statement.names)]
    return sorted(found)


@dataclass(frozen=True)
class _Statement:
    """A top-level statement of a module; an import of several names is several statements.

    Attributes
    ----------
    text : str
        Its source, decorators with it.
    binds : frozenset of str
        The names that it gives to the module.
    names : frozenset of str
        All names that it reads.
    imports : frozenset of Wanted
        What it imports of shared modules.
    """

    text: str
    binds: frozenset[str]
    names: frozenset[str]
    imports: frozenset[Wanted]


@functools.cache
def _statements(file: Path) -> dict[str, list[_Statement]]:
    """Return the statements of a module by each name that they bind, by `NAMELESS` and by `EVERYTHING`."""
    text = read_source(file)
    lines = text.splitlines(keepends=True)
    statements = []
    for node in ast.parse(text).body:
        is_future = isinstance(node, ast.ImportFrom) and node.module == "__future__"
        if is_future or _is_for_types(node) or (isinstance(node, ast.Expr) and is_note(node)):
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            statements += [_statement(one, ast.unparse(one)) for one in _one_by_one(node)]
        else:
            first = min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", []))])
            statements.append(_statement(node, "".join(lines[first - 1 : node.end_lineno])))
    by_name = {EVERYTHING: statements}
    for statement in statements:
        for name in statement.binds or [NAMELESS]:
            by_name.setdefault(name, []).append(statement)
    return by_name


def _statement(node: ast.stmt, text: str) -> _Statement:
    names = frozenset(one.id for one in ast.walk(node) if isinstance(one, ast.Name))
    return _Statement(text, frozenset(_bound(node)), names, frozenset(_shared_imports(node)))


def _one_by_one(node: ast.Import | ast.ImportFrom) -> Iterator[ast.Import | ast.ImportFrom]:
    for alias in node.names:
        yield ast.Import([alias]) if isinstance(node, ast.Import) else ast.ImportFrom(node.module, [alias], node.level)


def _bound(node: ast.stmt) -> Iterator[str]:
    """Yield the names that a top-level statement binds, those in its branches with them."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Import | ast.ImportFrom):
        yield from ((alias.asname or alias.name).partition(".")[0] for alias in node.names)
    else:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.stmt):
                yield from _bound(child)
            else:
                names = (one for one in ast.walk(child) if isinstance(one, ast.Name))
                yield from (one.id for one in names if isinstance(one.ctx, ast.Store))


def _shared_imports(tree: ast.AST) -> Iterator[Wanted]:
    """Yield what a syntax tree imports of shared modules, anywhere in it but for type checkers only."""
    for node in _walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                yield from _wanted(f"{node.module}.{alias.name}", EVERYTHING)
                yield from _wanted(node.module, alias.name)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                yield from _wanted(alias.name, EVERYTHING)


def _walk(tree: ast.AST) -> Iterator[ast.AST]:
    yield tree
    for child in ast.iter_child_nodes(tree):
        if not _is_for_types(child):
            yield from _walk(child)


def is_note(node: ast.Expr) -> bool:
    """Return whether a statement is nothing but a string: a docstring, or a note below a constant."""
    return isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _is_for_types(node: ast.AST) -> bool:
    """Return whether a statement is ``if TYPE_CHECKING:``, which never runs."""
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _wanted(module: str, name: str) -> Iterator[Wanted]:
    """Yield a name of a module if that is a shared one."""
    inside = module.removeprefix("hashbench.")
    file = PACKAGE.joinpath(*inside.split(".")).with_suffix(".py")
    if inside != module and file.relative_to(PACKAGE).as_posix().startswith(COUNTED) and file.is_file():
        yield file, name
