"""Whether a method's bits are the signs of a linear map, and of which."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hashbench.contract.method import HashMethod

Linear = tuple[np.ndarray, np.ndarray]
"""Weights (n_features, n_bits) and offsets (n_bits,): a bit is 1 where ``x @ weights`` is above its offset."""
WIDEST = 8192
"""Features of a vector, at most, where the map is read off the method's values for unit vectors."""
N_PROBES = 256
SPREADS = (0.03, 0.3, 3.0)
"""How far probes are from where the hyperplanes meet, as shares of that point's length."""
UNSURE = 1e-4
"""Cosines between a probe and a hyperplane below this may be rounding."""


def linear_map(method: HashMethod) -> Linear | None:
    """Return the linear map whose signs are a fitted method's bits, or None if there is none.

    It is what the method has learned under the names of `hashbench.learning`, else what its values for zero and for
    unit vectors say, and is tried on random vectors around the point where the hyperplanes meet.
    """
    try:
        for weights, offsets in _candidates(method):
            if _gives_the_bits(method, weights, offsets):
                return weights, offsets
    except Exception:  # a method raises whatever it likes on vectors that are none of its data
        return None
    return None


def _candidates(method: HashMethod) -> Iterator[Linear]:
    d, n_bits = method.n_features_in_, method.n_bits
    for weights, shift, sign in (("directions_", "offset_", 1), ("weights1_", "bias1_", -1)):
        learned = [np.asarray(getattr(method, name, np.nan)) for name in (weights, shift)]
        if [one.shape for one in learned] == [(d, n_bits), (n_bits,)]:
            yield learned[0].astype(np.float64), sign * learned[1].astype(np.float64)
    if d <= WIDEST:
        at_zero = method.values(np.zeros((1, d), np.float32))
        yield method.values(np.eye(d, dtype=np.float32)) - at_zero, -at_zero[0]


def _gives_the_bits(method: HashMethod, weights: np.ndarray, offsets: np.ndarray) -> bool:
    centre = np.linalg.lstsq(weights.T, offsets, rcond=None)[0]
    length = np.linalg.norm(centre) or np.sqrt(len(centre))
    rng = np.random.default_rng(0)
    for spread in SPREADS:
        directions = rng.standard_normal((N_PROBES, len(centre))) / np.sqrt(len(centre))
        probes = (centre + spread * length * directions).astype(np.float32)
        expected = probes @ weights - offsets
        scale = np.linalg.norm(probes, axis=1)[:, None] * np.linalg.norm(weights, axis=0) + np.abs(offsets)
        sure = np.abs(expected) > UNSURE * scale
        if ((method.values(probes) > 0) != (expected > 0))[sure].any():
            return False
    return True
