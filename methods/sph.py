"""Spherical hashing (SpH)."""

import numpy as np

from hashbench.errors import Unsupported
from hashbench.learning.linear import blocks, centred_product, mean, refuse_constant
from hashbench.method import BLOCK_ROWS, HashMethod

POINTS_PER_CENTRE = 5
TIE = 1e-9


class SpH(HashMethod):
    """Spherical hashing: each bit tells whether a point lies inside a sphere that holds half of the data.

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
        The stopping rule's ε_m and ε_s, as shares of N/4.
    max_iter : int
        Bound on the iterations; the authors' code has none.
    random_state : int or None
        Seed of the initial centres, each the mean of 5 training points.

    Attributes
    ----------
    mean_ : ndarray of shape (n_features,), float64
        Origin of the centres: distances keep their precision on data far from zero.
    centres_ : ndarray of shape (n_bits, n_features), float64
        The spheres' centres, less ``mean_``.
    radii_ : ndarray of shape (n_bits,), float64
        Half-way between the median training distance and the next greater one: the same training bits as the
        median itself, and rounding does not decide on the median point. An odd N's middle point is inside.
    n_iter_ : int
        Iterations done.
    converged_ : bool
        Whether the stopping rule was met; False if ``max_iter`` cut it short.

    Fidelity
    --------
    Written from the paper; the authors' code was not run beside it. Tests hold it to the paper's properties: bits that
    are balanced, overlaps near a quarter, radii that are medians.
    """

    carries_nan = True
    paper = "Heo et al., CVPR 2012"

    def __init__(self, n_bits=32, *, mean_tolerance=0.1, std_tolerance=0.15, max_iter=1000, random_state=None):
        self.n_bits = n_bits
        self.mean_tolerance = mean_tolerance
        self.std_tolerance = std_tolerance
        self.max_iter = max_iter
        self.random_state = random_state

    def fit(self, X, y=None):
        """Place the spheres.

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
        # Centres stay combinations of the first ones, mixing @ start: one pass over X serves all iterations.
        products = centred_product(X, self.mean_, start.T)
        norms = np.concatenate([np.square(block - self.mean_).sum(axis=1) for block in blocks(X)])
        mixing, gram = np.eye(self.n_bits), start @ start.T
        excess = _excess(products, norms, mixing, gram)
        self.n_iter_, self.converged_ = 0, False
        while not self.converged_ and self.n_iter_ < self.max_iter:
            push = 0.5 * excess / self.n_bits
            mixing = mixing + push.sum(axis=1, keepdims=True) * mixing - push @ mixing
            excess = _excess(products, norms, mixing, gram)
            pairs = excess[np.triu_indices(self.n_bits, 1)]
            self.n_iter_ += 1
            self.converged_ = self.n_bits == 1 or bool(
                np.abs(pairs).mean() <= self.mean_tolerance and pairs.std() <= self.std_tolerance
            )
        self.centres_ = mixing @ start
        self.radii_ = np.zeros(self.n_bits)
        self.radii_ = _radii(np.concatenate([-self._exactly(block) for block in blocks(X)]))
        return self

    def project(self, X):
        """Return the squared radii less the squared distances to the centres, float32.

        They are computed again in float64 where rounding could decide their sign; where most are, all of them.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            rows = X - self.mean_.astype(np.float32)
            norms = np.einsum("ij,ij->i", rows, rows)
            values = rows @ (2 * self.centres_.T).astype(np.float32)
            values += (np.square(self.radii_) - np.square(self.centres_).sum(axis=1)).astype(np.float32)
            values -= norms[:, None]
            doubtful = np.flatnonzero(np.abs(values) < self._slack(norms)[:, None])
        if len(doubtful) > len(X):
            return self._exactly(X)
        rows, bits = np.divmod(doubtful, len(self.radii_))
        for some in np.array_split(np.arange(len(rows)), -(-len(rows) // BLOCK_ROWS) or 1):
            values[rows[some], bits[some]] = self._exactly_pairs(X[rows[some]], bits[some])
        return values

    def _slack(self, norms):
        """Return how far from zero a value of each row must be for its sign to be trusted.

        Every term is at most the square of the sum of row, centre and radius; the mean's rounding moves a row by a
        share of the mean.
        """
        lengths = np.sqrt(norms) + np.linalg.norm(self.centres_, axis=1).max() + self.radii_.max()
        share = (8 + np.sqrt(len(self.mean_)) / 4) * np.finfo(np.float32).eps
        return (share * lengths * (lengths + np.linalg.norm(self.mean_))).astype(np.float32)

    def _exactly_pairs(self, X, bits):
        """Return one sphere's value of each row, float64."""
        rows, centres = X - self.mean_, self.centres_[bits]
        squares = np.einsum("ij,ij->i", rows, rows) + np.square(self.centres_).sum(axis=1)[bits]
        return np.square(self.radii_)[bits] + 2 * np.einsum("ij,ij->i", rows, centres) - squares

    def _exactly(self, X):
        """Return all values of each row, float64."""
        rows = X - self.mean_
        squares = np.einsum("ij,ij->i", rows, rows)[:, None] + np.square(self.centres_).sum(axis=1)
        return np.square(self.radii_) + 2 * (rows @ self.centres_.T) - squares


def _excess(products, norms, mixing, gram):
    """Return o_ij / (N/4) − 1 of all pairs of spheres at their median radii, its diagonal 0."""
    centre_norms = np.sum(mixing @ gram * mixing, axis=1)
    distances = products @ (-2 * mixing.T).astype(np.float32)
    distances += centre_norms.astype(np.float32)
    distances += norms[:, None].astype(np.float32)
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
