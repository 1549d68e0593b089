"""SDH: supervised discrete hashing, codes from which the labels follow linearly."""

import numpy as np

from hashbench.contract.labels import marks_of
from hashbench.contract.search_space import log_range
from hashbench.errors import Unsupported
from hashbench.learning.classic.kernel import KernelMethod, regularized_inverse
from hashbench.learning.linear import blocks


class SDH(KernelMethod):
    """Supervised discrete hashing: training codes from which labels follow linearly, found bit by bit.

    Source: Shen, Shen, Liu and Shen, Supervised discrete hashing, CVPR 2015. Minimised over codes B ∈ {±1}, labels'
    weights W and the hash function's weights P is ‖Y − BW‖² + λ‖W‖² + ν‖B − Φ P‖² (equation 4), Y the labels' marks and
    Φ Gaussian kernels with the anchors. In turn: B by discrete cyclic coordinate descent, b_k = sgn(q_k − B' W' w_k)
    with Q = Y Wᵀ + ν Φ P and all bits but k in B' and W' (section 2.2), until no bit changes; W and P by least squares.
    A code is sgn(Φ P).

    As in the authors' demo Φ has a column of ones, P a ridge, and a bit's old value starts the next descent.

    Where it differs from it: σ² is the mean squared distance to the anchors, so that features need no scale;
    ``unit_rows=True, sigma=0.4`` is theirs. Where the descent leaves a bit 0, it keeps its value.

    Parameters
    ----------
    n_bits : int
        Code length in bits.
    n_anchors : int
        Number of anchors; all training rows where there are fewer. Kernels of all training rows are kept in memory.
    sigma : float or None
        Kernel's width σ; None for the root of the mean squared distance to the anchors.
    unit_rows : bool
        Whether rows are divided by their length.
    lam : float
        λ, above 0.
    nu : float
        ν, 0 or more.
    ridge : float
        Of P's least squares.
    n_iter, n_sweeps : int
        Outer iterations, and most passes over the bits in each.
    random_state : int or None
        Seed of anchors and first codes.

    Attributes
    ----------
    anchors_, squared_width_, weights_, offset_
        See `KernelMethod`.
    objectives_ : list of float
        What is minimised, with ν times P's ridge, before the first iteration and after each: it never rises.

    Fidelity
    --------
    The authors' MATLAB code, run in Octave from the same anchors and first codes on digits (16 bits, 200 anchors, 2
    seeds), gives the same codes, bit for bit, and weights to 1e-9. A copy of it sets B to 0 before each sweep, which
    is another method.
    """

    paper = "Shen et al., CVPR 2015"
    supervision = "supervised"
    expected_failures = {"check_no_bit_is_constant": "few classes have few codes: a bit may be the same in all of them"}
    search = {
        "n_anchors": log_range(200, 3000),
        "unit_rows": [False, True],
        "lam": log_range(1e-2, 100.0),
        "nu": log_range(1e-7, 1e-2),
        "ridge": log_range(1e-4, 1.0),
    }

    def __init__(
        self,
        n_bits: int = 32,
        *,
        n_anchors: int = 1000,
        sigma: float | None = None,
        unit_rows: bool = False,
        lam: float = 1.0,
        nu: float = 1e-5,
        ridge: float = 1e-2,
        n_iter: int = 5,
        n_sweeps: int = 10,
        random_state: int | None = None,
    ):
        self.n_bits = n_bits
        self.n_anchors = n_anchors
        self.sigma = sigma
        self.unit_rows = unit_rows
        self.lam = lam
        self.nu = nu
        self.ridge = ridge
        self.n_iter = n_iter
        self.n_sweeps = n_sweeps
        self.random_state = random_state

    def fit(self, X, y=None):
        """Place the anchors and alternate between codes and the two maps.

        Raises
        ------
        Unsupported
            A parameter is out of its range, or all rows or all labels are the same.
        """
        for name, least in (("nu", 0), ("ridge", 0), ("n_iter", 1), ("n_sweeps", 1)):
            if not getattr(self, name) >= least:
                raise Unsupported(f"{name}={getattr(self, name)}: expected at least {least}")
        if not self.lam > 0:
            raise Unsupported(f"lam={self.lam}: expected a number above 0")
        Y = marks_of(y).astype(np.float64)
        rng = np.random.default_rng(self.random_state)
        self._place_anchors(X, rng)
        Phi, first = np.ones((len(X), len(self.anchors_) + 1)), 0
        for block in blocks(X):
            Phi[first : first + len(block), :-1] = self._kernel(block)
            first += len(block)
        inverse = regularized_inverse(Phi.T @ Phi, self.ridge)
        B = np.where(rng.standard_normal((len(X), self.n_bits)) > 0, 1.0, -1.0)

        def maps():
            W = np.linalg.solve(B.T @ B + self.lam * np.eye(self.n_bits), B.T @ Y)
            P = inverse @ (Phi.T @ B)
            values = Phi @ P
            away = np.square(B - values).sum() + self.ridge * np.square(P).sum()
            total = np.square(Y - B @ W).sum() + self.lam * np.square(W).sum() + self.nu * away
            return W, P, values, float(total)

        W, P, values, total = maps()
        self.objectives_ = [total]
        for _ in range(self.n_iter):
            if not self._descend(B, Y @ W.T + self.nu * values, W @ W.T):
                break
            W, P, values, total = maps()
            self.objectives_.append(total)
        self.weights_, self.offset_ = P[:-1], -P[-1]
        return self

    def _descend(self, B, Q, products):
        """Set each bit of B to what is best beside the others, in turn, until none changes; return whether one did."""
        for sweep in range(self.n_sweeps):
            changed = False
            for k in range(self.n_bits):
                pull = Q[:, k] - B @ products[:, k] + products[k, k] * B[:, k]
                bit = np.where(pull == 0, B[:, k], np.where(pull > 0, 1.0, -1.0))
                changed = changed or not np.array_equal(bit, B[:, k])
                B[:, k] = bit
            if not changed:
                return sweep > 0
        return True
