"""The commands on plugins: ``hashbench list``, ``info`` and ``check``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hashbench.cli.common import PluginOption
from hashbench.errors import InputError


def list_plugins(
    plugin: PluginOption,
    check: Annotated[bool, typer.Option("--check", help="Import each in a separate process.")] = False,
) -> None:
    """List methods, quantizers, data sets and metrics; plugins are not imported."""
    from hashbench.cli.metric_list import metric_lines
    from hashbench.plugins.registry import KINDS, Registry

    registry = Registry(plugin)
    broken = 0
    for kind in KINDS:
        print(kind)
        plugins = registry.plugins(kind)
        width = max(map(len, plugins), default=0)
        reasons = registry.check(plugins.values()) if check else {}
        for name, listed in sorted(plugins.items()):
            reason = reasons.get(name)
            broken += reason is not None
            note = f"BROKEN: {reason}" if reason else listed.summary + ("  [ok]" if check else "")
            print(f"  {name:<{width}}  {note}")
    print("\n".join(metric_lines()))
    for note in registry.passed_over():
        print(f"passed over: {note}")
    if broken:
        raise typer.Exit(1)


def info(
    plugin: PluginOption, name: Annotated[str, typer.Argument(help="A method, a quantizer, a data set or a metric.")]
) -> None:
    """Explain a method or quantizer (parameters, paper), a data set (protocol, sizes, licence) or a metric."""
    from hashbench.cli.describe import describe
    from hashbench.plugins.registry import Registry

    print(describe(Registry(plugin), name))


def check(
    plugin: PluginOption,
    names: Annotated[list[str], typer.Argument(help="Methods, quantizers, data sets and plugins of metrics; or all.")],
    data_dir: Annotated[Path | None, typer.Option(help="Directory of the data set's files.")] = None,
    timeout: Annotated[float, typer.Option(help="Time limit for each plugin's checks in seconds.")] = 900,
    in_process: Annotated[bool, typer.Option("--in-process", help="Check in this process, for debugging.")] = False,
) -> None:
    """Run the conformance suite on plugins; checks of data that is not there are skipped.

    They run in a separate process: one that a plugin ends, or that hangs, fails that plugin.
    """
    from hashbench.plugins.registry import KINDS, Registry
    from hashbench.runs.workers.checking import check_all

    if timeout <= 0:
        raise InputError(f"--timeout {timeout:g}: expected seconds, more than 0")
    registry = Registry(plugin)
    kinds = {name: kind for kind in KINDS for name in registry.names(kind)}
    if data_dir is not None and (len(names) != 1 or kinds.get(names[0]) != "datasets"):
        raise InputError("--data-dir: a data set's files; name that one data set")
    requested = list(kinds) if names == ["all"] else list(map(registry.present_name, names))
    plugins = [registry.find(kinds.get(name, "methods"), name) for name in requested]
    if check_all(plugins, data_dir, None if in_process else timeout):
        raise typer.Exit(1)
