"""The contract of a supervised method that trains a network: on features, or together with the backbone."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from hashbench.errors import Unsupported
from hashbench.learning.deep import DeepMethod

if TYPE_CHECKING:
    from collections.abc import Callable

    from hashbench.data.dataset import Dataset
    from hashbench.features.tunable import Tunable


class SupervisedMethod(DeepMethod):
    """Base class of a method that trains a network on labelled rows.

    A subclass writes `network` and `loss`, as for `hashbench.learning.deep.DeepMethod`, and its class says which labels
    it needs (``labels``, ``items_per_class``, ``classes_per_bit``). ``n_classes_`` is known in every hook.
    ``batch.labels`` are classes from 0, (n,) int64, or marks, (n, n_classes_) bool; ``trainer.data.labels`` are those
    of all training rows.

    Parameters
    ----------
    select : {"last", "validation"}
        Which epoch's network is kept: the last, or the one that does best on validation queries, looked at every 20
        epochs. A run draws these from the training set, class by class, and does not train on them.
    views_seed : int
        Seed of the views that a backbone is trained on.
    finetune : float
        Learning rate of the backbone; at 0 it stays frozen. Otherwise it is trained with the network on one new view of
        each image in every epoch, and codes are made of the trained backbone's features.

    Attributes
    ----------
    backbone_weights_ : ndarray, float32
        The trained backbone's parameters; only with ``finetune``.
    """

    supervision: ClassVar[str] = "supervised"

    select: Literal["last", "validation"] = "last"
    views_seed: int = 0
    finetune: float = 0.0

    def skip(self, dataset: "Dataset") -> str | None:
        """Need images to train a backbone on."""
        if not self.finetune or (dataset.images is not None and dataset.views is not None):
            return None
        return f"finetune={self.finetune}: a backbone is trained on images"

    def wants(self) -> set[str]:
        """Ask for validation queries only where they choose the epoch, and for the backbone only to train it."""
        unused = (set() if self.finetune else {"tunable"}) | ({"validation"} if self.select == "last" else set())
        return super().wants() - unused

    def limits(self, n_items: int, device: str, devices: int) -> list[tuple[str, bool, str]]:
        """Return the parameters' ranges."""
        return [
            *super().limits(n_items, device, devices),
            ("finetune", self.finetune >= 0, "at least 0"),
            ("finetune", not self.finetune or self.select == "last", "0 where validation queries choose the epoch"),
            ("select", self.select in ("last", "validation"), "'last' or 'validation'"),
            ("select", self.select == "last" or devices == 1, "'last' on several devices"),
        ]

    def fit(
        self,
        X: np.ndarray,
        y: np.ndarray | None = None,
        *,
        tunable: "Tunable | None" = None,
        validation: "Callable[[SupervisedMethod], float] | None" = None,
        device: str = "cpu",
        devices: int = 1,
        workdir: Path | None = None,
        log: "Callable[..., None] | None" = None,
    ) -> "SupervisedMethod":
        """Train the network, and the backbone where ``finetune`` says so.

        Parameters
        ----------
        X : ndarray of shape (n, d), float32
            Features of the training rows; with ``finetune`` only their number and width count.
        y : ndarray of shape (n,), int64, or (n, n_labels), bool
            Classes, or which of several labels each item has.
        tunable : hashbench.features.tunable.Tunable
            The training images and the backbone; needed with ``finetune``.
        validation : callable, optional
            ``validation(method)`` scores the method as it is; called for ``select="validation"``.
        device : str
            Torch device that trains.
        devices : int
            Number of devices, with a process each.
        workdir : Path, optional
            Where checkpoints are kept; an interrupted training goes on from the last, on a CPU bit for bit.
        log : callable, optional
            Called once an epoch as ``log(epoch=, epochs=, loss=, …)``.

        Raises
        ------
        Unsupported
            A parameter is out of its range, or the labels are not what the method needs.
        ValueError
            An input that the parameters require is missing.
        FloatingPointError
            The loss is not finite any more.
        InputError
            ``workdir`` holds the checkpoint of another training.
        """
        from hashbench.learning.training.batches import FeatureRows
        from hashbench.learning.training.view_batches import TunedRows

        self.check(X, device, devices)
        required: dict[str, Any] = {"tunable": tunable} if self.finetune else {}
        required |= {"validation": validation} if self.select == "validation" else {}
        for name, value in required.items():
            if value is None:
                raise ValueError(f"fit needs {name}=: a run gives it, see help({type(self).__name__}.fit)")

        def validate(learned: dict[str, Any]) -> float:
            assert validation is not None
            self._keep(learned.items())
            return validation(self)

        scaling = self.scaling(X)
        if self.finetune and scaling is not None:
            raise Unsupported(f"finetune={self.finetune}: {self.name} scales features, a trained backbone's change")
        data = (
            TunedRows(required["tunable"], X.shape[1], self.views_seed, self.finetune, y)
            if self.finetune
            else FeatureRows(X, y, scaling)
        )
        chosen = validate if self.select == "validation" else None
        return self._train(data, device=device, devices=devices, workdir=workdir, log=log, validate=chosen)
