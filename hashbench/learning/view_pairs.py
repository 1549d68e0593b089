"""The base class of methods that train on two views of each image."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from hashbench.errors import Unsupported
from hashbench.learning.deep import DeepMethod

if TYPE_CHECKING:
    from collections.abc import Callable

    from hashbench.data.dataset import Dataset
    from hashbench.features.tunable import Tunable


class ViewPairMethod(DeepMethod):
    """Base class of a method that trains a network on two augmented views of each image.

    Features of views come from a pool that is extracted once; each step draws two different views of each image. With
    ``finetune``, the backbone is trained with the network, on two new views of each image in every epoch.

    Parameters
    ----------
    select : {"last", "validation"}
        Which epoch's network is kept: the last, or the one with the best score on labelled validation queries, measured
        every 20 epochs. That uses labels: a run takes half of the queries for validation, scores the other half under a
        separate protocol name, and marks the row.
    n_views : int or "fresh"
        Size of the view pool; ``fresh`` is two new views of each image in every epoch.
    views_seed : int
        Seed of the views.
    finetune : float
        Learning rate of the backbone; at 0 the backbone is frozen. Otherwise it is trained with the network, there is
        no pool, and codes are made from the features of the trained backbone.

    Attributes
    ----------
    backbone_weights_ : ndarray, float32
        The trained backbone's parameters; only with ``finetune``.
    """

    trains_on: ClassVar[str] = "images"

    select: Literal["last", "validation"] = "last"
    n_views: int | Literal["fresh"] = 24
    views_seed: int = 0
    finetune: float = 0.0

    def skip(self, dataset: "Dataset") -> str | None:
        """Require images, since views are made from them."""
        return None if dataset.images is not None and dataset.views is not None else "it trains on augmented images"

    def wants(self) -> set[str]:
        """Request validation queries only to choose the epoch, and the backbone only to train it."""
        unused = {"views" if self.finetune else "tunable"} | ({"validation"} if self.select == "last" else set())
        return super().wants() - unused

    def n_pool_views(self, n_images: int) -> int:
        """Return ``n_views``, or two for each epoch if every epoch has new views."""
        if self.n_views != "fresh":
            return self.n_views
        return 2 * (self.epochs or self.default_epochs(n_images))

    def limits(self, n_items: int, device: str, devices: int) -> list[tuple[str, bool, str]]:
        """Return the parameters' ranges."""
        return [
            *super().limits(n_items, device, devices),
            ("n_views", self.n_views == "fresh" or self.n_views >= 2, "at least 2, or 'fresh'"),
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
        views: np.ndarray | None = None,
        tunable: "Tunable | None" = None,
        validation: "Callable[[ViewPairMethod], float] | None" = None,
        device: str = "cpu",
        devices: int = 1,
        workdir: Path | None = None,
        log: "Callable[..., None] | None" = None,
    ) -> "ViewPairMethod":
        """Train the network, and the backbone where ``finetune`` says so.

        Parameters
        ----------
        X : ndarray of shape (n, d), float32
            Features of the training images; batches hold features of the views instead.
        y : ndarray, optional
            Labels of the images; only batches of a supervised method have them.
        views : ndarray of shape (n, n_pool_views(n), d), float16
            Features of the training images' augmented views; not needed with ``finetune``.
        tunable : hashbench.features.tunable.Tunable
            The training images and the backbone; needed with ``finetune``.
        validation : callable, optional
            ``validation(method)`` scores the method as it is; called for ``select="validation"``.
        device : str
            Torch device that trains.
        devices : int
            Number of devices; each has a process.
        workdir : Path, optional
            Directory of checkpoints. An interrupted training continues from the last one, on a CPU bit for bit.
        log : callable, optional
            Called once an epoch as ``log(epoch=, epochs=, loss=, …)``.

        Raises
        ------
        Unsupported
            A parameter is out of its range.
        ValueError
            An input that the parameters require is missing, or ``views`` has the wrong shape.
        FloatingPointError
            The loss is no longer finite.
        InputError
            ``workdir`` holds the checkpoint of another training.
        """
        self.check(X, device, devices)
        needed: dict[str, Any] = {"tunable": tunable} if self.finetune else {"views": views}
        if self.select == "validation":
            needed["validation"] = validation
        for name, value in needed.items():
            if value is None:
                raise ValueError(f"fit needs {name}=: a run gives it, see help({type(self).__name__}.fit)")

        def validate(learned: dict[str, Any]) -> float:
            assert validation is not None
            self._keep(learned.items())
            return validation(self)

        labels = self._used_labels(y)
        return self._train(
            self._tuned(X, labels, tunable) if self.finetune else self._pool(X, labels, views),
            device=device,
            devices=devices,
            workdir=workdir,
            log=log,
            validate=validate if self.select == "validation" else None,
        )

    def _tuned(self, X: np.ndarray, labels: Any, tunable: Any) -> Any:
        from hashbench.learning.training.view_batches import TunedBackbone

        if self.scaling(X) is not None:
            raise Unsupported(f"finetune={self.finetune}: {self.name} scales features, a trained backbone's change")
        return TunedBackbone(tunable, X.shape[1], self.views_seed, self.finetune, labels)

    def _pool(self, X: np.ndarray, labels: Any, views: Any) -> Any:
        from hashbench.learning.training.view_batches import ViewPool

        expected = len(X), self.n_pool_views(len(X))
        if views.shape[:2] != expected:
            raise ValueError(f"views has shape {views.shape}, expected ({expected[0]}, {expected[1]}, d)")
        return ViewPool(views, self.n_views == "fresh", self.scaling(X), labels)
