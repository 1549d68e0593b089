"""KSH: supervised hashing with kernels, one bit after the other on what the earlier ones have left."""

import numpy as np
from scipy.linalg import eigh

from hashbench.contract.labels import marks_of
from hashbench.contract.search_space import log_range
from hashbench.errors import Unsupported
from hashbench.learning.classic.kernel import KernelMethod
from hashbench.learning.linear import NULL, blocks

MOST_HALVINGS = 50


class KSH(KernelMethod):
    """Supervised hashing with kernels: inner products of codes are fitted to labels, greedily by bits.

    Source: Liu, Wang, Ji, Jiang and Chang, Supervised hashing with kernels, CVPR 2012. K̄ is the kernel with the
    anchors, less its mean over the training set. Of ``n_labelled`` training rows, S is 1 where two share a label and −1
    elsewhere, and Σ b bᵀ is to be n_bits · S. Bit k has b = sgn(K̄ a) with large bᵀ R b, R the residual so far: a is the
    leading generalised eigenvector of (K̄ᵀ R K̄, K̄ᵀ K̄) (section 3.3), or what Nesterov's gradient makes of it on
    ỹᵀ R ỹ, ỹ = 2 / (1 + e^(−K̄ a)) − 1 (algorithm 1), whichever is better. As in the authors' code σ² is the mean
    squared distance to the anchors over the training set, and a gradient ends where ỹᵀRỹ changes by ``tol`` a row.

    Where it differs from their code: anchors and labelled rows are drawn from ``random_state``, and where K̄ᵀK̄ is
    singular the eigenvectors are sought where it is not.

    Parameters
    ----------
    n_bits : int
        Code length in bits.
    n_anchors : int
        Number of anchors; all training rows where there are fewer.
    n_labelled : int
        Number of training rows whose labels are used; all where there are fewer. Memory grows with its square.
    max_steps : int
        Most gradient steps for a bit; 0 leaves the eigenvectors.
    tol : float
        Change of the cost per labelled row at which gradient steps end.
    random_state : int or None
        Seed of anchors and labelled rows.

    Attributes
    ----------
    anchors_, squared_width_, weights_, offset_
        See `KernelMethod`.
    residuals_ : list of float
        ‖R‖² / n_labelled² before the first bit and after each; never rising where a bit is worth something.

    Fidelity
    --------
    The authors' MATLAB code, run in Octave from the same anchors and labelled rows on digits (8 bits, 100 anchors, 400
    labelled rows, 2 seeds), gives the same codes but for the sign of whole bits, which no distance depends on.
    """

    paper = "Liu et al., CVPR 2012"
    supervision = "supervised"
    search = {
        "n_anchors": log_range(100, 500),
        "n_labelled": log_range(500, 4000),
        "max_steps": [0, 500],
        "tol": log_range(1e-4, 1e-1),
    }

    def __init__(
        self,
        n_bits: int = 32,
        *,
        n_anchors: int = 300,
        n_labelled: int = 2000,
        max_steps: int = 500,
        tol: float = 1e-2,
        random_state: int | None = None,
    ):
        self.n_bits = n_bits
        self.n_anchors = n_anchors
        self.n_labelled = n_labelled
        self.max_steps = max_steps
        self.tol = tol
        self.random_state = random_state

    def fit(self, X, y=None):
        """Place the anchors and learn one bit after the other.

        Raises
        ------
        Unsupported
            A parameter is out of its range, or all rows or all labels are the same.
        """
        for name, least in (("n_labelled", 2), ("max_steps", 0), ("tol", 0)):
            if not getattr(self, name) >= least:
                raise Unsupported(f"{name}={getattr(self, name)}: expected at least {least}")
        rng = np.random.default_rng(self.random_state)
        self._place_anchors(X, rng)
        labelled = np.sort(rng.choice(len(X), min(self.n_labelled, len(X)), replace=False))
        centre = sum(self._kernel(block).sum(axis=0) for block in blocks(X)) / len(X)
        residual = Residual(self.n_bits, marks_of(y)[labelled])
        self.weights_, self.residuals_ = self._bits(self._kernel(X[labelled]) - centre, residual)
        self.offset_ = centre @ self.weights_
        return self

    def _bits(self, K, residual):
        """Return the weights of all bits, and ‖R‖² / n_labelled² before and after each."""
        values, vectors = eigh(K.T @ K)
        kept = values > NULL * values[-1]
        whitening = vectors[:, kept] / np.sqrt(values[kept])
        white, top = K @ whitening, whitening.shape[1] - 1
        weights, squares = np.empty((K.shape[1], self.n_bits)), [float(self.n_bits**2)]
        for bit in range(self.n_bits):
            leading = eigh(white.T @ residual.times(white), subset_by_index=(top, top))[1][:, 0]
            start = whitening @ (leading * np.sqrt(len(K)))
            tries = [start, self._ascended(K, residual, start)]
            codes = [np.where(K @ a > 0, 1.0, -1.0) for a in tries]
            gains = [code @ residual.times(code) for code in codes]
            best = int(gains[1] > gains[0])
            weights[:, bit] = tries[best]
            residual.subtract(codes[best])
            squares.append(float(squares[-1] - 2 * gains[best] / len(K) ** 2 + 1))
        return weights, squares

    def _ascended(self, K, residual, start):
        """Return what Nesterov's accelerated gradient, with backtracking, makes of ``start``."""
        before = here = start
        values_before = values = K @ start
        delta_before, delta, steepness, cost = 0.0, 1.0, 1.0, np.inf
        for _ in range(self.max_steps):
            pace = (delta_before - 1) / delta
            probe, smooth = here + pace * (here - before), np.tanh((values + pace * (values - values_before)) / 2)
            pulled = residual.times(smooth)
            at_probe, slope = -smooth @ pulled, -K.T @ (pulled * (1 - smooth**2))
            if cost == np.inf:
                cost = at_probe  # the first probe is the start
            for _ in range(MOST_HALVINGS + 1):
                step = -slope / steepness
                reached_values = K @ (probe + step)
                smooth = np.tanh(reached_values / 2)
                reached = -smooth @ residual.times(smooth)
                if reached <= at_probe + slope @ step + steepness * (step @ step) / 2:
                    break
                steepness *= 2
            else:
                break
            before, here, values_before, values = here, probe + step, values, reached_values
            delta_before, delta = delta, (1 + np.sqrt(1 + 4 * delta**2)) / 2
            if abs(reached - cost) <= self.tol * len(K):
                break
            cost = reached
        return here


class Residual:
    """R = n_bits · S − Σ b bᵀ as products: rows with the same labels are alike in S."""

    def __init__(self, n_bits, marks):
        label_sets, numbers = np.unique(marks, axis=0, return_inverse=True)
        sets = label_sets.astype(np.float64)
        self.members = (numbers.reshape(-1, 1) == np.arange(len(sets))).astype(np.float64)
        self.among_sets = n_bits * np.where(sets @ sets.T > 0, 1.0, -1.0)
        self.codes = np.empty((len(marks), 0))

    def times(self, V):
        """Return R @ V."""
        return self.members @ (self.among_sets @ (self.members.T @ V)) - self.codes @ (self.codes.T @ V)

    def subtract(self, code):
        """Take b bᵀ away."""
        self.codes = np.column_stack([self.codes, code])
