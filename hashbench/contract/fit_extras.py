"""Extra arguments of a plugin's ``fit``, such as views or a device, and how its signature requests them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

FIT_EXTRAS = {
    "views": "a pool of augmented views of the training rows as features, (n, n_views, d) float16, memory-mapped",
    "tunable": "the backbone and the training images, for a method that trains the backbone too",
    "validation": "a function: validation(self) scores the method, as it is now, on labelled validation queries: "
    "for a supervised method a tenth of each class of the training set, for others half of the queries",
    "device": "the torch device of the run, as text",
    "devices": "how many such devices the method may use",
    "workdir": "a directory for the cell's checkpoints",
    "log": "call it once an epoch, as log(epoch=3, epochs=60, loss=0.7)",
}
"""What the ``fit`` of a method or quantizer may ask for by naming it as a keyword, and what it is."""
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
    """What a method or quantizer has, besides the contract, whose ``fit`` asks for ``views``.

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
    """Return what is wrong with what the ``fit`` of a method or quantizer asks for, or an empty text."""
    wanted = method.wants()
    unknown = sorted(wanted - set(FIT_EXTRAS))
    if unknown:
        return f"fit asks for {', '.join(unknown)}; a run offers {', '.join(sorted(FIT_EXTRAS))}"
    if "validation" in wanted and method.kind == "quantizers":
        return "fit asks for validation, which scores codes of bits; a quantizer has none"
    if "views" in wanted and not isinstance(method, TrainsOnViews):
        needed = "the parameters n_views and views_seed, and the method n_pool_views(n_images)"
        return f"fit asks for views, so the class needs {needed}"
    return ""
