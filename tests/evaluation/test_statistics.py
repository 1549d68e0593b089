"""Tests and intervals by hand, what seeds lend each other, corrections, and bounded memory."""

import io
import tracemalloc
import warnings
from dataclasses import astuple

import numpy as np
import pytest
from made_records import made_record
from rich.console import Console
from scipy.stats import studentized_range, ttest_1samp, ttest_ind, ttest_rel
from scipy.stats import t as student

from hashbench.evaluation.seed_variances import ALONE, BOARD_DOF, Lender, most_borrowed
from hashbench.evaluation.statistics import compare, compare_board, holm
from hashbench.evaluation.studentized_range import chance_of_range
from hashbench.evaluation.variance import Sample
from hashbench.records.store import Store
from hashbench.reports.tables import print_tables


def test_holm_equals_values_worked_out_by_hand():
    # Sorted .005 .01 .03 .04 times 4 3 2 1 is .02 .03 .06 .04; the last may not fall below the one before.
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, 0.03, 0.005])), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm(np.array([0.5, 0.6])), [1.0, 1.0])
    np.testing.assert_allclose(holm(np.array([0.02])), [0.02])
    assert holm(np.array([])).shape == (0,)


def test_p_value_and_interval_of_deterministic_methods_are_those_of_the_paired_test():
    rng = np.random.default_rng(7)
    easy = rng.normal(0, 1, 100)
    worse, better = easy + rng.normal(0, 0.1, 100), easy + 0.03 + rng.normal(0, 0.1, 100)
    beside, best = compare({"worse": worse, "better": better}).values()
    expected = ttest_rel(better, worse)
    assert best.best
    assert beside.separable
    assert beside.p_value == pytest.approx(expected.pvalue)
    assert beside.difference_interval == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert best.interval == pytest.approx(tuple(ttest_1samp(better, 0).confidence_interval(0.95)))
    # Without pairing the intervals of the means overlap widely.
    assert beside.interval[1] > best.interval[0]


def test_p_value_and_interval_of_methods_that_differ_in_seeds_only_are_those_of_welch():
    shifts, others = np.array([[-0.1], [0.1], [0.03], [0.3]]), np.array([[0.0], [0.01], [-0.03], [-0.1]])
    easy = np.random.default_rng(8).random(50)
    beside = compare({"a": easy + shifts, "b": easy + others})["b"]
    expected = ttest_ind(shifts.ravel(), others.ravel(), equal_var=False)
    assert beside.p_value == pytest.approx(expected.pvalue)
    assert beside.difference_interval == pytest.approx(tuple(expected.confidence_interval(0.95)))
    # Against a method without seeds it is the one-sample test.
    assert compare({"a": easy + shifts, "b": easy})["b"].p_value == pytest.approx(ttest_1samp(shifts, 0).pvalue[0])


def test_the_interval_uses_the_degrees_of_freedom_of_each_part():
    rng = np.random.default_rng(9)
    by_query, by_seed = rng.normal(0, 1, 40), np.array([-0.1, 0.0, 0.4])
    low, high = compare({"a": by_query + by_seed[:, None]})["a"].interval
    parts = (by_query.var(ddof=1) / 40, 39), (by_seed.var(ddof=1) / 3, 2)
    expected = np.sqrt(sum(variance * student.ppf(0.975, dof) ** 2 for variance, dof in parts))
    assert (high - low) / 2 == pytest.approx(expected)
    assert (high + low) / 2 == pytest.approx(by_query.mean() + by_seed.mean())


def test_p_value_is_the_level_whose_interval_ends_at_zero():
    rng = np.random.default_rng(10)
    values = {"a": 0.2 + rng.normal(0, 0.3, (3, 60)), "b": rng.normal(0, 0.3, (4, 60)), "c": rng.normal(0, 0.3, 60)}
    for name in ("b", "c"):
        p_value = compare(values)[name].p_value
        assert compare(values, alpha=p_value)[name].difference_interval[0] == pytest.approx(0, abs=1e-9)


def _seeds(*shifts):
    """Return a sample in which seeds do nothing but shift all values; their variance is that of the shifts."""
    return Sample.of(np.linspace(0, 1, 20) + np.array(shifts)[:, None])


def test_variances_are_averaged_with_other_lengths_and_methods_by_hand():
    # One seed's variances are 1 and 4 at 16 bits, 2 at 32 bits: 16, 64 and 64 at one bit.
    short = {"a": _seeds(-1, 0, 1), "b": _seeds(-2, 0, 2), "c": Sample.of(np.ones(20)), "d": _seeds(0.5)}
    board = {16: short, 32: {"a": _seeds(-np.sqrt(2), 0, np.sqrt(2))}}
    lender = Lender(board)
    lent = {n_bits: {name: lender.sample(name, n_bits, 3) for name in column} for n_bits, column in board.items()}
    # Two lengths of three seeds lend each other 2 × 1/2 / (1 + 1/2) degrees of freedom; three methods are compared.
    other, borrowed = 2 / 3, most_borrowed(3, 2)
    typical = ((16 + 64) / 2 + 64) / 2
    assert lent[16]["a"].dof == pytest.approx(2 + other + borrowed)
    assert lent[16]["a"].seeds * 3 * 16 == pytest.approx(
        (2 * 16 + other * 64 + borrowed * typical) / (2 + other + borrowed)
    )
    assert lent[16]["b"].seeds * 3 * 16 == pytest.approx((2 * 64 + borrowed * typical) / (2 + borrowed))
    assert lent[32]["a"].seeds * 3 * 32 == pytest.approx((2 * 64 + other * 16) / (2 + other))
    assert (lent[16]["c"], lent[16]["d"]) == (short["c"], short["d"])


def test_the_largest_of_four_variances_counts_as_the_second():
    methods = {f"{n}": _seeds(-n, 0, n) for n in (1, 2, 3)}
    wild, tame = (Lender({8: methods | {"wild": _seeds(-n, 0, n)}}) for n in (1000, 3))
    for name in methods:
        assert wild.sample(name, 8, 4).seeds == pytest.approx(tame.sample(name, 8, 4).seeds)


@pytest.mark.parametrize("n_seeds", [2, 3, 5, 10])
@pytest.mark.parametrize("n_methods", [2, 3, 5, 20])
def test_no_more_is_borrowed_than_a_wild_method_can_bear(n_methods, n_seeds):
    dof = n_seeds - 1
    borrowed = most_borrowed(n_methods, dof)
    assert (borrowed == 0) == (n_methods == 2)
    # Its estimate is its own variance, shrunk by nothing, and taken to have more degrees of freedom.
    ends = studentized_range.ppf(0.95, n_methods, dof + borrowed) / np.sqrt(2) * np.sqrt(dof / (dof + borrowed))
    assert 2 * student.sf(ends, dof) == pytest.approx(0.05 if n_methods == 2 else ALONE, rel=0.01)
    assert BOARD_DOF == 2


@pytest.mark.parametrize(("t", "n_means", "dof"), [(2.8, 2, 4), (5, 20, 8), (30, 5, 1), (8, 20, 3.3), (3, 10, 5000)])
def test_chance_of_a_range_is_that_of_scipy(t, n_means, dof):
    assert chance_of_range(t, n_means, dof) == pytest.approx(
        studentized_range.sf(t * np.sqrt(2), n_means, dof), rel=1e-3
    )


def test_chance_of_a_range_is_exact_far_out_and_at_its_ends():
    assert chance_of_range(0, 7, 3) == pytest.approx(1)
    assert chance_of_range(4, 20, np.inf) == pytest.approx(studentized_range.sf(4 * np.sqrt(2), 20, 1e6), rel=1e-3)
    assert chance_of_range(1e8, 2, 1) == pytest.approx(2 * student.sf(1e8, 1), rel=1e-3)


def test_lengths_are_compared_each_for_itself():
    rng = np.random.default_rng(16)
    values = {n_bits: {"a": rng.random(50), "b": rng.random(50) / 2} for n_bits in (16, 32)}
    board = {n_bits: {name: Sample.of(of) for name, of in one.items()} for n_bits, one in values.items()}
    assert compare_board(board) == {n_bits: compare(one) for n_bits, one in values.items()}


def test_seeds_acting_on_queries_count_once():
    # Many seeds of two methods that differ in nothing else: the variance is that of the seed means alone.
    rng = np.random.default_rng(11)
    a, b = rng.normal(0, 1, (2, 200, 300))
    low, high = next(one for one in compare({"a": a, "b": b}).values() if not one.best).difference_interval
    assert (high - low) / 2 == pytest.approx(1.96 * np.sqrt(2 / (200 * 300)), rel=0.15)


def test_correction_is_for_the_choice_of_the_best_among_all_that_can_be_tested():
    rng = np.random.default_rng(12)
    values = {name: rng.random(100) + 0.05 * m for m, name in enumerate("abcde")} | {
        "one seed": rng.random((1, 100)) / 2
    }
    tested = sorted((one for one in compare(values).values() if one.verdict not in ("best", "unknown")), key=_p_value)
    expected, before = [], 0.0
    for n_means, one in zip((5, 4, 3, 2), tested, strict=True):  # the sixth has no variance of its seed
        t = -student.ppf(one.p_value / 2, 99)
        before = max(before, studentized_range.sf(t * np.sqrt(2), n_means, 99))
        expected.append(before)
    assert [one.p_corrected for one in tested] == pytest.approx(expected, rel=1e-3)


def _p_value(one):
    return one.p_value


def test_one_seed_of_a_random_method_gives_no_verdict():
    easy = np.random.default_rng(13).random(300)
    result = compare({"one": easy[None] - 0.5, "best": easy, "two": np.stack([easy, easy + 0.01]) - 0.6})
    assert [one.verdict for one in result.values()] == ["unknown", "best", "separable"]
    assert [one.reason for one in result.values()] == ["one seed", "", ""]
    assert not result["one"].separable
    assert np.isnan([*result["one"].interval, *result["one"].difference_interval, result["one"].p_corrected]).all()
    assert result["one"].difference == pytest.approx(0.5)
    beside_it = compare({"one": easy[None], "other": easy - 0.5})
    assert [one.verdict for one in beside_it.values()] == ["best", "unknown"]
    assert [one.reason for one in beside_it.values()] == ["one seed", "the best has one seed"]
    assert np.isfinite(beside_it["other"].interval).all()


def test_one_query_gives_no_verdict():
    result = compare({"a": np.ones(1), "b": np.zeros((3, 1))})
    assert [(one.verdict, one.reason) for one in result.values()] == [("best", "one query"), ("unknown", "one query")]


def test_values_that_are_not_finite_give_no_verdict_and_do_not_affect_others():
    rng = np.random.default_rng(20)
    good = {"best": rng.random((3, 100)) + 1, "worse": rng.random((3, 100)), "plain": rng.random(100)}
    hurt = np.where(np.arange(100) == 3, np.nan, rng.random((3, 100)) + 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = compare({"hurt": hurt, **good})
        alone = compare({"hurt": hurt})
    assert (result["hurt"].verdict, result["hurt"].reason) == ("unknown", "values that are not finite")
    assert {name: one for name, one in result.items() if name != "hurt"} == compare(good)
    assert [(one.verdict, one.reason) for one in alone.values()] == [("unknown", "values that are not finite")]


@pytest.mark.parametrize("n_methods", [1, 2, 20])
@pytest.mark.parametrize("n_seeds", [None, 1, 2, 3])
def test_any_board_gives_verdicts_or_reasons(n_methods, n_seeds):
    easy = np.random.default_rng(21).random(50)
    still = easy if n_seeds is None else np.repeat(easy[None], n_seeds, axis=0)
    for values in (
        {f"{m}": still - m for m in range(n_methods)},
        {f"{m}": still for m in range(n_methods)},
        {f"{m}": np.zeros_like(still) for m in range(n_methods)},
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            result = compare(values)
        assert len(result) == n_methods
        assert [one.verdict for one in result.values()].count("best") == 1
        assert all(one.reason for one in result.values() if one.verdict == "unknown")
        assert (n_seeds == 1) == any(one.verdict == "unknown" for one in result.values()) or n_methods == 1


def test_seeds_that_agree_in_every_value_are_no_seeds():
    rng = np.random.default_rng(22)
    values = {"a": rng.random((3, 80)) + 1, "b": rng.random((3, 80)), "c": rng.random(80)}
    same = compare(values | {"c": np.repeat(values["c"][None], 3, axis=0)})
    assert same == compare(values)


def test_a_method_with_a_thousand_times_the_deviation_is_not_separable_and_does_not_affect_others():
    rng = np.random.default_rng(23)
    easy = rng.random(100)
    values = {f"{m}": easy + 0.01 * rng.normal(0, 1, (3, 1)) - 0.2 * m for m in range(5)}
    result = compare(values | {"wild": easy - 1 + np.array([[-10.0], [2.0], [7.0]])})
    assert [one.verdict for one in result.values()] == ["best", *["separable"] * 4, "not separable"]


def test_equal_methods_have_no_difference_and_p_1():
    values = np.random.default_rng(14).random((3, 300))
    for first in (values, values[0], np.full(20, 0.5), np.zeros((2, 20))):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            result = compare({"a": first, "b": first.copy(), "c": first[::-1] if first.ndim == 2 else first})
        assert [one.verdict for one in result.values()] == ["best", "not separable", "not separable"]
        assert all(one.difference == 0 and one.p_value == one.p_corrected == 1 for one in result.values())
        assert all(np.isfinite(one.interval + one.difference_interval).all() for one in result.values())


def test_constant_differences_are_separable_without_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = compare({"a": np.ones(20), "b": np.zeros(20), "c": np.zeros((3, 20))})
    assert [one.verdict for one in result.values()] == ["best", "separable", "separable"]
    assert result["b"].difference_interval == (1, 1)
    assert 0 < result["b"].p_value < 1e-10


def test_order_of_seeds_queries_and_methods_does_not_matter():
    rng = np.random.default_rng(15)
    values = {"a": rng.random((3, 40)), "b": rng.random(40), "c": rng.random((5, 40))}
    queries = rng.permutation(40)
    moved = {name: values[name][..., queries] for name in "cab"}
    moved = {name: array[::-1] if array.ndim == 2 else array for name, array in moved.items()}
    before, after = compare(values), compare(moved)
    for name in values:
        assert before[name].verdict == after[name].verdict
        for one, other in zip(astuple(before[name])[2:], astuple(after[name])[2:], strict=True):
            assert one == pytest.approx(other)


def test_of_equal_means_the_first_by_name_is_the_best_whatever_the_order():
    values = np.random.default_rng(16).random((3, 40))
    for names in ("abc", "bca", "cba"):
        result = compare({name: values - (name == "c") for name in names})
        assert [name for name, one in result.items() if one.best] == ["a"]


def test_large_comparison_stays_within_bounded_memory():
    per_query = {f"{m}": np.random.default_rng(m).random((2, 10_000)) for m in range(50)}
    tracemalloc.start()
    compare(per_query)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10e6


@pytest.mark.parametrize(
    ("per_query", "words"),
    [
        ({}, "empty"),
        ({"a": np.ones(3), "b": np.ones(4)}, r"'b'.*\(4,\)"),
        ({"a": np.ones((2, 2, 2))}, "shape"),
        ({"a": np.ones((0, 5))}, "shape"),
    ],
)
def test_unusable_values_are_refused(per_query, words):
    with pytest.raises(ValueError, match=words):
        compare(per_query)


def test_tables_mark_what_is_not_separable(tmp_path):
    store = Store(tmp_path)
    store.open_for_writing()
    easy = np.random.default_rng(9).random(200)
    scores = {"best": easy, "close": easy - 0.001 * np.where(np.arange(200) % 2, 5, -4), "worse": easy - 0.1}
    for label, values in scores.items():
        backbone = {"backbone": "a backbone with a [bold] name that is longer than the table"}
        record = made_record(label, features=backbone, metrics={"mAP@all": float(values.mean())})
        store.write(record, {"per_query:mAP@all": values})
    stream = io.StringIO()
    print_tables(list(store), Console(file=stream, width=80), store)
    lines = stream.getvalue().splitlines()
    assert "longer than the table" in lines[0]
    assert "[bold]" in lines[0]
    marked = {line.split()[0]: line.rstrip().endswith("*") for line in lines if line.startswith(" ")}
    assert marked == {"method": False, "best": False, "close": True, "worse": False}
    assert any(line.startswith("* not separable from the best of its column") for line in lines)
    print_tables(list(store), Console(file=(plain := io.StringIO())))
    assert "*" not in plain.getvalue()


def test_where_lower_is_better_verdicts_are_those_of_the_negative_values():
    rng = np.random.default_rng(0)
    easy = rng.random(200)
    values = {"a": easy, "b": easy + 0.3 + 0.01 * rng.random(200), "c": (easy + 0.1 * rng.random((3, 200)))}
    low, turned = compare(values, better="lower"), compare({name: -one for name, one in values.items()})
    assert low["a"].verdict == "best"
    assert low["b"].verdict == "separable"
    for name, one in low.items():
        other = turned[name]
        assert (one.verdict, one.p_corrected) == (other.verdict, other.p_corrected)
        assert one.queries_better == other.queries_better
        assert one.mean == -other.mean == pytest.approx(np.mean(values[name]))
        assert one.interval == (-other.interval[1], -other.interval[0])
        assert one.difference == pytest.approx(low["a"].mean - one.mean)
        assert one.difference_interval[0] <= one.difference <= one.difference_interval[1]
