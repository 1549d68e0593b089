"""A check: a function whose docstring is the sentence it checks, and the plugins that it applies to."""

from __future__ import annotations

import functools
import inspect
import unittest
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

METHODS, QUANTIZERS, DATASETS, METRICS = "methods", "quantizers", "datasets", "metrics"


class Skipped(unittest.SkipTest):
    """A check cannot be run; the message says why. pytest shows such a test as skipped."""


@dataclass(frozen=True)
class Tag:
    """What a plugin has or has not.

    Attributes
    ----------
    holds : callable
        ``holds(plugin_class)``.
    otherwise : str
        Why a check that needs it does not apply to a plugin without it.
    """

    holds: Callable[[Any], bool]
    otherwise: str


def has_parameter(name: str) -> Tag:
    """Return the tag of plugins whose ``__init__`` has a parameter of that name."""
    return Tag(lambda plugin_class: name in inspect.signature(plugin_class).parameters, f"it has no parameter {name}")


READS_LABELS = Tag(lambda plugin_class: plugin_class.supervision == "supervised", "it reads no labels")
HAS_SEARCH_SPACE = Tag(lambda plugin_class: plugin_class.search != {}, "it has no search space")
LEVELS_ARE_GROUPS = Tag(
    lambda plugin_class: not plugin_class.by_radius, "it asks for items within a Hamming radius (by_radius)"
)
NEEDS_FILES = Tag(lambda plugin_class: bool(plugin_class.needs), "it needs no files")


class Check:
    """A check; called with a plugin under test it raises where that does not pass.

    Parameters
    ----------
    function : callable
        Gets the class of a method, quantizer or metric, or the `hashbench.checks.dataset_trial.Trial` of a data set. It
        raises AssertionError or whatever the plugin does, and `Skipped` where it cannot be run.
    kinds : tuple of str
        The kinds of plugins that it applies to.
    only : Tag, optional
        What a plugin must have so that it applies.
    after : str
        Name of the check without which it is useless.
    """

    __name__: str

    def __init__(self, function: Callable[[Any], None], kinds: tuple[str, ...], only: Tag | None, after: str) -> None:
        functools.update_wrapper(self, function)
        self.function, self.kinds, self.only, self.after = function, kinds, only, after

    def __call__(self, subject: Any) -> None:
        """Run the check."""
        self.function(subject)

    def does_not_apply(self, plugin_class: type) -> str:
        """Return why the check does not apply to a plugin of its kinds, or an empty text."""
        return self.only.otherwise if self.only is not None and not self.only.holds(plugin_class) else ""


def check(*kinds: str, only: Tag | None = None, after: str = "") -> Callable[[Callable[[Any], None]], Check]:
    """Return a decorator that makes a function a check of some kinds of plugins, see `Check`."""
    return lambda function: Check(function, kinds, only, after)
