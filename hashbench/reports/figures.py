"""Figures of a run, drawn from its records for a column of a two-column paper.

Lines are means over seeds, bands go from the lowest to the highest seed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from hashbench.errors import InputError
from hashbench.evaluation.curves import at_equal_recall
from hashbench.files.hashing import canonical_hash
from hashbench.files.writing import writable_directory
from hashbench.records.record import Record
from hashbench.records.store import Store
from hashbench.reports.by_bytes import bytes_figure
from hashbench.reports.figure_style import (
    FORMATS,
    STYLE,
    looks_of,
    new_figure,
    save,
    scale_for,
    set_ticks,
    slug,
    unused,
    with_legend,
)
from hashbench.reports.grids import one_parameter_grids
from hashbench.results.metric_infos import infos_of, of_one_version, shown_metrics
from hashbench.results.rows import label_of, method_names
from hashbench.results.setting import Named, Setting, by_setting, file_of, grouped_ascending, named
from hashbench.results.verdicts import method_of

MOST_OF_PREFIX = 60
"""Characters of a figure's file name that tell its setting."""


@dataclass(frozen=True)
class _Series:
    """A method with its parameters on one data set: its records of all lengths and seeds, and its looks."""

    name: str
    records: list[Record]
    looks: dict[str, Any]

    def by_bits(self) -> dict[int, list[Record]]:
        """Return the records of each length, lengths ascending."""
        return grouped_ascending(self.records, lambda record: record.config["n_bits"])


def plot(store: Store, out_dir: Path, formats: Sequence[str] = ("png",)) -> list[Path]:
    """Draw every figure that the records have data for.

    These are, per setting: ``pr_curve_<n_bits>bits`` (precision against recall over ranks),
    ``precision_at_n_<n_bits>bits``, ``<metric>_by_bits`` for each mAP or recall of true neighbours,
    ``training_<method>`` for methods that log a curve, and ``<metric>_by_<parameter>_<method>`` where records
    differ in one parameter of one method.

    Parameters
    ----------
    store : Store
    out_dir : Path
        Made if it is not there.
    formats : sequence of {"png", "svg", "pdf"}

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    InputError
        A format is unknown, no record ended well, or the files cannot be written.
    """
    wanted = list(dict.fromkeys(name.strip().lower() for name in formats))
    unknown = [name for name in wanted if name not in FORMATS]
    if unknown or not wanted:
        raise InputError(f"--format {unknown[0] if unknown else ''}: expected one or more of {', '.join(FORMATS)}")
    records = of_one_version([record for record in store if record.status == "ok"])
    if not records:
        raise InputError(f"{store.directory} holds no record that ended well: there is nothing to plot")
    writable_directory(out_dir, "--to")
    settings = by_setting(records)
    names = _short_names(named({setting: file_of(members) for setting, members in settings.items()}))
    written: dict[str, list[Path]] = {}
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        for setting, members in sorted(settings.items()):
            prefix = f"{slug(names[setting])[:MOST_OF_PREFIX]}_" if len(settings) > 1 else ""
            for name, figure in _figures(store, members, names[setting] + _origin(members[0])):
                stem = unused(slug(prefix + name), written)
                written[stem] = [save(figure, out_dir / f"{stem}.{extension}", extension) for extension in wanted]
    return [path for paths in written.values() for path in paths]


def _figures(store: Store, records: list[Record], about: str) -> Iterator[tuple[str, Figure]]:
    if records[0].is_by_bytes:
        yield "recall_by_bytes", bytes_figure(records, about)
        return
    series = _series(records)
    bits = sorted({record.config["n_bits"] for record in records})
    metrics = shown_metrics(records)
    for n_bits in [] if records[0].is_asymmetric else bits:  # rankings by real values have no levels in common
        drawn = [(one, one.by_bits()[n_bits]) for one in series if n_bits in one.by_bits()]
        curves = [(one, [_curves(store, record) for record in group]) for one, group in drawn]
        yield f"pr_curve_{n_bits}bits", _pr_figure(curves, f"{about}, {n_bits} bits")
        yield f"precision_at_n_{n_bits}bits", _precision_figure(curves, f"{about}, {n_bits} bits")
    if len(bits) > 1:
        for metric in metrics:
            yield f"{metric}_by_bits", _bits_figure(series, bits, metric, about)
    for one in series:
        if any(record.training for record in one.records):
            yield f"training_{one.name}", _training_figure(one, f"{one.name}: {about}")
    for metric in metrics:
        scored = [record for record in records if metric in record.metrics]
        for method, parameter, fixed, group in one_parameter_grids(scored, lambda record: record.config):
            name = f"{method}[{fixed}]" if fixed else method
            yield (
                f"{metric}_by_{parameter}_{name}",
                _parameter_figure(group, parameter, metric, f"{name}: {about}"),
            )


def _pr_figure(curves: list[tuple[_Series, list[dict[str, np.ndarray]]]], title: str) -> Figure:
    figure, (axes,) = new_figure(title)
    lines = {}
    for one, seeds in curves:
        recall, precision = at_equal_recall(seeds)
        lines[one.name] = _draw(axes, recall, precision, one.looks)
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("recall")
    axes.set_ylabel("precision")
    return with_legend(figure, lines)


def _precision_figure(curves: list[tuple[_Series, list[dict[str, np.ndarray]]]], title: str) -> Figure:
    figure, (axes,) = new_figure(title)
    lines = {}
    for one, seeds in curves:
        precision = [seed["rank_precision"] for seed in seeds]
        lines[one.name] = _draw(axes, seeds[0]["ranks"], precision, one.looks)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(10, numticks=12))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_ylim(bottom=0)
    axes.set_xlabel("N (items retrieved)")
    axes.set_ylabel("precision@N")
    return with_legend(figure, lines)


def _bits_figure(series: list[_Series], bits: list[int], metric: str, title: str) -> Figure:
    figure, (axes,) = new_figure(title)
    lines = {}
    for one in series:
        scored = [record for record in one.records if metric in record.metrics]
        if scored:
            lines[one.name] = _draw_points(axes, scored, metric, lambda record: record.config["n_bits"], one.looks)
    axes.set_xscale("log", base=2)
    set_ticks(axes, bits, [str(n_bits) for n_bits in bits])
    axes.set_xlabel("bits")
    axes.set_ylabel(infos_of(record for one in series for record in one.records)[metric].axis)
    return with_legend(figure, lines)


def _training_figure(one: _Series, title: str) -> Figure:
    entries = [entry for record in one.records for entry in record.training]
    names = sorted({name for entry in entries for name in entry} - {"epoch"}, key=lambda name: (name != "loss", name))
    figure, panels = new_figure(title, len(names))
    lines = {}
    for name, axes in zip(names, panels, strict=True):
        for number, (n_bits, group) in enumerate(one.by_bits().items()):
            curves = [{entry["epoch"]: entry[name] for entry in record.training if name in entry} for record in group]
            epochs = sorted(set.intersection(*map(set, curves)))
            values = [[curve[epoch] for epoch in epochs] for curve in curves]
            lines[f"{n_bits} bits"] = _draw(axes, np.array(epochs), values, looks_of(number))
        axes.set_ylabel(name)
    panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    panels[-1].set_xlabel("epoch")
    figure.align_ylabels(panels)
    return with_legend(figure, lines)


def _parameter_figure(records: list[Record], parameter: str, metric: str, title: str) -> Figure:
    figure, (axes,) = new_figure(title)
    values = {canonical_hash(value): value for value in (record.config["params"][parameter] for record in records)}
    numbers = [value for value in values.values() if type(value) in (int, float)]
    numeric = len(numbers) == len(values)
    ordered = sorted(values.values()) if numeric else sorted(values.values(), key=str)
    places = ordered if numeric else list(range(len(ordered)))
    place_of = {canonical_hash(value): place for value, place in zip(ordered, places, strict=True)}

    def place(record: Record) -> float:
        return place_of[canonical_hash(record.config["params"][parameter])]

    lines = {}
    for number, (n_bits, group) in enumerate(
        grouped_ascending(records, lambda record: record.config["n_bits"]).items()
    ):
        lines[f"{n_bits} bits"] = _draw_points(axes, group, metric, place, looks_of(number))
    if numeric:
        scale_for(axes, ordered)
    set_ticks(axes, places, [f"{value:g}" if numeric else str(value) for value in ordered])
    axes.margins(x=0.05)
    axes.set_xlabel(parameter)
    axes.set_ylabel(infos_of(records)[metric].axis)
    return with_legend(figure, lines)


def _series(records: list[Record]) -> list[_Series]:
    """Group records into methods with their parameters, ordered by name."""
    names = method_names(records, label_of)
    groups = grouped_ascending(records, lambda record: names[method_of(record)])
    return [_Series(name, group, looks_of(number)) for number, (name, group) in enumerate(groups.items())]


def _draw(axes: Axes, x: np.ndarray, seeds: Iterable[Any], looks: Mapping[str, Any]) -> Line2D:
    """Draw the mean over seeds and, where there are several, the band between the lowest and the highest."""
    y = np.array(list(seeds), float)
    mark_every = None if len(x) <= 12 else 0.12
    (line,) = axes.plot(x, y.mean(axis=0), markevery=mark_every, **looks)
    if len(y) > 1:
        axes.fill_between(x, y.min(axis=0), y.max(axis=0), color=looks["color"], alpha=0.2, linewidth=0)
    return line


def _draw_points(
    axes: Axes, records: list[Record], metric: str, place: Callable[[Record], float], looks: Mapping[str, Any]
) -> Line2D:
    """Draw a metric of records at their places, as `_draw` does; each place has its own number of seeds."""
    points = {x: [record.metrics[metric] for record in group] for x, group in grouped_ascending(records, place).items()}
    (line,) = axes.plot(list(points), [np.mean(values) for values in points.values()], **looks)
    if any(len(values) > 1 for values in points.values()):
        low, high = ([bound(values) for values in points.values()] for bound in (min, max))
        axes.fill_between(list(points), low, high, color=looks["color"], alpha=0.2, linewidth=0)
    return line


def _curves(store: Store, record: Record) -> dict[str, np.ndarray]:
    arrays = store.arrays(record.id)
    return {name: arrays[name] for name in ("ranks", "rank_precision", "rank_recall")}


def _short_names(names: Mapping[Setting, Named]) -> dict[Setting, str]:
    """Return names for titles and files: the data set, and of protocol and backbone what tells settings apart."""
    parts = {setting: [name.dataset, name.protocol, name.backbone] for setting, name in names.items()}
    shown = {setting: every[0] for setting, every in parts.items()}
    for place in (1, 2):
        if len(set(shown.values())) < len(shown) and len({every[place] for every in parts.values()}) > 1:
            shown = {setting: f"{shown[setting]}, {every[place]}" for setting, every in parts.items()}
    return shown


def _origin(record: Record) -> str:
    return "" if record.provenance == "official" else f", {record.provenance}"
