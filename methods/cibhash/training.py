"""Trains CIBHash's head on a pool of views."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch
from hashbench.methods.cibhash.losses import binarize, nt_xent, symmetric_kl
from torch import nn

if TYPE_CHECKING:
    from hashbench.methods.cibhash import CIBHash

MIN_STEPS = 2400
"""Steps that the default schedule takes at least; the authors' makes 4,740 on their 5,000 images."""


def train_head(
    method: CIBHash, views: np.ndarray, device: str, log: Callable[..., None] | None
) -> tuple[np.ndarray, ...]:
    """Train the head and return its layers.

    Parameters
    ----------
    method : CIBHash
        Supplies the hyper-parameters.
    views : ndarray of shape (n, n_views, d), float16
    device : str
    log : callable or None

    Returns
    -------
    tuple of ndarray
        Weights (d, hidden), bias (hidden,), weights (hidden, n_bits), bias (n_bits,), all float32.

    Raises
    ------
    FloatingPointError
        The loss is not finite any more; the message names the epoch and the values.
    """
    n_images, n_views, d = views.shape
    rng = np.random.default_rng(method.random_state)
    head = _head(d, method.hidden, method.n_bits, int(rng.integers(2**63))).to(device)
    noise = torch.Generator(device).manual_seed(int(rng.integers(2**63)))
    adam = torch.optim.Adam(head.parameters(), lr=method.lr, weight_decay=method.weight_decay, fused=True)
    epochs = method.epochs or default_epochs(method.n_bits, n_images, method.batch_size)
    for epoch in range(1, epochs + 1):
        order = rng.permutation(n_images)
        totals = torch.zeros(3, device=device)
        starts = range(0, n_images, method.batch_size)
        for start in starts:
            batch = order[start : start + method.batch_size]
            one = rng.integers(n_views, size=len(batch))
            other = (one + rng.integers(1, n_views, size=len(batch))) % n_views
            pair = np.concatenate([views[batch, one], views[batch, other]])
            p = torch.sigmoid(head(torch.from_numpy(pair).to(device).float()))
            threshold = 0.5 if method.sampling == "sign" else torch.rand(p.shape, generator=noise, device=device)
            contrastive = nt_xent(*binarize(p, threshold).chunk(2), method.temperature)
            kl = symmetric_kl(*p.chunk(2))
            loss = contrastive + method.beta * kl
            adam.zero_grad(set_to_none=True)
            loss.backward()
            adam.step()
            totals += torch.stack([loss.detach(), contrastive.detach(), kl.detach()])
        means = dict(zip(("loss", "contrastive", "kl"), (totals / len(starts)).tolist(), strict=True))
        if not np.isfinite(list(means.values())).all():
            raise FloatingPointError(f"the loss is not finite in epoch {epoch}: {means}")
        if log is not None:
            log(epoch=epoch, epochs=epochs, **means)
    first, _, second = head
    layers = (first.weight.T, first.bias, second.weight.T, second.bias)
    return tuple(np.ascontiguousarray(layer.detach().cpu().numpy()) for layer in layers)


def default_epochs(n_bits: int, n_images: int, batch_size: int) -> int:
    """Return the authors' 60 epochs, 80 at 16 bits, or as many as it takes for 2,400 steps on few images."""
    steps = -(-n_images // batch_size)
    return max(80 if n_bits == 16 else 60, -(-MIN_STEPS // steps))


def _head(d: int, hidden: int, n_bits: int, seed: int) -> nn.Sequential:
    """Return the head with torch's default initialisation under a seed of its own."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(d, hidden), nn.ReLU(), nn.Linear(hidden, n_bits))
