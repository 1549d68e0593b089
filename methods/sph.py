"""Spherical hashing (SpH)."""

import numpy as np

from hashbench.contract.method import HashMethod
from hashbench.contract.search_space import log_range
from hashbench.errors import Unsupported
from hashbench.learning.linear import blocks, mean, refuse_constant
from hashbench.learning.portable.decisions import decide_spheres, squared_distances
from hashbench.learning.portable.exact import on_grid, shared_bits
from hashbench.learning.portable.rotations import product
from hashbench.learning.principal import centred_values

POINTS_PER_CENTRE = 5
TIE = 1e-9
MIXING_BITS, MOST_BITS = 22, 24
"""Binary digits of the mixing weights of centres, and at most of the products that are mixed, so that sums are
exact."""
ASTRAY = 1e6
"""Centres that have moved this many times their initial distance have diverged."""


class SpH(HashMethod):
    """Spherical hashing: each bit is whether a point is inside a sphere that contains half of the data.

    Source: Heo, Lee, He, Chang and Yoon, Spherical hashing, CVPR 2012. A bit is 1 where the distance to its
    centre is at most its radius (section 3.1), the median training distance. Forces between pairs of spheres
    push their overlaps o_ij to N/4 (section 3.4, algorithm 1), until the mean of |o_ij − N/4| is at most .1 N/4 and
    their standard deviation at most .15 N/4. A run compares codes by plain Hamming distance, as for every method; the
    paper's spherical Hamming distance (section 3.3) is ``hashbench.evaluate(..., distance="spherical")``.

    Parameters
    ----------
    n_bits : int
        Code length in bits; there may be more than features.
    mean_tolerance, std_tolerance : float
        The stopping rule's ε_m and ε_s, as fractions of N/4.
    max_iter : int
        Maximum number of iterations; the authors' code has none.
    random_state : int or None
        Seed of the initial centres, each the mean of 5 training points.

    Attributes
    ----------
    mean_ : ndarray of shape (n_features,), float64
        Origin of the centres: distances keep their precision on data far from zero.
    centres_ : ndarray of shape (n_bits, n_features), float64
        The spheres' centres, less ``mean_``.
    radii_ : ndarray of shape (n_bits,), float64
        Midway between the median training distance and the next greater one. Training bits are those of the median, and
        do not depend on rounding at the median point. For an odd N the middle point is inside.
    n_iter_ : int
        Iterations done.
    converged_ : bool
        Whether the stopping rule was met. If not, the spheres are those that came nearest to it: ``max_iter`` was too
        small, or no spheres can divide the data so (many equal rows).

    Fidelity
    --------
    Written from the paper. It was not compared with the authors' code. Tests check properties that the paper states:
    bits are balanced, overlaps near a quarter, and radii medians.
    """

    carries_nan = True
    portable = True
    paper = "Heo et al., CVPR 2012"
    search = {
        "mean_tolerance": log_range(0.03, 0.3),
        "std_tolerance": log_range(0.05, 0.5),
    }

    def __init__(self, n_bits=32, *, mean_tolerance=0.1, std_tolerance=0.15, max_iter=1000, random_state=None):
        self.n_bits = n_bits
        self.mean_tolerance = mean_tolerance
        self.std_tolerance = std_tolerance
        self.max_iter = max_iter
        self.random_state = random_state

    def fit(self, X, y=None):
        """Learn the spheres.

        Raises
        ------
        Unsupported
            ``max_iter`` is below 1, or all rows are the same.
        """
        if self.max_iter < 1:
            raise Unsupported(f"max_iter={self.max_iter}: expected at least 1")
        refuse_constant(X, "SpH")
        rng = np.random.default_rng(self.random_state)
        self.mean_ = mean(X)
        drawn = [rng.choice(len(X), min(POINTS_PER_CENTRE, len(X)), replace=False) for _ in range(self.n_bits)]
        start = np.stack([X[rows].mean(axis=0, dtype=np.float64) for rows in drawn]) - self.mean_
        # Centres remain combinations of the initial ones, mixing @ start, so one pass over X suffices for all
        # iterations.
        digits = min(MOST_BITS, shared_bits(self.n_bits) - MIXING_BITS)
        products = on_grid(centred_values(X, self.mean_, np.ascontiguousarray(start.T)), digits)
        norms = np.concatenate([np.square(block - self.mean_).sum(axis=1) for block in blocks(X)])
        mixing, gram = np.eye(self.n_bits), product(start, start.T)
        excess = _excess(products, norms, mixing, gram)
        self.n_iter_, self.converged_, nearest, best = 0, False, np.inf, mixing
        while not self.converged_ and self.n_iter_ < self.max_iter:
            push = 0.5 * excess / self.n_bits
            mixing = mixing + push.sum(axis=1, keepdims=True) * mixing - product(push, mixing)
            if np.abs(mixing).max() > ASTRAY:
                break
            excess = _excess(products, norms, mixing, gram)
            self.n_iter_ += 1
            miss = self._miss(excess)
            self.converged_ = miss <= 1
            if miss < nearest:
                nearest, best = miss, mixing
        self.centres_ = product(best, start)
        distances = [squared_distances(block, self.mean_, self.centres_) for block in blocks(X)]
        self.radii_ = _radii(np.concatenate(distances))
        return self

    def _miss(self, excess):
        """Return the distance of overlaps from the stopping rule, which is met at 1 or less."""
        if self.n_bits == 1:
            return 0.0
        pairs = excess[np.triu_indices(self.n_bits, 1)]
        found = np.array([np.abs(pairs).mean(), pairs.std()])
        allowed = np.array([self.mean_tolerance, self.std_tolerance])
        with np.errstate(divide="ignore", invalid="ignore"):
            return float(np.where(found <= allowed, 0.0, found / allowed).max())

    def project(self, X):
        """Return the squared radii less the squared distances to the centres, float32, with float64's signs."""
        X, squared_radii = np.ascontiguousarray(X, np.float32), np.square(self.radii_)
        with np.errstate(over="ignore", invalid="ignore", under="ignore"):
            rows = X - self.mean_.astype(np.float32)
            values = rows @ (2 * self.centres_.T).astype(np.float32)
            values += (squared_radii - np.square(self.centres_).sum(axis=1)).astype(np.float32)
            values -= np.einsum("ij,ij->i", rows, rows)[:, None]
        decide_spheres(X, values, self.mean_, np.ascontiguousarray(self.centres_), squared_radii)
        return values


def _excess(products, norms, mixing, gram):
    """Return o_ij / (N/4) − 1 of all pairs of spheres at their median radii, its diagonal 0."""
    distances = products @ (-2 * on_grid(mixing, MIXING_BITS).T)
    distances += np.sum(product(mixing, gram) * mixing, axis=1)
    distances += norms[:, None]
    middle = (len(distances) - 1) // 2
    inside = (distances <= np.partition(distances, middle, axis=0)[middle]).astype(np.float32)
    excess = (inside.T @ inside) / (len(distances) / 4) - 1.0
    np.fill_diagonal(excess, 0)
    return excess


def _radii(squared):
    """Return radii between the median and the next greater of the squared distances (n, n_bits)."""
    margin = TIE * squared.max(axis=0)
    middle = (len(squared) - 1) // 2
    squared.partition(middle, axis=0)
    inner = squared[middle] + margin
    outer = squared.min(axis=0, where=squared > inner, initial=np.inf)
    return np.sqrt(np.where(np.isfinite(outer), (squared[middle] + outer) / 2, inner))
