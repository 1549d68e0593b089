"""LFH: supervised hashing with latent factor models."""

import numpy as np
from scipy.special import expit

from hashbench.contract.labels import marks_of
from hashbench.contract.search_space import log_range
from hashbench.errors import Unsupported
from hashbench.learning.classic.kernel import regularized_inverse
from hashbench.learning.linear import LinearMethod, blocks, mean, refuse_constant


class LFH(LinearMethod):
    """Latent factor hashing: real codes whose inner products tell which items share a label, then a linear map.

    Source: Zhang, Zhang, Li and Guo, Supervised hashing with latent factor models, SIGIR 2014. With θ_ij = ½ u_i u_jᵀ,
    maximised is Σ s_ij θ_ij − log(1 + e^θ_ij) − ‖U‖² / 2β, s_ij = 1 where i and j share a label and 0 elsewhere. Each
    iteration draws ``n_columns`` items (section 3.3) and moves all rows at once, u_i ← u_i − g_i H⁻¹: g_i is the
    gradient over these, H = −Uᵀ U / 8 − I / β, over these too, bounds the Hessian from below (section 3.2). The map is
    (XᵀX + λI)⁻¹ Xᵀ sgn(U) (section 3.4).

    Where it differs: features are centred, so that the map needs no constant of its own; U starts from standard normal
    numbers.

    Parameters
    ----------
    n_bits : int
        Code length in bits.
    beta : float
        β, above 0.
    lam : float
        λ, 0 or more.
    n_columns : int
        Items drawn in an iteration; all where there are fewer.
    n_iter : int
        Number of iterations.
    random_state : int or None
        Seed of first codes and of what is drawn.

    Attributes
    ----------
    directions_ : ndarray of shape (n_features, n_bits), float64
    offset_ : ndarray of shape (n_bits,), float64
        The projected mean.

    Fidelity
    --------
    A public port in PyTorch, in single precision, given the same centred features and draws on digits: 93 to 99 % of
    the bits are equal, mAP@all at 16 bits .824 here and .828 there (3 seeds), at 32 bits .866 and .862 (2 seeds). Tests
    hold the codes to a plain reading of the paper's formulas in double precision. The authors' MATLAB code was not run.
    """

    paper = "Zhang et al., SIGIR 2014"
    supervision = "supervised"
    search = {
        "beta": log_range(1.0, 100.0),
        "lam": log_range(1e-2, 1000.0),
        "n_columns": log_range(16, 512),
        "n_iter": log_range(20, 200),
    }

    def __init__(
        self,
        n_bits: int = 32,
        *,
        beta: float = 30.0,
        lam: float = 1.0,
        n_columns: int = 64,
        n_iter: int = 50,
        random_state: int | None = None,
    ):
        self.n_bits = n_bits
        self.beta = beta
        self.lam = lam
        self.n_columns = n_columns
        self.n_iter = n_iter
        self.random_state = random_state

    def fit(self, X, y=None):
        """Learn the codes of training rows, and the map to them.

        Raises
        ------
        Unsupported
            A parameter is out of its range, or all rows or all labels are the same.
        """
        for name, least in (("lam", 0), ("n_columns", 1), ("n_iter", 0)):
            if not getattr(self, name) >= least:
                raise Unsupported(f"{name}={getattr(self, name)}: expected at least {least}")
        if not self.beta > 0:
            raise Unsupported(f"beta={self.beta}: expected a number above 0")
        refuse_constant(X, "LFH")
        signs = np.where(self._factors(marks_of(y).astype(np.float32)) > 0, 1.0, -1.0)
        centre, gram = mean(X), np.zeros((X.shape[1], X.shape[1]))
        fitted, first = np.zeros((X.shape[1], self.n_bits)), 0
        for block in blocks(X):
            centred = block - centre
            gram += centred.T @ centred
            fitted += centred.T @ signs[first : first + len(block)]
            first += len(block)
        self._keep(regularized_inverse(gram, self.lam) @ fitted, centre=centre)
        return self

    def _factors(self, marks):
        """Return U, (n, n_bits)."""
        rng = np.random.default_rng(self.random_state)
        U = rng.standard_normal((len(marks), self.n_bits))
        for _ in range(self.n_iter):
            drawn = rng.permutation(len(marks))[: self.n_columns]
            columns = U[drawn]
            similar = marks @ marks[drawn].T > 0
            gradient = (similar - expit(U @ columns.T / 2)) @ columns - U / self.beta
            curvature = columns.T @ columns / 8 + np.eye(self.n_bits) / self.beta
            U += np.linalg.solve(curvature, gradient.T).T
        return U
