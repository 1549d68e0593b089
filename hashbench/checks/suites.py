"""The suite of a plugin, be it a method, a quantizer or a data set."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from hashbench.checks import datasets, methods, quantizers
from hashbench.checks.outcome import Outcome
from hashbench.contract.method import HashMethod
from hashbench.contract.quantizer import Quantizer
from hashbench.data.plugin import HashDataset
from hashbench.errors import InputError


def suite(load: Callable[[], Any], data_dir: Path | None = None, cache_dir: Path | None = None) -> Iterator[Outcome]:
    """Import a plugin, run its checks, and yield how each ended.

    Parameters
    ----------
    load : callable
        Returns the plugin's class, as `hashbench.plugins.plugin.Plugin.load` does.
    data_dir : Path, optional
        Where a data set's files are; without them, checks of the data are skipped.
    cache_dir : Path, optional
        Where prepared data is kept; a temporary directory by default.

    Yields
    ------
    Outcome
        Only that of ``import``, where that fails.
    """
    try:
        plugin_class = load()
    except InputError as error:
        yield Outcome("import", str(error))
        return
    if issubclass(plugin_class, HashDataset):
        yield from datasets.outcomes(plugin_class, data_dir, cache_dir)
    elif issubclass(plugin_class, Quantizer):
        yield from quantizers.outcomes(plugin_class)
    else:
        yield from methods.outcomes(plugin_class)


def parametrize_with_checks(plugin_classes: Iterable[type], data_dir: str | Path | None = None) -> Any:
    """Return a pytest decorator that runs a test once per plugin and check.

    Parameters
    ----------
    plugin_classes : iterable of type
        Methods: the test gets ``method_class`` and ``check``, and calls ``check(method_class)``; quantizers likewise,
        ``quantizer_class``. Or data sets: it gets ``trial`` and ``check``, and calls ``check(trial)``.
    data_dir : path-like, optional
        Where the data sets' files are.

    Raises
    ------
    TypeError
        The classes are of several kinds; give each kind a test of its own.
    """
    classes = list(plugin_classes)
    kinds = {next((kind for kind in (HashDataset, Quantizer) if issubclass(one, kind)), HashMethod) for one in classes}
    if len(kinds) > 1:
        raise TypeError("methods, quantizers and data sets get different arguments: give each kind a test of its own")
    if kinds == {HashDataset}:
        return datasets.parametrize_with_checks(classes, data_dir)
    if kinds == {Quantizer}:
        return quantizers.parametrize_with_checks(classes)
    return methods.parametrize_with_checks(classes)
