"""The contract of a hashing method."""

from __future__ import annotations

import functools
import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from hashbench.errors import Unsupported

if TYPE_CHECKING:
    from hashbench.data.dataset import Dataset

BLOCK_ROWS = 1024


class HashMethod(BaseEstimator):
    """Base class of every method: a scikit-learn estimator that turns vectors into binary codes.

    A subclass writes ``__init__`` (keyword parameters, kept as given; ``n_bits`` is one of them), ``fit`` and
    ``project``; everything else is here. ``fit`` may ask for more by naming keywords in its signature, and a
    run hands it exactly those: ``views``, ``tunable``, ``validation``, ``device``, ``devices``, ``workdir``, ``log``.

    Attributes
    ----------
    inputs : {"features", "images"}
        What ``X`` is: float32 vectors (n, d), or uint8 images (n, h, w, 3) for end-to-end training.
    supervision : {"unsupervised", "supervised"}
        Whether ``fit`` reads labels.
    paper : str
        The paper that the method comes from.
    carries_nan : bool
        Whether a NaN or infinity in a row of ``X`` always shows in what `project` returns for it, as it does in a
        matrix product; encoding then looks for it there, where there is less to read.

    Notes
    -----
    Learned attributes end in an underscore and hold numpy arrays or JSON values, which is what `save` keeps.
    A method with a ``random_state`` parameter is run once per seed, one without it once.
    """

    inputs: ClassVar[str] = "features"
    supervision: ClassVar[str] = "unsupervised"
    paper: ClassVar[str] = ""
    name: ClassVar[str] = ""
    carries_nan: ClassVar[bool] = False

    n_bits: int
    n_features_in_: int

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Name the method after its file and guard its ``fit`` against unusable input."""
        super().__init_subclass__(**kwargs)
        if "name" not in cls.__dict__:
            cls.name = cls.__module__.rpartition(".")[2]
        if "fit" in cls.__dict__:
            cls.fit = _guarded(cls.__dict__["fit"])  # type: ignore[method-assign]

    def fit(self, X: np.ndarray, y: np.ndarray | None = None) -> HashMethod:
        """Learn the hash function.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features), float32
            Training vectors. Other float dtypes are converted.
        y : ndarray of shape (n_samples,), int64, or (n_samples, n_labels), bool, optional
            Classes, or which of several labels each item has; unsupervised methods ignore them.

        Returns
        -------
        HashMethod
            The fitted method itself.

        Raises
        ------
        Unsupported
            The method cannot give ``n_bits`` on this data.
        ValueError
            ``X`` is not a finite matrix.
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
        On processors whose product also depends on a row's place in the block (OpenBLAS with AVX2), a value
        within rounding of 0 can still change its bit when rows are reordered; a method that must rule this out
        decides such values in float64, as `hashbench.learning.linear.LinearMethod` does.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
            Float vectors; may be a read-only memory-map.

        Returns
        -------
        ndarray of shape (n_samples, ceil(n_bits / 8)), uint8
            Big-endian within each byte, padding bits 0 (`numpy.packbits`).

        Raises
        ------
        sklearn.exceptions.NotFittedError
            ``fit`` was not called.
        ValueError
            ``X`` has another width than the training data, or holds NaN or infinite values.
        """
        if not hasattr(self, "n_features_in_"):
            raise NotFittedError(f"{type(self).__name__} is not fitted: call fit before encode")
        if X.ndim != 2 or X.shape[1] != self.n_features_in_:
            raise ValueError(f"X has shape {X.shape}, expected (n, {self.n_features_in_}) as in fit")
        codes = np.empty((len(X), -(-self.n_bits // 8)), np.uint8)
        for start in range(0, len(X), BLOCK_ROWS):
            rows = np.ascontiguousarray(X[start : start + BLOCK_ROWS], dtype=np.float32)
            n_rows = len(rows)
            if not self.carries_nan:
                _refuse_nonfinite(rows, start)
            if n_rows < BLOCK_ROWS:
                rows = np.concatenate([rows, np.zeros((BLOCK_ROWS - n_rows, rows.shape[1]), np.float32)])
            values = self.project(rows)[:n_rows]
            if self.carries_nan and not _surely_finite(values):
                _refuse_nonfinite(rows, start)
            codes[start : start + n_rows] = np.packbits(values > 0, axis=1)
        return codes

    def wants(self) -> set[str]:
        """Return the keywords that ``fit`` asks a run for beyond ``X`` and ``y``: all of its signature's.

        A method whose parameters decide takes some away.
        """
        return set(inspect.signature(type(self).fit).parameters) - {"self", "X", "y"}

    def n_pool_views(self, n_images: int) -> int:
        """Return how many views of each of ``n_images`` training images ``fit`` needs, if it asks for ``views``."""
        return int(self.get_params()["n_views"])

    def skip(self, dataset: Dataset) -> str | None:
        """Return why this method cannot run on ``dataset``, or None if it can."""
        return None

    def save(self, path: str | Path, **provenance: Any) -> None:
        """Write the fitted method to one safetensors file: arrays, and JSON in the header (no pickle).

        The file appears whole or not at all.

        Parameters
        ----------
        path : path-like
            Where to write.
        **provenance
            JSON values kept beside the parameters, such as the feature key that ``X`` was made with; what a run
            keeps, and what it must be, stands in `hashbench.saved_method`.

        Raises
        ------
        TypeError, ValueError
            A value is no JSON or not what its key stands for, or a learned array holds NaN.
        OSError
            The file cannot be written.
        """
        from hashbench.saved_method import write_saved

        write_saved(Path(path), self, provenance)

    @classmethod
    def load(cls, path: str | Path) -> HashMethod:
        """Read a method that `save` wrote.

        Raises
        ------
        InputError
            The file is missing, not a saved method, damaged, one of another method or of one that is not fitted,
            or its parameters and arrays do not fit this class.
        """
        from hashbench.saved_method import read_saved, restore

        return restore(cls, read_saved(path))


def _guarded(fit: Any) -> Any:
    """Wrap a plugin's ``fit``: convert and check ``X``, check ``n_bits``, remember the width."""

    @functools.wraps(fit)
    def checked(self: HashMethod, X: np.ndarray, y: np.ndarray | None = None, **extras: Any) -> Any:
        n_bits = self.n_bits
        if not isinstance(n_bits, int | np.integer) or isinstance(n_bits, bool) or n_bits < 1:
            raise ValueError(f"n_bits={n_bits!r}: expected a positive integer")
        if self.inputs == "features":
            X = np.asarray(X)
            if X.ndim != 2:
                raise ValueError(f"X has shape {X.shape}, expected (n_samples, n_features)")
            if X.dtype.kind not in "fiu":
                raise ValueError(f"X has dtype {X.dtype}, expected a real number type")
            if len(X) < 2:
                raise Unsupported(f"n_samples={len(X)}: {self.name} needs at least 2 training rows")
            X = np.ascontiguousarray(X, dtype=np.float32)
            for start in range(0, len(X), BLOCK_ROWS):
                _refuse_nonfinite(X[start : start + BLOCK_ROWS], start)
        elif X.ndim != 4 or X.dtype != np.uint8:
            raise ValueError(f"X has shape {X.shape} and dtype {X.dtype}, expected (n, h, w, 3) uint8 images")
        # Known before it is fitted, since validation encodes with what there is so far.
        self.n_features_in_ = int(np.prod(X.shape[1:]))
        try:
            return fit(self, X, y, **extras)
        except BaseException:
            del self.n_features_in_
            raise

    return checked


def _surely_finite(block: np.ndarray) -> bool:
    """Return whether the sum of squares is finite: a cheap proof that a block holds no NaN or infinity."""
    flat = block.ravel()
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(np.dot(flat, flat)))


def _refuse_nonfinite(block: np.ndarray, first_row: int) -> None:
    """Raise if a block holds NaN or infinity."""
    if _surely_finite(block):
        return
    bad = ~np.isfinite(block).all(axis=1)
    if bad.any():
        raise ValueError(f"X holds NaN or infinite values, first in row {first_row + int(np.argmax(bad))}")
