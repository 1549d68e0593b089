"""The conformance suite that every method plugin passes, after scikit-learn's estimator checks.

As a library call ``check_method(Method)``, as a pytest parametrisation ``@parametrize_with_checks([Method])``, and
on the command line ``hashbench check NAME``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from hashbench.checks.method_codes import (
    check_codes_are_packed,
    check_encode_memory_is_bounded,
    check_global_random_state_is_left_alone,
    check_memory_layouts,
    check_no_bit_is_constant,
    check_rows_are_independent,
    check_seed_decides,
    check_values_are_finite,
)
from hashbench.checks.method_fitting import (
    check_a_last_batch_of_one_row,
    check_degenerate_data,
    check_documented,
    check_fit_asks_for_what_there_is,
    check_input_is_not_changed,
    check_labels,
    check_parameters,
    check_parameters_stay,
    check_process_is_left_alone,
    check_refit_forgets,
    check_refuses_unusable_input,
    check_saves_and_loads,
    check_too_many_bits,
)
from hashbench.checks.outcome import Outcome, raise_failures, run_checks
from hashbench.contract.method import HashMethod

Check = Callable[[type[HashMethod]], None]

CHECKS: tuple[Check, ...] = (
    check_parameters,
    check_process_is_left_alone,
    check_parameters_stay,
    check_fit_asks_for_what_there_is,
    check_labels,
    check_codes_are_packed,
    check_values_are_finite,
    check_seed_decides,
    check_global_random_state_is_left_alone,
    check_rows_are_independent,
    check_input_is_not_changed,
    check_memory_layouts,
    check_refit_forgets,
    check_saves_and_loads,
    check_refuses_unusable_input,
    check_too_many_bits,
    check_degenerate_data,
    check_a_last_batch_of_one_row,
    check_no_bit_is_constant,
    check_encode_memory_is_bounded,
    check_documented,
)


def check_method(method_class: type[HashMethod]) -> None:
    """Run every check on a method.

    Parameters
    ----------
    method_class : type
        A `HashMethod` subclass.

    Raises
    ------
    AssertionError
        A check failed; the message lists every failed check with its reason.
    """
    raise_failures(outcomes(method_class))


def outcomes(method_class: type[HashMethod]) -> Iterator[Outcome]:
    """Run the checks one after the other and yield how each ended."""
    return run_checks(CHECKS, method_class)


def parametrize_with_checks(method_classes: Iterable[type[HashMethod]]) -> Any:
    """Return a pytest decorator: the test gets ``method_class`` and ``check``, once per pair of them.

    Examples
    --------
    ::

        @parametrize_with_checks([Mine])
        def test_mine(method_class, check):
            check(method_class)
    """
    import pytest

    pairs = [(method_class, check) for method_class in method_classes for check in CHECKS]
    ids = [f"{method_class.name}-{check.__name__}" for method_class, check in pairs]
    return pytest.mark.parametrize(("method_class", "check"), pairs, ids=ids)
