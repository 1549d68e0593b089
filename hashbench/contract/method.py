"""The contract of a hashing method."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np

from hashbench.contract.checked_input import block_of, refuse_nonfinite
from hashbench.contract.estimator import Estimator
from hashbench.contract.parameters import checked_n_bits
from hashbench.contract.values import BLOCK_ROWS, checked_values, refuse_nonfinite_values, surely_finite


class HashMethod(Estimator):
    """Base class of every method: a scikit-learn estimator that turns vectors into binary codes.

    A subclass writes ``__init__`` (keyword parameters, kept as given; ``n_bits`` is one of them), ``fit`` and
    ``project``; everything else is here. ``fit`` may ask for more by naming keywords of
    `hashbench.contract.fit_extras.FIT_EXTRAS` in its signature, and a run hands it exactly those.

    Attributes
    ----------
    carries_nan : bool
        Whether a NaN or infinity in a row of ``X`` always shows in what `project` returns for it, as it does in a
        matrix product; encoding then looks for it there, where there is less to read.

    See Also
    --------
    hashbench.contract.estimator.Estimator : The attributes that quantizers have, too.

    Notes
    -----
    Learned attributes end in an underscore and hold numpy arrays or JSON values, which is what `save` keeps.
    A method with a ``random_state`` parameter is run once per seed, one without it once.
    """

    kind: ClassVar[str] = "methods"
    carries_nan: ClassVar[bool] = False

    n_bits: int

    def fit(self, X: np.ndarray, y: np.ndarray | None = None) -> HashMethod:
        """Learn the hash function.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features), float32
            Training vectors. Other float dtypes are converted.
        y : ndarray of shape (n_samples,), int64, or (n_samples, n_labels), bool, optional
            Classes from 0, or which of several labels each item has; unsupervised methods ignore them. For a
            supervised method lists, tables and other number types are converted, and classes are numbered without
            gaps.

        Returns
        -------
        HashMethod
            The fitted method itself.

        Raises
        ------
        Unsupported
            The method cannot learn ``n_bits`` bits from this data, or not from such labels.
        ValueError
            ``X`` is not a finite matrix; or a supervised method gets no labels, or unusable ones.
        InputError
            The method keeps checkpoints, and ``workdir`` holds one of another training.
        ContractError
            ``fit`` has changed a parameter.

        Notes
        -----
        A subclass may leave ``y`` out and give the two other names: they are handed over by position. A ``fit`` that
        fails leaves nothing learned.
        """
        raise NotImplementedError(f"{type(self).__name__} must define fit")

    def project(self, X: np.ndarray) -> np.ndarray:
        """Return the real values whose signs are the bits: a bit is 1 where its value is above 0.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features), float32

        Returns
        -------
        ndarray of shape (n_samples, n_bits), float
        """
        raise NotImplementedError(f"{type(self).__name__} must define project")

    def encode(self, X: np.ndarray) -> np.ndarray:
        """Return packed binary codes, in bounded memory.

        Blocks have one fixed shape, the last one padded: a matrix product's last bits differ between shapes.
        On processors whose product also depends on a row's position in the block (OpenBLAS with AVX2), a value
        within rounding of 0 can still change its bit when rows are reordered; a method that must rule this out
        decides such values in float64, as `hashbench.learning.linear.LinearMethod` does.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Real numbers; may be a read-only memory-map.

        Returns
        -------
        ndarray of shape (n_samples, ceil(n_bits / 8)), uint8
            Big-endian within each byte, padding bits 0 (`numpy.packbits`).

        Raises
        ------
        sklearn.exceptions.NotFittedError
            ``fit`` was not called.
        ValueError
            ``X`` differs from the training data in width or columns, or holds anything but finite real numbers; or a
            parameter was changed after ``fit``.
        ContractError
            ``project`` returned anything but ``n_bits`` finite real numbers a row.
        """
        X = self._usable(X, "encode")
        codes = np.empty((len(X), self.n_bytes(X.shape[1])), np.uint8)
        for start, values in self._blocks(X):
            codes[start : start + len(values)] = np.packbits(values > 0, axis=1)
        return codes

    def values(self, X: np.ndarray) -> np.ndarray:
        """Return what `project` gives, checked, in the blocks of `encode`: a bit is 1 where its value is above 0.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_bits), float64

        Raises
        ------
        sklearn.exceptions.NotFittedError, ValueError, ContractError
            On the same conditions as `encode`.
        """
        X = self._usable(X, "values")
        values = np.empty((len(X), int(self.n_bits)))
        for start, block in self._blocks(X):
            values[start : start + len(block)] = block
        return values

    def _blocks(self, X: Any) -> Iterator[tuple[int, np.ndarray]]:
        """Yield first row and checked values of each block."""
        n_bits = int(self.n_bits)
        for start in range(0, len(X), BLOCK_ROWS):
            rows = block_of(X, start)
            n_rows = len(rows)
            if not self.carries_nan:
                refuse_nonfinite(rows, start, X)
            if n_rows < BLOCK_ROWS:
                rows = np.concatenate([rows, np.zeros((BLOCK_ROWS - n_rows, rows.shape[1]), np.float32)])
            values = checked_values(self.project(rows), (BLOCK_ROWS, n_bits), self.name)[:n_rows]
            if self.carries_nan and not surely_finite(values):
                refuse_nonfinite(rows[:n_rows], start, X)
            refuse_nonfinite_values(values, start, self.name)
            yield start, values

    def n_bytes(self, n_features: int) -> int:
        """Return how many bytes a code has: ``n_bits`` of them count, whatever the vectors' width.

        Raises
        ------
        ValueError
            ``n_bits`` is no positive integer.
        """
        checked_n_bits(self.n_bits)
        return -(-int(self.n_bits) // 8)

    @property
    def code_bits(self) -> int:
        """Bits of a code that count."""
        return int(self.n_bits)

    @property
    def code_length(self) -> str:
        """Length of a code in words."""
        return f"{self.n_bits} bits"

    def _probe(self, row: np.ndarray) -> tuple[str, Any, tuple[int, int]]:
        return "project", self.project(row), (1, self.n_bits)
