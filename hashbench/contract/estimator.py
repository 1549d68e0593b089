"""The common base of methods and quantizers: a name, checked input, a guard around ``fit``, and a file."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from hashbench.contract.checked_input import (
    as_matrix,
    checked_vectors,
    column_names,
    refuse_other_columns,
)
from hashbench.contract.fit_extras import asked_extras, data_parameters
from hashbench.contract.labels import checked_labels, label_problem, n_classes_of
from hashbench.contract.parameters import equal_parameters, refuse_changed, snapshot
from hashbench.contract.saved_file import SavedFile, read_saved, write_saved
from hashbench.contract.saved_header import COLUMNS, WIDTH, is_learned
from hashbench.contract.training_identity import NAME as IDENTITY
from hashbench.contract.training_identity import checkpoint_folder, keep_identity, training_identity
from hashbench.errors import InputError, Unsupported, shorten
from hashbench.files.paths import printable
from hashbench.files.plugin_modules import with_file

if TYPE_CHECKING:
    from hashbench.data.dataset import Dataset

Fitted = TypeVar("Fitted", bound="Estimator")


class Estimator(BaseEstimator):
    """Base class of what is fitted to vectors and then encodes them; `HashMethod` and `Quantizer` are its kinds.

    Attributes
    ----------
    kind : {"methods", "quantizers"}
        What plugins of its kind are called: their folder, and the end of their entry-point group's name.
    name : str
        By default that of its file.
    supervision : {"unsupervised", "supervised"}
        Whether ``fit`` reads labels.
    labels : {"any", "classes", "multilabel"}
        What labels a supervised method can learn from: one class an item, several labels an item, or either.
    items_per_class : int
        How many training items of each class it needs, at least.
    classes_per_bit : float or None
        It needs at least as many bits as the number of classes divided by this; None where any number will do.
    paper : str
        The paper that it comes from.
    portable : bool
        Whether what ``fit`` learns and the codes are the same, bit for bit, on every processor and with any number of
        threads. A run computes everything else with one thread, so that at least the threads change nothing.
    n_features_in_ : int
        Width of the training vectors; set by the base class.
    feature_names_in_ : ndarray of str
        Names of their columns, where they are a table that has such; set by the base class. What is encoded later must
        have the same.
    backbone_weights_ : ndarray, float32, or None
        Parameters of the backbone, from a method that has trained it; codes are then made of its features.
    resumed_s_ : float
        Seconds of training before an interruption, from a method that goes on after one.
    checkpoint_s_ : float
        Seconds that ``fit`` took to write checkpoints; a run does not count them as training.
    search : dict
        The search space of its parameters, for tuning: of each a pair of bounds, a `hashbench.log_range` or a list of
        values. See `hashbench.contract.search_space.search_space`. Codes do not depend on it, so it is no part of the
        identity of the class's code.
    expected_failures : dict from str to str
        Names of the checks that the plugin fails for a reason, and the reasons; see `hashbench.checks`.
    """

    kind: ClassVar[str]
    supervision: ClassVar[str] = "unsupervised"
    labels: ClassVar[str] = "any"
    items_per_class: ClassVar[int] = 1
    classes_per_bit: ClassVar[float | None] = None
    paper: ClassVar[str] = ""
    name: ClassVar[str] = ""
    portable: ClassVar[bool] = False
    search: ClassVar[dict[str, Any]] = {}
    expected_failures: ClassVar[dict[str, str]] = {}

    fit: Callable[..., Any]
    n_features_in_: int
    feature_names_in_: np.ndarray
    backbone_weights_: np.ndarray | None = None
    resumed_s_: float = 0.0
    checkpoint_s_: float = 0.0
    _n_classes: int = 0

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

    def n_bytes(self, n_features: int) -> int:
        """Return how many bytes the code of a vector of ``n_features`` numbers has.

        Raises
        ------
        ValueError
            A parameter cannot be that of a code.
        Unsupported
            There is no code for vectors of that width.
        """
        raise NotImplementedError(f"{type(self).__name__} must define n_bytes")

    def wants(self) -> set[str]:
        """Return the keywords that ``fit`` asks a run for beyond its data: all of its signature's.

        A plugin whose parameters decide takes some away.
        """
        return asked_extras(type(self).fit)

    def skip(self, dataset: Dataset) -> str | None:
        """Return why this plugin cannot run on ``dataset``, or None if it can."""
        return None

    @property
    def n_classes_(self) -> int:
        """Number of classes, or of labels, that ``fit`` of a supervised method was given; 0 for others.

        It is set when ``fit`` begins, and not saved.
        """
        return self._n_classes

    @property
    def code_bits(self) -> int:
        """Bits of a code that count, once ``fit`` was called."""
        return 8 * self.n_bytes(self.n_features_in_)

    @property
    def code_length(self) -> str:
        """Length of a code in words, once ``fit`` was called."""
        return f"{self.n_bytes(self.n_features_in_)} bytes"

    def _check_rows(self, X: np.ndarray) -> None:
        """Refuse training vectors that there is no code for; here by their width alone."""
        self.n_bytes(X.shape[1])

    def _probe(self, row: np.ndarray) -> tuple[str, Any, tuple[int, int]]:
        """Return what is asked for one vector, the answer, and the shape that it must have."""
        raise NotImplementedError

    def _usable(self, X: Any, operation: str) -> Any:
        """Return rows as an array, if they are such as ``fit`` has seen.

        Parameters
        ----------
        X : array-like of shape (n, d)
        operation : str
            The method that was called, for messages.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            ``fit`` was not called.
        ValueError
            A parameter was changed after ``fit``; or ``X`` is not a matrix of real numbers, differs from the training
            vectors in width or columns, or holds masked values.
        """
        self._refuse_stale(operation)
        refuse_other_columns(getattr(self, "feature_names_in_", None), column_names(X))
        X = as_matrix(X)
        if X.ndim != 2 or X.shape[1] != self.n_features_in_:
            raise ValueError(f"X has shape {X.shape}, expected (n, {self.n_features_in_}) as in fit")
        return X

    def _refuse_stale(self, operation: str) -> None:
        """Refuse to go on where there is no ``fit``, or one of other parameters.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            ``fit`` was not called.
        ValueError
            A parameter was changed after ``fit``.
        """
        if not hasattr(self, "n_features_in_"):
            raise NotFittedError(f"{type(self).__name__} is not fitted: call fit before {operation}")
        now = self.get_params(deep=False)
        for name, value in getattr(self, "_fitted_with", {}).items():
            if not equal_parameters(value, now[name]):
                was, is_now = shorten(repr(value)), shorten(repr(now[name]))
                raise ValueError(f"{self.name}: {name} was {was} in fit and is {is_now} now: fit again, or set it back")

    def _note_fitted(self) -> None:
        """Remember the parameters that what is learned belongs to."""
        self._fitted_with = snapshot(self.get_params(deep=False))

    def _forget(self) -> None:
        """Remove all that ``fit`` has learned."""
        params = self.get_params(deep=False)
        for name in [name for name in vars(self) if is_learned(name) and name not in params]:
            delattr(self, name)
        for name in ("_fitted_with", "_n_classes"):
            self.__dict__.pop(name, None)

    def learned(self) -> dict[str, Any]:
        """Return what ``fit`` has learned, by attribute: numpy arrays and JSON values."""
        return {name: value for name, value in vars(self).items() if is_learned(name)}

    def set_learned(self, learned: dict[str, Any]) -> None:
        """Take what `learned` gave as learned; ``n_features_in_`` is among it.

        Raises
        ------
        Exception
            It is nothing that this class learns.
        """
        for name, value in learned.items():
            setattr(self, name, value)

    def save(self, path: str | Path, **provenance: Any) -> None:
        """Write what was fitted to one safetensors file: arrays, and JSON in the header (no pickle).

        The file appears whole or not at all.

        Parameters
        ----------
        path : path-like
            Where to write.
        **provenance
            JSON values kept with the parameters, such as the feature key that ``X`` was made with; what a run
            keeps, and what it must be, is in `hashbench.contract.saved_header`.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            ``fit`` was not called.
        TypeError, ValueError
            A value is no JSON or not what its key means, a learned array holds NaN, or a parameter is not as it
            was in ``fit``.
        OSError
            The file cannot be written.
        """
        self._refuse_stale("save")
        columns = {COLUMNS: list(self.feature_names_in_)} if hasattr(self, COLUMNS) else {}
        learned = {WIDTH: self.n_features_in_, **self.learned(), **columns}
        params = self.get_params()
        write_saved(Path(path), kind=self.kind, name=self.name, params=params, learned=learned, provenance=provenance)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote.

        Raises
        ------
        InputError
            The file is missing, not a saved method or quantizer, damaged, one of another name or kind or of one that
            is not fitted, its parameters and arrays do not fit this class, or a package that it needs is not installed.
        """
        return cls.restore(read_saved(path))

    @classmethod
    def restore(cls, saved: SavedFile) -> Self:
        """Return the fitted method or quantizer that a file holds.

        Raises
        ------
        InputError
            As `load` does.
        """
        if saved.kind != cls.kind:
            raise InputError(f"{saved.path} holds one of the {saved.kind} ({saved.name!r}), not one of the {cls.kind}")
        if saved.name != cls.name:
            raise InputError(f"{saved.path} holds a saved {saved.name!r}, not a {cls.name!r}")
        try:
            return _restored(cls, saved)
        except Unsupported as error:
            raise InputError(f"{saved.path} cannot be used: {printable(str(error), 200)}") from error
        except Exception as error:  # a plugin raises whatever it likes on values that are not its own
            reason = printable(str(error) or type(error).__name__, 200)
            raise InputError(
                f"{saved.path} does not fit the {saved.name!r} that is here ({reason}); train it again"
            ) from error


def _restored(estimator_class: type[Fitted], saved: SavedFile) -> Fitted:
    """Return what a file holds, if parameters and arrays fit each other: it is tried on one vector."""
    estimator = estimator_class(**saved.params)
    estimator.set_learned(saved.learned)
    estimator._note_fitted()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        operation, answer, shape = estimator._probe(np.ones((1, saved.width), np.float32))
        values = np.asarray(answer)
    if values.shape != shape or values.dtype.kind not in "biuf":
        given = f"shape {values.shape} and dtype {values.dtype}"
        raise ValueError(f"{operation} gives {given} for one vector, expected shape {shape} of real numbers")
    if saved.columns is not None:
        estimator.feature_names_in_ = saved.columns
    return estimator


def _guarded(fit: Callable[..., Any]) -> Any:
    """Wrap a plugin's ``fit``: check what goes in, hold parameters to what they were, leave no half-learned state.

    What an earlier ``fit`` has learned is forgotten first, so that nothing of it is left among what this one learns.
    """
    takes_labels = len(data_parameters(fit)) > 1

    @functools.wraps(fit)
    def checked(self: Estimator, X: Any, y: Any = None, **extras: Any) -> Any:
        labels = [y] if takes_labels else []
        if vars(self).get("_in_fit"):  # a subclass's fit has called its parent's
            return fit(self, checked_vectors(X, self.name), *labels, **extras)
        self._forget()
        self._in_fit = True
        try:
            return _fitted(fit, self, X, labels, extras)
        except BaseException:
            self._forget()
            raise
        finally:
            del self._in_fit

    return checked


def _fitted(fit: Callable[..., Any], estimator: Estimator, X: Any, labels: list[Any], extras: dict[str, Any]) -> Any:
    names = column_names(X)
    X = checked_vectors(X, estimator.name)
    estimator._check_rows(X)
    if labels and estimator.supervision == "supervised":
        labels = [checked_labels(labels[0], len(X), estimator.name)]
        problem = label_problem(estimator, labels[0])
        if problem:
            raise Unsupported(problem)
        estimator._n_classes = n_classes_of(labels[0])
    if extras.get("workdir") is not None:
        extras["workdir"] = checkpoint_folder(extras["workdir"])
        keep_identity(extras["workdir"] / IDENTITY, training_identity(estimator, X, labels, extras))
    estimator._note_fitted()
    # Known before it is fitted, since validation encodes with what there is so far.
    estimator.n_features_in_ = X.shape[1]
    fitted = fit(estimator, X, *labels, **extras)
    refuse_changed(estimator._fitted_with, estimator.get_params(deep=False), estimator.name, "fit")
    if names is not None:
        estimator.feature_names_in_ = names
    return fitted
