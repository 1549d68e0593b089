"""True neighbours against plain float64 counting, and recall of them against every order of the ties."""

import sys
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import over_all_orders

from hashbench import InputError, evaluate
from hashbench.data import neighbors
from hashbench.data.dataset import hold_out_validation
from hashbench.data.splits import Split
from hashbench.evaluation import metrics as m
from hashbench.evaluation.counting.histograms import Histograms

SEARCHES = ["faiss", "scikit-learn"]


@pytest.fixture(params=SEARCHES)
def search(request):
    if request.param == "faiss":
        pytest.importorskip("faiss")
        return neighbors.faiss_search
    return neighbors.sklearn_search


def naive(vectors, query, database, k, similarity="euclidean"):
    """Sort all distances, ties by place."""
    exact = vectors.astype(np.float64)
    if similarity == "cosine":
        exact = exact / np.sqrt((exact**2).sum(axis=1))[:, None]
    found = []
    for row in query:
        difference = exact[database] - exact[row]
        far = np.einsum("ij,ij->i", difference, difference)
        if similarity == "ip":
            far = -np.einsum("ij,ij->i", exact[database], np.broadcast_to(exact[row], (len(database), exact.shape[1])))
        found.append(np.argsort(far, kind="stable")[:k])
    return np.array(found)


def cloud(kind, n, width, rng):
    X = rng.standard_normal((n, width))
    if kind == "far from the origin":  # squared distances in float32 are mostly rounding there
        X += 3000
    elif kind == "in far clusters":  # no middle helps there
        X = 1e-3 * X + 3000 * rng.choice([-1, 1], (n, 1))
    elif kind == "many equal":
        X = X[rng.integers(n // 8, size=n)]
    elif kind == "all equal":
        X[:] = X[0]
    elif kind == "of every length":
        X *= 10.0 ** rng.uniform(-6, 6, (n, 1))
    elif kind == "tiny":
        X *= 1e-30
    return X.astype(np.float32)


KINDS = ["plain", "far from the origin", "in far clusters", "many equal", "all equal", "of every length", "tiny"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("similarity", ["euclidean", "cosine", "ip"])
def test_neighbors_equal_a_sorted_list_whatever_finds_them(search, kind, similarity, monkeypatch):
    rng = np.random.default_rng(0)
    X = cloud(kind, 900, 20, rng)
    order = rng.permutation(900)
    query, database = order[:30], order[30:]
    expected = naive(X, query, database, 10, similarity)
    for block_bytes in (2**25, 80 * 100):
        monkeypatch.setattr(neighbors, "BLOCK_BYTES", block_bytes)
        monkeypatch.setattr(neighbors, "EXACT_BYTES", block_bytes)
        found = neighbors.true_neighbors(X, query, database, 10, similarity=similarity, search=search)
        assert (found == expected).all()


def test_faiss_and_scikit_learn_find_the_same():
    pytest.importorskip("faiss")
    rng = np.random.default_rng(1)
    X = np.maximum(rng.standard_normal((5000, 64)), 0).astype(np.float32)
    X[4000:4050] = X[:50]
    query, database = np.arange(4000, 5000), np.arange(4000)
    first, second = (
        neighbors.true_neighbors(X, query, database, 100, search=search)
        for search in (neighbors.faiss_search, neighbors.sklearn_search)
    )
    assert (first == second).all()
    assert (first[:50, 0] == np.arange(50)).all()


def test_few_queries_take_the_products_of_many(monkeypatch):
    faiss = pytest.importorskip("faiss")
    knn, own, during = faiss.knn, faiss.cvar.distance_compute_blas_threshold, []

    def watched(*arguments):
        during.append(faiss.cvar.distance_compute_blas_threshold)
        return knn(*arguments)

    monkeypatch.setattr(faiss, "knn", watched)
    X = np.random.default_rng(5).standard_normal((200, 8)).astype(np.float32)
    neighbors.faiss_search(X[:2], X, 3)
    assert during == [0]
    assert faiss.cvar.distance_compute_blas_threshold == own
    with pytest.raises(AssertionError):  # queries of another width
        neighbors.faiss_search(X[:2, :4].copy(), X, 3)
    assert faiss.cvar.distance_compute_blas_threshold == own


@pytest.mark.parametrize("kind", ["far from the origin", "in far clusters", "all equal"])
def test_doubtful_neighbors_take_no_memory_of_all_pairs(search, kind):
    n, n_query = 12_000, 400
    X = cloud(kind, n + n_query, 8, np.random.default_rng(0))
    query, database = np.arange(n, n + n_query), np.arange(n)
    neighbors.true_neighbors(X[:60], np.arange(2), np.arange(2, 60), 20, search=search)  # imports
    tracemalloc.start()
    found = neighbors.true_neighbors(X, query, database, 20, search=search)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (found[:5] == naive(X, query[:5], database, 20)).all()
    assert peak < 8 * n * n_query  # one float64 number a pair would be more


def test_all_of_a_small_database_are_neighbors(search):
    X = np.random.default_rng(2).standard_normal((12, 3)).astype(np.float32)
    query, database = np.array([0]), np.arange(1, 12)
    found = neighbors.true_neighbors(X, query, database, 11, search=search)
    assert (found == naive(X, query, database, 11)).all()


def test_unusable_vectors_are_named(search):
    X = np.ones((50, 3), np.float32)
    X[7] = 0
    with pytest.raises(InputError, match="row 7 is all zeros"):
        neighbors.true_neighbors(X, np.array([0]), np.arange(1, 50), 5, similarity="cosine", search=search)
    X = np.random.default_rng(0).standard_normal((50, 3)).astype(np.float32) * np.float32(1e30)
    with pytest.raises(InputError, match="beyond float32"):
        neighbors.true_neighbors(X, np.array([0]), np.arange(1, 50), 5, search=search)


def test_neighbors_are_computed_once_and_go_on_where_they_were(tmp_path, monkeypatch):
    X = np.random.default_rng(3).standard_normal((300, 5)).astype(np.float32)
    split = Split(np.arange(250), np.arange(250, 300), np.arange(250))
    monkeypatch.setattr(neighbors, "QUERY_STEP", 20)
    computed, compute = [], neighbors.true_neighbors

    def watched(vectors, query, *arguments, **keywords):
        if len(computed) == 2:
            raise KeyboardInterrupt
        computed.append(query)
        return compute(vectors, query, *arguments, **keywords)

    monkeypatch.setattr(neighbors, "true_neighbors", watched)
    with pytest.raises(KeyboardInterrupt):
        neighbors.cached_neighbors(X, split, 7, "euclidean", "f", tmp_path)
    monkeypatch.setattr(neighbors, "true_neighbors", compute)
    found = neighbors.cached_neighbors(X, split, 7, "euclidean", "f", tmp_path)
    assert (found == naive(X, split.query, split.database, 7)).all()

    def never(*arguments, **keywords):
        raise AssertionError("computed again")

    monkeypatch.setattr(neighbors, "true_neighbors", never)
    assert (neighbors.cached_neighbors(X, split, 7, "euclidean", "f", tmp_path) == found).all()
    other = Split(split.train, split.query[::-1], split.database)
    for changed in [(other, 7, "euclidean", "f"), (split, 8, "euclidean", "f"), (split, 7, "cosine", "f")]:
        with pytest.raises(AssertionError, match="again"):
            neighbors.cached_neighbors(X, *changed, tmp_path)
    with pytest.raises(AssertionError, match="again"):
        neighbors.cached_neighbors(X, split, 7, "euclidean", "other data", tmp_path)


groups = st.lists(
    st.integers(0, 4).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))), min_size=1, max_size=5
).filter(lambda pairs: sum(n for n, _ in pairs) <= 11 and sum(r for _, r in pairs) > 0)


@settings(max_examples=100, deadline=None)
@given(groups, st.integers(0, 12))
def test_recall_of_k_among_more_equals_every_order_of_the_ties(pairs, more):
    total, nearest = (np.array([column], np.int64) for column in zip(*pairs, strict=True))
    k = int(nearest.sum())
    histograms = Histograms(total, nearest, nearest.sum(axis=1), nearest={k: nearest})
    mean = over_all_orders("R", total[0], nearest[0], k + more)[0]
    metric = m.NeighborRecall(k, k + more) if more else m.NeighborRecall(k)
    assert metric.per_query(histograms)[0] == pytest.approx(mean, abs=1e-12)


def test_recall_of_codes_equals_sorting_without_ties():
    rng = np.random.default_rng(4)
    ranked = rng.permutation(300)
    query, database = np.zeros((8, 500), bool), np.zeros((300, 500), bool)
    for place, item in enumerate(ranked):
        database[item, rng.permutation(500)[:place]] = True
    true = np.argsort(rng.random((8, 300)), axis=1)[:, :20]
    codes = np.packbits(query, axis=1), np.packbits(database, axis=1)
    names = ["recall@5", "recall5@40", "recall20@150", "recall20@9999", "recall@20"]
    found = evaluate(*codes, neighbors=true, metrics=names, n_bits=500)
    for name, k, among in zip(names, (5, 5, 20, 20, 20), (5, 40, 150, 300, 20), strict=True):
        shares = [len(set(true[i, :k]) & set(ranked[:among])) / k for i in range(8)]
        np.testing.assert_allclose(found.per_query[name], shares, rtol=0, atol=1e-12)
    with pytest.raises(ValueError, match="recall21@30 needs 21 neighbors, got 20"):
        evaluate(*codes, neighbors=true, metrics=["recall@5", "recall21@30"], n_bits=500)


@pytest.mark.parametrize(
    ("neighbors_of_two", "words"),
    [
        ([[0, 1], [2, 2]], "twice for query 1"),
        ([[0, -1], [2, 1]], "row -1, the database has 5"),
        ([[0, 1], [2, 5]], "row 5, the database has 5"),
        ([[0, 1]], r"\(1, 2\)"),
    ],
)
def test_neighbors_that_cannot_be_are_refused(neighbors_of_two, words):
    codes = np.zeros((2, 1), np.uint8), np.zeros((5, 1), np.uint8)
    with pytest.raises(ValueError, match=words):
        evaluate(*codes, neighbors=np.array(neighbors_of_two), metrics=["recall@2"])


def test_without_faiss_scikit_learn_searches(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    assert neighbors.default_search() is neighbors.sklearn_search


def test_names_of_recalls():
    assert repr(m.parse("recall10@100")) == "recall10@100"
    assert repr(m.parse("recall@10")) == "recall@10"
    for name, words in [("recall10@10", "more than 10"), ("recall10@5", "more than 10"), ("recall0@5", "at least 1")]:
        with pytest.raises(ValueError, match=words):
            m.parse(name)
    names = ["P@100", "mAP@all", "recall@100", "recall10@1000", "mAP@1000", "recall@10", "recall10@100"]
    assert m.headline(names) == ["recall@10", "recall10@100", "recall10@1000", "recall@100"]
    assert m.headline(["P@5", "mAP@all", "mAP@5000", "mAP@1000"]) == ["mAP@1000", "mAP@5000", "mAP@all"]
    assert m.headline(["mAP@all", "P@1000", "P@100"]) == ["P@100", "P@1000", "mAP@all"]


def test_held_out_queries_keep_their_neighbors(tmp_path):
    from hashbench import load_dataset

    X = np.random.default_rng(5).standard_normal((600, 8)).astype(np.float32)
    np.save(tmp_path / "database.npy", X[:500])
    np.save(tmp_path / "query.npy", X[500:])
    dataset = load_dataset("vectors", data_dir=tmp_path, cache_dir=tmp_path / "cache")
    for half in hold_out_validation(dataset):
        assert len(half.split.query) == 50
        assert (half.neighbors == naive(X, half.split.query, half.split.database, 100)).all()
