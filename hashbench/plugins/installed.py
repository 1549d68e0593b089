"""Plugins of installed packages: entry points of ``hashbench.methods`` and the groups of the other kinds."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator
from importlib.metadata import Distribution, EntryPoint

from hashbench.errors import describe_error, shorten
from hashbench.files.paths import is_plugin_name
from hashbench.plugins.plugin import Plugin

GROUPS = {f"hashbench.{kind}": kind for kind in ("methods", "quantizers", "datasets", "metrics")}


def installed_plugins() -> tuple[list[Plugin], list[str]]:
    """Return the plugins of all installed packages, without importing any.

    Returns
    -------
    plugins : list of Plugin
        By package, in the order in which Python looks for packages.
    passed_over : list of str
        What is passed over, and why: entry points that cannot be read must not stop what has no need of them.
    """
    plugins: list[Plugin] = []
    passed_over: list[str] = []
    for package, distribution in _packages():
        try:
            entries = [entry for entry in distribution.entry_points if entry.group in GROUPS]
        except Exception as error:  # of one malformed line, importlib.metadata raises what its parser happens to
            passed_over.append(f"package {package}: its entry_points.txt cannot be read ({describe_error(error)})")
            continue
        for entry in entries:
            problem = _problem(entry)
            if problem:
                passed_over.append(f"package {package}: {GROUPS[entry.group][:-1]} {problem}")
            else:
                origin = f"package {package} ({entry.value})"
                plugins.append(Plugin(entry.name, GROUPS[entry.group], origin, entry_point=entry))
    return plugins, passed_over


def _packages() -> Iterator[tuple[str, Distribution]]:
    """Yield names and distributions of the packages that mention hashbench's groups, the one that is imported first."""
    seen = set()
    for distribution in importlib.metadata.distributions():
        if "[hashbench." in (_text(distribution) or ""):
            package = _name(distribution)
            if package not in seen:
                seen.add(package)
                yield package, distribution


def _name(distribution: Distribution) -> str:
    try:
        return distribution.metadata["Name"] or "of no name"
    except Exception:  # a package without METADATA
        return "of no name"


def _text(distribution: Distribution) -> str | None:
    try:
        return distribution.read_text("entry_points.txt")
    except (OSError, UnicodeDecodeError):  # not hashbench's to complain about
        return None


def _problem(entry: EntryPoint) -> str:
    """Return what is wrong with an entry point's text, or an empty text."""
    name, value = shorten(entry.name), shorten(entry.value)
    if not is_plugin_name(entry.name):
        return f"{name!r} has a name that no plugin can have; use up to 100 letters, digits and underscores"
    if EntryPoint.pattern.match(entry.value) is None:
        return f"{name!r} names {value!r}, expected module:Class"
    return ""
