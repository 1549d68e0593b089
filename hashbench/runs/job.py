"""One cell of a grid: a method with its parameters, a code length and a seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hashbench.errors import InputError
from hashbench.method import HashMethod
from hashbench.plugins.registry import Plugin


@dataclass(frozen=True)
class Cell:
    """One (method with its parameters, n_bits, seed) on a workbench's data set.

    Attributes
    ----------
    plugin : Plugin
    params : dict
        Parameters given by the user; the rest are defaults.
    n_bits : int
    seed : int or None
        None for a deterministic method.
    label : str
        The method as the user wrote it.
    """

    plugin: Plugin
    params: dict[str, Any]
    n_bits: int
    seed: int | None
    label: str

    def method(self) -> HashMethod:
        """Return the unfitted method."""
        seed = {} if self.seed is None else {"random_state": self.seed}
        try:
            return self.plugin.load()(n_bits=self.n_bits, **self.params, **seed)
        except Exception as error:
            raise InputError(
                f"{self.label} ({self.plugin.origin}) cannot be made with n_bits={self.n_bits}: "
                f"{type(error).__name__}: {error}"
            ) from error
