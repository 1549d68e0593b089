"""Plugin files that the user names by ``--plugin``: a ``.py`` file, or a folder with an ``__init__.py``."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterable, Iterator
from pathlib import Path

from hashbench.errors import InputError, shorten
from hashbench.files.paths import is_plugin_name
from hashbench.plugins.plugin import Plugin

BASES = {"datasets": {"HashDataset"}, "quantizers": {"Quantizer", "FaissQuantizer", "ViewPairQuantizer"}}
METRICS = ("hashbench.Metric", "hashbench.evaluation.metrics.")
"""With the package, since others have classes of that name."""


def named_plugins(paths: Iterable[Path]) -> list[Plugin]:
    """Return the plugins that the user names; which kind one is, is read from its source.

    Parameters
    ----------
    paths : iterable of Path
        Files or folders; one that is named twice counts once.

    Raises
    ------
    InputError
        A path does not exist, or is not a plugin.
    """
    plugins = [_plugin(path) for path in paths]
    return list({plugin.file: plugin for plugin in plugins}.values())


def _plugin(path: Path) -> Plugin:
    file = _source_of(path)
    name = file.parent.name if file.name == "__init__.py" else file.stem
    if not is_plugin_name(name):
        raise InputError(
            f"--plugin {path}: its name becomes the plugin's, and {shorten(name)!r} cannot be one; use up to 100 "
            "of the letters a to z and A to Z, digits and underscores"
        )
    return Plugin(name, _kind_of(file, path), str(path), file, is_extra=True)


def _source_of(path: Path) -> Path:
    """Return the file that is imported: of a folder, its ``__init__.py``."""
    if path.is_dir():
        if not (path / "__init__.py").is_file():
            raise InputError(f"--plugin {path}: a folder without __init__.py is no plugin; name a .py file in it")
        return path.resolve() / "__init__.py"
    if not path.is_file():
        raise InputError(f"--plugin {path}: no such file")
    if path.suffix != ".py":
        raise InputError(f"--plugin {path}: expected a .py file, or a folder with __init__.py")
    return path.parent.resolve() / path.name


def _kind_of(file: Path, path: Path) -> str:
    """Tell from its source what kind of plugin it is; what is nothing else is taken for a method."""
    try:
        return _kind_of_source(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise InputError(f"--plugin {path} is not readable Python: {error}") from error


@functools.lru_cache(maxsize=64)
def _kind_of_source(source: bytes) -> str:
    tree = ast.parse(source)
    imported = dict(_imported_names(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            for base in node.bases:
                name, _, rest = ast.unparse(base).partition(".")
                origin = f"{imported.get(name, name)}.{rest}"
                for kind, bases in BASES.items():
                    if bases & set(origin.split(".")) or origin.startswith(f"hashbench.{kind}."):
                        return kind
                if origin.startswith(METRICS):
                    return "metrics"
    return "methods"


def _imported_names(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield what names are imported, and what each of them means."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield from ((alias.asname or alias.name, f"{node.module or ''}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.asname, alias.name) for alias in node.names if alias.asname)
