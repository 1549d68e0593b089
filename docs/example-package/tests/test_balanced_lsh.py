"""The conformance suite of hashbench, one test per check."""

from balanced_lsh import BalancedLSH

from hashbench.checks import parametrize_with_checks


@parametrize_with_checks([BalancedLSH])
def test_conformance(method_class, check):
    """Pass every check."""
    check(method_class)
