"""The evaluation engine compared with the usual ways: the ratios, not the times, are the result.

Run with ``pytest benchmarks/test_engine.py --benchmark-only -s``; the last lines are the table of ratios.
"""

import numpy as np
import pytest
from numba import njit, prange

from hashbench.evaluation.counting.codes import item_words, word_major
from hashbench.evaluation.counting.histograms import class_histograms, mask_histograms, split_into_shards
from hashbench.evaluation.counting.kernels import popcount
from hashbench.evaluation.curves import curves
from hashbench.evaluation.evaluate import score
from hashbench.evaluation.relevance import masks_of

N_QUERIES, N_ITEMS, N_LABELS = 10_000, 50_000, 21
SCRIPT_QUERIES = 40
METRICS = ("mAP@1000", "mAP@all", "P@100", "P@1000")
MEDIANS: dict[tuple, float] = {}


@njit(parallel=True)
def bare_pass(queries, words, sums):
    """Sum each query's distances: xor and popcount alone, the floor that histograms are measured against."""
    n_items = words.shape[1]
    for i in prange(len(queries)):
        found = np.uint64(0)
        for w in range(words.shape[0]):
            word = queries[i, w]
            row = words[w]
            for j in range(n_items):
                found += popcount(word ^ row[j])
        sums[i] += found


@pytest.fixture(scope="module", params=[16, 64, 128], ids="{} bits".format)
def case(request):
    """Return codes whose distances depend on the class, as real ones do, and both kinds of labels."""
    n_bits, rng = request.param, np.random.default_rng(request.param)
    own, theirs = rng.integers(0, 10, N_QUERIES), rng.integers(0, 10, N_ITEMS)
    centres = rng.random((10, n_bits)) < 0.5
    query = centres[own] ^ (rng.random((N_QUERIES, n_bits)) < 0.25)
    database = centres[theirs] ^ (rng.random((N_ITEMS, n_bits)) < 0.25)
    own_labels, their_labels = rng.random((N_QUERIES, N_LABELS)) < 0.1, rng.random((N_ITEMS, N_LABELS)) < 0.1
    return n_bits, query, database, {"single": (own, theirs), "multi": (own_labels, their_labels)}


def timed(benchmark, key, job, scale=1.0, rounds=31):
    benchmark.group = " ".join(map(str, key[:-1]))
    benchmark.pedantic(job, rounds=rounds, warmup_rounds=1)
    MEDIANS[key] = benchmark.stats.stats.median * scale


def histograms(case, kind):
    n_bits, query, database, labels = case
    own, theirs = labels[kind]
    codes, items = np.packbits(query, axis=1), np.packbits(database, axis=1)
    if kind == "single":
        return lambda: class_histograms(codes, own, split_into_shards(items, theirs), n_bits)
    own, theirs = masks_of(own), masks_of(theirs)
    return lambda: mask_histograms(codes, own, split_into_shards(items, theirs), n_bits)


def test_bare_pass(benchmark, case):
    n_bits, query, database, _ = case
    queries, words = item_words(np.packbits(query, axis=1)), word_major(np.packbits(database, axis=1))
    sums = np.zeros(N_QUERIES, np.uint64)
    timed(benchmark, (n_bits, "floor", "bare"), lambda: bare_pass(queries, words, sums))


@pytest.mark.parametrize("kind", ["single", "multi"])
def test_histograms(benchmark, case, kind):
    timed(benchmark, (case[0], kind, "histograms"), histograms(case, kind))


@pytest.mark.parametrize("kind", ["single", "multi"])
def test_histograms_and_metrics(benchmark, case, kind):
    count = histograms(case, kind)

    def everything():
        evaluation = score(count(), METRICS)
        curves(evaluation.histograms)

    timed(benchmark, (case[0], kind, "all metrics"), everything)


@pytest.mark.parametrize("kind", ["single", "multi"])
def test_usual_script(benchmark, case, kind):
    """Per query: products of ±1 codes, argsort, cumulative precision; a part of the queries, extrapolated."""
    n_bits, query, database, labels = case
    own, theirs = labels[kind]
    signed_query, signed = (np.where(bits, 1.0, -1.0).astype(np.float32) for bits in (query, database))

    def script():
        for i in range(SCRIPT_QUERIES):
            distance = 0.5 * (n_bits - signed_query[i] @ signed.T)
            relevant = theirs == own[i] if kind == "single" else (own[i] @ theirs.T) > 0
            ranked = relevant[np.argsort(distance)]
            for k in (1000, N_ITEMS):
                top = ranked[:k]
                hits = np.flatnonzero(top) + 1.0
                if len(hits):
                    np.mean(np.arange(1, len(hits) + 1) / hits)

    timed(benchmark, (case[0], kind, "numpy script"), script, N_QUERIES / SCRIPT_QUERIES, rounds=3)


def test_faiss(benchmark, case):
    """Top-1000 search by faiss, then AP@1000."""
    faiss = pytest.importorskip("faiss")
    _, query, database, labels = case
    own, theirs = labels["single"]
    codes, items = np.packbits(query, axis=1), np.packbits(database, axis=1)
    index = faiss.IndexBinaryFlat(8 * items.shape[1])
    index.add(items)

    def search():
        _, found = index.search(codes, 1000)
        relevant = theirs[found] == own[:, None]
        precision = relevant.cumsum(axis=1) / np.arange(1, 1001)
        return ((precision * relevant).sum(axis=1) / np.maximum(relevant.sum(axis=1), 1)).mean()

    timed(benchmark, (case[0], "single", "faiss"), search, rounds=5)


@pytest.fixture(scope="module", autouse=True)
def ratios():
    """Print the ratios once all is timed."""
    yield
    print("\nbits  labels  histograms/bare  all/bare  script/all  faiss/all")
    for n_bits in sorted({key[0] for key in MEDIANS}):
        bare = MEDIANS[n_bits, "floor", "bare"]
        for kind in ("single", "multi"):
            timed_names = ("histograms", "all metrics", "numpy script", "faiss")
            counted, everything, script, faiss = (MEDIANS.get((n_bits, kind, name), np.nan) for name in timed_names)
            print(
                f"{n_bits:4}  {kind:6}  {counted / bare:15.1f}  {everything / bare:8.1f}  {script / everything:10.0f}  "
                f"{faiss / everything:9.0f}"
            )
