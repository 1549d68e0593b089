"""FSDH: least squares onto the code of the item's class, in one step."""

import numpy as np

from hashbench.contract.labels import marks_of
from hashbench.contract.search_space import log_range
from hashbench.errors import Unsupported
from hashbench.learning.centres import Kind, centres
from hashbench.learning.classic.kernel import KernelMethod, regularized_inverse
from hashbench.learning.linear import blocks


class FSDH(KernelMethod):
    """Fast supervised discrete hashing: kernels are fitted to the Hadamard row of the item's class.

    Source: Koutaki, Shirai and Ambai, Fast supervised discrete hashing and its analysis, arXiv 1611.10017, and Hadamard
    coding for supervised discrete hashing, TIP 2018, where it is called HC-SDH. With one code for each class, SDH's
    codes need no search: P = (ΦᵀΦ + ridge I)⁻¹ ΦᵀB, B the code of each item's class, and a code is sgn(Φ P).

    Where it differs from the authors' demo: σ² is the mean squared distance to the anchors, so that features need no
    scale; ``unit_rows=True, sigma=0.4`` is theirs. Directions of Φ that are rounding are left out. Where no Hadamard
    matrix has ``n_bits`` columns and enough rows, codes are random, and a line says so.

    Parameters
    ----------
    n_bits : int
        Code length in bits.
    centres : {"hadamard", "spread", "balanced", "bernoulli"}
        Codes of the classes, see `hashbench.learning.centres`. The authors' ``"hadamard"`` repeats bits where there are
        fewer classes than bits: of 32 bits for 10 classes, 15 are different and not constant. ``"spread"`` draws
        Hadamard rows without that.
    n_anchors : int
        Number of anchors; all training rows where there are fewer.
    sigma : float or None
        Kernel's width σ; None for the root of the mean squared distance to the anchors.
    unit_rows : bool
        Whether rows are divided by their length.
    ridge : float
        0 or more; the authors have none.
    random_state : int or None
        Seed of anchors, and of codes that are drawn.

    Attributes
    ----------
    anchors_, squared_width_, weights_, offset_
        See `KernelMethod`.
    centres_ : ndarray of shape (n_classes, n_bits), int8
        Codes of the classes, ascending.

    Fidelity
    --------
    The authors' MATLAB function, run in Octave on the same kernels of digits (16, 32 and 64 bits), gives the same
    codes, bit for bit.
    """

    paper = "Koutaki et al., TIP 2018"
    supervision = "supervised"
    labels = "classes"
    expected_failures = {
        "check_no_bit_is_constant": "Hadamard's first column is constant, and few rows repeat others",
        "check_seed_decides": "there are fewer rows than anchors, so that no anchors are drawn",
    }
    search = {
        "centres": ["hadamard", "spread", "balanced", "bernoulli"],
        "n_anchors": log_range(200, 3000),
        "unit_rows": [False, True],
        "ridge": [0.0, 1e-4, 1e-3, 1e-2, 1e-1, 1.0],
    }

    def __init__(
        self,
        n_bits: int = 32,
        *,
        centres: Kind = "hadamard",
        n_anchors: int = 1000,
        sigma: float | None = None,
        unit_rows: bool = False,
        ridge: float = 0.0,
        random_state: int | None = None,
    ):
        self.n_bits = n_bits
        self.centres = centres
        self.n_anchors = n_anchors
        self.sigma = sigma
        self.unit_rows = unit_rows
        self.ridge = ridge
        self.random_state = random_state

    def fit(self, X, y=None):
        """Place the anchors and fit the kernels to the codes of the classes.

        Raises
        ------
        Unsupported
            Items have several labels or all the same class, there are fewer codes than classes, all rows are the same,
            or a parameter is out of its range.
        """
        if not self.ridge >= 0:
            raise Unsupported(f"ridge={self.ridge}: expected at least 0")
        self.centres_ = centres(self.n_classes_, self.n_bits, self.centres, self.random_state)
        self._place_anchors(X, np.random.default_rng(self.random_state))
        marks = marks_of(y).astype(np.float64)
        gram = np.zeros((len(self.anchors_), len(self.anchors_)))
        fitted, first = np.zeros((len(self.anchors_), self.n_classes_)), 0
        for block in blocks(X):
            Phi = self._kernel(block)
            gram += Phi.T @ Phi
            fitted += Phi.T @ marks[first : first + len(block)]
            first += len(block)
        self.weights_ = regularized_inverse(gram, self.ridge) @ (fitted @ self.centres_)
        self.offset_ = np.zeros(self.n_bits)
        return self
