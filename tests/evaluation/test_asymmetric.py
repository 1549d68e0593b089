"""Ranking by real-valued queries against binary codes, against exact arithmetic and sorted lists."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import over_all_orders

from hashbench import evaluate
from hashbench.evaluation import asymmetric, score_order
from hashbench.evaluation import metrics as m
from hashbench.evaluation.asymmetric import nearest_asymmetric
from hashbench.evaluation.counting.histograms import Histograms

CUTOFFS = ("mAP@7", "mAP@7(min(k,R))", "mAP@7(R)", "P@5", "R@5", "success@3", "MRR@4", "mAP@7(optimistic)")
PLAIN = (*CUTOFFS, "mAP@all", "mAP@all(pessimistic)", "R-precision", "MRR@all")
GRADED = (*PLAIN, "nDCG@6", "nDCG@6(linear)", "ACG@6", "wmAP@6", "wmAP@all")


def exact_scores(values, bits, factors=None, offsets=None):
    """Return scores in whole numbers of any size, rounded as documented: for the factor, and for the offset."""
    unit = 2**200
    whole = np.array([[int(Fraction(float(value)) * unit) for value in query] for query in values], object)
    products = whole @ np.where(bits, 1, -1).astype(object).T
    scores = np.array([[product / unit for product in row] for row in products])
    if factors is not None:
        scores = scores * factors
    return scores if offsets is None else scores + offsets


def by_definition(scores, grades, metric, depths=()):
    """Return a metric's value for each query from groups of equal scores, one group per score."""
    values = []
    for row, grade in zip(scores, grades, strict=True):
        levels = np.unique(-row)
        shared = np.array([[np.bincount(grade[-row == level], minlength=grades.max() + 1) for level in levels]])
        total, relevant = shared.sum(axis=2), shared[:, :, 1:].sum(axis=2)
        n_relevant = relevant.sum(axis=1)
        nearest = {k: shared[:, :, len(depths) + 1 - i :].sum(axis=2) for i, k in enumerate(depths)}
        h = Histograms(total, relevant, n_relevant, shared if grades.max() > 1 and not depths else None, nearest)
        values.append(metric.per_query(h)[0])
    return np.array(values)


def problem(seed, n_bits, n_query=5, n_items=60, coarse=True, scaled=False):
    """Return values, bits, factors and offsets; coarse values and repeated codes make many ties."""
    rng = np.random.default_rng(seed)
    values = rng.integers(-2, 3, (n_query, n_bits)).astype(float) if coarse else rng.standard_normal((n_query, n_bits))
    bits = rng.random((n_items, n_bits)) < 0.5
    bits[n_items // 2 :] = bits[rng.integers(0, n_items // 2, n_items - n_items // 2)]
    factors = rng.choice([0.5, 1.0, -1.5], n_items) if scaled else None
    offsets = rng.integers(-2, 3, n_items).astype(float) if scaled else None
    return rng, values.astype(np.float32), bits, factors, offsets


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_bits=st.sampled_from([1, 3, 8, 20, 70]),
    n_items=st.sampled_from([2, 9, 60, 200]),
    coarse=st.booleans(),
    scaled=st.booleans(),
    kind=st.sampled_from(["classes", "labels", "graded", "neighbors"]),
)
def test_every_metric_by_definition(seed, n_bits, n_items, coarse, scaled, kind):
    rng, values, bits, factors, offsets = problem(seed, n_bits, 5, n_items, coarse, scaled)
    scores = exact_scores(values, bits, factors, offsets)
    names, depths = PLAIN, ()
    if kind == "classes":
        own, theirs = rng.integers(0, 4, 5), rng.integers(0, 3, n_items)
        grades, relevance = (own[:, None] == theirs).astype(int), {"query_labels": own, "database_labels": theirs}
    elif kind == "neighbors":
        k = min(n_items, 8)
        depths, names = (1, 2), (*PLAIN, "recall@1", "recall@2", "recall1@5")
        rows = np.stack([rng.permutation(n_items)[:k] for _ in range(5)])
        grades, relevance = np.zeros((5, n_items), int), {"neighbors": rows}
        for i, row in enumerate(rows):
            grades[i, row], grades[i, row[:2]], grades[i, row[:1]] = 1, 2, 3
    else:
        own, theirs = rng.random((5, 3)) < 0.5, rng.random((n_items, 3)) < 0.4
        grades, relevance = own.astype(int) @ theirs.T, {"query_labels": own, "database_labels": theirs}
        if kind == "graded":
            names = GRADED
        else:
            grades = np.minimum(grades, 1)
    extra = {"distance": "asymmetric", "database_factors": factors, "database_offsets": offsets}
    result = evaluate(values, bits, metrics=names, **relevance, **extra)
    for name in names:
        expected = by_definition(scores, grades, m.parse(name), depths)
        np.testing.assert_allclose(result.per_query[name], expected, rtol=0, atol=1e-12, err_msg=name)
        assert result[name] == result.per_query[name].mean()


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), k=st.integers(1, 12))
def test_ties_in_expectation_over_every_order(seed, k):
    rng, values, bits, _, _ = problem(seed, 2, 1, 9)
    relevant = rng.random(9) < 0.5
    scores = exact_scores(values, bits)[0]
    levels = np.unique(-scores)
    counts = np.array([[(-scores == level).sum(), relevant[-scores == level].sum()] for level in levels]).T
    names = {
        "hits": f"mAP@{k}",
        "min": f"mAP@{k}(min(k,R))",
        "P": f"P@{k}",
        "success": f"success@{k}",
        "MRR": f"MRR@{k}",
    }
    labels = np.array([1]), relevant.astype(int)
    result = evaluate(values, bits, *labels, list(names.values()), distance="asymmetric")
    for key, name in names.items():
        assert result[name] == pytest.approx(over_all_orders(key, *counts, k)[0], abs=1e-12)


@pytest.mark.parametrize("n_bits", [16, 64, 300])
def test_signs_as_values_rank_as_hamming_does(n_bits):
    rng = np.random.default_rng(n_bits)
    query, database = rng.random((20, n_bits)) < 0.5, rng.random((700, n_bits)) < 0.5
    own, theirs = rng.integers(0, 4, 20), rng.integers(0, 4, 700)
    names = ["mAP@50", "mAP@all", "P@10", "nDCG@10", "mAP@50(optimistic)", "mAP@all(pessimistic)"]
    expected = evaluate(query, database, own, theirs, names)
    found = evaluate(np.where(query, 0.3, -0.3), database, own, theirs, names, distance="asymmetric")
    for name in names:
        np.testing.assert_allclose(found.per_query[name], expected.per_query[name], rtol=0, atol=1e-12)


@pytest.mark.parametrize("n_bits", [37, 64, 1280])
@pytest.mark.parametrize("scaled", [False, True])
def test_nothing_depends_on_rows_or_blocks(monkeypatch, n_bits, scaled):
    rng, values, bits, factors, offsets = problem(n_bits, n_bits, 30, 900, coarse=False, scaled=scaled)
    own, theirs = rng.integers(0, 4, 30), rng.integers(0, 4, 900)

    def run(rows, values=values, own=own):
        scaling = {"database_factors": factors[rows], "database_offsets": offsets[rows]} if scaled else {}
        return evaluate(values, bits[rows], own, theirs[rows], ["mAP@50", "mAP@all"], distance="asymmetric", **scaling)

    whole = run(np.arange(900))
    assert len(np.unique(whole.per_query["mAP@all"])) == 30
    shuffled = run(rng.permutation(900))
    one = run(np.arange(900), values[7:8], own[7:8])
    monkeypatch.setattr(asymmetric, "QUERY_BLOCK", 7)
    monkeypatch.setattr(asymmetric, "UNPACKED_BYTES", 8 * n_bits * 101)
    monkeypatch.setattr(asymmetric, "GROUP_BYTES", 1)
    in_blocks = run(np.arange(900))
    for name in whole:
        assert (whole.per_query[name] == shuffled.per_query[name]).all()
        assert (whole.per_query[name] == in_blocks.per_query[name]).all()
        assert whole.per_query[name][7] == one.per_query[name][0]


def test_sums_that_floats_would_round_apart_are_tied():
    # Both items get 0.1 + 0.2 + 0.3 − …, added up in another order: equal in exact arithmetic only.
    values = np.array([[0.1, 0.2, 0.3, 0.1, 0.2, 0.3]])
    bits = np.array([[1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1], [1, 0, 0, 0, 1, 1], [0, 1, 1, 1, 0, 0]], bool)
    result = evaluate(values, bits, np.array([1]), np.array([1, 0, 0, 0]), ["P@1"], distance="asymmetric")
    assert result["P@1"] == 0.25


def test_squared_distances_by_factor_and_offset():
    """RaBitQ's form of the distance, exact for items that are multiples of their codes."""
    rng = np.random.default_rng(0)
    query, bits = rng.standard_normal((6, 24)), rng.random((200, 24)) < 0.5
    norms = rng.uniform(0.5, 3, 200)
    items = norms[:, None] * np.where(bits, 1, -1) / np.sqrt(24)
    distances = ((query[:, None] - items) ** 2).sum(axis=2)
    rows, scores = nearest_asymmetric(query, bits, 200, 2 * norms / np.sqrt(24), -(norms**2))
    assert (rows == np.argsort(distances, axis=1)).all()
    squared = (query**2).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(squared - scores, np.sort(distances, axis=1), rtol=1e-12)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_bits=st.sampled_from([1, 4, 30]),
    n_items=st.integers(1, 90),
    k=st.integers(1, 90),
    step=st.sampled_from([1, 7, 1000]),
    coarse=st.booleans(),
    scaled=st.booleans(),
)
def test_nearest_by_a_stable_sort(seed, n_bits, n_items, k, step, coarse, scaled):
    _, values, bits, factors, offsets = problem(seed, n_bits, 4, max(2, n_items), coarse, scaled)
    scores = exact_scores(values, bits, factors, offsets)
    k = min(k, len(bits))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asymmetric, "NEAREST_STEP", step)
        rows, found = nearest_asymmetric(values, np.packbits(bits, axis=1), k, factors, offsets)
    expected = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    assert (rows == expected).all()
    assert (found == np.take_along_axis(scores, expected, axis=1)).all()


@pytest.mark.parametrize(
    "scores",
    [
        np.zeros(5000),
        np.r_[1e300, np.linspace(0, 1e-9, 3000), np.full(500, 1e-10)],
        np.repeat(np.linspace(-1, 1, 50), 100),
        np.array([5e-324, 0.0, -5e-324, -0.0]),
        np.random.default_rng(0).standard_normal(2**20 + 3),
    ],
    ids=["all tied", "an outlier", "runs", "subnormal", "long"],
)
def test_the_order_is_that_of_a_stable_sort(scores):
    scores = np.random.default_rng(1).permutation(scores)
    words = score_order.descending(scores, np.empty(len(scores), np.uint64), np.empty(len(scores), np.uint64))
    assert ((words & score_order.ROW).astype(np.int64) == np.argsort(-scores, kind="stable")).all()


def test_no_histograms_are_kept():
    values, labels = np.ones((2, 8)), np.zeros(2, int)
    result = evaluate(values, values > 0, labels, labels, ["mAP@all"], distance="asymmetric")
    with pytest.raises(ValueError, match="keeps no histograms"):
        _ = result.histograms


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"query_codes": np.ones((3, 2), np.uint8)}, "query_codes has dtype uint8, expected real values"),
        ({"query_codes": np.ones(12)}, "query_codes has shape (12,)"),
        ({"query_codes": np.ones((0, 12))}, "query_codes has shape (0, 12)"),
        ({"query_codes": np.array([[1.0] * 12, [np.nan] * 12, [1.0] * 12])}, "holds nan at (1, 0)"),
        ({"query_codes": np.full((3, 12), 1e308)}, "beyond float64's range"),
        ({"query_codes": np.ones((3, 17))}, "17 values and database_codes 16 bits"),
        ({"query_codes": np.ones((3, 8))}, "8 values and database_codes 16 bits"),
        ({"database_codes": np.ones((9, 16), bool)}, "12 values and database_codes 16 bits"),
        ({"n_bits": 11}, "12 values and database_codes 11 bits"),
        ({"database_codes": np.full((9, 2), 255, np.uint8)}, "database_codes has bit 12 set in row 0"),
        ({"database_factors": np.ones(8)}, "database_factors has shape (8,) and dtype float64, expected (9,)"),
        ({"database_offsets": np.r_[np.ones(8), np.inf]}, "database_offsets holds inf in row 8"),
        ({"database_factors": np.full(9, 1e308)}, "beyond float64's range"),
        ({"metrics": ["P@r2"]}, "P@r2 is within a Hamming radius"),
        ({"neighbors": np.zeros((3, 1), int), "metrics": ["recall@5"]}, "recall@5 needs 5 neighbors, got 1"),
        ({"distance": "hamming", "database_factors": np.ones(9)}, "go with distance='asymmetric' alone"),
    ],
)
def test_unusable_arguments_are_named(change, message):
    arguments = {
        "query_codes": np.ones((3, 12)),
        "database_codes": np.zeros((9, 2), np.uint8),
        "query_labels": np.zeros(3, int),
        "database_labels": np.zeros(9, int),
        "distance": "asymmetric",
    }
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (the message is compared below, as text)
        evaluate(**{**arguments, **change})
    assert message in str(caught.value)


@pytest.mark.parametrize("k", [0, 10])
def test_nearest_refuses_a_k_that_the_database_does_not_have(k):
    with pytest.raises(ValueError, match=f"k={k}: expected 1 to 9"):
        nearest_asymmetric(np.ones((2, 8)), np.zeros((9, 1), np.uint8), k)
