"""What the engine's compiled kernels gain over plainer code: bit planes over a loop, the radix sort over numpy's.

Run with ``pytest benchmarks/test_kernels.py --benchmark-only``; ratios within a group are the result. A kernel is kept
where it is at least 1.5 times faster than the plain code, on one thread and on all.
"""

import numba
import numpy as np
import pytest
from numba import njit, prange

from hashbench.evaluation.counting import bitplanes, kernels
from hashbench.evaluation.counting.codes import item_words, word_major
from hashbench.evaluation.score_order import ROW, descending

N_QUERIES, N_ITEMS, N_CLASSES, N_LABELS = 2_000, 50_000, 10, 21
THREADS = sorted({1, numba.config.NUMBA_NUM_THREADS})


@pytest.fixture(params=THREADS, ids="{} threads".format)
def threads(request):
    numba.set_num_threads(request.param)
    yield request.param
    numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)


@pytest.fixture(params=[16, 64, 128], ids="{} bits".format)
def codes(request):
    rng = np.random.default_rng(request.param)
    query, items = (rng.integers(0, 256, (n, request.param // 8), np.uint8) for n in (N_QUERIES, N_ITEMS))
    return item_words(query), word_major(items), request.param


def counters(n_bits):
    return np.zeros((2, N_QUERIES, n_bits + 1), np.int64)


@pytest.mark.parametrize("how", ["planes", "loop"])
def test_histograms_by_class(benchmark, codes, threads, how):
    queries, words, n_bits = codes
    classes = np.arange(N_QUERIES) % N_CLASSES
    starts = np.linspace(0, N_ITEMS, N_CLASSES + 1).astype(np.int64)

    def planes():
        of = bitplanes.planes_of(words, n_bits)
        bitplanes.histograms_by_class(queries, classes, of, N_ITEMS, starts, *counters(n_bits))

    def loop():
        kernels.histograms_by_class(queries, classes, words, starts, *counters(n_bits))

    benchmark.group = f"by class, {n_bits} bits, {threads} threads"
    benchmark.pedantic(planes if how == "planes" else loop, rounds=15, warmup_rounds=1)


@pytest.mark.parametrize("how", ["planes", "loop"])
def test_histograms_by_mask(benchmark, codes, threads, how):
    queries, words, n_bits = codes
    rng = np.random.default_rng(0)
    # A tenth of the labels is true: the AND of three random words keeps an eighth of the bits.
    query_masks, masks = (
        np.bitwise_and.reduce(rng.integers(0, 2**N_LABELS, (3, *shape), np.uint64))
        for shape in ((N_QUERIES, 1), (1, N_ITEMS))
    )

    def planes():
        of, labels = bitplanes.planes_of(words, n_bits), bitplanes.planes_of(masks, N_LABELS)
        bitplanes.histograms_by_mask(queries, query_masks, of, N_ITEMS, labels, *counters(n_bits))

    def loop():
        kernels.histograms_by_mask(queries, query_masks, words, masks, *counters(n_bits))

    benchmark.group = f"by mask, {n_bits} bits, {threads} threads"
    benchmark.pedantic(planes if how == "planes" else loop, rounds=15, warmup_rounds=1)


@njit(parallel=True)
def radix(scores, rows):
    for i in prange(len(scores)):
        n = scores.shape[1]
        order = descending(scores[i], np.empty(n, np.uint64), np.empty(n, np.uint64))
        for j in range(n):
            rows[i, j] = np.int64(order[j] & ROW)


@njit(parallel=True)
def merging(scores, rows):
    for i in prange(len(scores)):
        rows[i] = np.argsort(-scores[i], kind="mergesort")


def of_numpy(scores, rows):
    rows[:] = np.argsort(-scores, axis=1, kind="stable")


@pytest.mark.parametrize("how", [radix, merging, of_numpy], ids=lambda how: how.__name__)
@pytest.mark.parametrize("n_items", [1_000, 50_000, 1_000_000])
def test_order_of_scores(benchmark, threads, n_items, how):
    n_rows = 4_000_000 // n_items
    scores = np.random.default_rng(0).standard_normal((n_rows, n_items))
    rows = np.empty(scores.shape, np.int64)
    benchmark.group = f"order of {n_items:,} scores, {threads} threads"
    benchmark.pedantic(how, (scores, rows), rounds=7, warmup_rounds=1)
    assert np.array_equal(rows[0], np.argsort(-scores[0], kind="stable"))
