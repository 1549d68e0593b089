"""What a JSON file of hashbench's own must hold before any of it is used: a key and a test for each value."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

Test = Callable[[Any], bool]


def text(value: Any) -> bool:
    """Whether a value is text."""
    return isinstance(value, str)


def flag(value: Any) -> bool:
    """Whether a value is true or false."""
    return isinstance(value, bool)


def count(value: Any) -> bool:
    """Whether a value is a whole number, 0 or more, that an index can be."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def number(value: Any) -> bool:
    """Whether a value is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def nothing(value: Any) -> bool:
    """Whether a value is null."""
    return value is None


def either(*tests: Test) -> Test:
    """Return a test for values that pass one of the tests."""
    return lambda value: any(test(value) for test in tests)


def listed(test: Test) -> Test:
    """Return a test for lists whose values all pass a test."""
    return lambda value: isinstance(value, list) and all(map(test, value))


def mapped(test: Test) -> Test:
    """Return a test for objects whose values all pass a test."""
    return lambda value: isinstance(value, dict) and all(map(test, value.values()))


def misfit(facts: Any, needed: Mapping[str, Test], optional: Mapping[str, Test] | None = None) -> str | None:
    """Return the first key that is missing or holds something of another kind; None where all fit.

    Parameters
    ----------
    facts : object
        What was read; anything but an object fits nothing.
    needed, optional : dict from str to callable
        What each key's value must pass. Other keys may stand beside them.
    """
    if not isinstance(facts, dict):
        return "everything"
    for key, test in {**needed, **(optional or {})}.items():
        if (key in facts or key in needed) and not (key in facts and test(facts[key])):
            return key
    return None
