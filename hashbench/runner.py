"""A run: a grid of cells over one data set, resumable, each cell recorded the moment it ends."""

from __future__ import annotations

import inspect
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from hashbench.cache import cache_directory, write_atomically
from hashbench.cell import Cell, Workbench, run_cell
from hashbench.dataset import Dataset, LoadOptions, canonical_hash
from hashbench.errors import InputError
from hashbench.features import FeatureSource
from hashbench.registry import Registry
from hashbench.spec import MAX_BITS, parse_integers, parse_methods, typed_params
from hashbench.store import Record, Store
from hashbench.table import results_frame

DEFAULT_METHODS = "cibhash,itq,lsh"
DEFAULT_DATASET = "digits"
DEFAULT_BITS = "16,32,64"


@dataclass(frozen=True)
class RunOptions:
    """What a run is asked to do; the command line's options, under the same names.

    Attributes
    ----------
    methods : str
        Specifications such as ``"cibhash[epochs=20],itq"``.
    dataset : str
    bits, seeds : str or sequence of int
    backbone, weights, image_size, device, precision, normalization
        See `hashbench.backbones.open_backbone`; None is the data set's default.
    devices : int
        How many devices a method may train on, if it can use several.
    data_dir, cache_dir : Path or None
    plugins : sequence of Path
    out : Path
    fresh : bool
        Recompute records that are there already.
    download : bool
    """

    methods: str = DEFAULT_METHODS
    dataset: str = DEFAULT_DATASET
    bits: str | Sequence[int] = DEFAULT_BITS
    seeds: str | Sequence[int] = "0"
    backbone: str | None = None
    weights: Path | None = None
    image_size: int | None = None
    device: str = "auto"
    devices: int = 1
    precision: str = "auto"
    normalization: str = "imagenet"
    data_dir: Path | None = None
    cache_dir: Path | None = None
    plugins: Sequence[Path] = field(default_factory=tuple)
    out: Path = Path("runs/latest")
    fresh: bool = False
    download: bool = False


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def run(options: RunOptions, log: Callable[[str], None] = _to_stderr) -> list[Record]:
    """Run a grid of cells.

    Parameters
    ----------
    options : RunOptions
    log : callable
        Receives progress lines.

    Returns
    -------
    list of Record
        One per cell, in the grid's order; those that were finished before are read, not computed.

    Raises
    ------
    InputError
        Something the user gave cannot be used; nothing was written then.
    """
    registry = Registry(options.plugins)
    cells = _grid(options, registry)
    loader = registry.find("datasets", options.dataset).load()()
    cache_dir = cache_directory(options.cache_dir)
    store = Store(options.out)
    dataset = loader.load(LoadOptions(options.data_dir, cache_dir, options.download))
    source = _source(dataset, options, cache_dir)
    device = str(source.backbone.fabric.device) if source.backbone else "cpu"
    bench = Workbench(dataset, source, device, log, options.out / "work", options.devices)
    store.open_for_writing()
    records: list[Record] = []
    for number, cell in enumerate(cells, 1):
        config = bench.config(cell)
        record = None if options.fresh else store.read(canonical_hash(config))
        what = f"[{number}/{len(cells)}] {cell.label} {cell.n_bits} bits"
        what += "" if cell.seed is None else f" seed {cell.seed}"
        if record is not None and record.finished:
            log(f"{what}: already in {options.out}")
        else:
            log(what)
            _keep_labels(store, bench.dataset_for(cell.method()))
            record, arrays = run_cell(cell, bench, config)
            store.write(record, arrays)
            shutil.rmtree(bench.workdir / record.id, ignore_errors=True)
            log(f"{what}: {summary(record)}")
            write_results(store)
        records.append(record)
    write_results(store)
    return records


def _keep_labels(store: Store, dataset: Dataset) -> None:
    """Keep the labels that a cell is scored by."""
    labels, split = dataset.labels, dataset.split
    store.write_labels(dataset.fingerprint, labels[split.query], labels[split.database])


def summary(record: Record) -> str:
    """Return how a cell ended, in one line."""
    if record.status != "ok":
        return f"{record.status}: {record.error}"
    scores = "  ".join(f"{name} {value:.4f}" for name, value in record.metrics.items())
    return f"{scores}  (fit {record.timings['fit_s']:.2f} s)"


def write_results(store: Store) -> None:
    """Write ``results.csv``, a row per record of the directory."""
    frame: pd.DataFrame = results_frame(list(store))
    write_atomically(store.directory / "results.csv", frame.to_csv(index=False).encode())


def _grid(options: RunOptions, registry: Registry) -> list[Cell]:
    """Return the cells, methods outermost; every name and value is checked before anything runs."""
    bits = parse_integers(options.bits, "--bits", 1, MAX_BITS)
    seeds = parse_integers(options.seeds, "--seeds", 0, 2**32 - 1)
    cells = []
    for spec in parse_methods(options.methods):
        plugin = registry.find("methods", spec.name)
        method_class = plugin.load()
        params = typed_params(spec, method_class)
        seeded = "random_state" in inspect.signature(method_class).parameters
        cells += [
            Cell(plugin, params, n_bits, seed, spec.label) for n_bits in bits for seed in (seeds if seeded else [None])
        ]
    return cells


def _source(dataset: Dataset, options: RunOptions, cache_dir: Path) -> FeatureSource:
    if dataset.features is not None:
        if options.backbone or options.weights:
            raise InputError(f"--backbone: {dataset.name} comes with features, no backbone is used")
        return FeatureSource(dataset, None, cache_dir)
    from hashbench.backbones import open_backbone

    name = options.backbone or dataset.backbone
    size = options.image_size
    if size is None and name == dataset.backbone:
        size = dataset.image_size
    backbone = open_backbone(
        name,
        weights=options.weights,
        image_size=size,
        device=options.device,
        precision=options.precision,
        normalization=options.normalization,
    )
    return FeatureSource(dataset, backbone, cache_dir)
