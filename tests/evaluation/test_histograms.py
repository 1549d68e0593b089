"""Distance histograms against plain counting, for every code width, label kind and number of shards."""

import os
import subprocess
import sys

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import hamming
from reference import histograms as naive

from hashbench import evaluate
from hashbench.evaluation.counting import kernels
from hashbench.evaluation.counting.codes import item_words, word_major
from hashbench.evaluation.counting.histograms import class_histograms, mask_histograms, neighbor_histograms
from hashbench.evaluation.relevance import masks_of

WIDTHS = [1, 7, 8, 16, 63, 64, 65, 100, 127, 128, 129, 192, 255, 256, 257, 300, 1024]


def random_bits(rng, n, n_bits):
    bits = rng.random((n, n_bits)) < rng.uniform(0.2, 0.8)
    bits[: n // 8] = bits[0]
    return bits


def pack(bits):
    return np.packbits(bits, axis=1)


def shards(codes, labels, n_shards):
    cuts = np.array_split(np.arange(len(codes)), n_shards)
    return [(codes[c], None if labels is None else labels[c]) for c in cuts if len(c)]


@pytest.mark.parametrize("n_bits", WIDTHS)
@pytest.mark.parametrize("n_items", [1, 5000, 40_000])
def test_single_label(n_bits, n_items):
    rng = np.random.default_rng([n_bits, n_items])
    query, database = random_bits(rng, 5, n_bits), random_bits(rng, n_items, n_bits)
    database[-1] = ~query[0]
    own, theirs = rng.integers(0, 4, 5), rng.integers(0, 3, n_items)
    total, relevant = naive(hamming(query, database), own[:, None] == theirs[None], n_bits)
    for n_shards in (1, 3):
        h = class_histograms(pack(query), own, shards(pack(database), theirs, n_shards), n_bits)
        assert (h.total == total).all()
        assert (h.relevant == relevant).all()
        assert (h.n_relevant == relevant.sum(axis=1)).all()


@pytest.mark.parametrize("n_bits", WIDTHS)
@pytest.mark.parametrize("n_labels", [1, 21, 64, 80, 130])
def test_multi_label(n_bits, n_labels):
    rng = np.random.default_rng([n_bits, n_labels])
    query, database = random_bits(rng, 4, n_bits), random_bits(rng, 5003, n_bits)
    database[-1] = ~query[0]
    own, theirs = rng.random((4, n_labels)) < 0.1, rng.random((5003, n_labels)) < 0.1
    own[0] = False
    common = own.astype(int) @ theirs.T.astype(int)
    total, relevant = naive(hamming(query, database), common > 0, n_bits)
    for graded in (False, True):
        h = mask_histograms(
            pack(query), masks_of(own), shards(pack(database), masks_of(theirs), 2), n_bits, graded=graded
        )
        assert (h.total == total).all()
        assert (h.relevant == relevant).all()
    for s in range(int(common.max()) + 1):
        counted = naive(hamming(query, database), common == s, n_bits)[1]
        assert (h.shared[:, :, s] == counted).all()


@pytest.mark.parametrize("n_bits", [16, 64, 300])
def test_true_neighbors(n_bits):
    rng = np.random.default_rng(n_bits)
    query, database = random_bits(rng, 6, n_bits), random_bits(rng, 1000, n_bits)
    neighbors = np.stack([rng.permutation(1000)[:20] for _ in range(6)])
    distances = hamming(query, database)
    h = neighbor_histograms(pack(query), neighbors, shards(pack(database), None, 3), n_bits, depths=[5, 20])
    for k, counts in ((5, h.nearest[5]), (20, h.nearest[20]), (20, h.relevant)):
        relevance = np.zeros((6, 1000), int)
        np.put_along_axis(relevance, neighbors[:, :k], 1, axis=1)
        assert (counts == naive(distances, relevance, n_bits)[1]).all()
    result = evaluate(pack(query), pack(database), neighbors=neighbors, metrics=["recall@20", "mAP@all"])
    drawn = []
    for _ in range(300):
        ranked = np.argsort(distances + 0.5 * rng.random(distances.shape), axis=1)[:, :20]
        drawn.append(np.mean([len(set(a) & set(b)) / 20 for a, b in zip(ranked, neighbors, strict=True)]))
    assert abs(result["recall@20"] - np.mean(drawn)) <= 5 * np.std(drawn) / np.sqrt(len(drawn)) + 1e-12


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 300), st.integers(1, 60), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_nothing_depends_on_order_shards_or_threads(n_bits, n_items, n_shards, seed):
    rng = np.random.default_rng(seed)
    query, database = random_bits(rng, 3, n_bits), random_bits(rng, n_items, n_bits)
    own, theirs = rng.integers(0, 3, 3), rng.integers(0, 3, n_items)
    names = ["mAP@10", "mAP@all", "P@5"]
    whole = evaluate(query, database, own, theirs, names)
    order = rng.permutation(n_items)
    threads = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        shuffled = evaluate(query, database[order], own, theirs[order], names)
        cut = class_histograms(pack(query), own, shards(pack(database), theirs, n_shards), n_bits)
    finally:
        numba.set_num_threads(threads)
    assert dict(whole) == dict(shuffled)
    assert (cut.total == whole.histograms.total).all()
    assert (cut.relevant == whole.histograms.relevant).all()


@pytest.mark.parametrize("n_bits", [1, 16, 64, 130])
def test_nearest_breaks_ties_by_item_number(n_bits):
    rng = np.random.default_rng(n_bits)
    query, database = random_bits(rng, 40, n_bits), random_bits(rng, 700, n_bits)
    distances = hamming(query, database)
    for k in (1, 10, 700):
        items, found = kernels.nearest(item_words(pack(query)), word_major(pack(database)), n_bits, k)
        expected = np.argsort(distances, axis=1, kind="stable")[:, :k]
        assert (items == expected).all()
        assert (found == np.take_along_axis(distances, expected, axis=1)).all()


@pytest.mark.parametrize(
    ("n_bits", "k", "message"),
    [
        (60, 3, "items have a bit beyond 60 set in row 2"),
        (64, 8, "k=8: expected 1 to 7"),
        (64, 0, "k=0: expected 1 to 7"),
        (65, 3, "queries have 1 words, expected 2 for 65 bits"),
    ],
)
def test_nearest_refuses_what_it_would_index_by(n_bits, k, message):
    queries, words = np.zeros((2, 1), np.uint64), np.zeros((1, 7), np.uint64)
    words[0, 2] = np.uint64(2**56)  # bit 63: packed codes are big-endian within a byte
    with pytest.raises(ValueError, match=message):
        kernels.nearest(queries, words, n_bits, k)


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{"NUMBA_CPU_NAME": "generic"}, {"NUMBA_ENABLE_AVX": "0"}])
def test_processors_without_avx512(settings, tmp_path):
    """The same counts where numba compiles for an older processor, whatever this one has."""
    script = (
        "import numpy as np; from hashbench import evaluate; from hashbench.evaluation.counting import plane_counting\n"
        "assert not plane_counting.TERNARY\n"
        "rng = np.random.default_rng(0)\n"
        "query, database = rng.random((20, 64)) < 0.5, rng.random((3000, 64)) < 0.5\n"
        "own, theirs = rng.random((20, 21)) < 0.2, rng.random((3000, 21)) < 0.2\n"
        "distances = (query[:, None] != database).sum(axis=2)\n"
        "for a, b in ((own.argmax(1), theirs.argmax(1)), (own, theirs)):\n"
        "    h = evaluate(query, database, a, b, []).histograms\n"
        "    shares = a[:, None] == b if a.ndim == 1 else (a.astype(int) @ b.T.astype(int)) > 0\n"
        "    for i in range(20):\n"
        "        assert (h.total[i] == np.bincount(distances[i], minlength=65)).all()\n"
        "        assert (h.relevant[i] == np.bincount(distances[i], shares[i], minlength=65)).all()\n"
    )
    environment = {**os.environ, **settings, "NUMBA_CACHE_DIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", script], check=True, env=environment)
