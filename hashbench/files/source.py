"""The identity of a plugin: a checksum of the source code that decides its result, and of nothing else.

Of a method count its own files and the definitions that they reach in ``hashbench.learning``, of a data set its own
files and what they reach in ``hashbench.data.readers`` and ``hashbench.data.neighbors`` (`hashbench.files.reached`).
What else they import is named by the feature key, by the data's fingerprint or by the engine's version. Comments,
docstrings, blank space and the place of a file or a definition do not count, nor does the search space of a class,
since it decides which parameters are tried and not what a class does with them.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import inspect
import io
import token
import tokenize
from collections.abc import Iterator
from pathlib import Path

from hashbench.files.reached import is_note, reached_statements, read_source

UNSEEN = {token.COMMENT, token.NL, token.ENCODING, token.ENDMARKER}
MARKS = {token.NEWLINE: "\n", token.INDENT: "{", token.DEDENT: "}"}
FSTRING_START, FSTRING_END = getattr(token, "FSTRING_START", -1), getattr(token, "FSTRING_END", -1)
"""Python 3.12 and newer take an f-string apart; older ones have no such tokens."""
SEARCH = "search"
"""The class attribute that holds a search space."""
LOG_RANGE = "log_range"
"""What a search space is written with; its import does not count, wherever it is imported from."""
Position = tuple[int, int]


def hash_source(file: Path) -> str:
    """Return the SHA-256 of what decides a plugin's result.

    Parameters
    ----------
    file : Path
        The plugin's file, or the ``__init__.py`` of its folder.

    Raises
    ------
    OSError
        A file cannot be read.
    SyntaxError, ValueError
        A file is not Python.
    """
    plugin_files = sorted(file.parent.rglob("*.py")) if file.name == "__init__.py" else [file]
    parts = [read_source(path) for path in plugin_files], reached_statements(plugin_files)
    digests = [sorted(set(map(_digest, texts))) for texts in parts]
    return hashlib.sha256("\n".join([*digests[0], "and", *digests[1]]).encode()).hexdigest()


hash_once = functools.cache(hash_source)


def hash_class(plugin: type) -> str:
    """Return `hash_source` of a plugin's class, as its files are now; empty for a class that is in no Python file."""
    try:
        return hash_source(Path(inspect.getfile(plugin)))
    except (OSError, TypeError, SyntaxError, ValueError):
        return ""


@functools.cache
def _digest(text: str) -> str:
    """Return the SHA-256 of a text's code; most texts are of several plugins, and asked for more than once."""
    return hashlib.sha256(code_of(text).encode()).hexdigest()


def code_of(text: str) -> str:
    """Return what counts of a source text.

    Comments, docstrings, search spaces, blank space and the paths of what it imports from hashbench do not. The result
    is the same on every version of Python.
    """
    nodes = list(ast.walk(ast.parse(text)))
    imports = [node for node in nodes if isinstance(node, ast.ImportFrom) and _is_from_hashbench(node)]
    notes = [node for node in nodes if isinstance(node, ast.Expr) and is_note(node)]
    spaces = [one for node in nodes if isinstance(node, ast.ClassDef) for one in node.body if _is_space(one, text)]
    unseen = {line for node in (*imports, *notes, *spaces) for line in range(node.lineno, (node.end_lineno or 0) + 1)}
    aliases = [alias for node in imports for alias in node.names if alias.name != LOG_RANGE]
    names = {f"import {alias.name} as {alias.asname or alias.name}" for alias in aliases}
    code = [
        MARKS.get(kind, content)
        for kind, content, line in _tokens(text)
        if line not in unseen or kind in (token.INDENT, token.DEDENT)
    ]
    return " ".join([*code, *sorted(names)])


def _is_from_hashbench(node: ast.ImportFrom) -> bool:
    """Return whether an import is from hashbench, or relative."""
    return node.level > 0 or (node.module or "").partition(".")[0] == "hashbench"


def _is_space(node: ast.stmt, text: str) -> bool:
    """Return whether a statement of a class is its search space, with no other statement on its lines."""
    if not isinstance(node, ast.Assign | ast.AnnAssign):
        return False
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    if not all(isinstance(one, ast.Name) and one.id == SEARCH for one in targets):
        return False
    lines = text.encode().splitlines()
    before, after = lines[node.lineno - 1][: node.col_offset], lines[(node.end_lineno or 0) - 1][node.end_col_offset :]
    return not before.strip() and not after.partition(b"#")[0].strip()


def _tokens(text: str) -> Iterator[tuple[int, str, int]]:
    """Yield kind, text and first line of each token; an f-string is one, with everything inside it."""
    lines, depth, begun = text.splitlines(keepends=True), 0, (0, 0)
    for part in tokenize.generate_tokens(io.StringIO(text).readline):
        if part.type == FSTRING_START:
            begun = part.start if depth == 0 else begun
            depth += 1
        elif part.type == FSTRING_END:
            depth -= 1
            if depth == 0:
                yield token.STRING, _slice(lines, begun, part.end), begun[0]
        elif depth == 0 and part.type not in UNSEEN:
            yield part.type, part.string, part.start[0]


def _slice(lines: list[str], start: Position, end: Position) -> str:
    if start[0] == end[0]:
        return lines[start[0] - 1][start[1] : end[1]]
    between = lines[start[0] : end[0] - 1]
    return "".join([lines[start[0] - 1][start[1] :], *between, lines[end[0] - 1][: end[1]]])
