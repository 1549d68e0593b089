"""Dropout whose masks are drawn per image on the CPU: neither the batch nor the device changes them."""

from __future__ import annotations

from typing import Any

import numpy as np

RATE = 0.5
"""Share of features that are dropped: one random bit decides for each."""
GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def dropout_of(key: dict[str, Any]) -> float:
    """Return the dropout rate of a backbone's fully connected layers; 0 where it has none."""
    return RATE if str(key.get("architecture", key["backbone"])).startswith("vgg") else 0.0


def dropout_key(key: dict[str, Any]) -> dict[str, Any]:
    """Return what the feature key of a backbone's views says of dropout; nothing where it has none."""
    rate = dropout_of(key)
    return {"dropout": {"fc6": rate, "fc7": rate, "masks": "per image"}} if rate else {}


def mask_seeds(seed: int, rows: np.ndarray) -> np.ndarray:
    """Return the seeds of some images' masks in one view, (n,) uint64.

    Parameters
    ----------
    seed : int
        Of the view, below 2**63.
    rows : ndarray of shape (n,), int64
        Positions of the images in the training set.
    """
    return _mixed(np.uint64(seed) ^ _mixed(rows.astype(np.uint64)))


def masks(seeds: np.ndarray, layer: int, n_features: int) -> np.ndarray:
    """Return which features images keep, (n, n_features) uint8 in {0, 1}.

    The bits are SplitMix64's (Steele, Lea and Flood, OOPSLA 2014).

    Parameters
    ----------
    seeds : ndarray of shape (n,), uint64
        What `mask_seeds` returned.
    layer : int
        Number of the layer that drops them.
    n_features : int
    """
    first = _mixed(seeds + np.uint64(layer))
    words = _mixed(first[:, None] + np.arange(1, -(-n_features // 64) + 1, dtype=np.uint64) * GOLDEN)
    return np.unpackbits(words.astype("<u8").view(np.uint8), axis=1)[:, :n_features]


def _mixed(values: np.ndarray) -> np.ndarray:
    """Return 64-bit integers mixed by SplitMix64's finaliser."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
