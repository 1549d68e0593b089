"""A run: a grid of cells over one data set, resumable, each cell recorded the moment it ends."""

from __future__ import annotations

import inspect
import shutil
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

from hashbench.data.dataset import Dataset
from hashbench.data.items import LoadOptions
from hashbench.data.loading import load
from hashbench.errors import InputError
from hashbench.features.opening import open_source
from hashbench.features.options import BackboneOptions
from hashbench.features.source import FeatureSource
from hashbench.files.cache import cache_directory
from hashbench.files.hashing import canonical_hash
from hashbench.files.writing import writable_directory
from hashbench.method import HashMethod
from hashbench.models.saved import save_model
from hashbench.plugins.registry import Registry
from hashbench.progress import to_stderr
from hashbench.runs.cell import run_cell
from hashbench.runs.grid import MAX_BITS, parse_integers, parse_methods, typed_params
from hashbench.runs.job import Cell
from hashbench.runs.options import RunOptions
from hashbench.runs.records import Record, Store
from hashbench.runs.results import write_results
from hashbench.runs.workbench import Workbench


def run(options: RunOptions, log: Callable[[str], None] = to_stderr) -> list[Record]:
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
    dataset = load(loader, _load_options(options, cache_dir))
    source = _source(dataset, options, cache_dir)
    bench = Workbench(dataset, source, log, options.out / "work")
    store.open_for_writing()
    if options.save_models:
        writable_directory(store.models, "--out")
    records: list[Record] = []
    for number, cell in enumerate(cells, 1):
        config = bench.config(cell)
        _keep_labels(store, bench.dataset_for(cell.method()))
        record = None if options.fresh else store.read(canonical_hash(config))
        what = f"[{number}/{len(cells)}] {cell.label} {cell.n_bits} bits"
        what += "" if cell.seed is None else f" seed {cell.seed}"
        lacks_model = options.save_models and record is not None and _lacks_model(record, store)
        if record is not None and record.finished and not lacks_model:
            log(f"{what}: already in {options.out}")
        else:
            log(f"{what}: in {options.out} without its model, run again" if lacks_model else what)
            record = _compute(cell, bench, config, store, options.save_models)
            log(f"{what}: {summary(record)}")
            write_results(store)
        records.append(record)
    write_results(store)
    return records


def _load_options(options: RunOptions, cache_dir: Path) -> LoadOptions:
    return LoadOptions(
        options.data_dir, cache_dir, options.download, options.protocol, options.splits, options.skip_broken
    )


def _keep_labels(store: Store, dataset: Dataset) -> None:
    """Keep the labels that a cell is scored by, also where its record is older than they are."""
    store.write_relevance(dataset.fingerprint, dataset.relevance())


def _compute(cell: Cell, bench: Workbench, config: dict[str, Any], store: Store, keep_model: bool) -> Record:
    """Run a cell and write what it gives; only the record stays in memory."""
    record, arrays, method = run_cell(cell, bench, config)
    store.write(record, arrays)
    if record.finished:  # what a failed cell has got done is kept for its next try
        shutil.rmtree(bench.workdir / record.id, ignore_errors=True)
    if keep_model and method is not None:
        _keep_model(method, record, bench, store)
    return record


def _lacks_model(record: Record, store: Store) -> bool:
    return record.status == "ok" and not store.model_path(record.id).is_file()


def _keep_model(method: HashMethod, record: Record, bench: Workbench, store: Store) -> None:
    """Save a cell's trained method; one that cannot be saved is said to be so and leaves its record as it is."""
    try:
        save_model(
            store.model_path(record.id),
            method,
            record.config,
            label=record.label,
            record=record.id,
            image_shape=bench.dataset.image_shape,
        )
    except OSError as error:
        raise InputError(f"--out {store.directory} cannot be written to ({error.strerror})") from error
    except Exception as error:  # a plugin may keep anything in its attributes
        bench.log(f"  its model cannot be saved: {type(error).__name__}: {error}")


def summary(record: Record) -> str:
    """Return how a cell ended, in one line."""
    if record.status != "ok":
        return f"{record.status}: {record.error}"
    scores = "  ".join(f"{name} {value:.4f}" for name, value in record.metrics.items())
    return f"{scores}  (fit {record.timings['fit_s']:.2f} s)"


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
    chosen = {field.name: getattr(options, field.name) for field in fields(BackboneOptions)}
    return open_source(dataset, BackboneOptions(**chosen), cache_dir)
