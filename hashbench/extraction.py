"""Runs images through a backbone, on one device or on several at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hashbench.dataset import ViewRecipe
from hashbench.images import EncodedImages, batches, sizes_of
from hashbench.protocol import canonical_hash

if TYPE_CHECKING:
    from hashbench.backbones import Backbone

BATCH = {"cpu": 32, "cuda": 256}
"""Images at once. On a CPU larger batches are slower: their activations outgrow the caches."""


def batch_size(backbone: Backbone | None) -> int:
    """Return how many images go through a backbone at once; a feature's last bits may depend on it."""
    return BATCH["cpu"] if backbone is None else BATCH.get(backbone.fabric.device.type, BATCH["cuda"])


def extract_features(
    backbone: Backbone,
    images: np.ndarray | EncodedImages,
    rows: np.ndarray,
    advance: Callable[[int], object] = lambda n: None,
) -> np.ndarray:
    """Return the features of some images, (n, d), float32."""
    blocks = []
    for batch in batches(images, rows, batch_size(backbone)):
        blocks.append(backbone.extract(backbone.load(batch)).numpy())
        advance(len(batch))
    return np.concatenate(blocks)


def extract_view(
    backbone: Backbone,
    images: np.ndarray | EncodedImages,
    rows: np.ndarray,
    recipe: ViewRecipe,
    views_seed: int,
    view: int,
    advance: Callable[[int], object] = lambda n: None,
) -> np.ndarray:
    """Return the features of one augmented view of some images, (n, d), float16."""
    from hashbench import augment

    sizes = sizes_of(images, rows)
    parameters = augment.draw(recipe, sizes, (views_seed, view))
    blocks: list[np.ndarray] = []
    done = 0
    for batch in batches(images, rows, batch_size(backbone)):
        chosen = parameters[done : done + len(batch)].to(backbone.fabric.device)
        views = augment.apply(backbone.originals(batch), chosen, backbone.size or int(sizes[0, 0]))
        blocks.append(backbone.extract(views, augment.seed_of(views_seed, view, done)).half().numpy())
        done += len(batch)
        advance(len(batch))
    return np.concatenate(blocks)


def spread(
    backbone: Backbone,
    function: Callable[..., np.ndarray],
    jobs: Sequence[tuple[Any, ...]],
    devices: int,
    advance: Callable[[int], object] = lambda n: None,
) -> Iterator[np.ndarray]:
    """Yield ``function(backbone, *job)`` for each job, in order.

    Parameters
    ----------
    backbone : Backbone
    function : callable
        `extract_features` or `extract_view`.
    jobs : sequence of tuple
    devices : int
        With several, each device works in a process of its own, on a backbone of its own.
    advance : callable
        Told how many images are done.
    """
    if devices == 1:
        for job in jobs:
            yield function(backbone, *job, advance=advance)
        return
    from joblib import Parallel, delayed

    spec = (backbone.fabric.device.type, backbone.key, backbone.weights, backbone.tuned)
    tasks = (delayed(_on_device)(number % devices, spec, function, job) for number, job in enumerate(jobs))
    for result in Parallel(n_jobs=devices, return_as="generator")(tasks):
        advance(len(result))
        yield result


_OPEN: dict[tuple[int, str], Backbone] = {}
"""A worker process's backbones by device and key; those of an earlier key are dropped."""


def _on_device(number: int, spec: tuple[Any, ...], function: Callable[..., np.ndarray], job: tuple[Any, ...]) -> Any:
    """Run a job in a worker process, on the device of that number."""
    from lightning_fabric import Fabric

    from hashbench.backbones import Backbone

    kind, key, weights, tuned = spec
    place = (number, canonical_hash(key))
    if place not in _OPEN:
        for other in [other for other in _OPEN if other[1] != place[1]]:
            del _OPEN[other]
        fabric = Fabric(accelerator=kind, devices=1 if kind == "cpu" else [number], precision=key["precision"])
        _OPEN[place] = Backbone(key, fabric, weights, tuned)
    return function(_OPEN[place], *job)
