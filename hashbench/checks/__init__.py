"""The suite of checks that every plugin passes."""

from hashbench.checks.suite import check_plugin, parametrize_with_checks

check_method = check_dataset = check_plugin

__all__ = ["check_dataset", "check_method", "check_plugin", "parametrize_with_checks"]
