"""The conformance suites that every plugin passes."""

from hashbench.checks.datasets import check_dataset
from hashbench.checks.methods import check_method
from hashbench.checks.suites import parametrize_with_checks

__all__ = ["check_dataset", "check_method", "parametrize_with_checks"]
