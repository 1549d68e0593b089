"""PCA with a random rotation (RR)."""

import numpy as np

from hashbench.learning.linear import LinearMethod
from hashbench.learning.portable.rotations import product, random_rotation
from hashbench.learning.principal import principal_axes


class RR(LinearMethod):
    """PCA with a random rotation: ITQ's starting point, and the baseline that shows what its iterations add.

    Source: Gong and Lazebnik, Iterative quantization: a Procrustean approach to learning binary codes, CVPR
    2011, the baseline PCA-RR of section 2.2; after Jégou et al., Aggregating local descriptors into a compact
    image representation, CVPR 2010. The rotation spreads the variance evenly over the bits. Hashing-Baseline
    (arXiv 2509.14427) is the same computation on a pretrained network's features: PCA, a random orthogonal rotation,
    signs.

    Parameters
    ----------
    n_bits : int
        Code length in bits, at most the number of features and of training rows.
    random_state : int or None
        Seed of the rotation.

    Attributes
    ----------
    directions_ : ndarray of shape (n_features, n_bits), float64
        Rotated principal directions.
    offset_ : ndarray of shape (n_bits,), float64
        The projected mean.

    Fidelity
    --------
    The definition. Hashing-Baseline's code computes the same codes, but scores by real-valued queries.
    """

    paper = "Gong and Lazebnik, CVPR 2011"
    portable = True

    def __init__(self, n_bits=32, *, random_state=None):
        self.n_bits = n_bits
        self.random_state = random_state

    def fit(self, X, y=None):
        """Learn the principal directions and draw the rotation.

        Raises
        ------
        Unsupported
            ``n_bits`` exceeds the number of features or of rows, or all rows are the same.
        """
        mean, principal = principal_axes(X, self.n_bits, "RR")
        rotation = random_rotation(self.n_bits, np.random.default_rng(self.random_state))
        self._keep(product(principal, rotation), centre=mean)
        return self
