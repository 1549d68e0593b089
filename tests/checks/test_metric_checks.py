"""The checks of metrics: hashbench's pass, and each check has a metric that it refuses."""

from pathlib import Path

import pytest
from broken_metrics import BROKEN, GoodMetric

from hashbench.checks import check_plugin, parametrize_with_checks
from hashbench.checks.suite import checks_of, outcomes
from hashbench.evaluation.metrics import KINDS
from hashbench.plugins.registry import Registry

DOCS = Path(__file__).resolve().parents[2] / "docs"


@parametrize_with_checks([*KINDS, GoodMetric])
def test_metrics_pass(metric_class, check):
    check(metric_class)


@pytest.mark.parametrize(("name", "broken"), [(name, one) for name, every in BROKEN.items() for one in every])
def test_each_check_refuses_its_counterexample(name, broken):
    how = {outcome.name: outcome.how for outcome in outcomes(broken)}
    assert how[name] == "FAILED"


def test_each_check_has_a_counterexample():
    assert set(BROKEN) == {check.__name__ for check in checks_of("metrics")}


def test_failures_are_listed_and_expected_ones_are_not():
    (broken,) = BROKEN["check_ties_are_expectations"]
    with pytest.raises(
        AssertionError, match=r"check_ties_are_expectations: good@4 is .* in the mean over their orders"
    ):
        check_plugin(broken)

    class Expected(broken):
        expected_failures = {"check_ties_are_expectations": "its authors rank the relevant items first"}

    check_plugin(Expected)


def test_a_check_of_distances_does_not_apply_within_a_radius():
    class Within(GoodMetric):
        by_radius = True

    skipped = [outcome.name for outcome in outcomes(Within) if outcome.how == "skipped"]
    assert skipped == ["check_ties_are_expectations", "check_levels_are_groups"]


def test_the_documentations_metric_is_checked(tmp_path, cli):
    (tmp_path / "first_rank.py").write_text(
        (DOCS / "add-a-metric.md").read_text().split("```python\n")[1].split("```")[0]
    )
    (plugin,) = Registry(tmp_path / "first_rank.py").plugins("metrics").values()
    assert [one.how for one in outcomes(plugin.load())] == ["ok"] * len(checks_of("metrics"))
    assert "Rank of the first relevant item" in cli("list", "--plugin", plugin.file).stdout
    for name in ("first_rank", "first@all"):
        told = cli("info", name, "--plugin", plugin.file).stdout
        assert "better       lower\nrange        1 to unbounded, rank\n" in told
