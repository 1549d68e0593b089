"""The training loop of a deep method, in one process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from hashbench.errors import Unsupported
from hashbench.features.hardware.precision import float32_products
from hashbench.learning.training import checkpoint
from hashbench.learning.training.batches import Batch, TrainingData
from hashbench.learning.training.encoder import export_encoder

VALIDATE_EVERY = 20
"""Epochs between two validations, as in CIBHash's code."""
SAVE_EVERY_S = 10.0
"""Minimum time between two checkpoints, in seconds."""
SAVE_SHARE = 0.05
"""Maximum share of the time spent on checkpoints, after the first one."""


@dataclass
class Progress:
    """The state of a training so far; JSON values.

    Attributes
    ----------
    curve : list of dict
        One entry per epoch.
    seconds : float
        Training time.
    resumed_s : float
        Part of it before an interruption.
    best : float
        Best validation score.
    saving_s : float
        Seconds that this process spent on checkpoints, not included in ``seconds``.
    """

    curve: list[dict[str, float]] = field(default_factory=list)
    seconds: float = 0.0
    resumed_s: float = 0.0
    best: float = -1.0
    saving_s: float = 0.0


@dataclass(frozen=True)
class Trained:
    """The result of a training.

    Attributes
    ----------
    learned : dict
        Learned attributes of the method: arrays and JSON values.
    progress : Progress
    """

    learned: dict[str, Any]
    progress: Progress


class Trainer:
    """Trains a method's network on batches of data. The method's hooks get it.

    Parameters
    ----------
    fabric : Fabric
        Device, precision, and the other processes.
    method : DeepMethod
        Supplies the network, the loss and the hyper-parameters.
    data : TrainingData
    seed : int
        Determines initial weights, order of the rows and noise.
    workdir : Path or None
        Directory of the checkpoint.

    Attributes
    ----------
    network : Module
        The method's network in its current state.
    optimizers : list of Optimizer
    constants : dict
        Set by the method's ``begin``, available in every batch.
    noise : torch.Generator
        On the CPU, identical in every process; its numbers do not depend on the training's device.
    rng : numpy.random.Generator
        The same in every process.
    epochs : int
        Total number of epochs.
    """

    def __init__(self, fabric: Fabric, method: Any, data: TrainingData, seed: int, workdir: Path | None) -> None:
        self.fabric, self.method, self.data, self.workdir = fabric, method, data, workdir
        self.rng = np.random.default_rng(seed)
        self.seed = int(self.rng.integers(2**63))
        self.network = self._new_network()
        model = data.open(fabric, self.network)
        optimizers = method.optimizers(self.network)
        optimizers = optimizers if isinstance(optimizers, list) else [optimizers]
        data.add_parameters(optimizers[0])
        for optimizer in optimizers:
            self._prepare(optimizer)
        self.model, *self.optimizers = fabric.setup(model, *optimizers)
        self.noise_seed = int(self.rng.integers(2**63))
        self.noise = torch.Generator().manual_seed(self.noise_seed)
        self.epochs = method.epochs or method.default_epochs(data.n_items)
        self.constants: dict[str, Any] = {}
        self.progress, self.best = Progress(), dict[str, Tensor]()
        self._save_after = 0.0

    def _new_network(self) -> nn.Module:
        with torch.random.fork_rng(self._accelerators()):
            torch.manual_seed(self.seed)
            network = self.method.network(self.data.width)
        self._mixes_rows = any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in network.modules())
        if self._mixes_rows and self.fabric.world_size > 1:
            raise Unsupported(f"{self.method.name} normalises whole batches: it trains on one device")
        return network

    def _prepare(self, optimizer: Any) -> None:
        if self.fabric.device.type == "cpu":
            # Before each step torch checks whether an accelerator captures a graph: a tenth of a small step's time.
            optimizer._accelerator_graph_capture_health_check = lambda: None
        for group in optimizer.param_groups:
            group["first_lr"] = group["lr"]

    def forward(self, batch: Batch) -> Any:
        """Return the network's outputs for the whole batch, with gradients, in float32.

        With several processes, each computes its share and receives all outputs.
        """
        if self.fabric.world_size == 1:
            return _each(self.model(*batch.inputs), lambda output: output.float())
        outputs = self.model(*self.data.inputs(self._share(batch.index)))
        return _each(outputs, lambda output: self._gathered(output.float(), len(batch)))

    def minimise(self, loss: Tensor, which: int = 0) -> None:
        """Minimise a loss by one step of an optimiser."""
        self.optimizers[which].zero_grad(set_to_none=True)
        self.fabric.backward(loss)
        self.optimizers[which].step()

    def scale_rates(self, factor: float) -> None:
        """Set every learning rate to its initial value times a factor, for schedules."""
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = factor * group["first_lr"]

    def learned(self) -> dict[str, Any]:
        """Return the learned attributes for the current state of the network."""
        encoder = self.method.encoder(self.network)
        return export_encoder(encoder, self.data.width, self.data.scaling)

    def run(self, log: Callable[..., None], validate: Callable[[dict[str, Any]], float] | None = None) -> Trained:
        """Train to the end, from the checkpoint if there is one.

        Parameters
        ----------
        log : callable
            Called with the entry of each epoch, including those before an interruption.
        validate : callable, optional
            Scores `learned` every 20 epochs and at the end; the best is returned instead of the last.

        Raises
        ------
        FloatingPointError
            The loss is no longer finite; the message names the epoch and the values.
        InputError
            ``workdir`` holds the checkpoint of another training.
        """
        # Dropout uses torch's global generator, which is seeded for each epoch and restored afterwards.
        products = float32_products(self.fabric.device, self.method.precision)
        with torch.random.fork_rng(self._accelerators()), products:
            self.method.begin(self)
            self._resume()
            for entry in self.progress.curve:
                log(**entry)
            for epoch in range(len(self.progress.curve) + 1, self.epochs + 1):
                started = time.perf_counter()
                entry = {"epoch": epoch, "epochs": self.epochs, **self._epoch(epoch)}
                if validate is not None and (epoch % VALIDATE_EVERY == 0 or epoch == self.epochs):
                    entry["validation"] = self._validated(validate)
                self.progress.curve.append(entry)
                self.progress.seconds += time.perf_counter() - started
                self._save_if_due()
                log(**entry)
        if self.best:
            self.model.load_state_dict(self.best)
        return Trained({**self.learned(), **self.data.learned()}, self.progress)

    def _accelerators(self) -> list[torch.device]:
        return [] if self.fabric.device.type == "cpu" else [self.fabric.device]

    def _epoch(self, epoch: int) -> dict[str, float]:
        """Do the steps of an epoch; return the means of their results over its rows."""
        torch.manual_seed((self.seed + epoch) % 2**63)
        self.method.start_epoch(self, epoch)
        terms: dict[str, list[Tensor]] = {}
        n_rows: list[int] = []
        batches = list(self._batches(epoch))
        for number, index in enumerate(batches):
            if self.data.trains_backbone and number + 1 < len(batches):
                self.data.expect(self._share(batches[number + 1]))
            n_rows.append(index.shape[1])
            batch = Batch(self.data, index, epoch, self.noise, self.constants, (self.noise_seed, epoch, number))
            for name, value in self.method.step(self, batch).items():
                terms.setdefault(name, []).append(value.detach())
        steps = torch.stack([torch.stack(values) for values in terms.values()]).double().tolist()
        means = np.average(steps, axis=1, weights=n_rows).tolist()
        entry = dict(zip(terms, means, strict=True))
        if not np.isfinite(means).all():
            raise FloatingPointError(f"the loss is not finite in epoch {epoch}: {entry}; {self._remedy()}")
        return entry

    def _remedy(self) -> str:
        sets_lr = "lr" in self.method.get_params()
        other = f"a smaller lr than {self.method.lr:g}" if sets_lr else "parameters nearer to their defaults"
        return f"try {other}" + ("" if self.method.precision == "32-true" else " or precision=32-true")

    def _batches(self, epoch: int) -> Iterator[np.ndarray]:
        """Yield the columns of the epoch's order in batches, without rows that the method does not use."""
        drawn, size = self.data.draw(self.rng, epoch), self.method.batch_size
        for start in range(0, self.data.n_items, size):
            batch = drawn[:, start : start + size]
            n_used = self.method.rows_used(batch.shape[1])
            # Batch normalisation refuses a single row, which has no variance.
            if n_used > self._mixes_rows:
                yield batch[:, :n_used]

    def _validated(self, validate: Callable[[dict[str, Any]], float]) -> float:
        score = validate(self.learned())
        if score > self.progress.best:
            self.progress.best = score
            self.best = {key: value.clone() for key, value in self.model.state_dict().items()}
        return score

    @property
    def _identity(self) -> dict[str, Any]:
        method = {"name": self.method.name, **self.method.get_params()}
        return {"method": method, "data": self.data.identity, "epochs": self.epochs}

    def _resume(self) -> None:
        kept = checkpoint.load(self.workdir, self._identity) if self.workdir else None
        if kept is None:
            return
        values, tensors = kept
        self.progress = Progress(**values["progress"])
        self.progress.resumed_s, self.progress.saving_s = self.progress.seconds, 0.0
        self.rng.bit_generator.state = values["rng"]
        self.noise.set_state(tensors["noise"])
        self.model.load_state_dict(tensors["model"])
        for optimizer, state in zip(self.optimizers, tensors["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        self.fabric.strategy.precision.load_state_dict(tensors["precision"])
        self.best = tensors["best"]

    def _save_if_due(self) -> None:
        """Write a checkpoint after the first epoch, and later if enough time has passed since the last one."""
        started = time.perf_counter()
        if self.workdir is None or self.fabric.global_rank or started < self._save_after:
            return
        self._save(self.workdir)
        ended = time.perf_counter()
        self.progress.saving_s += ended - started
        self._save_after = ended + max(SAVE_EVERY_S, (ended - started) / SAVE_SHARE)

    def _save(self, workdir: Path) -> None:
        values = {"progress": vars(self.progress), "rng": self.rng.bit_generator.state}
        tensors = {
            "model": self.model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "precision": self.fabric.strategy.precision.state_dict(),
            "noise": self.noise.get_state(),
            "best": self.best,
        }
        checkpoint.save(workdir, self._identity, values, tensors)

    def _share(self, index: np.ndarray) -> np.ndarray:
        """Return a process's share of a batch: every N-th row, padded with the first ones to equal sizes."""
        n, n_processes = index.shape[1], self.fabric.world_size
        rows = self.fabric.global_rank + n_processes * np.arange(-(-n // n_processes))
        return index[:, np.where(rows < n, rows, 0)]

    def _gathered(self, output: Tensor, n: int) -> Tensor:
        """Return the outputs for the whole batch, view by view in its order, with gradients to every process."""
        by_rank = self.fabric.all_gather(output, sync_grads=True).unflatten(1, (self.data.n_views, -1))
        rank, view, row, *others = range(by_rank.ndim)
        return by_rank.permute(view, row, rank, *others).flatten(1, 2)[:, :n].flatten(0, 1)


def _each(outputs: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """Return outputs with a function applied to every tensor."""
    if isinstance(outputs, dict):
        return {name: _each(output, change) for name, output in outputs.items()}
    if isinstance(outputs, tuple | list):
        return type(outputs)(_each(output, change) for output in outputs)
    return change(outputs)
