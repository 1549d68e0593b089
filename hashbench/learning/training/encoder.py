"""Trained encoders as numpy arrays: affine maps, each followed by an activation, so that codes need no torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import expit

if TYPE_CHECKING:
    from torch import nn

Affine = tuple[np.ndarray, np.ndarray]
"""Weights (inputs, outputs) and bias (outputs,), float64: ``x @ weights + bias``."""


def _gelu(values: np.ndarray) -> np.ndarray:
    # numba takes a second to import, and few encoders need it.
    from hashbench.learning.training.gelu import gelu

    return gelu(values)


def _gelu_tanh(values: np.ndarray) -> np.ndarray:
    inner = np.float32((2 / np.pi) ** 0.5) * (values + np.float32(0.044715) * values**3)
    return values * (np.tanh(inner) + 1) / 2


ACTIVATIONS = {
    "identity": lambda values: values,
    "relu": lambda values: np.maximum(values, 0),
    "tanh": np.tanh,
    "sigmoid": expit,
    "gelu": _gelu,
    "gelu_tanh": _gelu_tanh,
}


def run_encoder(X: np.ndarray, learned: Mapping[str, Any]) -> np.ndarray:
    """Return the outputs of an exported encoder.

    Parameters
    ----------
    X : ndarray of shape (n, n_features), float32
    learned : mapping
        What `export_encoder` returned.

    Returns
    -------
    ndarray of shape (n, n_outputs), float32
    """
    for number, name in enumerate(learned["activations_"], 1):
        X = ACTIVATIONS[name](X @ learned[f"weights{number}_"] + learned[f"bias{number}_"])
    return X


def export_encoder(
    module: nn.Module, n_features: int, scaling: tuple[np.ndarray, np.ndarray | float] | None = None
) -> dict[str, Any]:
    """Return the arrays of a trained module; successive affine maps are merged.

    Batch normalisation is an affine map with its running statistics.

    Parameters
    ----------
    module : Module
        Linear, or Sequential of Linear, BatchNorm1d, activations and Dropout.
    n_features : int
        Width of its input.
    scaling : (shift, scale), optional
        The module takes (x − shift) / scale where the exported encoder takes x.

    Returns
    -------
    dict
        ``weights1_``, ``bias1_``, ``weights2_``, … float32 arrays, and ``activations_``, the activation after each.

    Raises
    ------
    TypeError
        The module holds another kind of layer, or ends in a sigmoid, whose values are all positive.
    """
    maps: list[Affine] = []
    names: list[str] = []
    ahead = None if scaling is None else _scaling_map(n_features, *scaling)
    for stage in _stages(module):
        affine = _affine(stage)
        if affine is not None:
            ahead = affine if ahead is None else _composed(ahead, affine)
            continue
        maps.append(ahead or _identity(maps[-1][1].size if maps else n_features))
        names.append(_activation(stage))
        ahead = None
    if ahead is not None:
        maps.append(ahead)
        names.append("identity")
    if names[-1:] == ["sigmoid"]:
        raise TypeError("an encoder that ends in a sigmoid gives only ones; let it end before")
    learned: dict[str, Any] = {"activations_": names}
    for number, (weights, bias) in enumerate(maps, 1):
        learned[f"weights{number}_"] = np.ascontiguousarray(weights, np.float32)
        learned[f"bias{number}_"] = bias.astype(np.float32)
    return learned


def _stages(module: nn.Module) -> Iterator[nn.Module]:
    """Yield the modules of nested Sequentials, without those that do not change codes."""
    from torch import nn

    if isinstance(module, nn.Sequential):
        for part in module:
            yield from _stages(part)
    elif not isinstance(module, nn.Dropout | nn.Identity):
        yield module


def _affine(stage: nn.Module) -> Affine | None:
    """Return a trained module as an affine map, or None if it is not affine."""
    from torch import nn

    def array(tensor: Any) -> np.ndarray:
        return tensor.detach().double().cpu().numpy()

    if isinstance(stage, nn.Linear):
        bias = np.zeros(stage.out_features) if stage.bias is None else array(stage.bias)
        return array(stage.weight).T, bias
    if isinstance(stage, nn.BatchNorm1d):
        slope = 1 / np.sqrt(array(stage.running_var) + stage.eps)
        offset = np.zeros_like(slope)
        if stage.affine:
            slope, offset = slope * array(stage.weight), array(stage.bias)
        return np.diag(slope), offset - array(stage.running_mean) * slope
    return None


def _activation(stage: nn.Module) -> str:
    from torch import nn

    if isinstance(stage, nn.GELU):
        return "gelu_tanh" if stage.approximate == "tanh" else "gelu"
    names = {nn.ReLU: "relu", nn.Tanh: "tanh", nn.Sigmoid: "sigmoid"}
    if type(stage) not in names:
        raise TypeError(
            f"a {type(stage).__name__} cannot be exported to numpy: let encoder() return a Sequential of Linear, "
            "BatchNorm1d and activations, or write project()"
        )
    return names[type(stage)]


def _scaling_map(n_features: int, shift: np.ndarray, scale: np.ndarray | float) -> Affine:
    slope = np.broadcast_to(1 / np.asarray(scale, np.float64), (n_features,))
    return np.diag(slope), -np.asarray(shift, np.float64) * slope


def _identity(width: int) -> Affine:
    return np.eye(width), np.zeros(width)


def _composed(first: Affine, second: Affine) -> Affine:
    """Return the affine map that applies one after the other."""
    return first[0] @ second[0], first[1] @ second[0] + second[1]
