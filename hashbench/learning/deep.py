"""The contract of a method that trains a network: the method defines network and loss, the base class does the rest."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, dataclass_transform

import numpy as np

from hashbench.contract.method import HashMethod
from hashbench.errors import Unsupported
from hashbench.learning.training.encoder import run_encoder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from torch import Tensor, nn
    from torch.optim import Optimizer

PRECISIONS = ("32-true", "tf32", "bf16-mixed", "16-mixed")


@dataclass_transform(eq_default=False, kw_only_default=True)
class DeclaredMethod(HashMethod):
    """A method whose parameters are its annotated class attributes; ``__init__`` is generated from them."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Make the class a dataclass, which scikit-learn's ``get_params`` and ``clone`` can read."""
        super().__init_subclass__(**kwargs)
        dataclass(eq=False, repr=False, kw_only=True)(cls)


class DeepMethod(DeclaredMethod):
    """Base class of a method that trains a network on features.

    A subclass declares its parameters as annotated class attributes and defines `network` and `loss`; the other hooks
    have defaults. Import torch inside functions, so that importing a method stays fast. With several devices a process
    runs on each; each sends its share of a batch through the network, and every loss sees the whole batch's outputs.

    Parameters
    ----------
    n_bits : int
        Code length in bits.
    batch_size : int
        Training rows per step.
    epochs : int or None
        Passes over the training set; None is what `default_epochs` says.
    lr, weight_decay : float
        Learning rate and weight decay of `optimizers`.
    precision : {"32-true", "tf32", "bf16-mixed", "16-mixed"}
        Lightning Fabric's precision of the training; ``tf32`` is 32-true with float32 products in TF32 on a GPU.
    random_state : int or None
        Seed of initial weights, order of the rows and noise.

    Attributes
    ----------
    default_steps : int
        Class attribute: number of steps that `default_epochs` provides.
    full_batches : bool
        Class attribute: whether a smaller last batch of an epoch is left out.
    resumed_s_ : float
        Seconds of training before an interruption; 0 where there was none.
    weights1_, bias1_, weights2_, bias2_, … : ndarray, float32
        The encoder's affine maps, (inputs, outputs) and (outputs,).
    activations_ : list of str
        What follows each of them.
    """

    default_steps: ClassVar[int] = 5_000
    trains_on: ClassVar[str] = "rows"
    full_batches: ClassVar[bool] = False

    n_bits: int = field(default=32, kw_only=False)
    batch_size: int = 64
    epochs: int | None = None
    lr: float = 1e-3
    weight_decay: float = 0.0
    precision: Literal["32-true", "tf32", "bf16-mixed", "16-mixed"] = "32-true"
    random_state: int | None = None

    def network(self, n_features: int) -> "nn.Module":
        """Return the network to train, newly initialised; torch's generator is seeded for the call.

        It treats rows independently, except for batch normalisation, which limits training to one device.

        Parameters
        ----------
        n_features : int
            Width of its input.
        """
        raise NotImplementedError(f"{type(self).__name__} must define network")

    def loss(self, outputs: Any, batch: Any) -> "dict[str, Tensor]":
        """Return the objective of a batch.

        Parameters
        ----------
        outputs : Tensor, or tuple or dict of them
            What the network returned for the batch's rows, float32; of two views (2n, …), the first views first.
        batch : hashbench.learning.training.batches.Batch

        Returns
        -------
        dict of scalar Tensor
            ``"loss"`` is minimised; the means of all entries over an epoch are logged.
        """
        raise NotImplementedError(f"{type(self).__name__} must define loss")

    def encoder(self, network: "nn.Module") -> "nn.Module":
        """Return the part of the trained network whose outputs' signs are the bits.

        It is a Linear, or a Sequential of Linear, BatchNorm1d, ReLU, GELU, Tanh, Sigmoid and Dropout; ``project``
        evaluates it with numpy, with the running statistics of batch normalisation.
        """
        return network

    def scaling(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray | float] | None:
        """Return (shift, scale): training and encoding use (X − shift) / scale. None leaves X unchanged.

        Parameters
        ----------
        X : ndarray of shape (n, n_features), float32
            All training rows.

        Returns
        -------
        shift : ndarray of shape (n_features,)
        scale : float, or ndarray of shape (n_features,)
        """
        return None

    def optimizers(self, network: "nn.Module") -> "Optimizer | list[Optimizer]":
        """Return the optimiser, or several for a `step` that alternates between them."""
        from torch.optim import Adam

        return Adam(network.parameters(), lr=self.lr, weight_decay=self.weight_decay, fused=True)

    def begin(self, trainer: Any) -> None:
        """Prepare what depends on the whole training set, before the first epoch and before a checkpoint is read.

        Parameters
        ----------
        trainer : hashbench.learning.training.trainer.Trainer
            Its ``network`` can be given other initial weights. Entries of its ``constants`` are available in every
            batch.
        """

    def start_epoch(self, trainer: Any, epoch: int) -> None:
        """Prepare an epoch: a schedule, or an alternating step over all rows.

        Parameters
        ----------
        trainer : hashbench.learning.training.trainer.Trainer
        epoch : int
            From 1.
        """

    def step(self, trainer: Any, batch: Any) -> "dict[str, Tensor]":
        """Make one training step; return the values to log.

        Parameters
        ----------
        trainer : hashbench.learning.training.trainer.Trainer
        batch : hashbench.learning.training.batches.Batch
        """
        terms = self.loss(trainer.forward(batch), batch)
        trainer.minimise(terms["loss"])
        return terms

    def rows_used(self, n_rows: int) -> int:
        """Return how many of a batch's rows are used; 0 leaves it out.

        The last batch of an epoch may be smaller; ``full_batches`` leaves it out. A batch of one row is always left out
        if the network has batch normalisation.
        """
        return 0 if self.full_batches and n_rows < self.batch_size else n_rows

    def default_epochs(self, n_items: int) -> int:
        """Return the number of epochs if ``epochs`` is None; by default as many as ``default_steps`` need."""
        n_steps = n_items // self.batch_size if self.full_batches else math.ceil(n_items / self.batch_size)
        return math.ceil(self.default_steps / n_steps)

    def limits(self, n_items: int, device: str, devices: int) -> "list[tuple[str, bool, str]]":
        """Return (parameter, whether it is in range, what was expected) for each parameter with a range."""
        return [
            ("batch_size", 2 <= self.batch_size <= n_items, f"2 to the {n_items} training {self.trains_on}"),
            ("epochs", self.epochs is None or self.epochs >= 1, "at least 1"),
            ("lr", self.lr > 0, "above 0"),
            ("weight_decay", self.weight_decay >= 0, "at least 0"),
            ("precision", self.precision in PRECISIONS, f"one of {', '.join(PRECISIONS)}"),
            ("precision", self.precision != "16-mixed" or device != "cpu", "another on a CPU, which has no fp16"),
            ("precision", self.precision != "tf32" or device != "cpu", "another on a CPU, which has no TF32"),
        ]

    def check(self, X: np.ndarray, device: str, devices: int) -> None:
        """Refuse parameters out of range, before training.

        Raises
        ------
        Unsupported
            A parameter is out of its range; the message names it and what was expected.
        """
        for name, holds, expected in self.limits(len(X), device, devices):
            if not holds:
                raise Unsupported(f"{name}={getattr(self, name)!r}: expected {expected}")

    def fit(
        self,
        X: np.ndarray,
        y: np.ndarray | None = None,
        *,
        device: str = "cpu",
        devices: int = 1,
        workdir: Path | None = None,
        log: "Callable[..., None] | None" = None,
    ) -> "DeepMethod":
        """Train the network.

        Parameters
        ----------
        X : ndarray of shape (n, n_features), float32
            Features of the training rows.
        y : ndarray, optional
            Labels; only batches of a supervised method have them.
        device : str
            Torch device that trains: ``cpu``, ``cuda``, or one of several GPUs such as ``cuda:1``.
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
        FloatingPointError
            The loss is no longer finite.
        InputError
            ``workdir`` holds the checkpoint of another training.
        """
        from hashbench.learning.training.batches import FeatureRows

        self.check(X, device, devices)
        rows = FeatureRows(X, self._used_labels(y), self.scaling(X))
        return self._train(rows, device=device, devices=devices, workdir=workdir, log=log)

    def _used_labels(self, y: np.ndarray | None) -> np.ndarray | None:
        return y if self.supervision == "supervised" else None

    def _train(self, data: Any, **options: Any) -> "DeepMethod":
        """Train on batches of ``data`` and set the learned attributes."""
        from hashbench.learning.training.launch import train

        for name in [name for name in vars(self) if name.endswith("_") and name != "n_features_in_"]:
            delattr(self, name)
        trained = train(self, data, **options)
        self._keep(trained.learned.items())
        self.resumed_s_ = trained.progress.resumed_s
        self.checkpoint_s_ = trained.progress.saving_s
        return self

    def _keep(self, learned: "Iterable[tuple[str, Any]]") -> None:
        for name, value in learned:
            setattr(self, name, value)

    def project(self, X: np.ndarray) -> np.ndarray:
        """Return the encoder's outputs."""
        return run_encoder(X, vars(self))
