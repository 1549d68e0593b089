"""Search spaces: the values of a plugin's parameters that tuning chooses from, declared with the class as data."""

from __future__ import annotations

import inspect
import math
from dataclasses import dataclass
from typing import Any

from hashbench.errors import describe_error, did_you_mean, shorten

NOT_TUNED = {
    "n_bits": "a run sets the code length",
    "random_state": "a run sets the seed",
    "epochs": "all configurations of a method get the same training",
}
"""Parameters that no search space may contain, and why."""
SCALARS = (str, int, float, bool, type(None))
"""Types of the values of a choice: what a record and a configuration file can hold."""
MANY_ITEMS = 10**9
"""Training items for which limits of parameters are checked: the limits that remain do not depend on the data."""


@dataclass(frozen=True)
class Range:
    """Numbers between two bounds, which are included.

    Attributes
    ----------
    low, high : int or float
    log : bool
        Whether values are drawn on a logarithmic scale.
    integer : bool
        Whether only integers are drawn.
    """

    low: float
    high: float
    log: bool = False
    integer: bool = False

    def __str__(self) -> str:
        """Return the range in words."""
        return f"{self.low!r} to {self.high!r}{' (log)' if self.log else ''}"


@dataclass(frozen=True)
class Choice:
    """One of several values.

    Attributes
    ----------
    values : tuple of str, int, float, bool or None
    """

    values: tuple[Any, ...]

    def __str__(self) -> str:
        """Return the values in words."""
        *others, last = map(repr, self.values)
        return f"{', '.join(others)} or {last}"


def log_range(low: float, high: float) -> Range:
    """Return a range on a logarithmic scale, for the `search` of a method or quantizer.

    Parameters
    ----------
    low, high : int or float
        Bounds above 0, which are included. Two integers give a range of integers.

    Examples
    --------
    ::

        search = {"lr": log_range(1e-4, 1e-1), "n_anchors": log_range(100, 1000)}
    """
    return Range(low, high, log=True, integer=_is_integer(low) and _is_integer(high))


def search_space(cls: type) -> dict[str, Range | Choice]:
    """Return the search space of a method or quantizer, checked; it is empty if nothing is tuned.

    Parameters
    ----------
    cls : type
        A `HashMethod` or `Quantizer`. Its attribute ``search`` maps parameters to a pair ``(low, high)``, a
        `log_range` or a list of values. Two integers are a range of integers.

    Returns
    -------
    dict of str to Range or Choice
        In the order of ``search``. The default value of each parameter is in its range or choice.

    Raises
    ------
    ValueError
        ``search`` is not a dict, or an entry cannot be used: no parameter has that name or it is not tuned; there are
        not two different values; a value has the wrong type, is not finite, is 0 or less on a logarithmic scale, or is
        outside the ``limits`` of a deep method; or the default is not included.
    """
    plugin: Any = cls
    if not isinstance(plugin.search, dict):
        what = shorten(repr(plugin.search))
        raise ValueError(f'{plugin.name}: search is {what}; write a dict such as {{"lr": log_range(1e-4, 1e-1)}}')
    space = {}
    for name, declared in plugin.search.items():
        try:
            space[name] = _checked(plugin, name, declared)
        except _Unusable as error:
            raise ValueError(f"{plugin.name}: search[{name!r}] = {_shown(declared)}: {error}") from error
    return space


def space_in_words(cls: type) -> str:
    """Return the search space of a method or quantizer in words; ``none`` if nothing is tuned.

    Raises
    ------
    ValueError
        The space cannot be used, see `search_space`.
    """
    return "; ".join(f"{name} {entry}" for name, entry in search_space(cls).items()) or "none"


class _Unusable(Exception):
    """An entry cannot be used; the message says why."""


def _checked(plugin: Any, name: Any, declared: Any) -> Range | Choice:
    known = inspect.signature(plugin).parameters
    if name not in known:
        hint = did_you_mean(str(name), known) or f"parameters: {', '.join(known) or 'none'}"
        raise _Unusable(f"{plugin.name} has no such parameter; {hint}")
    if name in NOT_TUNED:
        raise _Unusable(f"it is not tuned; {NOT_TUNED[name]}")
    default = known[name].default
    entry = _choice(declared, default) if isinstance(declared, list) else _range(declared, default)
    for value in entry.values if isinstance(entry, Choice) else (entry.low, entry.high):
        _check_limits(plugin, name, value)
    return entry


def _choice(values: list[Any], default: Any) -> Choice:
    for value in values:
        if type(value) not in SCALARS or (isinstance(value, float) and not math.isfinite(value)):
            raise _Unusable(f"{shorten(repr(value))} is no text, finite number, True, False or None")
    keys = [_key(value) for value in values]
    if len(values) < 2:
        raise _Unusable("a choice needs at least two values")
    if len(set(keys)) < len(keys):
        twice = next(value for value, key in zip(values, keys, strict=True) if keys.count(key) > 1)
        raise _Unusable(f"{twice!r} is there twice")
    if _key(default) not in keys:
        raise _Unusable(f"the default {default!r} is not one of the values; add it")
    return Choice(tuple(values))


def _key(value: Any) -> tuple[type, Any]:
    """Return what tells values apart; True and 1, which Python takes as equal, differ."""
    return type(value), value


def _range(declared: Any, default: Any) -> Range:
    if isinstance(declared, Range):
        low, high = declared.low, declared.high
    elif isinstance(declared, tuple) and len(declared) == 2:
        low, high = declared
    else:
        raise _Unusable("expected a pair (low, high), log_range(low, high) or a list of values")
    for value in (low, high):
        if not _is_number(value) or not math.isfinite(value):
            raise _Unusable(f"{shorten(repr(value))} is no finite number; a choice of values is a list")
    if _is_integer(low) != _is_integer(high):
        raise _Unusable("one bound is an integer, the other is not; write two integers, or both with a decimal point")
    log = isinstance(declared, Range) and declared.log
    if log and low <= 0:
        raise _Unusable("a logarithmic range begins above 0")
    if low >= high:
        raise _Unusable("the first bound must be below the second")
    integer = _is_integer(low)
    if not _is_integer(default) and (integer or not _is_number(default)):
        kind = "integer" if integer else "number"
        raise _Unusable(f"the default {default!r} is no {kind}; write a list of values that contains it")
    if not low <= default <= high:
        raise _Unusable(f"the default {default!r} is outside; extend the range")
    return Range(low, high, log=log, integer=integer)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return _is_integer(value) or isinstance(value, float)


def _check_limits(plugin: Any, name: str, value: Any) -> None:
    """Refuse a value that a deep method's ``limits`` refuse, whatever the number of training items."""
    try:
        estimator = plugin(**{name: value})
        limits = estimator.limits(MANY_ITEMS, "cpu", 1) if hasattr(estimator, "limits") else []
    except Exception as error:  # a plugin's code raises what it likes
        raise _Unusable(f"{value!r} cannot be used: {describe_error(error)}") from error
    for limited, holds, expected in limits:
        if limited == name and not holds:
            raise _Unusable(f"{value!r} is outside the limits; expected {expected}")


def _shown(declared: Any) -> str:
    if isinstance(declared, Range) and declared.log:
        return f"log_range({declared.low!r}, {declared.high!r})"
    return shorten(repr(declared))
