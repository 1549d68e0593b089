"""What methods and quantizers share: a name, checked input, and a guard around ``fit``."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from hashbench.checked_input import as_matrix, checked_labels, checked_vectors, column_names, refuse_other_columns
from hashbench.contract import data_parameters, equal_parameters, refuse_changed, snapshot
from hashbench.errors import shorten
from hashbench.files.plugin_modules import with_file
from hashbench.saved_header import is_learned
from hashbench.training_identity import NAME as IDENTITY
from hashbench.training_identity import checkpoint_folder, keep_identity, training_identity


class Estimator(BaseEstimator):
    """Base class of what is fitted to vectors and then encodes them; `HashMethod` and `Quantizer` are its kinds.

    Attributes
    ----------
    supervision : {"unsupervised", "supervised"}
        Whether ``fit`` reads labels.
    paper : str
        The paper that it comes from.
    portable : bool
        Whether learned arrays and codes are the same, bit for bit, on every processor and with any number of threads.
    n_features_in_ : int
        Width of the training vectors.
    feature_names_in_ : ndarray of str
        Names of their columns, where they were a table that has such; what is encoded later must have the same.
    expected_failures : dict from str to str
        Names of the checks that the plugin fails for a reason, and the reasons; see `hashbench.checks`.
    """

    supervision: ClassVar[str] = "unsupervised"
    paper: ClassVar[str] = ""
    name: ClassVar[str] = ""
    portable: ClassVar[bool] = False
    expected_failures: ClassVar[dict[str, str]] = {}

    fit: Callable[..., Any]
    n_features_in_: int
    feature_names_in_: np.ndarray

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Name the class after its file and guard its ``fit``."""
        super().__init_subclass__(**kwargs)
        if "name" not in cls.__dict__:
            cls.name = cls.__module__.rpartition(".")[2]
        if "fit" in cls.__dict__:
            cls.fit = _guarded(cls.__dict__["fit"])

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Pickle as usual; of a class in a plugin file that the user named, its file too, so that it is found again."""
        return with_file(type(self), super().__reduce_ex__(protocol))

    def check_width(self, n_features: int) -> None:
        """Refuse parameters that cannot be those of a code for vectors of ``n_features`` numbers."""

    def check_rows(self, X: np.ndarray) -> None:
        """Refuse training vectors that there is no code for; here by their width alone."""
        self.check_width(X.shape[1])

    def usable(self, X: Any, asked: str) -> Any:
        """Return rows as an array, if they are such as ``fit`` has seen.

        Parameters
        ----------
        X : array-like of shape (n, d)
        asked : str
            The method that was called, for messages.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            ``fit`` was not called.
        ValueError
            A parameter is not as it was in ``fit``; or ``X`` is no matrix of real numbers, has another width or other
            columns than the training vectors, or masked values.
        """
        self.refuse_stale(asked)
        refuse_other_columns(getattr(self, "feature_names_in_", None), column_names(X))
        X = as_matrix(X)
        if X.ndim != 2 or X.shape[1] != self.n_features_in_:
            raise ValueError(f"X has shape {X.shape}, expected (n, {self.n_features_in_}) as in fit")
        return X

    def refuse_stale(self, asked: str) -> None:
        """Refuse to go on where there is no ``fit``, or one of other parameters.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            ``fit`` was not called.
        ValueError
            A parameter is not as it was in ``fit``.
        """
        if not hasattr(self, "n_features_in_"):
            raise NotFittedError(f"{type(self).__name__} is not fitted: call fit before {asked}")
        now = self.get_params(deep=False)
        for name, value in getattr(self, "_fitted_with", {}).items():
            if not equal_parameters(value, now[name]):
                was, is_now = shorten(repr(value)), shorten(repr(now[name]))
                raise ValueError(f"{self.name}: {name} was {was} in fit and is {is_now} now: fit again, or set it back")

    def note_fitted(self) -> None:
        """Remember the parameters that what is learned belongs to."""
        self._fitted_with = snapshot(self.get_params(deep=False))

    def forget(self) -> None:
        """Remove all that ``fit`` has learned."""
        params = self.get_params(deep=False)
        for name in [name for name in vars(self) if is_learned(name) and name not in params]:
            delattr(self, name)
        self.__dict__.pop("_fitted_with", None)


def _guarded(fit: Callable[..., Any]) -> Any:
    """Wrap a plugin's ``fit``: check what goes in, hold parameters to what they were, leave no half-learned state."""
    takes_labels = len(data_parameters(fit)) > 1

    @functools.wraps(fit)
    def checked(self: Estimator, X: Any, y: Any = None, **extras: Any) -> Any:
        if vars(self).get("_in_fit"):  # a subclass's fit has called its parent's
            return fit(self, checked_vectors(X, self.name), *([y] if takes_labels else []), **extras)
        self._in_fit = True
        try:
            return _fitted(fit, self, X, [y] if takes_labels else [], extras)
        except BaseException:
            self.forget()
            raise
        finally:
            del self._in_fit

    return checked


def _fitted(fit: Callable[..., Any], estimator: Estimator, X: Any, labels: list[Any], extras: dict[str, Any]) -> Any:
    names = column_names(X)
    X = checked_vectors(X, estimator.name)
    estimator.check_rows(X)
    if labels and estimator.supervision == "supervised":
        labels = [checked_labels(labels[0], len(X), estimator.name)]
    if extras.get("workdir") is not None:
        extras["workdir"] = checkpoint_folder(extras["workdir"])
        keep_identity(extras["workdir"] / IDENTITY, training_identity(estimator, X, labels, extras))
    estimator.note_fitted()
    # Known before it is fitted, since validation encodes with what there is so far.
    estimator.n_features_in_ = X.shape[1]
    estimator.__dict__.pop("feature_names_in_", None)
    fitted = fit(estimator, X, *labels, **extras)
    refuse_changed(estimator._fitted_with, estimator.get_params(deep=False), estimator.name, "fit")
    if names is not None:
        estimator.feature_names_in_ = names
    return fitted
