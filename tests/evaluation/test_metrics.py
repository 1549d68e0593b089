"""The histogram metrics against their definitions: every order of the ties, and many shuffles."""

from dataclasses import dataclass
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import over_all_graded_orders, over_all_orders, ranked_value

from hashbench import ContractError, evaluate
from hashbench.cli.metric_list import metric_lines
from hashbench.evaluation import metrics as m
from hashbench.evaluation.counting.histograms import Histograms
from hashbench.evaluation.curves import at_equal_recall, curves, pooled_curve
from hashbench.evaluation.formulas.harmonic import reciprocal_sums

groups = st.lists(
    st.integers(0, 4).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))), min_size=1, max_size=5
).filter(lambda pairs: 0 < sum(n for n, _ in pairs) <= 11)


def make(pairs):
    total, relevant = (np.array([column], np.int64) for column in zip(*pairs, strict=True))
    return Histograms(total, relevant, relevant.sum(axis=1))


@settings(max_examples=150, deadline=None)
@given(groups, st.integers(1, 14))
def test_every_order_of_the_ties(pairs, k):
    h = make(pairs)
    total, relevant = h.total[0], h.relevant[0]
    size = int(total.sum())
    for name, metric in (
        ("hits", lambda ties: m.MAP(k, "hits", ties)),
        ("min", lambda ties: m.MAP(k, "min(k,R)", ties)),
        ("all", lambda ties: m.MAP(k, "R", ties)),
    ):
        mean, low, high = over_all_orders(name, total, relevant, k)
        assert metric("expected").per_query(h)[0] == pytest.approx(mean, abs=1e-12)
        assert metric("pessimistic").per_query(h)[0] == pytest.approx(low, abs=1e-12)
        assert metric("optimistic").per_query(h)[0] == pytest.approx(high, abs=1e-12)
    mean, low, high = over_all_orders("min", total, relevant, None)
    assert m.MAP().per_query(h)[0] == pytest.approx(mean, abs=1e-12)
    assert m.MAP(ties="pessimistic").per_query(h)[0] == pytest.approx(low, abs=1e-12)
    assert m.MAP(ties="optimistic").per_query(h)[0] == pytest.approx(high, abs=1e-12)
    assert m.PrecisionAt(k).per_query(h)[0] == pytest.approx(over_all_orders("P", total, relevant, k)[0], abs=1e-12)
    assert m.RecallAt(k).per_query(h)[0] == pytest.approx(over_all_orders("R", total, relevant, k)[0], abs=1e-12)
    for name, metric in (("success", m.SuccessAt(k)), ("MRR", m.MRR(k))):
        assert metric.per_query(h)[0] == pytest.approx(over_all_orders(name, total, relevant, k)[0], abs=1e-12)
    assert m.MRR().per_query(h)[0] == pytest.approx(over_all_orders("MRR", total, relevant, None)[0], abs=1e-12)
    n_relevant = int(relevant.sum())
    if n_relevant:
        expected = over_all_orders("P", total, relevant, n_relevant)[0]
        assert m.RPrecision().per_query(h)[0] == pytest.approx(expected, abs=1e-12)
    for radius in range(len(total)):
        inside = total[: radius + 1], relevant[: radius + 1]
        if inside[0].sum():
            for denominator, share in (("hits", 1.0), ("R", inside[1].sum() / max(n_relevant, 1))):
                expected = over_all_orders("hits", *inside, None)[0] * share
                value = m.MAPWithin(radius, denominator).per_query(h)[0]
                assert value == pytest.approx(expected, abs=1e-12)
    assert m.MAP(size).per_query(h)[0] == pytest.approx(m.MAP(size + 5).per_query(h)[0], abs=0)


graded_groups = st.lists(st.lists(st.integers(0, 3), max_size=4), min_size=1, max_size=4).filter(
    lambda groups: 0 < sum(map(len, groups)) <= 9
)


@settings(max_examples=80, deadline=None)
@given(graded_groups, st.integers(1, 10))
def test_every_order_of_graded_ties(groups, k):
    shared = np.array([[np.bincount(group, minlength=4) for group in groups]], np.int64)
    total, relevant = shared.sum(axis=2), shared[:, :, 1:].sum(axis=2)
    h = Histograms(total, relevant, relevant.sum(axis=1), shared, several_labels=True)
    for name, metric in (
        ("ACG", m.ACG(k)),
        ("wmAP", m.WeightedMAP(k)),
        ("exponential", m.NDCG(k)),
        ("linear", m.NDCG(k, "linear")),
    ):
        assert metric.per_query(h)[0] == pytest.approx(over_all_graded_orders(name, groups, k), abs=1e-12)
    whole = over_all_graded_orders("wmAP", groups, None)
    assert m.WeightedMAP().per_query(h)[0] == pytest.approx(whole, abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(groups, st.integers(1, 14))
def test_graded_metrics_where_relevance_is_yes_or_no(pairs, k):
    h = make(pairs)
    assert m.ACG(k).per_query(h)[0] == m.PrecisionAt(k).per_query(h)[0]
    assert m.WeightedMAP(k).per_query(h)[0] == pytest.approx(m.MAP(k).per_query(h)[0], abs=1e-14)
    assert m.NDCG(k, "linear").per_query(h)[0] == m.NDCG(k).per_query(h)[0]


@pytest.mark.parametrize("name", ["nDCG@5", "nDCG@5(linear)", "ACG@5", "wmAP@5"])
def test_several_labels_that_were_not_counted_are_refused(name):
    h = Histograms(np.array([[3]]), np.array([[1]]), np.array([1]), several_labels=True)
    with pytest.raises(ValueError, match="no counts of shared labels"):
        m.parse(name).per_query(h)


@pytest.mark.parametrize(("before", "n", "r"), [(0, 10**6, 3), (10**5, 10**6, 5 * 10**5), (7, 10**5, 10**5)])
def test_first_hits_in_a_huge_group(before, n, r):
    h = Histograms(np.array([[before, n]]), np.array([[0, r]]), np.array([r]))
    k = before + 200
    none_so_far, expected = Fraction(1), Fraction(0)
    for t in range(1, 201):
        hit = Fraction(r, n - t + 1)
        expected += none_so_far * hit / (before + t)
        none_so_far *= 1 - hit
    assert m.SuccessAt(k).per_query(h)[0] == pytest.approx(float(1 - none_so_far), rel=1e-12)
    assert m.MRR(k).per_query(h)[0] == pytest.approx(float(expected), rel=1e-12)


def test_pooled_curve_by_definition():
    total = np.array([[0, 1, 2, 1], [0, 0, 3, 1]])
    relevant = np.array([[0, 1, 0, 1], [0, 0, 2, 0]])
    precision, recall, area = pooled_curve(Histograms(total, relevant, np.array([2, 2])))
    assert precision.tolist() == [0, 1, 3 / 6, 4 / 8]
    assert recall.tolist() == [0, 1 / 4, 3 / 4, 1]
    assert area == pytest.approx(1 / 4 * 1 + 1 / 2 * 0.75 + 1 / 4 * 0.5)


@settings(max_examples=25, deadline=None)
@given(
    n_bits=st.integers(1, 300),
    n_items=st.integers(1, 400),
    share=st.sampled_from([0.0, 0.05, 0.5, 1.0]),
    k=st.sampled_from([1, 7, 50, 399, 10_000]),
    seed=st.integers(0, 2**32 - 1),
)
def test_many_shuffles(n_bits, n_items, share, k, seed):
    rng = np.random.default_rng(seed)
    distances = rng.binomial(n_bits, 0.3, n_items)
    rel = rng.random(n_items) < share
    total = np.bincount(distances, minlength=n_bits + 1)[None]
    relevant = np.bincount(distances[rel], minlength=n_bits + 1)[None]
    h = Histograms(total, relevant, relevant.sum(axis=1))
    shuffled = []
    for _ in range(300):
        order = rng.permutation(n_items)
        ranked = rel[order[np.argsort(distances[order], kind="stable")]]
        shuffled.append(
            [
                ranked_value("hits", ranked, k, rel.sum()),
                ranked_value("min", ranked, k, rel.sum()),
                ranked_value("min", ranked, None, rel.sum()),
                ranked_value("P", ranked, k, rel.sum()),
            ]
        )
    exact = [metric.per_query(h)[0] for metric in (m.MAP(k), m.MAP(k, "min(k,R)"), m.MAP(), m.PrecisionAt(k))]
    error = np.std(shuffled, axis=0) / np.sqrt(len(shuffled))
    assert (np.abs(np.mean(shuffled, axis=0) - exact) <= 6 * error + 1e-9).all()
    for value, column in zip(exact[:3], np.transpose(shuffled), strict=False):
        assert 0 <= value <= 1
        assert column.min() - 1e-9 <= value <= column.max() + 6 * error.max() + 1e-9


def test_a_query_without_a_relevant_item_counts_zero():
    h = Histograms(np.array([[3, 2]]), np.array([[0, 0]]), np.array([0]))
    for name in (
        "mAP@2",
        "mAP@all",
        "mAP@2(min(k,R))",
        "mAP@2(optimistic)",
        "mAP@2(pessimistic)",
        "P@2",
        "R@2",
    ):
        assert m.parse(name).per_query(h)[0] == 0.0


def test_more_hits_can_lower_ap_by_hits():
    # One hit at place 1; the group that k cuts can add a late second hit, which lowers the mean precision.
    h = Histograms(np.array([[1, 4]]), np.array([[1, 1]]), np.array([2]))
    assert m.MAP(5, ties="pessimistic").per_query(h)[0] == pytest.approx((1 + 2 / 5) / 2)
    assert m.MAP(3, ties="optimistic").per_query(h)[0] == 1.0
    assert m.MAP(3, ties="pessimistic").per_query(h)[0] == pytest.approx((1 + 2 / 3) / 2)


@pytest.mark.parametrize("before", [0, 1, 3, 49, 50, 999, 1000, 65_535, 10**5, 10**7, 10**9])
@pytest.mark.parametrize("n", [1, 2, 3, 31, 1000, 70_000, 10**6])
def test_reciprocal_sums_against_mpmath(before, n):
    with mpmath.workdps(60):
        first = mpmath.harmonic(before + n) - mpmath.harmonic(before)
        second = n - (before + 1) * first
        found = reciprocal_sums(before, n)
        assert abs(found[0] / first - 1) < 1e-13
        assert n == 1 or abs(found[1] / second - 1) < 1e-11


@pytest.mark.parametrize("n", [20, 3000, 10**6, 10**9])
def test_a_huge_group_with_all_relevant_has_ap_one(n):
    h = Histograms(np.array([[n, n]]), np.array([[n, 0]]), np.array([n]))
    assert m.MAP().per_query(h)[0] == pytest.approx(1.0, abs=1e-12)
    assert m.MAP(min(n, 5000)).per_query(h)[0] == pytest.approx(1.0, abs=1e-12)


def test_hypergeometric_probabilities_do_not_underflow():
    # A cut group of a million items of which half are relevant: AP@k is close to one half.
    h = Histograms(np.array([[10**6]]), np.array([[5 * 10**5]]), np.array([5 * 10**5]))
    assert m.MAP(100_000).per_query(h)[0] == pytest.approx(0.5, abs=1e-4)


def test_lookup_metrics():
    h = Histograms(np.array([[0, 2, 2, 5], [0, 0, 0, 4]]), np.array([[0, 1, 0, 3], [0, 0, 0, 4]]), np.array([4, 4]))
    assert m.parse("P@r2").per_query(h).tolist() == [0.25, 0.0]
    assert m.parse("R@r2").per_query(h).tolist() == [0.25, 0.0]
    assert m.parse("success@r2").per_query(h).tolist() == [1.0, 0.0]
    assert m.parse("P@r3").per_query(h).tolist() == [4 / 9, 1.0]


@pytest.mark.parametrize(
    "name",
    [
        *("mAP@1000", "mAP@all", "mAP@50(min(k,R))", "mAP@all(optimistic)", "mAP@7(pessimistic)", "P@1", "R@20"),
        *("P@r2", "R@r0", "success@r2", "nDCG@100", "recall@10", "recall10@100"),
        *(
            "mAP@50(R)",
            "mAP@50(R)(optimistic)",
            "mAP@r2",
            "mAP@r2(R)",
            "wmAP@100",
            "wmAP@all",
            "nDCG@10(linear)",
            "ACG@9",
        ),
        *("success@10", "MRR@10", "MRR@all", "R-precision"),
    ],
)
def test_a_metric_is_named_by_its_repr(name):
    assert repr(m.parse(name)) == str(m.parse(name)) == name


def test_a_new_metric_is_one_class():
    @dataclass(frozen=True, repr=False)
    class Fallout(m.Metric):
        pattern, forms = r"fallout@(?P<k>\d+)", "fallout@k"
        k: int

        def __str__(self):
            return f"fallout@{self.k}"

        def per_query(self, histograms):
            return np.full(len(histograms.total), 0.25)

    codes, labels = np.eye(4, dtype=bool), np.arange(4)
    assert m.named(Fallout, "fallout@3") == Fallout(3)
    assert m.named(Fallout, "P@3") is None
    found = evaluate(codes, codes, labels, labels, [Fallout(3), "P@1"])
    assert dict(found) == {"fallout@3": 0.25, "P@1": 1.0}
    assert (
        evaluate(codes.astype(float), codes, labels, labels, [Fallout(3)], distance="asymmetric")["fallout@3"] == 0.25
    )
    with pytest.raises(ValueError, match="fallout@0: the cut-off must be at least 1"):
        m.named(Fallout, "fallout@0")
    with pytest.raises(ValueError, match="expected a name such as 'mAP@all', or an instance of a Metric"):
        evaluate(codes, codes, labels, labels, [Fallout])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.full(3, 0.5), r"returns shape \(3,\) and dtype float64, expected one number for each of 4 queries"),
        (np.array(["a"] * 4), "dtype <U1"),
        (np.array([0.5, np.nan, 0, 0]), "odd@all is nan for query 1, expected a number from 0 to 1"),
        (np.array([0.5, 1, 1.1, 0]), "odd@all is 1.1 for query 2"),
    ],
)
def test_what_cannot_be_values_is_refused(values, message):
    @dataclass(frozen=True, repr=False)
    class Odd(m.Metric):
        pattern = forms = title = "odd@all"

        def __str__(self):
            return "odd@all"

        def per_query(self, histograms):
            return values

    codes, labels = np.eye(4, dtype=bool), np.arange(4)
    with pytest.raises(ContractError, match=message):
        evaluate(codes, codes, labels, labels, [Odd()])


def test_every_class_of_metrics_is_listed():
    assert {kind.forms for kind in m.KINDS} == {line.strip().partition("  ")[0] for line in metric_lines()}


@pytest.mark.parametrize(("name", "message"), [("P@010", "write P@10"), ("mAP@all(min(k,R))", "write mAP@all")])
def test_a_metric_has_one_name(name, message):
    with pytest.raises(ValueError, match=message):
        m.parse(name)


@pytest.mark.parametrize("name", ["map@10", "mAP@0", "mAP", "P@-3", "recall@0", "nDCG@all", "mAP@10(best)", ""])
def test_unknown_metrics_are_refused(name):
    with pytest.raises(ValueError, match=r"unknown metric|at least 1"):
        m.parse(name)


def test_curves_by_definition():
    rng = np.random.default_rng(0)
    total = rng.integers(0, 4, (130, 9))
    total[:, 8] += 1
    total[:, 8] += total.sum(axis=1).max() - total.sum(axis=1)
    relevant = rng.integers(0, total + 1)
    relevant[3] = 0
    h = Histograms(total, relevant, relevant.sum(axis=1))
    found = curves(h)
    for rank, precision, recall in zip(found["ranks"], found["rank_precision"], found["rank_recall"], strict=True):
        assert precision == pytest.approx(m.PrecisionAt(int(rank)).per_query(h).mean(), abs=1e-12)
        assert recall == pytest.approx(m.RecallAt(int(rank)).per_query(h).mean(), abs=1e-12)
    for radius in range(9):
        assert found["radius_precision"][radius] == pytest.approx(m.Lookup(radius, "P").per_query(h).mean(), abs=1e-12)
        assert found["radius_recall"][radius] == pytest.approx(m.Lookup(radius, "R").per_query(h).mean(), abs=1e-12)


def test_seeds_are_compared_at_the_same_recall():
    """Ranks where one seed has a recall of 0.2 and 0.6, the other of 0.4 and 1."""
    seeds = [
        {"rank_recall": np.array([0.2, 0.6]), "rank_precision": np.array([1.0, 0.6])},
        {"rank_recall": np.array([0.4, 1.0]), "rank_precision": np.array([0.8, 0.2])},
    ]
    recall, precision = at_equal_recall(seeds)
    np.testing.assert_allclose(recall, [0.3, 0.8])
    np.testing.assert_allclose(precision, [[0.9, 0.6], [0.8, 0.4]])
