"""What a run and a method owe each other: what ``fit`` may ask for, what goes into a method and what comes out of it.

`hashbench.contract.method.HashMethod` calls the checks around a plugin's ``fit`` and ``project``, so that they hold
for every caller: runs, the conformance suite, saved models and users.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np

from hashbench.errors import ContractError, shorten

BLOCK_ROWS = 1024
Method = TypeVar("Method")
FIT_EXTRAS = {
    "views": "a pool of augmented views of the training rows as features, (n, n_views, d) float16, memory-mapped",
    "tunable": "the backbone and the training images, for a method that trains the backbone too",
    "validation": "a function: validation(self) scores the method, as it is now, on labelled validation queries",
    "device": "the torch device of the run, as text",
    "devices": "how many such devices the method may use",
    "workdir": "a directory of the cell's own, for checkpoints",
    "log": "call it once an epoch, as log(epoch=3, epochs=60, loss=0.7)",
}
"""What a method's ``fit`` may ask for by naming it as a keyword, and what it is."""

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def data_parameters(fit: Callable[..., Any]) -> list[str]:
    """Return the names of the parameters that take the training vectors and, if ``fit`` has it, the labels.

    They are the first one or two positional parameters after ``self``, whatever their names; a second one that is
    named like an entry of `FIT_EXTRAS` is no label but that.
    """
    parameters = list(inspect.signature(fit).parameters.values())[1:]
    first = [parameter.name for parameter in parameters if parameter.kind in _POSITIONAL][:2]
    return first[:1] + [name for name in first[1:] if name not in FIT_EXTRAS]


def asked_extras(fit: Callable[..., Any]) -> set[str]:
    """Return the keywords of ``fit`` beyond its data; ``*args`` and ``**kwargs`` ask for nothing."""
    parameters = list(inspect.signature(fit).parameters.values())[1:]
    named = {parameter.name for parameter in parameters if parameter.kind not in _VARIADIC}
    return named - set(data_parameters(fit))


@runtime_checkable
class TrainsOnViews(Protocol):
    """What a method has, beside the contract, whose ``fit`` asks for ``views``.

    Attributes
    ----------
    n_views : int or str
        A parameter: how many views there are of each training image, or a word for a number that it works out.
    views_seed : int
        A parameter: the seed of the views.
    """

    n_views: Any
    views_seed: int

    def n_pool_views(self, n_images: int) -> int:
        """Return how many views of each of ``n_images`` training images ``fit`` needs."""


def extras_problem(method: Any) -> str:
    """Return what is wrong with what a method's ``fit`` asks for, or an empty text."""
    wanted = method.wants()
    unknown = sorted(wanted - set(FIT_EXTRAS))
    if unknown:
        return f"fit asks for {', '.join(unknown)}; a run offers {', '.join(sorted(FIT_EXTRAS))}"
    if "views" in wanted and not isinstance(method, TrainsOnViews):
        needed = "the parameters n_views and views_seed, and the method n_pool_views(n_images)"
        return f"fit asks for views, so the class needs {needed}"
    return ""


def checked_n_bits(n_bits: Any) -> None:
    """Refuse a code length that is no positive integer.

    Raises
    ------
    ValueError
        It is none; True and False are none either.
    """
    if not isinstance(n_bits, int | np.integer) or isinstance(n_bits, bool) or n_bits < 1:
        raise ValueError(f"n_bits={n_bits!r}: expected a positive integer")


def checked_values(values: Any, shape: tuple[int, int], method: str) -> np.ndarray:
    """Return what ``project`` gave for a block, if it is an array of the right shape and of real numbers.

    Parameters
    ----------
    values : object
    shape : (int, int)
        Rows of the block, and ``n_bits``.
    method : str

    Raises
    ------
    ContractError
        It is something else.
    """
    expected = f"expected an array of shape {shape} of real numbers"
    if not isinstance(values, np.ndarray):
        raise ContractError(f"{method}: project returned {type(values).__name__}, {expected}")
    if values.shape != shape:
        raise ContractError(f"{method}: project returned shape {values.shape}, {expected}")
    if values.dtype.kind not in "fiu":
        raise ContractError(f"{method}: project returned dtype {values.dtype}, {expected}")
    return values


def refuse_nonfinite_values(values: np.ndarray, first_row: int, method: str) -> None:
    """Refuse a block of projected values that holds NaN or infinity.

    Raises
    ------
    ContractError
        It does; the message names the first row and bit.
    """
    if surely_finite(values):
        return
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        row, bit = bad[0]
        raise ContractError(
            f"{method}: project returned {values[row, bit]} for row {first_row + row}, bit {bit}, though the row is "
            "finite; expected finite numbers"
        )


def surely_finite(block: np.ndarray) -> bool:
    """Return whether the sum of squares is finite: a cheap proof that a block holds no NaN or infinity."""
    if block.dtype.kind != "f":
        return True
    flat = block.ravel()
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(np.dot(flat, flat)))


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
        One is another than before; the message names it with both values.
    """
    for name, value in before.items():
        if not equal_parameters(value, after[name]):
            was, now = shorten(repr(value)), shorten(repr(after[name]))
            raise ContractError(f"{method}: {by} changed the parameter {name} from {was} to {now}; keep it as given")


def make_method(method_class: Callable[..., Method], params: dict[str, Any]) -> Method:
    """Return an unfitted method, if it keeps its parameters as they are given.

    Raises
    ------
    ContractError
        ``__init__`` changes one.
    Exception
        Whatever else ``__init__`` raises.
    """
    method: Any = method_class(**params)
    refuse_changed(params, method.get_params(deep=False), method.name, "__init__")
    return method


def equal_parameters(one: Any, other: Any) -> bool:
    """Return whether two values of a parameter are the same; NaN is itself, also in a list."""
    if one is other:
        return True
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return np.array_equal(one, other)
    return bool(one == other) or (type(one) is type(other) and repr(one) == repr(other))
