"""No method but a bound: the class that a classifier predicts, written as a code."""

import numpy as np

from hashbench.contract.labels import marks_of
from hashbench.contract.method import HashMethod
from hashbench.errors import Unsupported
from hashbench.learning.linear import blocks, mean, refuse_constant

PENALTIES = (1e-3, 1e-2, 1e-1, 1.0)


class ClassCode(HashMethod):
    """No method but a bound: the class that logistic regression predicts, written as a code.

    Source: Sablayrolles, Douze, Usunier and Jégou, How should we evaluate supervised hashing?, ICASSP 2017. Where
    queries and database are of the classes that were trained on, a supervised method must be above this row to have
    learned more than to classify. There is one bit for each class where ``n_bits`` allows it, otherwise the class's
    number in binary; bits beyond are 0 for all items. Of a class that was not trained on it knows nothing.

    The classifier is scikit-learn's multinomial logistic regression on the features, less their mean, divided by one
    number, the root of their mean variance. Of four penalties it has the one that does best on every fifth training row
    of each class, trained on the others; then it is trained on all.

    Parameters
    ----------
    n_bits : int
        Code length in bits, at least enough to number the classes.
    C : float or None
        Inverse strength of scikit-learn's penalty, above 0; None for the best of four on training rows.
    max_iter : int
        Most iterations of its solver, L-BFGS.

    Attributes
    ----------
    directions_ : ndarray of shape (n_features, n_classes), float64
    offset_ : ndarray of shape (n_classes,), float64
        The predicted class has the greatest of ``X @ directions_ − offset_``.
    codes_ : ndarray of shape (n_classes, n_bits), int8
        −1 and 1.
    C_ : float
        The penalty that was used.

    Kind
    ----
    bound

    Fidelity
    --------
    The paper's protocol in its simplest form: the classifier is scikit-learn's, the codes follow from its class. Tests
    compare the predicted classes with scikit-learn's.
    """

    paper = "Sablayrolles et al., ICASSP 2017"
    supervision = "supervised"
    labels = "classes"
    expected_failures = {"check_no_bit_is_constant": "bits that no class needs are 0 for all"}
    search = {"C": [None, 1e-3, 1e-2, 1e-1, 1.0, 10.0]}

    def __init__(self, n_bits: int = 32, *, C: float | None = None, max_iter: int = 1000):
        self.n_bits = n_bits
        self.C = C
        self.max_iter = max_iter

    def fit(self, X, y=None):
        """Train the classifier and give each class its code.

        Raises
        ------
        Unsupported
            Items have several labels or all the same class, all rows are the same, there are more than 2^``n_bits``
            classes, or a parameter is out of its range.
        """
        if self.C is not None and not 0 < self.C < np.inf:
            raise Unsupported(f"C={self.C}: expected a number above 0")
        if self.max_iter < 1:
            raise Unsupported(f"max_iter={self.max_iter}: expected at least 1")
        refuse_constant(X, "classcode")
        self.codes_ = _codes(self.n_classes_, self.n_bits)
        centre = mean(X)
        scale = np.sqrt(sum(np.square(block - centre).sum() for block in blocks(X)) / X.size)
        rows = np.concatenate([((block - centre) / scale).astype(np.float32) for block in blocks(X)])
        self.C_ = float(self._best_penalty(rows, y) if self.C is None else self.C)
        classifier = self._classifier(self.C_).fit(rows, y)
        directions, constant = classifier.coef_.T.astype(np.float64), classifier.intercept_
        if self.n_classes_ == 2:  # scikit-learn keeps one direction for two classes
            directions, constant = np.hstack([-directions, directions]), np.concatenate([-constant, constant])
        self.directions_ = directions / scale
        self.offset_ = centre @ self.directions_ - constant
        return self

    def _classifier(self, C):
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression(C=C, max_iter=self.max_iter)

    def _best_penalty(self, rows, y):
        """Return which penalty predicts every fifth row of each class best, the strongest of equal ones."""
        order = np.argsort(y, kind="stable")
        starts = np.searchsorted(y[order], np.arange(self.n_classes_))
        held = order[(np.arange(len(y)) - starts[y[order]]) % 5 == 4]
        rest = np.setdiff1d(order, held)
        if not len(held):  # all classes have fewer than five rows
            return PENALTIES[-1]
        return max(PENALTIES, key=lambda C: self._classifier(C).fit(rows[rest], y[rest]).score(rows[held], y[held]))

    def project(self, X):
        """Return the code of the predicted class, −1 and 1."""
        return self.codes_[(X @ self.directions_ - self.offset_).argmax(axis=1)].astype(np.float64)


def _codes(n_classes, n_bits):
    """Return the codes of all classes; bits that no class needs are −1."""
    if n_classes <= n_bits:
        bits = marks_of(np.arange(n_classes))
    else:
        width = (n_classes - 1).bit_length()
        if width > n_bits:
            raise Unsupported(f"n_bits={n_bits}: {n_classes} classes are numbered in {width} bits or more")
        bits = np.arange(n_classes)[:, None] >> np.arange(width) & 1
    codes = np.full((n_classes, n_bits), -1, np.int8)
    codes[:, : bits.shape[1]] += 2 * bits.astype(np.int8)
    return codes
