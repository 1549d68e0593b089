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
    supervised: Annotated[bool, typer.Option("--supervised", help="Only methods that learn from labels.")] = False,
    unsupervised: Annotated[bool, typer.Option("--unsupervised", help="Only methods that read no labels.")] = False,
) -> None:
    """List methods, quantizers, data sets and metrics; plugins are not imported.

    Of a method: whether it is trained on features or on augmented views, whether it learns from labels, its kind
    (linear, kernel, graph, deep, or another) and the year of its paper.
    """
    from hashbench.cli.metric_list import metric_lines
    from hashbench.plugins.glance import glance
    from hashbench.plugins.registry import KINDS, Registry

    if supervised and unsupervised:
        raise InputError("--supervised --unsupervised: give one of them, or neither for all methods")
    registry, broken, only = Registry(plugin), 0, supervised or unsupervised
    for kind in ("methods",) if only else KINDS:
        plugins = dict(sorted(registry.plugins(kind).items()))
        shown = {name: glance(one) for name, one in plugins.items()} if kind == "methods" else {}
        if only:
            plugins = {name: one for name, one in plugins.items() if shown[name].reads_labels == supervised}
        width = max(map(len, plugins), default=0)
        about = {
            name: _columns(one.needs, "yes" if one.reads_labels else "no", one.family, one.year)
            for name, one in shown.items()
        }
        print(f"{kind:<{width + 2}}  {_columns('needs', 'labels', 'kind', 'year')}".rstrip() if shown else kind)
        reasons = registry.check(plugins.values()) if check else {}
        for name, listed in plugins.items():
            reason = reasons.get(name)
            broken += reason is not None
            note = f"BROKEN: {reason}" if reason else listed.summary + ("  [ok]" if check else "")
            print(f"  {name:<{width}}  {about.get(name, '')}{note}")
    if not only:
        print("\n".join(metric_lines()))
        for note in registry.passed_over():
            print(f"passed over: {note}")
    if broken:
        raise typer.Exit(1)


def _columns(needs: str, labels: str, family: str, year: str) -> str:
    """Return what is said of a method at a glance, in columns."""
    return f"{needs:<8}  {labels:<6}  {family:<6}  {year:<4}  "


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
