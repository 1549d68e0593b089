"""Explains one plugin in words: what ``hashbench info NAME`` prints."""

from __future__ import annotations

import inspect
import textwrap

from hashbench.contract.estimator import Estimator
from hashbench.contract.search_space import space_in_words
from hashbench.data.plugin import HashDataset
from hashbench.data.protocol import DATABASE, UNSEEN, VALIDATION, WITHOUT_TRAINING, Protocol
from hashbench.errors import InputError, did_you_mean, shorten
from hashbench.evaluation.metrics import KINDS as METRICS
from hashbench.evaluation.metrics import Metric, NeighborRecall
from hashbench.plugins.docstrings import FIDELITY, KIND, fidelity, sections
from hashbench.plugins.glance import glance
from hashbench.plugins.metric_names import find_metrics
from hashbench.plugins.registry import KINDS, Registry
from hashbench.runs.requested.grid import RESERVED

WIDTH = 100


def describe(registry: Registry, name: str) -> str:
    """Return the description of a method, quantizer, data set or metric.

    Parameters
    ----------
    registry : Registry
    name : str
        Of a plugin, or a metric's, such as ``mAP@1000``.

    Raises
    ------
    InputError
        Nothing has that name; the nearest name is suggested.
    """
    methods, quantizers, datasets, metrics = map(registry.plugins, KINDS)
    name = registry.present_name(name)
    if name in datasets:
        return _dataset(datasets[name].load())
    if name in methods:
        return _method(methods[name].load(), name, glance(methods[name]).family)
    if name in quantizers:
        return _method(quantizers[name].load(), name)
    if name in metrics:
        return _metric(metrics[name].load())
    try:
        return _metric(type(find_metrics([name], registry)[0].metric))
    except InputError as error:
        examples = [example for kind in METRICS for example in kind.examples]
        hint = did_you_mean(name, [*methods, *quantizers, *datasets, *metrics, *examples]) or "see hashbench list"
        raise InputError(f"no plugin or metric is named {shorten(name)!r}; {hint}") from error


def _metric(kind: type[Metric]) -> str:
    low, high = ("unbounded" if bound is None else f"{bound:g}" for bound in (kind.low, kind.high))
    lines = [
        _line("metric", kind.title),
        _line("names", kind.forms),
        _line("better", kind.better),
        _line("range", f"{low} to {high}{f', {kind.unit}' if kind.unit else ''}"),
        _line("needs", _needs(kind)),
        "",
        inspect.getdoc(kind) or "",
    ]
    return "\n".join(lines)


def _needs(kind: type[Metric]) -> str:
    if issubclass(kind, NeighborRecall):
        return "true neighbours"
    return "a ranking by Hamming distance" if kind.by_radius else "labels or true neighbours"


def _line(key: str, value: object) -> str:
    return textwrap.fill(
        f"{value}",
        WIDTH,
        initial_indent=f"{key:<13}",
        subsequent_indent=" " * 13,
        break_on_hyphens=False,
        break_long_words=False,
    )


def _method(method_class: type[Estimator], name: str, family: str = "") -> str:
    titled = sections(method_class)
    parameters = inspect.signature(method_class).parameters.values()
    lines = [
        _line(method_class.kind[:-1], name),
        _line("paper", method_class.paper or "not stated"),
        _line("fidelity", fidelity(method_class) or "not stated"),
        *([_line("family", family)] if family else []),
        _line("supervision", _supervision(method_class)),
        _line("portable", _portable(method_class)),
        _line(
            "parameters",
            ", ".join(f"{p.name}={p.default!r}" for p in parameters if p.name not in RESERVED) or "none",
        ),
        _line("search space", _search_space(method_class)),
        _line("set by a run", ", ".join(p.name for p in parameters if p.name in RESERVED) or "nothing"),
        "",
        titled.pop("").rstrip(),
        *(
            f"\n{title}\n{'-' * len(title)}\n{text.rstrip()}"
            for title, text in titled.items()
            if title not in (FIDELITY, KIND)
        ),
    ]
    return "\n".join(lines)


def _search_space(method_class: type[Estimator]) -> str:
    try:
        return space_in_words(method_class)
    except ValueError as error:
        return f"cannot be used: {error}"


def _supervision(method_class: type[Estimator]) -> str:
    if method_class.supervision == "unsupervised":
        return method_class.supervision
    needs = {"any": "classes or several labels an item", "classes": "classes", "multilabel": "several labels an item"}
    most = method_class.classes_per_bit
    bound = "" if most is None else f", at most {most:g} class{'' if most == 1 else 'es'} a bit"
    return f"{method_class.supervision}: {needs.get(method_class.labels, method_class.labels)}{bound}"


def _portable(method_class: type[Estimator]) -> str:
    if method_class.portable:
        return "yes: the same codes on every processor, with any number of threads"
    return "no: codes can differ between processors; a run computes it with one thread"


def _dataset(dataset_class: type[HashDataset]) -> str:
    lines = [
        _line("data set", dataset_class.name),
        _line("what", (inspect.getdoc(dataset_class) or "").partition("\n")[0]),
        _line("source", dataset_class.source),
        _line("licence", dataset_class.licence),
        _line("to obtain", dataset_class.needs or "nothing: it is embedded"),
        *_images(dataset_class),
    ]
    for protocol in dataset_class.protocols:
        own = [f"{key}={value}" for key, value in protocol.choices.items()]
        by_labels = [] if protocol.neighbors else [f"{UNSEEN}=SHARE"]
        draw = ", ".join([*own, *by_labels, f"{DATABASE}={WITHOUT_TRAINING}", f"{VALIDATION}=SHARE"])
        lines += [
            "",
            _line("protocol", f"{protocol.name} (SHA-256 {protocol.hash[:16]}…)"),
            _line("split", protocol.split),
            _line("sizes", _sizes(protocol)),
            _line("metrics", ", ".join(protocol.metrics)),
            _line("ties", protocol.ties),
            _line("to choose", f'--protocol "{protocol.name}[...]" with {draw}'),
        ]
    return "\n".join(lines)


def _sizes(protocol: Protocol) -> str:
    sizes = {"queries": protocol.n_query, "database": protocol.n_database, "training": protocol.n_train}
    if set(sizes.values()) == {None}:
        return "as the data has it"
    return ", ".join(f"{part} as the data has it" if n is None else f"{n:,} {part}" for part, n in sizes.items())


def _images(dataset_class: type[HashDataset]) -> list[str]:
    """Return lines on how images become features and views, where there are images."""
    if dataset_class.views is None:
        return []
    size = f" at {dataset_class.image_size} pixels" if dataset_class.image_size else ""
    return [_line("backbone", dataset_class.backbone + size), _line("views", dataset_class.views.name)]
