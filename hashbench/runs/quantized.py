"""One cell of a quantizer: fit, encode, search, and the record of it, made once at the end."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from hashbench.contract.parameters import make_method
from hashbench.contract.quantizer import Quantizer, Search
from hashbench.contract.values import BLOCK_ROWS
from hashbench.data.similarity import Similarity
from hashbench.data.splits import Split
from hashbench.errors import Unsupported
from hashbench.evaluation.candidates import recalls
from hashbench.features.cut import cut
from hashbench.files.cores import one_core
from hashbench.guard.plugin_code import failure_of, plugin_code
from hashbench.guard.state import kept_state
from hashbench.progress import doing
from hashbench.records.collapse import what_collapsed
from hashbench.runs.asked.options import RunOptions
from hashbench.runs.cell import ENCODE_ROWS, Outcome
from hashbench.runs.environment import peak_memory_mb, reset_peak_memory
from hashbench.runs.gpu import GpuUse
from hashbench.runs.job import Job
from hashbench.runs.plan import all_params
from hashbench.runs.recording import new_record, now
from hashbench.runs.training import rows_of
from hashbench.runs.workbench import TOP, Workbench

QUERY_BLOCK = 256
CANDIDATES = 1000
"""The nearest codes of each query that are looked at: ten times the 100 neighbours."""


@dataclass(frozen=True)
class _Trained:
    """What a quantizer has given: its codes of the database, and the nearest of them to each query."""

    quantizer: Quantizer
    fit_s: float
    codes: np.ndarray
    encode_rate: float
    search: Search
    candidates: np.ndarray


def run_quantizer(job: Job, options: RunOptions, bench: Workbench) -> Outcome:
    """Run one cell of a quantizer.

    Parameters
    ----------
    job : Job
    options : RunOptions
    bench : Workbench
        That of the job's setting.

    Raises
    ------
    InputError
        The features cannot be made. Any failure of the quantizer ends only its cell.
    """
    clock, started = time.perf_counter(), now()
    reset_peak_memory()
    if job.skip or job.broken:
        status = "skipped" if job.skip else "failed"
        return Outcome(new_record(job, options, started, status=status, error=job.skip or job.broken))
    features, split, use = bench.source.features(), bench.dataset.split, GpuUse()
    try:
        data = cut(features, job.dims).data
        quantizer_class = bench.registry.find(job.kind, job.method).load()
        with kept_state(), use, plugin_code(), one_core():
            quantizer = make_method(quantizer_class, all_params(job.params, None, job.seed))
            trained = _trained(quantizer, data, split, bench.dataset.protocol.similarity or "euclidean")
    except Unsupported as error:
        why = failure_of(error).partition(": ")[2]
        return Outcome(new_record(job, options, started, status="skipped", error=why, **use.told))
    except Exception as error:
        return Outcome(new_record(job, options, started, status="failed", error=failure_of(error), **use.told))
    values, per_query = _measured(job, bench, trained, rows_of(data, split.query))
    values["timings"] |= {"features_s": features.seconds, "cell_s": time.perf_counter() - clock}
    arrays = {f"per_query:{name}": one for name, one in per_query.items()}
    return Outcome(new_record(job, options, started, **values, **use.told), arrays, trained.quantizer)


def _trained(quantizer: Quantizer, data: np.ndarray, split: Split, similarity: Similarity) -> _Trained:
    """Let a quantizer learn, encode and search."""
    train = rows_of(data, split.train)
    doing("fit")
    began = time.perf_counter()
    quantizer.fit(train)
    fit_s = time.perf_counter() - began
    doing("encode")
    codes, encode_rate = _encoded(quantizer, data, split.database)
    doing("search")
    search = quantizer.searcher(codes, similarity)
    queries = rows_of(data, split.query)
    rows = np.concatenate(list(_candidates(search, queries, min(CANDIDATES, len(codes)))))
    return _Trained(quantizer, fit_s, codes, encode_rate, search, rows)


def _measured(
    job: Job, bench: Workbench, trained: _Trained, queries: np.ndarray
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return what a record says of a cell that ended well, and its metrics by query."""
    assert bench.dataset.neighbors is not None
    per_query = recalls(trained.candidates, bench.dataset.neighbors, job.metrics)
    top = min(TOP, len(trained.codes))
    with plugin_code():
        rates = bench.one_core_rates(lambda some: trained.search(some, top), queries)
    values = {
        "metrics": {name: float(one.mean()) for name, one in per_query.items()},
        "timings": {"fit_s": trained.fit_s, "encode_items_per_s": trained.encode_rate, **rates},
        "peak_memory_mb": round(peak_memory_mb(), 1),
        "codes_sha256": {"database_codes": hashlib.sha256(trained.codes.data).hexdigest()},
        **what_collapsed(trained.quantizer, trained.codes),
    }
    return values, per_query


def _encoded(quantizer: Quantizer, data: np.ndarray, database: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the codes of the database, and how many were made in a second."""
    quantizer.encode(rows_of(data, database[: 2 * BLOCK_ROWS]))
    blocks, seconds = [], 0.0
    for start in range(0, len(database), ENCODE_ROWS):
        rows = rows_of(data, database[start : start + ENCODE_ROWS])
        began = time.perf_counter()
        blocks.append(quantizer.encode(rows))
        seconds += time.perf_counter() - began
    return np.concatenate(blocks), len(database) / seconds


def _candidates(search: Search, queries: np.ndarray, k: int) -> Iterator[np.ndarray]:
    """Yield the rows of the k nearest codes, some queries at a time."""
    for start in range(0, len(queries), QUERY_BLOCK):
        yield search(queries[start : start + QUERY_BLOCK], k)
