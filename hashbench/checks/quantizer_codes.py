"""Checks of quantizers alone: the bytes of their codes, and the distances that go with them."""

from __future__ import annotations

import numpy as np

from hashbench.checks.check import QUANTIZERS, check
from hashbench.checks.estimator_trial import fit, gaussian, make
from hashbench.contract.quantizer import Quantizer

N_NEAREST = 20


@check(QUANTIZERS)
def check_codes_have_the_stated_bytes(quantizer_class: type[Quantizer]) -> None:
    """Codes are uint8, as many bytes as n_bytes says before and after fit, which returns the quantizer itself."""
    X, quantizer = gaussian(), make(quantizer_class)
    stated = quantizer.n_bytes(X.shape[1])
    assert fit(quantizer, X) is quantizer, "fit does not return the quantizer itself"
    codes = quantizer.encode(X[:50])
    assert codes.dtype == np.uint8, f"codes have dtype {codes.dtype}"
    assert codes.shape == (50, stated), f"codes have shape {codes.shape}, n_bytes says {stated}"
    assert quantizer.n_bytes(X.shape[1]) == stated, "n_bytes is another after fit"


@check(QUANTIZERS)
def check_distances_rank_near_items_first(quantizer_class: type[Quantizer]) -> None:
    """Distances are finite, one for each pair, and go along with true distances."""
    X, quantizer = gaussian(), make(quantizer_class)
    codes = fit(quantizer, X).encode(X)
    distances = quantizer.distances(X[:N_NEAREST], codes)
    assert distances.shape == (N_NEAREST, len(X)), f"distances have shape {distances.shape}"
    assert np.isfinite(distances).all(), "distances are not finite"
    true = np.square(X[:N_NEAREST, None] - X).sum(axis=2)
    together = [np.corrcoef(*pair)[0, 1] for pair in zip(distances, true, strict=True)]
    assert np.mean(together) > 0.5, f"distances correlate with true ones by {np.mean(together):.2f}"


@check(QUANTIZERS)
def check_search_gives_the_smallest_distances(quantizer_class: type[Quantizer]) -> None:
    """Searching gives rows whose distances are the smallest ones, nearest first."""
    X, quantizer = gaussian(), make(quantizer_class)
    codes = fit(quantizer, X).encode(X)
    distances = quantizer.distances(X[:5], codes)
    rows = quantizer.searcher(codes)(X[:5], N_NEAREST)
    assert rows.shape == (5, N_NEAREST), f"search returned shape {rows.shape}"
    best = np.sort(distances, axis=1)[:, :N_NEAREST]
    assert np.allclose(np.take_along_axis(distances, rows, axis=1), best, rtol=1e-4, atol=1e-3), "others are nearer"
