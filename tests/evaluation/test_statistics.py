"""Intervals that cover, corrections by hand, and bounded memory."""

import io
import tracemalloc

import numpy as np
import pytest
from rich.console import Console

from hashbench.evaluation.statistics import bootstrap_means, compare, compare_columns, holm, paired_differences
from hashbench.reports.tables import print_tables
from hashbench.runs.records import Record, Store


def test_holm_equals_values_worked_out_by_hand():
    # Sorted .005 .01 .03 .04 times 4 3 2 1 is .02 .03 .06 .04; the last may not fall below the one before.
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, 0.03, 0.005])), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm(np.array([0.5, 0.6])), [1.0, 1.0])
    np.testing.assert_allclose(holm(np.array([0.02])), [0.02])
    assert holm(np.array([])).shape == (0,)


def test_paired_differences_are_of_means_over_seeds():
    first = np.array([[1.0, 0.0], [0.0, 0.0]])
    np.testing.assert_allclose(paired_differences(first, np.array([[0.25, 1.0]])), [0.25, -1.0])


def test_interval_covers_the_mean_over_queries():
    rng = np.random.default_rng(0)
    covered = 0
    for trial in range(300):
        low, high = compare({"a": rng.beta(0.5, 1.0, 80)}, n_draws=400, seed=trial)["a"].interval
        covered += low <= 1 / 3 <= high
    assert 0.90 <= covered / 300 <= 0.985


def test_interval_covers_the_mean_over_queries_and_seeds():
    rng = np.random.default_rng(1)
    covered = 0
    for trial in range(300):
        values = rng.normal(0, 0.1, (10, 1)) + rng.normal(0, 0.5, 60) + rng.normal(0, 0.2, (10, 60))
        low, high = compare({"a": values}, n_draws=400, seed=trial)["a"].interval
        covered += low <= 0 <= high
    assert 0.90 <= covered / 300 <= 0.985


def test_variance_over_seeds_is_unbiased_for_few_seeds():
    values = np.repeat([[0.0], [0.3], [0.9]], 50, axis=1)
    means = bootstrap_means([values], 40_000, 0)[:, 0]
    assert means.var() == pytest.approx(np.var([0, 0.3, 0.9], ddof=1) / 3, rel=0.03)


def test_false_alarms_stay_at_the_level_and_pairing_finds_small_differences():
    rng = np.random.default_rng(2)
    alarms = 0
    for trial in range(200):
        easy = rng.normal(0, 1, 100)
        per_query = {name: easy + rng.normal(0, 0.1, 100) for name in "abc"}
        alarms += any(found.separable for found in compare(per_query, n_draws=400, seed=trial).values())
    # The best was chosen by looking, which costs a little.
    assert alarms / 200 <= 0.15
    easy = rng.normal(0, 1, 400)
    found = compare({"worse": easy - 0.03 + rng.normal(0, 0.1, 400), "better": easy + rng.normal(0, 0.1, 400)})
    assert found["better"].best
    assert found["worse"].separable
    low, high = found["worse"].difference_interval
    assert 0 < low <= found["worse"].difference <= high
    # Without pairing the intervals of the means overlap widely.
    assert found["worse"].interval[1] > found["better"].interval[0]


def test_seeds_that_differ_keep_methods_from_being_separable():
    easy = np.random.default_rng(3).random(500)
    shifts = np.array([[-0.1], [0.1], [-0.05], [0.05]])
    assert compare({"a": easy + 0.02, "b": easy})["b"].separable
    assert not compare({"a": easy + 0.02 + shifts, "b": easy + shifts})["b"].separable
    assert not compare({"a": easy + 0.02 + shifts, "b": easy})["b"].separable
    assert compare({"a": easy + 0.3 + shifts, "b": easy + shifts})["b"].separable


def test_equal_methods_are_never_separable():
    values = np.random.default_rng(4).random((1, 300))
    found = compare({"a": values, "b": values.copy(), "c": values[0]}, n_draws=300)
    assert [one.best for one in found.values()] == [True, False, False]
    assert all(one.p_value == one.p_holm == 1 and not one.separable for one in found.values())
    assert found["b"].difference_interval == (0, 0)


def test_the_same_seed_gives_the_same_result():
    values = {"a": np.random.default_rng(5).random((3, 40)), "b": np.random.default_rng(6).random(40)}
    assert compare(values, seed=1, n_draws=200) == compare(values, seed=1, n_draws=200)
    assert compare(values, seed=1, n_draws=200) != compare(values, seed=2, n_draws=200)


def test_columns_are_compared_each_for_itself():
    rng = np.random.default_rng(7)
    first, second = ({"a": rng.random(50), "b": rng.random(50) / 2} for _ in range(2))
    both = compare_columns([first, second], n_draws=300)
    assert both[0] == compare(first, n_draws=300)
    assert both[1]["a"].mean == second["a"].mean()
    assert all(column["b"].separable for column in both)


def test_large_bootstrap_stays_within_bounded_memory():
    per_query = {name: np.random.default_rng(8).random((3, 10_000)) for name in "abc"}
    tracemalloc.start()
    compare(per_query, n_draws=9999)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6


@pytest.mark.parametrize(
    ("per_query", "words"),
    [
        ({}, "empty"),
        ({"a": np.ones(3), "b": np.ones(4)}, r"'b'.*\(1, 4\)"),
        ({"a": np.ones((2, 2, 2))}, "shape"),
        ({"a": np.ones((0, 5))}, "shape"),
        ({"a": np.array([0.1, np.nan])}, "finite"),
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
    for number, (label, values) in enumerate(scores.items()):
        config = {
            "dataset": "toy [bold]",
            "protocol": "toy/1",
            "features": {"backbone": "a backbone with a name that is longer than the table"},
            "n_bits": 16,
            "seed": None,
        }
        record = Record(f"{number}", config, "ok", label=label, metrics={"mAP@all": float(values.mean())})
        store.write(record, {"per_query:mAP@all": values})
    stream = io.StringIO()
    print_tables(list(store), Console(file=stream, width=80), ["mAP@all"], store)
    lines = stream.getvalue().splitlines()
    assert "longer than the table" in lines[0]
    assert "toy [bold]" in lines[0]
    marked = {line.split()[0]: line.rstrip().endswith("*") for line in lines if line.startswith(" ")}
    assert marked == {"method": False, "best": False, "close": True, "worse": False}
    assert any(line.startswith("* not separable from the best of its column") for line in lines)
    print_tables(list(store), Console(file=(plain := io.StringIO())), ["mAP@all"])
    assert "*" not in plain.getvalue()
