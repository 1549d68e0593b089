"""A code for each class, which supervised methods draw items towards."""

from __future__ import annotations

from math import comb
from typing import Literal, get_args

import numpy as np
from scipy.linalg import hadamard

from hashbench.errors import Unsupported
from hashbench.progress import to_stderr_once

Kind = Literal["hadamard", "spread", "balanced", "bernoulli"]
DRAWS = 100
"""How often ``"spread"`` draws rows at most."""


def centres(n_classes: int, n_bits: int, kind: Kind, random_state: int | None) -> np.ndarray:
    """Return one code for each class, no two of them the same.

    Parameters
    ----------
    n_classes : int
        2 or more.
    n_bits : int
        Code length in bits.
    kind : {"hadamard", "spread", "balanced", "bernoulli"}
        ``"hadamard"``: the first rows of Sylvester's Hadamard matrix H, then those of −H: any two differ in half of
        the bits or in all. Column 0 of H is constant, and among the first rows columns repeat: C rows have only
        2^⌈log2 C⌉ different columns. With 10 classes and 32 bits, 15 bits are worth something: columns j and j + 16 are
        equal, 0 and 16 constant. ``"spread"``: as many rows, drawn from H and −H (never both of one row where H has
        enough) until no bit is wasted, or as few as 100 draws reach; see `n_wasted`. ``"balanced"``: each code is drawn
        with ⌊n_bits / 2⌋ bits of −1, as in CSQ and DPN. ``"bernoulli"``: each bit is drawn, as in OrthoHash.
    random_state : int or None
        Seed; ``"hadamard"`` does not read it, unless it has no such matrix.

    Returns
    -------
    ndarray of shape (n_classes, n_bits), int8
        −1 and 1.

    Raises
    ------
    Unsupported
        There are fewer than 2 classes, or fewer different codes than classes; or ``kind`` is unknown.

    Notes
    -----
    H exists where ``n_bits`` is a power of 2, for up to 2 ``n_bits`` classes. Otherwise the first two kinds give
    ``"balanced"`` codes, as CSQ does, and a line on standard error says so.

    Sources: Yuan et al., Central similarity quantization for efficient image and video retrieval, CVPR 2020, algorithm
    1; Koutaki et al., arXiv 1611.10017; Hoe et al., One loss for all: deep hashing with a single cosine similarity
    based learning objective, NeurIPS 2021.
    """
    if kind not in get_args(Kind):
        raise Unsupported(f"centres={kind!r}: expected {', '.join(map(repr, get_args(Kind)))}")
    if n_classes < 2:
        raise Unsupported(f"{n_classes} class in the training set: centres need at least 2 classes")
    if kind in ("hadamard", "spread") and (n_bits & (n_bits - 1) or n_classes > 2 * n_bits):
        to_stderr_once(f"n_bits={n_bits}, {n_classes} classes: no Hadamard matrix has such rows, centres are random")
        kind = "balanced"
    rng = np.random.default_rng(random_state)
    if kind == "hadamard":
        return _both_signs(n_bits)[:n_classes]
    if kind == "spread":
        return _spread(n_classes, n_bits, rng)
    return _random(n_classes, n_bits, kind, rng)


def n_wasted(codes: np.ndarray) -> int:
    """Return how many bits tell no classes apart that others do not: constant ones, and repeated or inverted ones.

    Parameters
    ----------
    codes : ndarray of shape (n_classes, n_bits)
        −1 and 1.
    """
    columns = np.unique((codes * codes[:1]).T, axis=0)  # a bit and its inverse become the same
    return codes.shape[1] - int((columns != 1).any(axis=1).sum())


def _both_signs(n_bits: int) -> np.ndarray:
    rows = hadamard(n_bits, np.int8)
    return np.vstack([rows, -rows])


def _spread(n_classes: int, n_bits: int, rng: np.random.Generator) -> np.ndarray:
    least = n_bits - min(n_bits, 2 ** min(n_classes - 1, 62) - 1)  # so few classes have no more different columns
    best, wasted = np.empty((0, n_bits), np.int8), n_bits + 1
    for _ in range(DRAWS):
        if n_classes <= n_bits:
            chosen = rng.permutation(n_bits)[:n_classes] + n_bits * rng.integers(2, size=n_classes)
        else:
            chosen = rng.permutation(2 * n_bits)[:n_classes]
        drawn = _both_signs(n_bits)[chosen]
        if n_wasted(drawn) < wasted:
            best, wasted = drawn, n_wasted(drawn)
        if wasted <= least:
            break
    return best


def _random(n_classes: int, n_bits: int, kind: Kind, rng: np.random.Generator) -> np.ndarray:
    n_codes = comb(n_bits, n_bits // 2) if kind == "balanced" else 2**n_bits
    if n_classes > n_codes:
        raise Unsupported(f"n_bits={n_bits}: only {n_codes} {kind} codes, {n_classes} classes need as many")
    balanced = np.where(np.arange(n_bits) < n_bits // 2, -1, 1).astype(np.int8)
    found: dict[bytes, np.ndarray] = {}
    while len(found) < n_classes:
        if kind == "balanced":
            code = rng.permutation(balanced)
        else:
            code = (2 * rng.integers(2, size=n_bits) - 1).astype(np.int8)
        found.setdefault(code.tobytes(), code)
    return np.stack(list(found.values()))
