"""PCA hashing (PCAH)."""

from hashbench.learning.linear import LinearMethod
from hashbench.learning.principal import principal_axes


class PCAH(LinearMethod):
    """PCA hashing: the signs of the leading principal components.

    Source: Wang, Kumar and Chang, Semi-supervised hashing for scalable image retrieval, CVPR 2010, without labels; the
    baseline PCA-Direct of Gong and Lazebnik, CVPR 2011. Deterministic: each direction's largest component is made
    positive. Directions of equal variance are any orthogonal basis of their space.

    Parameters
    ----------
    n_bits : int
        Code length in bits, at most the number of features and of training rows. Directions without variance
        (constant features) give bits that are always 0.

    Attributes
    ----------
    directions_ : ndarray of shape (n_features, n_bits), float64
        Eigenvectors of the covariance by descending eigenvalue.
    offset_ : ndarray of shape (n_bits,), float64
        The projected mean.

    Fidelity
    --------
    The definition. A test compares codes with those of a float64 singular value decomposition.
    """

    paper = "Wang et al., CVPR 2010"
    portable = True

    def __init__(self, n_bits=32):
        self.n_bits = n_bits

    def fit(self, X, y=None):
        """Learn the principal directions.

        Raises
        ------
        Unsupported
            ``n_bits`` exceeds the number of features or of rows, or all rows are the same.
        """
        mean, directions = principal_axes(X, self.n_bits, "PCAH")
        self._keep(directions, centre=mean)
        return self
