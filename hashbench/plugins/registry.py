"""Finds plugins by name and imports only the one that is asked for.

A plugin is found in the project's folders by file name, among installed packages through the entry-point
groups ``hashbench.methods``, ``.quantizers``, ``.datasets`` and ``.metrics``, or in a file that the user names.
"""

from __future__ import annotations

import functools
import secrets
import subprocess
import sys
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hashbench.errors import InputError, did_you_mean, shorten
from hashbench.files.cores import n_cores
from hashbench.files.search_path import safe_environment
from hashbench.options import home_expanded
from hashbench.plugins.folders import plugin_path
from hashbench.plugins.installed import installed_plugins
from hashbench.plugins.named_files import named_plugins
from hashbench.plugins.plugin import Plugin
from hashbench.renamed import present_name

KINDS = ("methods", "quantizers", "datasets", "metrics")
"""Kinds of plugins. hashbench's metrics are not plugins: they are in `hashbench.evaluation.metrics`."""
IMPORT_ONE = """
import sys
from hashbench.errors import InputError
from hashbench.plugins.registry import Registry

kind, name, done, *files = sys.argv[1:]
try:
    Registry(files).find(kind, name).load()
except InputError as error:
    sys.exit(str(error))
print(done)
"""

IMPORT_LIMIT_S = 120.0
"""Seconds after which an import is called hanging; torch takes some on a busy machine."""


class Registry:
    """All plugins that can be found, by kind and name.

    Parameters
    ----------
    extra_files : path-like, or iterable of path-like
        Plugin files, or folders with an ``__init__.py``, that the user names; which kind one is, is read from its
        source.
    """

    def __init__(self, extra_files: str | Path | Iterable[str | Path] = ()) -> None:
        files = [extra_files] if isinstance(extra_files, str | Path) else extra_files
        self.extra_files = [home_expanded(file) for file in files]

    def names(self, kind: str) -> list[str]:
        """Return the sorted names of all plugins of a kind."""
        return sorted(self.plugins(kind))

    def plugins(self, kind: str) -> dict[str, Plugin]:
        """Return the plugins of a kind by name, without importing any.

        Raises
        ------
        InputError
            A file that the user names is not a plugin, or has the name of another plugin.
        """
        plugins = {plugin.name: plugin for plugin in _project_plugins(kind)}
        for plugin in self._installed[0]:
            if plugin.kind == kind:
                plugins.setdefault(plugin.name, plugin)
        for plugin in named_plugins(self.extra_files):
            if plugin.kind == kind:
                other = plugins.setdefault(plugin.name, plugin)
                if other is not plugin:
                    raise InputError(
                        f"two {kind} are named {plugin.name!r}: {other.origin} and {plugin.origin}; rename one"
                    )
        return plugins

    def passed_over(self) -> list[str]:
        """Return what installed packages offer and is passed over, and why: unreadable, or a name that is taken."""
        plugins, notes = self._installed
        for plugin in plugins:
            chosen = self.plugins(plugin.kind)[plugin.name]
            if chosen is not plugin:
                notes = [*notes, f"{plugin.origin}: {plugin.kind[:-1]} {plugin.name!r} has the name of {chosen.origin}"]
        return notes

    @functools.cached_property
    def _installed(self) -> tuple[list[Plugin], list[str]]:
        return installed_plugins()

    def find(self, kind: str, name: str) -> Plugin:
        """Return the plugin of that name.

        Raises
        ------
        InputError
            No plugin has that name; the nearest name is suggested.
        """
        plugins = self.plugins(kind)
        name = present_name((kind,), name, plugins)
        if name in plugins:
            return plugins[name]
        hint = did_you_mean(name, plugins) or f"known: {', '.join(sorted(plugins))}"
        raise InputError(f"unknown {kind[:-1]} {shorten(name)!r}; {hint}")

    def present_name(self, name: str, kinds: Collection[str] = KINDS) -> str:
        """Return what a plugin of one of some kinds is called now."""
        return present_name(kinds, name, [one for kind in kinds for one in self.plugins(kind)])

    def check(self, plugins: Iterable[Plugin]) -> dict[str, str | None]:
        """Import each plugin in a separate process; return by name why that failed, or None."""
        plugins = list(plugins)
        with ThreadPoolExecutor(n_cores()) as pool:
            reasons = list(pool.map(self._why_broken, plugins))
        return {plugin.name: reason for plugin, reason in zip(plugins, reasons, strict=True)}

    def _why_broken(self, plugin: Plugin) -> str | None:
        """Import a plugin; only a process that says a secret word at its end has got that far."""
        done = secrets.token_hex()
        command = [sys.executable, "-c", IMPORT_ONE, plugin.kind, plugin.name, done, *map(str, self.extra_files)]
        try:
            ended = subprocess.run(
                command,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                timeout=IMPORT_LIMIT_S,
                env=safe_environment(),
            )
        except subprocess.TimeoutExpired:
            return f"its import was stopped after {IMPORT_LIMIT_S:g} s"
        if done in ended.stdout:
            return None
        lines = ended.stderr.strip().splitlines()
        return lines[-1] if ended.returncode and lines else f"the process ended with exit code {ended.returncode}"


def _project_plugins(kind: str) -> Iterator[Plugin]:
    """Yield the plugins in the project's folder of a kind; of metrics there is none."""
    if kind == "metrics":
        return
    package = Path(__file__).resolve().parents[1] / kind
    for folder in plugin_path(kind, [str(package)]):
        for path in sorted(Path(folder).iterdir()):
            file = path / "__init__.py" if path.is_dir() else path
            if file.suffix == ".py" and file.is_file() and not path.stem.startswith("_"):
                yield Plugin(path.stem, kind, str(file), file)
