"""Makes records of codes that another program has made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

from hashbench.codes.names import LABELS, QUERY
from hashbench.codes.reading import CodeSet, read_code_set
from hashbench.data.dataset import Dataset
from hashbench.data.leaks.check import check_dataset
from hashbench.data.loading import load
from hashbench.errors import InputError
from hashbench.evaluation import metrics
from hashbench.evaluation.code_facts import code_lines
from hashbench.evaluation.curves import curves
from hashbench.evaluation.evaluate import evaluate
from hashbench.files.hashing import canonical_hash
from hashbench.files.paths import printable
from hashbench.plugins.registry import Registry
from hashbench.progress import progress, to_stderr
from hashbench.records.collapse import n_different
from hashbench.records.record import GIVEN, Record
from hashbench.records.store import Store
from hashbench.results.results_csv import write_results
from hashbench.runs.imported.cells import Given, cells_of
from hashbench.runs.imported.options import ImportOptions, refuse_incomplete
from hashbench.runs.imported.order import refuse_other_export, refuse_other_labels, refuse_other_numbers
from hashbench.runs.recording import LONGEST_NAME, now

CELL = ("dataset", "data", "protocol_hash", "engine", "method", "n_bits", "seed")
"""What two imports of one cell have in common."""


@dataclass(frozen=True)
class Imported:
    """Codes that are read and checked, and the record of them, which has no metrics yet."""

    codes: CodeSet
    record: Record


def import_codes(options: ImportOptions, log: Callable[[str], object] = to_stderr) -> list[Record]:
    """Score codes by a data set's protocol, and keep them as records of the origin ``imported``.

    All is read and checked before anything is written.

    Parameters
    ----------
    options : ImportOptions
    log : callable
        Receives lines on what was read, on leaks in the split, and on what the codes look like.

    Returns
    -------
    list of Record
        One for each code length and seed, those that were there already among them.

    Raises
    ------
    InputError
        Something is missing or unreadable, codes do not fit the protocol, or other codes were imported under the name
        before and are not to be replaced.
    """
    refuse_incomplete(options)
    given, store = cells_of(options), Store(options.out)
    store.refuse_unwritable()
    dataset = load(Registry(options.plugins).find("datasets", options.dataset).load()(), options)
    if dataset.images is not None and not options.backbone:
        raise InputError("--backbone is missing: what turned the images into features, in your words")
    if options.export is not None:
        refuse_other_export(options.export, dataset)
    cells = [_read(one, dataset, options) for one in given]
    imported = [one for one in store if one.origin == "imported"]
    before = {cell.record.id: _there(cell.record, imported) for cell in cells}
    if not options.replace:
        for cell in cells:
            _refuse_others(cell.record, before[cell.record.id], store)
    for line in (*dataset.summary, *map(str, check_dataset(dataset))):
        log(line)
    store.open_for_writing()
    records = []
    with progress("import", len(cells)) as bar:
        for cell in cells:
            for line in _said(cell):
                log(f"{cell.record.title}: {line}")
            records.append(_kept(cell, dataset, store, before[cell.record.id]))
            bar.advance(1)
    store.write_relevance(dataset.fingerprint, dataset.relevance())
    write_results(store)
    return records


_CODES = ("query_codes", "database_codes")


def _read(given: Given, dataset: Dataset, options: ImportOptions) -> Imported:
    """Read codes, and check that they are those of the data set's items in their order."""
    codes = read_code_set(given=given.sources, n_bits=given.n_bits, with_labels=False)
    refuse_other_numbers(codes, dataset)
    if (QUERY, LABELS) in given.sources:
        codes = read_code_set(given=given.sources, n_bits=given.n_bits)
        refuse_other_labels(codes, dataset)
        codes.notes.append(f"the labels are those of {dataset.protocol.name} in its order")
    words = {"about": options.about, "training": options.training}
    config = {
        "dataset": dataset.name,
        "data": dataset.fingerprint,
        "protocol": dataset.protocol.name,
        "protocol_hash": dataset.protocol.hash,
        "features": {"backbone": None if options.backbone in ("", GIVEN) else options.backbone},
        "views": None,
        "method": options.name,
        "params": words,
        "source": canonical_hash(words),
        "n_bits": codes.n_bits,
        "seed": given.seed,
        "engine": metrics.VERSION,
    }
    sums = {name: hashlib.sha256(getattr(codes, name).tobytes()).hexdigest() for name in _CODES}
    where = options.data_dir
    record = Record(
        id=canonical_hash(config),
        config=config,
        status="ok",
        codes_sha256=sums,
        uses_labels=bool(options.labels_used),
        origin="imported",
        label=options.name,
        provenance=dataset.provenance,
        data_file="" if where is None else printable(where.absolute().name, LONGEST_NAME),
        read=[*dataset.summary, printable(codes.read_as, 1000)],
        n_codes=n_different(codes.database_codes),
        environment={"versions": {"hashbench": version("hashbench")}, "command": options.command},
    )
    return Imported(codes, record)


def _there(record: Record, imported: Sequence[Record]) -> list[Record]:
    """Return what was imported before under the name at the same code length and seed."""
    return [one for one in imported if all(one.config[name] == record.config[name] for name in CELL)]


def _refuse_others(record: Record, before: Sequence[Record], store: Store) -> None:
    for one in before:
        if one.codes_sha256 != record.codes_sha256:
            raise InputError(
                f"{store.directory} has other codes of {record.title}, imported on {one.date[:10]}: --replace replaces "
                "them, another --as keeps both"
            )
        if (one.id, one.uses_labels) != (record.id, record.uses_labels):
            raise InputError(
                f"{store.directory} has these codes of {record.title}, and what was said of them differs (about: "
                f"{json.dumps(one.config['params'].get('about', ''))}, backbone: {one.backbone}): --replace replaces it"
            )


def _said(cell: Imported) -> Iterator[str]:
    """Yield a line on what was read and what the codes look like, and lines on what is not plain or odd."""
    codes = cell.codes
    facts = code_lines(codes.query_codes, codes.database_codes, codes.n_bits, brief=True)
    yield "; database: ".join([codes.read_as, *facts[:1]])
    yield from codes.notes
    yield from facts[1:]


def _kept(cell: Imported, dataset: Dataset, store: Store, before: Sequence[Record]) -> Record:
    """Score codes and write their record, in the place of what was there; an equal record stays as it is."""
    codes, record = cell.codes, cell.record
    with store.lock(record.id):
        there = store.read(record.id)
        if there is not None and (there.codes_sha256, there.uses_labels) == (record.codes_sha256, record.uses_labels):
            return there
        started = now()
        scores = evaluate(
            codes.query_codes,
            codes.database_codes,
            metrics=dataset.protocol.metrics,
            n_bits=codes.n_bits,
            **dataset.relevance(),
        )
        arrays = {name: getattr(codes, name) for name in _CODES}
        arrays |= {} if scores.counted is None else curves(scores.counted)
        arrays |= {f"per_query:{name}": values for name, values in scores.per_query.items()}
        done = replace(record, metrics=dict(scores), started=started, date=now())
        store.write(done, arrays)
        for one in before:
            if one.id != done.id:
                store.remove(one.id)
    return done


def records_beside(records: Sequence[Record], directory: Path) -> list[Record]:
    """Return the records of a directory that are of the same data and protocol as imported ones."""
    of = {(record.config["data"], record.config["protocol_hash"]) for record in records}
    return [one for one in Store(directory) if (one.config["data"], one.config["protocol_hash"]) in of]
