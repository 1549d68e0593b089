"""Trains CIBHash's head on a pool of views, on whatever devices Fabric finds."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from hashbench.methods.cibhash import checkpoint
from hashbench.methods.cibhash.losses import binarize, nt_xent, symmetric_kl
from hashbench.methods.cibhash.schedule import default_epochs
from lightning_fabric import Fabric
from torch import Tensor, nn

if TYPE_CHECKING:
    from hashbench.methods.cibhash import CIBHash

VALIDATE_EVERY = 20
"""Epochs between two looks at the validation queries, as in the authors' code."""

Layers = tuple[np.ndarray, ...]


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


def train_head(
    method: CIBHash,
    views: np.ndarray,
    *,
    device: str = "cpu",
    devices: int = 1,
    workdir: Path | None = None,
    log: Callable[..., None] = silent,
    validate: Callable[[Layers], float] | None = None,
) -> tuple[Layers, Progress]:
    """Train the head and return its layers.

    With several devices a process runs on each; a batch is split among them, and every loss sees the whole batch:
    negatives are gathered, so that the result is one device's up to rounding.

    Parameters
    ----------
    method : CIBHash
        Supplies the hyper-parameters.
    views : ndarray of shape (n, pool size, d), float16
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
    layers : tuple of ndarray
        Weights (d, hidden), bias (hidden,), weights (hidden, n_bits), bias (n_bits,), all float32.
    progress : Progress

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
        return _train(fabric, method, views, workdir, log, validate)
    with tempfile.TemporaryDirectory() as folder:
        # Through a file: Fabric's launcher waits for its processes before it reads what they return.
        file = Path(folder) / "trained.npz"
        fabric.launch(_train_to_file, method, views, workdir, file)
        with np.load(file) as kept:
            layers = tuple(kept[f"arr_{i}"] for i in range(4))
            progress = Progress(**json.loads(str(kept["progress"])))
    for entry in progress.curve:
        log(**entry)
    return layers, progress


def _train_to_file(fabric: Fabric, method: CIBHash, views: np.ndarray, workdir: Path | None, file: Path) -> None:
    layers, progress = _train(fabric, method, views, workdir, silent, None)
    if fabric.global_rank == 0:
        np.savez(file, *layers, progress=json.dumps(vars(progress)))


def _train(
    fabric: Fabric,
    method: CIBHash,
    views: np.ndarray,
    workdir: Path | None,
    log: Callable[..., None],
    validate: Callable[[Layers], float] | None,
) -> tuple[Layers, Progress]:
    n_images, n_views, d = views.shape
    rng = np.random.default_rng(method.random_state)
    head = _head(d, method.hidden, method.n_bits, int(rng.integers(2**63)))
    adam = torch.optim.Adam(head.parameters(), lr=method.lr, weight_decay=method.weight_decay, fused=True)
    head, adam = fabric.setup(head, adam)
    noise = torch.Generator(fabric.device).manual_seed(int(rng.integers(2**63)))
    epochs = method.epochs or default_epochs(method.n_bits, n_images, method.batch_size)
    identity = {"method": method.get_params(), "views": list(views.shape), "epochs": epochs}
    progress, best = Progress(), None
    found = checkpoint.load(workdir, identity) if workdir else None
    if found:
        progress, tensors = Progress(**found[0]["progress"]), found[1]
        progress.resumed_s = progress.seconds
        head.load_state_dict(tensors["head"])
        adam.load_state_dict(tensors["adam"])
        rng.bit_generator.state = found[0]["rng"]
        noise.set_state(tensors["noise"])
        best = tensors["best"] or None
        for entry in progress.curve:
            log(**entry)
    for epoch in range(len(progress.curve) + 1, epochs + 1):
        started = time.perf_counter()
        means = _epoch(fabric, method, head, adam, views, _pairs(method, rng, epoch, n_images, n_views), noise)
        if not np.isfinite(list(means.values())).all():
            raise FloatingPointError(f"the loss is not finite in epoch {epoch}: {means}")
        entry = {"epoch": epoch, "epochs": epochs, **means}
        if validate is not None and (epoch % VALIDATE_EVERY == 0 or epoch == epochs):
            entry["validation"] = validate(_layers(head))
            if entry["validation"] > progress.best:
                progress.best = entry["validation"]
                best = {key: value.clone() for key, value in head.state_dict().items()}
        progress.curve.append(entry)
        progress.seconds += time.perf_counter() - started
        if workdir and fabric.global_rank == 0:
            states = {"head": head.state_dict(), "adam": adam.state_dict(), "best": best or {}}
            kept = {"progress": vars(progress), "rng": rng.bit_generator.state}
            checkpoint.save(workdir, identity, kept, {**states, "noise": noise.get_state()})
        log(**entry)
    if best:
        head.load_state_dict(best)
    return _layers(head), progress


def _pairs(method: CIBHash, rng: np.random.Generator, epoch: int, n_images: int, n_views: int) -> list[np.ndarray]:
    """Return the epoch's batches, each (3, size): image, its one view, its other view."""
    order = rng.permutation(n_images)
    if method.n_views == "fresh":
        one, other = np.full(n_images, 2 * epoch - 2), np.full(n_images, 2 * epoch - 1)
    else:
        one = rng.integers(n_views, size=n_images)
        other = (one + rng.integers(1, n_views, size=n_images)) % n_views
    triples = np.stack([order, one, other])
    return [triples[:, start : start + method.batch_size] for start in range(0, n_images, method.batch_size)]


def _epoch(
    fabric: Fabric,
    method: CIBHash,
    head: Any,
    adam: Any,
    views: np.ndarray,
    batches: list[np.ndarray],
    noise: torch.Generator,
) -> dict[str, float]:
    """Take a step per batch; return the means of the loss and its terms."""
    totals = torch.zeros(3, device=fabric.device)
    for batch in batches:
        image, one, other = batch[:, _share(batch.shape[1], fabric.global_rank, fabric.world_size)]
        pair = np.stack([views[image, one], views[image, other]], axis=1)
        logits = head(torch.from_numpy(pair).to(fabric.device).float().flatten(0, 1)).float()
        first, second = _gathered(fabric, logits.unflatten(0, (-1, 2)), batch.shape[1]).unbind(1)
        p, q = torch.sigmoid(first), torch.sigmoid(second)
        if method.sampling == "continuous":
            codes = first, second
        else:
            codes = _codes(torch.cat([p, q]), method.sampling, noise).chunk(2)
        contrastive = nt_xent(*codes, method.temperature, method.similarity)
        kl = symmetric_kl(p, q)
        loss = contrastive + method.beta * kl
        adam.zero_grad(set_to_none=True)
        fabric.backward(loss)
        adam.step()
        totals += torch.stack([loss.detach(), contrastive.detach(), kl.detach()])
    return dict(zip(("loss", "contrastive", "kl"), (totals / len(batches)).tolist(), strict=True))


def _codes(p: Tensor, sampling: str, noise: torch.Generator) -> Tensor:
    threshold = 0.5 if sampling == "sign" else torch.rand(p.shape, generator=noise, device=p.device)
    return binarize(p, threshold, 0.0 if sampling == "zero_one" else -1.0)


def _share(n: int, rank: int, world_size: int) -> np.ndarray:
    """Return the rows of a batch that a rank takes: every N-th, and row 0 again where they do not go round."""
    rows = rank + world_size * np.arange(-(-n // world_size))
    return np.where(rows < n, rows, 0)


def _gathered(fabric: Fabric, values: Tensor, n: int) -> Tensor:
    """Return the values of the whole batch in its order, with gradients to every rank."""
    if fabric.world_size == 1:
        return values
    by_rank = fabric.all_gather(values, sync_grads=True)
    return by_rank.transpose(0, 1).flatten(0, 1)[:n]


def _layers(head: Any) -> Layers:
    first, _, second = head.module
    layers = (first.weight.T, first.bias, second.weight.T, second.bias)
    return tuple(np.ascontiguousarray(layer.detach().float().cpu().numpy()) for layer in layers)


def _head(d: int, hidden: int, n_bits: int, seed: int) -> nn.Sequential:
    """Return the head with torch's default initialisation under a seed of its own."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(d, hidden), nn.ReLU(), nn.Linear(hidden, n_bits))
