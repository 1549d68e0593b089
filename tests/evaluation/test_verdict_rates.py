"""False marks stay rare, and differences are seen: rates by simulation."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import ttest_ind, ttest_rel


@pytest.fixture(scope="module")
def verdicts():
    """Return the script that measures rates of false marks and power."""
    path = Path(__file__).parents[2] / "benchmarks" / "verdicts.py"
    spec = importlib.util.spec_from_file_location("verdicts", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.parametrize("effect", ["none", "equal", "large", "tenfold", "unequal", "one wild"])
@pytest.mark.parametrize(
    ("seeds", "n_methods"),
    [("2", 2), ("3", 2), ("5", 2), ("2 and 10", 2), ("0 and 3", 2), ("3", 3), ("2", 10), ("3", 10), ("3", 20)],
)
def test_equal_methods_are_rarely_called_different(verdicts, seeds, n_methods, effect):
    n_seeds = (verdicts.SEEDS[seeds] * n_methods)[:n_methods]
    repetitions = {2: 1500, 3: 600, 10: 200, 20: 60}[n_methods]
    rate, missed = verdicts.false_marks(np.random.default_rng(3), repetitions, n_seeds, verdicts.EFFECTS[effect])
    assert rate <= 0.07
    assert missed <= 0.07


@pytest.mark.slow
@pytest.mark.parametrize("effect", ["equal", "tenfold", "one wild"])
@pytest.mark.parametrize(("seeds", "n_methods"), [("2", 2), ("3", 3), ("3", 20)])
def test_equal_methods_of_a_board_of_several_code_lengths_are_rarely_called_different(
    verdicts, seeds, n_methods, effect
):
    rng, repetitions = np.random.default_rng(17), 15 if n_methods == 20 else 150
    n_seeds = verdicts.SEEDS[seeds] * n_methods
    rate, missed = verdicts.false_marks(rng, repetitions, n_seeds, verdicts.EFFECTS[effect], verdicts.LENGTHS)
    assert rate <= 0.07
    assert missed <= 0.07


@pytest.mark.parametrize(("n_methods", "shift", "least"), [(5, 4, 0.6), (5, 6, 0.9), (20, 6, 0.6), (20, 10, 0.95)])
def test_three_seeds_tell_methods_that_differ_by_several_deviations_of_a_seed(verdicts, n_methods, shift, least):
    rng, repetitions = np.random.default_rng(18), 60 if n_methods == 5 else 20
    assert verdicts.marked(rng, repetitions, [3] * n_methods, verdicts.EFFECTS["large"], shift) > least


def test_other_code_lengths_add_power(verdicts):
    alone, together = (
        verdicts.marked(np.random.default_rng(19), 60, [3, 3], verdicts.EFFECTS["large"], 4, lengths)
        for lengths in ((16,), verdicts.LENGTHS)
    )
    assert together > alone + 0.05


def test_ten_equal_deterministic_methods_are_rarely_called_different(verdicts):
    rate, missed = verdicts.false_marks(np.random.default_rng(4), 500, [None] * 10, [0.0])
    assert 0.01 <= rate <= 0.07
    assert 0.03 <= missed <= 0.07


def test_equal_methods_are_called_different_by_tests_that_forget_a_source_of_variance(verdicts):
    # The simulation can tell: without the seeds' variance, and without the queries', far too many are.
    rng, noise = np.random.default_rng(5), {"large": 5.0, "small": 0.3}
    pairs = [list(verdicts.simulated(rng, [5, 5], [noise["large"]]).values()) for _ in range(200)]
    assert np.mean([ttest_rel(a.mean(axis=0), b.mean(axis=0)).pvalue <= 0.05 for a, b in pairs]) > 0.3
    pairs = [list(verdicts.simulated(rng, [5, 5], [noise["small"]]).values()) for _ in range(200)]
    assert np.mean([ttest_ind(a.mean(axis=1), b.mean(axis=1)).pvalue <= 0.05 for a, b in pairs]) > 0.2


@pytest.mark.parametrize("n_seeds", [3, 5, 10])
def test_power_is_that_of_a_test_over_seed_means_where_methods_differ_in_seeds_only(verdicts, n_seeds):
    shift = 3 * verdicts.standard_error(n_seeds, [1.0], 0.0)
    ours, plain = verdicts.power(np.random.default_rng(6), 300, n_seeds, [1.0], shift, query_on_method=0.0)
    assert ours >= plain - 0.03
    assert ours > 0.4
