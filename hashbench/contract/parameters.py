"""Parameters are kept as they are given: by ``__init__``, by ``fit``, and afterwards."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from hashbench.errors import ContractError, shorten

Method = TypeVar("Method")


def checked_n_bits(n_bits: Any) -> None:
    """Refuse a code length that is no positive integer.

    Raises
    ------
    ValueError
        ``n_bits`` is not a positive integer; True and False do not count as integers.
    """
    if not isinstance(n_bits, int | np.integer) or isinstance(n_bits, bool) or n_bits < 1:
        raise ValueError(f"n_bits={n_bits!r}: expected a positive integer")


def make_method(method_class: Callable[..., Method], params: dict[str, Any]) -> Method:
    """Return an unfitted method, if it keeps its parameters as they are given.

    Raises
    ------
    ContractError
        ``__init__`` changes a parameter.
    Exception
        ``__init__`` itself raises.
    """
    method: Any = method_class(**params)
    refuse_changed(params, method.get_params(deep=False), method.name, "__init__")
    return method


def snapshot(params: dict[str, Any]) -> dict[str, Any]:
    """Return parameters such that a later change inside a list, dict or set shows."""
    return {
        name: copy.deepcopy(value) if isinstance(value, list | dict | set) else value for name, value in params.items()
    }


def refuse_changed(before: dict[str, Any], after: dict[str, Any], method: str, by: str) -> None:
    """Refuse parameters that are not as they were given.

    Parameters
    ----------
    before, after : dict
    method : str
    by : str
        What was called in between, for the message: ``"fit"`` or ``"__init__"``.

    Raises
    ------
    ContractError
        A parameter has changed; the message names it with both values.
    """
    for name, value in before.items():
        if not equal_parameters(value, after[name]):
            was, now = shorten(repr(value)), shorten(repr(after[name]))
            raise ContractError(f"{method}: {by} changed the parameter {name} from {was} to {now}; keep it as given")


def equal_parameters(one: Any, other: Any) -> bool:
    """Return whether two values of a parameter are the same; NaN is itself, also in a list."""
    if one is other:
        return True
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return np.array_equal(one, other)
    return bool(one == other) or (type(one) is type(other) and repr(one) == repr(other))
