"""Real-valued queries against binary codes compared with the usual ways: the ratios, not the times, are the result.

Run with ``pytest benchmarks/test_asymmetric.py --benchmark-only -s``; the last lines are the table of ratios. Each job
is timed on a part of 10,000 queries and extrapolated, since every query costs the same.
"""

from functools import partial

import numpy as np
import pytest

from hashbench import evaluate
from hashbench.evaluation.asymmetric import nearest_asymmetric

N_QUERIES, N_ITEMS, SCRIPT_QUERIES, K = 512, 50_000, 40, 1000
SCALE = 10_000 / N_QUERIES
MEDIANS: dict[tuple, float] = {}


@pytest.fixture(scope="module", params=[64, 1280], ids="{} bits".format)
def case(request):
    """Return values and codes that depend on the class, as real ones do."""
    n_bits, rng = request.param, np.random.default_rng(request.param)
    own, theirs = rng.integers(0, 10, N_QUERIES), rng.integers(0, 10, N_ITEMS)
    centres = rng.standard_normal((10, n_bits))
    query = (centres[own] + 4 * rng.standard_normal((N_QUERIES, n_bits))).astype(np.float32)
    database = centres[theirs] + 4 * rng.standard_normal((N_ITEMS, n_bits)) > 0
    return n_bits, query, database, own, theirs


def timed(benchmark, key, job, scale):
    benchmark.group = str(key[0])
    benchmark.pedantic(job, rounds=3, warmup_rounds=1)
    MEDIANS[key] = benchmark.stats.stats.median * scale


def test_evaluate(benchmark, case):
    n_bits, query, database, own, theirs = case
    codes = np.packbits(database, axis=1)
    job = partial(evaluate, query, codes, own, theirs, ["mAP@1000", "mAP@all"], distance="asymmetric")
    timed(benchmark, (n_bits, "evaluate"), job, SCALE)


def test_nearest(benchmark, case):
    n_bits, query, database, *_ = case
    codes = np.packbits(database, axis=1)
    timed(benchmark, (n_bits, "nearest"), lambda: nearest_asymmetric(query, codes, K), SCALE)


def test_usual_script(benchmark, case):
    """Per query: a float32 product with ±1, argsort, cumulative precision."""
    n_bits, query, database, own, theirs = case
    signed = np.where(database, 1.0, -1.0).astype(np.float32)

    def script():
        for i in range(SCRIPT_QUERIES):
            ranked = (theirs == own[i])[np.argsort(-(signed @ query[i]))]
            for k in (K, N_ITEMS):
                hits = np.flatnonzero(ranked[:k]) + 1.0
                if len(hits):
                    np.mean(np.arange(1, len(hits) + 1) / hits)

    timed(benchmark, (n_bits, "script"), script, 10_000 / SCRIPT_QUERIES)


def test_whole_product(benchmark, case):
    """One float32 product for all queries, then argsort: needs the scores of all pairs in memory."""
    n_bits, query, database, own, theirs = case
    signed = np.where(database, 1.0, -1.0).astype(np.float32)
    some = query[: 2 * SCRIPT_QUERIES]

    def script():
        order = np.argsort(-(some @ signed.T), axis=1)
        ranked = np.take_along_axis(own[: len(some), None] == theirs, order, axis=1)
        precision = ranked.cumsum(axis=1) / np.arange(1, N_ITEMS + 1)
        for k in (K, N_ITEMS):
            (precision[:, :k] * ranked[:, :k]).sum(axis=1) / np.maximum(ranked[:, :k].sum(axis=1), 1)

    timed(benchmark, (n_bits, "product"), script, 10_000 / len(some))


def test_faiss(benchmark, case):
    """Top-1000 search among the codes as ±1 floats, 32 times their size; no metric."""
    faiss = pytest.importorskip("faiss")
    n_bits, query, database, *_ = case
    index = faiss.IndexFlatIP(n_bits)
    index.add(np.where(database, 1.0, -1.0).astype(np.float32))
    timed(benchmark, (n_bits, "faiss"), lambda: index.search(query, K), SCALE)


@pytest.fixture(scope="module", autouse=True)
def ratios():
    """Print the ratios once all is timed."""
    yield
    print("\nbits  evaluate (s)  script/evaluate  product/evaluate  nearest (s)  faiss/nearest")
    for n_bits in sorted({key[0] for key in MEDIANS}):
        names = ("evaluate", "script", "product", "nearest", "faiss")
        own, script, product, nearest, faiss = (MEDIANS.get((n_bits, name), np.nan) for name in names)
        print(
            f"{n_bits:4}  {own:12.1f}  {script / own:15.1f}  {product / own:16.1f}  {nearest:11.1f}  "
            f"{faiss / nearest:13.2f}"
        )
