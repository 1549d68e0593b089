"""Starts a training on one or several devices, and collects its result."""

from __future__ import annotations

import importlib.util
import json
import pickle
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import nn

from hashbench.errors import InputError, Unsupported
from hashbench.features.hardware.devices import choose_device, open_fabric, refuse_missing_devices
from hashbench.features.hardware.precision import fabric_precision
from hashbench.learning.training.batches import TrainingData
from hashbench.learning.training.trainer import Progress, Trained, Trainer

ONE_THREAD_BELOW = 2**17
"""Weights of the first layer below which a second thread costs more than it saves."""

TOLD = (FloatingPointError, InputError, Unsupported)
"""Exceptions that keep their type when they leave a process."""


def _silent(**values: float) -> None:
    """Log nothing."""


def train(
    method: Any,
    data: TrainingData,
    *,
    device: str = "cpu",
    devices: int = 1,
    workdir: Path | None = None,
    log: Callable[..., None] | None = None,
    validate: Callable[[dict[str, Any]], float] | None = None,
) -> Trained:
    """Train a method's network.

    With several devices a process runs on each; a batch is split among them, and every loss sees the whole batch:
    outputs are gathered, so that the result is one device's up to rounding.

    Parameters
    ----------
    method : DeepMethod
    data : TrainingData
    device : str
        ``cpu``, ``cuda``, or one of several GPUs such as ``cuda:1``.
    devices : int
    workdir : Path, optional
        Directory of checkpoints; training continues from the last one.
    log : callable, optional
        Called once an epoch; for several devices, after the training.
    validate : callable, optional
        Scores learned attributes, on one device; those with the best score are returned instead of the last.

    Returns
    -------
    Trained

    Raises
    ------
    FloatingPointError
        The loss is no longer finite; the message names the epoch and the values.
    InputError
        ``workdir`` holds the checkpoint of another training, or a device is not available.
    """
    refuse_missing_devices(device, devices)
    device, log = choose_device(device), log or _silent
    strategy = "auto" if devices == 1 else "ddp_spawn"
    fabric = open_fabric(device, devices, fabric_precision(method.precision), strategy)
    # Drawn here by default, so that all processes have the same seed.
    seed = method.random_state if method.random_state is not None else int(np.random.default_rng().integers(2**63))
    if devices == 1:
        trainer = Trainer(fabric, method, data, seed, workdir)
        with _threads(device == "cpu" and not data.trains_backbone and _is_small(trainer.network)):
            return trainer.run(log, validate)
    with tempfile.TemporaryDirectory() as folder:
        # Through a file: Fabric's launcher waits for its processes before it reads what they return.
        file = Path(folder) / "trained.npz"
        try:
            fabric.launch(_train_to_file, _Sent(method), data, seed, workdir, file)
        except Exception as error:
            raise _told(file) or error from error
        trained = _read(file)
    for entry in trained.progress.curve:
        log(**entry)
    return trained


def _is_small(network: nn.Module) -> bool:
    first = next((weights for weights in network.parameters() if weights.ndim > 1), None)
    return first is not None and first.numel() < ONE_THREAD_BELOW


@contextmanager
def _threads(one: bool) -> Iterator[None]:
    """Train a small network on one thread of a CPU; on several they mostly wait for each other."""
    before = torch.get_num_threads()
    if one:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class _Sent:
    """A method that is sent to another process, with the file of its plugin if it cannot be imported by name."""

    def __init__(self, method: Any) -> None:
        self.method = method

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        module = type(self.method).__module__
        return _received, (module, sys.modules[module].__file__, pickle.dumps(self.method))


def _received(module: str, file: str, content: bytes) -> _Sent:
    package = module.partition(".")[0]
    if package not in sys.modules and importlib.util.find_spec(package) is None:
        sys.modules[package] = ModuleType(package)
        spec = importlib.util.spec_from_file_location(module, file)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[module] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[module])
    return _Sent(pickle.loads(content))


def _train_to_file(
    fabric: Fabric, sent: _Sent, data: TrainingData, seed: int, workdir: Path | None, file: Path
) -> None:
    try:
        trained = Trainer(fabric, sent.method, data, seed, workdir).run(_silent)
    except TOLD as error:  # the launcher passes on only the text of a traceback
        file.with_suffix(".error").write_text(json.dumps([type(error).__name__, str(error)]))
        raise
    if fabric.global_rank == 0:
        arrays: dict[str, Any] = {
            name: value for name, value in trained.learned.items() if isinstance(value, np.ndarray)
        }
        values = {name: value for name, value in trained.learned.items() if name not in arrays}
        np.savez(file, json=json.dumps([values, vars(trained.progress)]), **arrays)
    # A process that exits while gloo's threads are running is sometimes aborted.
    fabric.barrier()
    torch.distributed.destroy_process_group()


def _read(file: Path) -> Trained:
    with np.load(file) as kept:
        arrays = dict(kept)
    values, progress = json.loads(str(arrays.pop("json")))
    return Trained({**values, **arrays}, Progress(**progress))


def _told(file: Path) -> Exception | None:
    """Return the exception that a process has recorded."""
    try:
        kind, message = json.loads(file.with_suffix(".error").read_text())
    except OSError:
        return None
    return {error.__name__: error for error in TOLD}[kind](message)
