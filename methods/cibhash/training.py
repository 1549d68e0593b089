"""Trains CIBHash on whatever devices Fabric finds."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
from hashbench.methods.cibhash import checkpoint
from hashbench.methods.cibhash.inputs import Pool, TunedBackbone
from hashbench.methods.cibhash.losses import binarize, nt_xent, symmetric_kl
from hashbench.methods.cibhash.schedule import default_epochs
from lightning_fabric import Fabric
from torch import Tensor, nn

from hashbench.errors import InputError, Unsupported

if TYPE_CHECKING:
    from hashbench.methods.cibhash import CIBHash

VALIDATE_EVERY = 20
"""Epochs between two looks at the validation queries, as in the authors' code."""

ONE_THREAD_BELOW = 2**17
"""Weights of the head below which a second thread costs more than it saves."""

TOLD = (FloatingPointError, InputError, Unsupported)
"""Exceptions that keep their kind on their way out of a process."""

Layers = tuple[np.ndarray, ...]
Inputs: TypeAlias = Pool | TunedBackbone


def silent(**values: float) -> None:
    """Say nothing."""


@dataclass
class Progress:
    """What a training has done so far; JSON values.

    Attributes
    ----------
    curve : list of dict
        An entry per epoch.
    seconds : float
        Time that it took.
    resumed_s : float
        What of it came before an interruption.
    best : float
        Best validation score.
    """

    curve: list[dict[str, float]] = field(default_factory=list)
    seconds: float = 0.0
    resumed_s: float = 0.0
    best: float = -1.0


@dataclass(frozen=True)
class Trained:
    """What a training gives.

    Attributes
    ----------
    layers : tuple of ndarray
        Weights (d, hidden), bias (hidden,), weights (hidden, n_bits), bias (n_bits,), all float32.
    backbone : ndarray or None
        The backbone's parameters, float32, if it was trained.
    progress : Progress
    """

    layers: Layers
    backbone: np.ndarray | None
    progress: Progress


def train(
    method: CIBHash,
    inputs: Inputs,
    *,
    device: str = "cpu",
    devices: int = 1,
    workdir: Path | None = None,
    log: Callable[..., None] = silent,
    validate: Callable[[Layers], float] | None = None,
) -> Trained:
    """Train the head, and the backbone if the inputs say so.

    With several devices a process runs on each; a batch is split among them, and every loss sees the whole batch:
    negatives are gathered, so that the result is one device's up to rounding.

    Parameters
    ----------
    method : CIBHash
        Supplies the hyper-parameters.
    inputs : Pool or TunedBackbone
    device : str
    devices : int
    workdir : Path, optional
        Where a checkpoint is kept after each epoch, and found again.
    log : callable
        Called once an epoch; for several devices, after the training.
    validate : callable, optional
        Scores layers every 20 epochs and at the end; the best are returned instead of the last.

    Returns
    -------
    Trained

    Raises
    ------
    FloatingPointError
        The loss is not finite any more; the message names the epoch and the values.
    InputError
        ``workdir`` holds the checkpoint of another training.
    """
    strategy = "auto" if devices == 1 else "ddp_spawn"
    accelerator = device.partition(":")[0]
    fabric = Fabric(accelerator=accelerator, devices=devices, strategy=strategy, precision=method.precision)
    if devices == 1:
        with _threads(device == "cpu" and isinstance(inputs, Pool) and inputs.width * method.hidden < ONE_THREAD_BELOW):
            return _train(fabric, method, inputs, workdir, log, validate)
    with tempfile.TemporaryDirectory() as folder:
        # Through a file: Fabric's launcher waits for its processes before it reads what they return.
        file = Path(folder) / "trained.npz"
        try:
            fabric.launch(_train_to_file, method, inputs, workdir, file)
        except Exception as error:
            raise _told(file) or error from error
        with np.load(file) as kept:
            layers = tuple(kept[f"arr_{i}"] for i in range(4))
            backbone = dict(kept).get("backbone")
            trained = Trained(layers, backbone, Progress(**json.loads(str(kept["progress"]))))
    for entry in trained.progress.curve:
        log(**entry)
    return trained


@contextmanager
def _threads(one: bool) -> Iterator[None]:
    """Train a small head on one thread of a CPU; on several they mostly wait for each other."""
    before = torch.get_num_threads()
    if one:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _told(file: Path) -> Exception | None:
    """Return the exception that a process has left a note of."""
    try:
        kind, message = json.loads(file.with_suffix(".error").read_text())
    except OSError:
        return None
    return {error.__name__: error for error in TOLD}[kind](message)


def _train_to_file(fabric: Fabric, method: CIBHash, inputs: Inputs, workdir: Path | None, file: Path) -> None:
    try:
        trained = _train(fabric, method, inputs, workdir, silent, None)
    except TOLD as error:  # the launcher passes on a traceback's text alone
        file.with_suffix(".error").write_text(json.dumps([type(error).__name__, str(error)]))
        raise
    if fabric.global_rank == 0:
        backbone: dict[str, Any] = {} if trained.backbone is None else {"backbone": trained.backbone}
        np.savez(file, *trained.layers, progress=json.dumps(vars(trained.progress)), **backbone)


def _train(
    fabric: Fabric,
    method: CIBHash,
    inputs: Inputs,
    workdir: Path | None,
    log: Callable[..., None],
    validate: Callable[[Layers], float] | None,
) -> Trained:
    n_images = inputs.n_images
    rng = np.random.default_rng(method.random_state)
    model: Any = inputs.model(fabric, _head(inputs.width, method.hidden, method.n_bits, int(rng.integers(2**63))))
    adam: Any = torch.optim.Adam(inputs.groups(model, method.lr), weight_decay=method.weight_decay, fused=True)
    if fabric.device.type == "cpu":
        # Before each step torch asks for an accelerator whose graph it might be capturing: a tenth of a small step.
        adam._accelerator_graph_capture_health_check = lambda: None
    model, adam = fabric.setup(model, adam)
    noise = torch.Generator(fabric.device).manual_seed(int(rng.integers(2**63)))
    epochs = method.epochs or default_epochs(method.n_bits, n_images, method.batch_size)
    identity = {"method": method.get_params(), "inputs": inputs.identity, "epochs": epochs}
    progress, best = Progress(), None
    found = checkpoint.load(workdir, identity) if workdir else None
    if found:
        progress, tensors = Progress(**found[0]["progress"]), found[1]
        progress.resumed_s = progress.seconds
        model.load_state_dict(tensors["model"])
        adam.load_state_dict(tensors["adam"])
        fabric.strategy.precision.load_state_dict(tensors["precision"])
        rng.bit_generator.state = found[0]["rng"]
        noise.set_state(tensors["noise"])
        best = tensors["best"] or None
        for entry in progress.curve:
            log(**entry)
    for epoch in range(len(progress.curve) + 1, epochs + 1):
        started = time.perf_counter()
        means = _epoch(fabric, method, model, adam, inputs, _pairs(method, rng, epoch, inputs), noise)
        if not np.isfinite(list(means.values())).all():
            raise FloatingPointError(f"the loss is not finite in epoch {epoch}: {means}")
        entry = {"epoch": epoch, "epochs": epochs, **means}
        if validate is not None and (epoch % VALIDATE_EVERY == 0 or epoch == epochs):
            entry["validation"] = validate(_layers(model))
            if entry["validation"] > progress.best:
                progress.best = entry["validation"]
                best = {key: value.clone() for key, value in model.state_dict().items()}
        progress.curve.append(entry)
        progress.seconds += time.perf_counter() - started
        if workdir and fabric.global_rank == 0:
            states = {"model": model.state_dict(), "adam": adam.state_dict(), "best": best or {}}
            states["precision"] = fabric.strategy.precision.state_dict()
            kept = {"progress": vars(progress), "rng": rng.bit_generator.state}
            checkpoint.save(workdir, identity, kept, {**states, "noise": noise.get_state()})
        log(**entry)
    if best:
        model.load_state_dict(best)
    return Trained(_layers(model), inputs.trained(model), progress)


def _pairs(method: CIBHash, rng: np.random.Generator, epoch: int, inputs: Inputs) -> list[np.ndarray]:
    """Return the epoch's batches, each (3, size): image, its one view, its other view."""
    n_images, n_views = inputs.n_images, inputs.n_views
    order = rng.permutation(n_images)
    if method.n_views == "fresh" or method.finetune:
        one, other = np.full(n_images, 2 * epoch - 2), np.full(n_images, 2 * epoch - 1)
    else:
        one = rng.integers(n_views, size=n_images)
        other = (one + rng.integers(1, n_views, size=n_images)) % n_views
    triples = np.stack([order, one, other])
    return [triples[:, start : start + method.batch_size] for start in range(0, n_images, method.batch_size)]


def _epoch(
    fabric: Fabric,
    method: CIBHash,
    model: Any,
    adam: Any,
    inputs: Inputs,
    batches: list[np.ndarray],
    noise: torch.Generator,
) -> dict[str, float]:
    """Take a step per batch; return the means of the loss and its terms."""
    terms = []
    for batch in batches:
        logits = _gathered(fabric, inputs.logits(fabric, model, *_share(fabric, batch)), batch.shape[1])
        p = torch.sigmoid(logits)
        codes = logits if method.sampling == "continuous" else _codes(p, method.sampling, noise)
        contrastive = nt_xent(codes, method.temperature, method.similarity)
        kl = symmetric_kl(p)
        adam.zero_grad(set_to_none=True)
        fabric.backward(contrastive + method.beta * kl)
        adam.step()
        terms += [contrastive.detach(), kl.detach()]
    means = torch.stack(terms).unflatten(0, (-1, 2)).double().mean(dim=0).tolist()
    return {"loss": means[0] + method.beta * means[1], "contrastive": means[0], "kl": means[1]}


def _codes(p: Tensor, sampling: str, noise: torch.Generator) -> Tensor:
    threshold = 0.5 if sampling == "sign" else torch.rand(p.shape, generator=noise, device=p.device)
    return binarize(p, threshold, 0.0 if sampling == "zero_one" else -1.0)


def _share(fabric: Fabric, batch: np.ndarray) -> np.ndarray:
    """Return what a process takes of a batch: every N-th image, and the first again where they do not go round."""
    if fabric.world_size == 1:
        return batch
    n = batch.shape[1]
    images = fabric.global_rank + fabric.world_size * np.arange(-(-n // fabric.world_size))
    return batch[:, np.where(images < n, images, 0)]


def _gathered(fabric: Fabric, logits: Tensor, n: int) -> Tensor:
    """Return the logits of the whole batch, both views of its n images in their order, with gradients to every rank."""
    if fabric.world_size == 1:
        return logits
    by_rank = fabric.all_gather(logits, sync_grads=True).unflatten(1, (2, -1))  # rank, view, image, bit
    return by_rank.permute(1, 2, 0, 3).flatten(1, 2)[:, :n].flatten(0, 1)


def _layers(model: Any) -> Layers:
    first, _, second = getattr(model.module, "head", model.module)
    layers = (first.weight.T, first.bias, second.weight.T, second.bias)
    return tuple(np.ascontiguousarray(layer.detach().float().cpu().numpy()) for layer in layers)


def _head(d: int, hidden: int, n_bits: int, seed: int) -> nn.Sequential:
    """Return the head with torch's default initialisation under a seed of its own."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(d, hidden), nn.ReLU(), nn.Linear(hidden, n_bits))
