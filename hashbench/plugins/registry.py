"""Finds plugins by name and imports only the one that is asked for.

A plugin is found in the project's folders by file name, among installed packages through the entry-point
groups ``hashbench.methods`` and ``hashbench.datasets``, or in a file that the user names.
"""

from __future__ import annotations

import ast
import difflib
import functools
import hashlib
import importlib
import importlib.metadata
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from hashbench.errors import InputError
from hashbench.files.source import hash_once, hash_source
from hashbench.plugins.folders import plugin_path

KINDS = ("methods", "datasets")


@dataclass(frozen=True)
class Plugin:
    """A plugin that was found but not imported.

    Attributes
    ----------
    name : str
    kind : {"methods", "datasets"}
    place : str
        Where it lies: a file, or an entry point with its package.
    file : Path or None
        The source file, if it is known without importing.
    entry_point : importlib.metadata.EntryPoint or None
    is_extra : bool
        Whether it is a file that the user names.
    """

    name: str
    kind: str
    place: str
    file: Path | None = None
    entry_point: importlib.metadata.EntryPoint | None = None
    is_extra: bool = False

    @functools.cached_property
    def summary(self) -> str:
        """First line of the plugin's docstring, read from its source without importing it."""
        if self.file is None:
            return f"from {self.place}"
        try:
            tree = ast.parse(self.file.read_text(encoding="utf-8"))
        except (OSError, SyntaxError, ValueError) as error:
            return f"cannot be read: {error}"
        return (ast.get_docstring(tree) or "").partition("\n")[0]

    @property
    def source_hash(self) -> str:
        """SHA-256 of the plugin's source: an edited plugin never gets yesterday's number.

        Modules of hashbench that the plugin imports, directly or not, belong to it; the contracts do not. Of a
        plugin that is imported by its package's name it is the source as it was first seen, like the module.
        """
        if self.is_extra:
            assert self.file is not None
            return hash_source(self.file)
        return hash_once(self.file or Path(sys.modules[self.load().__module__].__file__ or ""))

    def load(self) -> type:
        """Import the plugin and return its class.

        Raises
        ------
        InputError
            It cannot be imported, or holds no class or several of its kind.
        """
        try:
            if self.entry_point is not None:
                found = self.entry_point.load()
                if isinstance(found, type):
                    return found
                module = found
            else:
                module = self._import()
        except Exception as error:
            raise InputError(
                f"{self.kind[:-1]} {self.name!r} ({self.place}) cannot be imported: {type(error).__name__}: {error}"
            ) from error
        return self._class_in(module)

    def _import(self) -> ModuleType:
        """Import the file; one that the user names, under a name of its own for each content."""
        assert self.file is not None
        if not self.is_extra:
            return importlib.import_module(f"hashbench.{self.kind}.{self.name}")
        identity = hashlib.sha256(f"{self.file} {hash_source(self.file)}".encode()).hexdigest()[:16]
        qualified = f"hashbench_plugins.{identity}.{self.name}"
        if qualified not in sys.modules:
            spec = importlib.util.spec_from_file_location(qualified, self.file)
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            sys.modules[qualified] = module
            sys.modules.setdefault("hashbench_plugins", ModuleType("hashbench_plugins"))  # pickle asks for it
            try:
                spec.loader.exec_module(module)
            except BaseException:
                del sys.modules[qualified]
                raise
        return sys.modules[qualified]

    def _class_in(self, module: ModuleType) -> type:
        from hashbench.data.plugin import HashDataset
        from hashbench.method import HashMethod

        base: type = HashMethod if self.kind == "methods" else HashDataset
        found = [
            value
            for value in vars(module).values()
            if isinstance(value, type) and issubclass(value, base) and value.__module__ == module.__name__
        ]
        if len(found) != 1:
            names = ", ".join(value.__name__ for value in found) or "none"
            raise InputError(f"{self.place} must define one {base.__name__} subclass, found {names}")
        return found[0]


class Registry:
    """All plugins that can be found, by kind and name.

    Parameters
    ----------
    extra_files : iterable of path-like
        Plugin files that the user names; whether one is a method or a data set is read from its source.
    """

    def __init__(self, extra_files: Iterable[str | Path] = ()) -> None:
        self.extra_files = [Path(file) for file in extra_files]

    def names(self, kind: str) -> list[str]:
        """Return the sorted names of all plugins of a kind."""
        return sorted(self.plugins(kind))

    def plugins(self, kind: str) -> dict[str, Plugin]:
        """Find the plugins of a kind without importing any.

        Raises
        ------
        InputError
            Two plugins have one name, or a named file does not exist.
        """
        found: dict[str, Plugin] = {}
        for plugin in self._candidates(kind):
            other = found.setdefault(plugin.name, plugin)
            if other is not plugin:
                raise InputError(f"two {kind} are named {plugin.name!r}: {other.place} and {plugin.place}; rename one")
        return found

    def _candidates(self, kind: str) -> Iterable[Plugin]:
        package = Path(__file__).resolve().parents[1] / kind
        for folder in plugin_path(kind, [str(package)]):
            for path in sorted(Path(folder).iterdir()):
                file = path / "__init__.py" if path.is_dir() else path
                name = path.stem
                if file.suffix == ".py" and file.is_file() and not name.startswith("_"):
                    yield Plugin(name, kind, str(file), file)
        for entry in importlib.metadata.entry_points(group=f"hashbench.{kind}"):
            package_name = entry.dist.name if entry.dist else "?"
            yield Plugin(entry.name, kind, f"package {package_name} ({entry.value})", entry_point=entry)
        for file in self.extra_files:
            if not file.is_file():
                raise InputError(f"--plugin {file}: no such file")
            if _kind_of(file) == kind:
                yield Plugin(file.stem, kind, str(file), file.resolve(), is_extra=True)

    def find(self, kind: str, name: str) -> Plugin:
        """Return the plugin of that name.

        Raises
        ------
        InputError
            There is none; the nearest name is suggested.
        """
        plugins = self.plugins(kind)
        if name in plugins:
            return plugins[name]
        near = difflib.get_close_matches(name, plugins, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(plugins))}"
        raise InputError(f"unknown {kind[:-1]} {name!r}; {hint}")

    def check(self, plugins: Iterable[Plugin]) -> dict[str, str | None]:
        """Import each plugin in a process of its own; return by name why that failed, or None."""
        plugins = list(plugins)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            reasons = list(pool.map(self._why_broken, plugins))
        return {plugin.name: reason for plugin, reason in zip(plugins, reasons, strict=True)}

    def _why_broken(self, plugin: Plugin) -> str | None:
        code = (
            "import sys; from hashbench.plugins.registry import Registry; from hashbench.errors import InputError\n"
            "try: Registry(sys.argv[3:]).find(sys.argv[1], sys.argv[2]).load()\n"
            "except InputError as error: sys.exit(str(error))"
        )
        command = [sys.executable, "-c", code, plugin.kind, plugin.name, *map(str, self.extra_files)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return None
        lines = done.stderr.strip().splitlines()
        return lines[-1] if lines else f"the process ended with exit code {done.returncode}"


def _kind_of(file: Path) -> str:
    """Tell from its source whether a plugin file holds a data set (a HashDataset subclass) or a method."""
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(f"--plugin {file} is not readable Python: {error}") from error
    bases = {
        base.attr if isinstance(base, ast.Attribute) else getattr(base, "id", "")
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        for base in node.bases
    }
    return "datasets" if "HashDataset" in bases else "methods"
