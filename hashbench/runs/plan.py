"""Resolves what a user asks for into jobs: every name and value is checked, and each plugin is asked once."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hashbench.contract.estimator import Estimator
from hashbench.contract.fit_extras import TrainsOnViews, extras_problem
from hashbench.contract.labels import checked_labels, label_problem
from hashbench.contract.parameters import make_method
from hashbench.contract.quantizer import Quantizer
from hashbench.data.dataset import Dataset
from hashbench.data.protocol import DISTANCES, Protocol
from hashbench.errors import InputError, Unsupported
from hashbench.evaluation import metrics
from hashbench.guard.plugin_code import failure_of, plugin_code
from hashbench.guard.state import kept_state
from hashbench.options import check_options
from hashbench.plugins.registry import Plugin, Registry
from hashbench.progress import to_stderr
from hashbench.records.record import OWN
from hashbench.renamed import ESTIMATORS, present_parameters
from hashbench.runs.added_metrics import RequestedMetrics
from hashbench.runs.job import Job, Needs, Setting
from hashbench.runs.requested.grid import (
    DIMS,
    MAX_BITS,
    MAX_SEED,
    RESERVED,
    parse_integers,
    parse_methods,
    split_names,
    typed_params,
    without_dims,
)
from hashbench.runs.requested.groups import with_groups
from hashbench.runs.requested.options import RunOptions
from hashbench.runs.workbench import Workbench, open_workbench

UNCUT = {"views": "augmented views", "tunable": "the backbone", "validation": "validation queries"}
"""What a method may ask for that is not cut with the vectors."""


@dataclass(frozen=True)
class Request:
    """A method as the user asked for it, its name found and its parameters read."""

    label: str
    plugin: Plugin
    method_class: type[Any]
    params: dict[str, Any]
    dims: int | None = None

    @property
    def seeded(self) -> bool:
        """Whether it is run once per seed."""
        return "random_state" in inspect.signature(self.method_class).parameters

    @property
    def sized(self) -> bool:
        """Whether it is run at each code length; a quantizer may have one of its own."""
        return not self.is_quantizer or "n_bits" in inspect.signature(self.method_class).parameters

    @property
    def is_quantizer(self) -> bool:
        """Whether it is a quantizer and no method."""
        return self.plugin.kind == "quantizers"


@dataclass(frozen=True)
class Unplanned:
    """A setting whose data or backbone is not here, how many cells it would have, and what it lacks."""

    setting: Setting
    n_cells: int
    reason: InputError


def plan(options: RunOptions, unplanned: list[Unplanned] | None = None) -> list[Job]:
    """Return the jobs of a run, each once: settings outermost, then methods, code lengths and seeds.

    Parameters
    ----------
    options : RunOptions
    unplanned : list, optional
        Is given the settings whose data or backbone cannot be had, where that is no error.

    Raises
    ------
    InputError
        An option, a name or a value that the user gave cannot be used.
    """
    return _each_once(cells_of(options, unplanned))


def cells_of(
    options: RunOptions, unplanned: list[Unplanned] | None = None, registry: Registry | None = None
) -> list[Job]:
    """Return the jobs of a run; those of one method under several spellings have one id.

    Parameters
    ----------
    options : RunOptions
    unplanned : list, optional
        See `plan`.
    registry : Registry, optional
        For those who plan often: looking through the installed packages takes time.

    Raises
    ------
    InputError
        An option, a name or a value that the user gave cannot be used.
    """
    check_options(options)
    bits = parse_integers(options.bits, "--bits", 1, MAX_BITS)
    seeds = parse_integers(options.seeds, "--seeds", 0, MAX_SEED)
    distances = split_names(options.distance, "--distance")
    unknown = [name for name in distances if name not in DISTANCES]
    if unknown:
        raise InputError(f"--distance {unknown[0]}: expected one or more of {', '.join(DISTANCES)}")
    registry = registry or Registry(options.plugins)
    requests = requests_of(options, registry)
    for request in requests:
        if options.save_models and request.dims is not None:
            raise InputError(
                f"--save-models: a model keeps no cut of its vectors; leave it out, or run {request.label} without "
                "dims on vectors that are cut already"
            )
    added = RequestedMetrics(split_names(options.metrics, "--metrics") if options.metrics else (), registry)
    by_bytes = any(request.is_quantizer for request in requests)
    cells = [
        (request, n_bits, seed, distance)
        for request in requests
        for n_bits in (bits if request.sized else [None])
        for seed in (seeds if request.seeded else [None])
        for distance in ([OWN] if request.is_quantizer else distances)
    ]
    jobs: list[Job] = []
    for setting in settings(options, registry):
        try:
            bench = open_workbench(setting, options)
        except InputError as error:
            if unplanned is None:
                raise
            unplanned.append(Unplanned(setting, len(cells), error))
            continue
        for_bytes = by_bytes and bench.dataset.neighbors is not None
        jobs += [
            _job(request, setting, bench, n_bits, seed, distance, for_bytes, added)
            for request, n_bits, seed, distance in cells
        ]
    added.say_where_not()
    return jobs


def requests_of(options: RunOptions, registry: Registry) -> list[Request]:
    """Return the methods that the options name.

    Raises
    ------
    InputError
        A method is unknown, or a parameter cannot be used.
    """
    return [_request(spec, registry) for spec in parse_methods(with_groups(options.methods, registry))]


def _each_once(jobs: Sequence[Job]) -> list[Job]:
    """Return the jobs without those that repeat an earlier one, as under another spelling of its parameters."""
    first: dict[str, Job] = {}
    for job in jobs:
        first.setdefault(job.id, job)
    for label, same in dict.fromkeys(
        (job.label, first[job.id].label) for job in jobs if job.label != first[job.id].label
    ):
        to_stderr(f"{label} and {same} are one method with the same parameters: it is run once, as {same}")
    return list(first.values())


def settings(options: RunOptions, registry: Registry) -> list[Setting]:
    """Return the data sets, protocols and backbones of a run, each combination once.

    Raises
    ------
    InputError
        A data set is unknown, or an option is given that several data sets cannot share.
    """
    entries = options.datasets or [Setting(name) for name in split_names(options.dataset, "--dataset")]
    entries = [replace(entry, dataset=registry.find("datasets", entry.dataset).name) for entry in entries]
    for option, value in (("--data-dir", options.data_dir), ("--splits", options.splits)):
        if len(entries) > 1 and value is not None:
            raise InputError(f"{option} is one data set's; prepare each first: hashbench data prepare NAME --from DIR")
    if len({entry.dataset for entry in entries}) > 1 and options.protocol is not None:
        raise InputError("--protocol is one data set's; name one --dataset with it")
    return list(dict.fromkeys(one for entry in entries for one in _combinations(entry, options)))


def _combinations(entry: Setting, options: RunOptions) -> Iterator[Setting]:
    """Yield an entry with each of its protocols and backbones; what it leaves open is the run's."""
    data_dir, splits = entry.data_dir or options.data_dir, entry.splits or options.splits
    for protocol in _names(entry.protocol or options.protocol, "--protocol"):
        for backbone in _names(entry.backbone or options.backbone, "--backbone"):
            yield Setting(entry.dataset, protocol, backbone, data_dir, splits)


def _names(text: str | None, option: str) -> Sequence[str | None]:
    return [None] if text is None else split_names(text, option)


def _request(spec: Any, registry: Registry) -> Request:
    spec = replace(spec, name=registry.present_name(spec.name, ESTIMATORS))
    plugin = registry.find("quantizers" if spec.name in registry.plugins("quantizers") else "methods", spec.name)
    method_class = plugin.load()
    known = [*inspect.signature(method_class).parameters, DIMS]
    names = present_parameters(spec.name, [key for key, _ in spec.values], known)
    spec = replace(spec, values=tuple((names[key], value) for key, value in spec.values))
    own, dims = without_dims(spec, method_class)
    return Request(spec.label, plugin, method_class, typed_params(own, method_class), dims)


def _refuse_cut(request: Request, wanted: Iterable[str], bench: Workbench) -> None:
    """Raise if vectors are to be cut that have fewer dimensions, or for a method that needs more than vectors."""
    if request.dims is None:
        return
    for name in sorted(set(wanted) & set(UNCUT)):
        asks = f"{request.plugin.name} asks for {UNCUT[name]}"
        raise InputError(f"{request.label}: {asks}, which dims does not cut; leave dims out")
    vectors = bench.dataset.features
    if vectors is not None and request.dims > vectors.shape[1]:
        raise InputError(
            f"{request.label}: {bench.dataset.name} has vectors of {vectors.shape[1]} dimensions; give dims at most "
            "that number"
        )


def _job(
    request: Request,
    setting: Setting,
    bench: Workbench,
    n_bits: int | None,
    seed: int | None,
    distance: str,
    by_bytes: bool,
    added: RequestedMetrics,
) -> Job:
    """Return one job; a method that cannot be made, or be asked, becomes a job that says so."""
    made: dict[str, Any] = {"params": request.params}
    params = {**({} if n_bits is None else {"n_bits": n_bits}), **request.params}
    params |= {} if seed is None else {"random_state": seed}
    try:
        with kept_state(), plugin_code():
            method = make_method(request.method_class, params)
            made |= _resolved(method, request, bench)
            made |= _sized(method, request, bench) if request.is_quantizer else {}
    except InputError:
        raise
    except Exception as error:
        made["broken"] = f"it cannot be made: {failure_of(error)}"
    dataset = made.pop("dataset", bench.dataset)
    all_of_it = made.pop("params") | ({} if request.dims is None else {DIMS: request.dims})
    protocol = _ranked(dataset.protocol, request, distance, by_bytes)
    config = {
        "dataset": dataset.name,
        "data": dataset.fingerprint,
        "protocol": protocol.name,
        "protocol_hash": protocol.hash,
        "features": bench.source.key,
        "views": made.pop("views", None),
        "method": request.plugin.name,
        "params": {key: value for key, value in sorted(all_of_it.items()) if key not in RESERVED},
        "source": request.plugin.source_hash,
        "n_bits": made.pop("n_bits", n_bits or 1),
        "seed": seed,
        "engine": metrics.VERSION,
        **({} if distance == "hamming" else {"distance": distance}),
    }
    about: dict[str, Any] = {
        "kind": request.plugin.kind,
        "distance": distance,
        "metrics": protocol.metrics,
        "added": added.of(dataset, distance, protocol.metrics),
        "dims": request.dims,
        "read": bench.dataset.summary,
    }
    return Job(request.label, params, setting, config, bench.dataset.provenance, **made, **about)


def _ranked(protocol: Protocol, request: Request, distance: str, by_bytes: bool) -> Protocol:
    """Return the protocol of a job: quantizers are scored by labels where there are no true neighbours."""
    if by_bytes:
        return protocol.by_bytes()
    return protocol.uncoded() if request.is_quantizer else protocol.ranked_by(distance)


def _sized(quantizer: Quantizer, request: Request, bench: Workbench) -> dict[str, Any]:
    """Ask a quantizer how many bits its codes of the data's vectors have."""
    try:
        return {"n_bits": 8 * quantizer.n_bytes(request.dims or bench.source.width)}
    except Unsupported as error:
        return {"skip": str(error)}


def _resolved(method: Estimator, request: Request, bench: Workbench) -> dict[str, Any]:
    """Ask a method or quantizer, once, for its parameters, for what it wants, and whether it can run on the data."""
    problem = extras_problem(method)
    if problem:
        raise InputError(f"{request.label} ({request.plugin.origin}): {problem}")
    params, wanted = method.get_params(), method.wants()
    _refuse_cut(request, wanted, bench)
    dataset = bench.dataset_for(method)
    skip = method.skip(dataset) or _labels_lacking(method, dataset)
    resolved: dict[str, Any] = {"params": params, "dataset": dataset, "skip": skip}
    resolved["uses_labels"] = method.supervision == "supervised" or "validation" in wanted
    if resolved["skip"]:
        return resolved
    if "views" in wanted:
        assert isinstance(method, TrainsOnViews)
        try:
            n_views, views_seed = _n_pool_views(method, bench, len(dataset.split.train)), params["views_seed"]
        except Unsupported as error:
            return resolved | {"skip": str(error)}
        resolved["needs"] = Needs(tuple(sorted(wanted)), n_views, views_seed)
        resolved["views"] = bench.source.view_key(n_views, views_seed)
    else:
        resolved["needs"] = Needs(tuple(sorted(wanted)))
    if "tunable" in wanted:
        resolved["views"] = bench.source.recipe_key(params.get("views_seed"))
    return resolved


def _labels_lacking(method: Estimator, dataset: Dataset) -> str:
    """Return why a supervised method cannot learn from the labels of the training set, or an empty text."""
    if method.supervision != "supervised":
        return ""
    if dataset.labels is None:
        return f"{method.name} learns from labels, {dataset.name} has none"
    train = dataset.split.train
    try:
        return label_problem(method, checked_labels(dataset.labels[train], len(train), method.name))
    except ValueError as error:
        return str(error)


def _n_pool_views(method: TrainsOnViews, bench: Workbench, n_images: int) -> int:
    """Return how many views of each training image a method needs.

    Raises
    ------
    Unsupported
        A parameter of a deep method is out of its range, so the number cannot be determined.
    """
    try:
        return method.n_pool_views(n_images)
    except ArithmeticError:
        from hashbench.learning.deep import DeepMethod

        if isinstance(method, DeepMethod):
            for name, holds, expected in method.limits(n_images, bench.source.device, bench.source.devices):
                if not holds:
                    raise Unsupported(f"{name}={getattr(method, name)!r}: expected {expected}") from None
        raise
