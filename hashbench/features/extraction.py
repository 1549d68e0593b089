"""Runs images through a backbone, on one device or on several at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

import numpy as np

from hashbench.data.images import EncodedImages, batches, sizes_of
from hashbench.data.view_recipes import ViewRecipe
from hashbench.features.backbones.dropout import mask_seeds
from hashbench.features.backbones.pixels import Pixels
from hashbench.features.hardware.precision import fabric_precision
from hashbench.files.arrays import portable, received
from hashbench.files.cores import n_cores

if TYPE_CHECKING:
    from hashbench.features.backbones.backbone import Backbone

VIEW_ROWS = 2**18
"""Features of views that a job holds in memory at most, unless one view has more."""


def extract_features(
    backbone: Backbone | Pixels,
    images: np.ndarray | EncodedImages,
    rows: np.ndarray,
    advance: Callable[[int], object] = lambda n: None,
) -> np.ndarray:
    """Return the features of some images, (n, d), float32."""
    blocks = []
    for batch in batches(images, rows, backbone.batch_size):
        blocks.append(backbone.features(batch))
        advance(len(batch))
    return np.concatenate(blocks)


def extract_views(
    backbone: Backbone,
    images: np.ndarray | EncodedImages,
    rows: np.ndarray,
    recipe: ViewRecipe,
    views_seed: int,
    views: Sequence[int],
    advance: Callable[[int], object] = lambda n: None,
) -> np.ndarray:
    """Return the features of augmented views of some images, (n_views, n, d), float16.

    Each image is decoded and brought to the device once for all of them.
    """
    from hashbench.features.hardware.memory import in_parts
    from hashbench.features.views import augment

    sizes = sizes_of(images, rows)
    drawn = [(augment.draw(recipe, sizes, (views_seed, view)), augment.seed_of(views_seed, view)) for view in views]
    size = backbone.size or int(sizes[0, 0])
    blocks: list[np.ndarray] = []
    done = 0
    for batch in batches(images, rows, backbone.batch_size):

        def some(part: slice, batch: Any = batch, first: int = done) -> np.ndarray:
            here = slice(first + part.start, first + part.stop)
            uploaded, positions = backbone.upload(batch[part]), np.arange(here.start, here.stop)
            features = []
            for parameters, seed in drawn:
                made = backbone.view(uploaded, parameters[here], size)
                features.append(backbone.extract(made, mask_seeds(seed, positions)).half().numpy())
            return np.stack(features, axis=1)

        blocks.append(in_parts(f"views of {backbone.title}", len(batch), some))
        done += len(batch)
        advance(len(batch) * len(views))
    return np.ascontiguousarray(np.concatenate(blocks).swapaxes(0, 1))


def views_at_once(n_images: int, device: str) -> int:
    """Return how many views of some images one job makes; a run that is killed loses at most those of one job.

    On a GPU, reading and decoding images takes longer than the network, so that several views share it.
    """
    return 1 if device == "cpu" else max(1, min(8, VIEW_ROWS // n_images))


class Workers:
    """The devices that extract: one in this process, or several in a process each.

    Each process owns its device: pools whose workers take any job would start every device in every process.

    Parameters
    ----------
    backbone : Backbone or Pixels
        Pixels are read in this process, whatever the number of devices.
    images : ndarray or EncodedImages
        What the jobs are about; processes open it by its file's name where it lies in one.
    devices : int
    """

    def __init__(self, backbone: Backbone | Pixels, images: np.ndarray | EncodedImages, devices: int) -> None:
        self.backbone, self.images = backbone, images
        self.devices = 1 if backbone.size is None else devices
        self._processes: list[ProcessPoolExecutor] = []

    def __enter__(self) -> Workers:
        """Start nothing yet: processes come with the first job."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Stop the processes, and with them what they hold on their devices."""
        for process in self._processes:
            process.shutdown(cancel_futures=True)

    def warm_up(self) -> int:
        """Run a batch through the network on each device, before any clock starts, and return the features' width."""
        rows = np.arange(min(self.backbone.batch_size, len(self.images)))
        (features, *_) = list(self.run(extract_features, [(rows,)] * self.devices))
        return features.shape[1]

    def run(
        self,
        function: Callable[..., np.ndarray],
        jobs: Sequence[tuple[Any, ...]],
        advance: Callable[[int], object] = lambda n: None,
    ) -> Iterator[np.ndarray]:
        """Yield ``function(backbone, images, *job)`` for each job, in order.

        Parameters
        ----------
        function : callable
            `extract_features` or `extract_views`.
        jobs : sequence of tuple
        advance : callable
            Told how many images are done.
        """
        if self.devices == 1:
            for job in jobs:
                yield function(self.backbone, self.images, *job, advance=advance)
            return
        if not self._processes:
            self._processes = [self._start(number) for number in range(self.devices)]
        waiting = [
            self._processes[number % self.devices].submit(_run, function, job) for number, job in enumerate(jobs)
        ]
        for future in waiting:
            result = future.result()
            advance(result.size // result.shape[-1])
            yield result

    def _start(self, number: int) -> ProcessPoolExecutor:
        backbone = self.backbone
        assert not isinstance(backbone, Pixels)
        spec = (
            backbone.fabric.device.type,
            backbone.key,
            backbone.weights,
            backbone.tuned,
            backbone.batch,
            backbone.deterministic,
        )
        return ProcessPoolExecutor(
            1,
            mp_context=get_context("spawn"),
            initializer=_open,
            initargs=(number, self.devices, spec, portable(self.images)),
        )


_OWN: list[Any] = []
"""A worker process's backbone and images."""


def _open(number: int, devices: int, spec: tuple[Any, ...], images: Any) -> None:
    """Begin a worker process, on the device of that number."""
    import torch

    from hashbench.features.backbones.opening import backbone_of
    from hashbench.features.hardware.devices import open_fabric

    kind, key, weights, tuned, batch, deterministic = spec
    torch.use_deterministic_algorithms(deterministic)
    if kind == "cpu":
        torch.set_num_threads(max(1, n_cores() // devices))
    device = kind if kind == "cpu" else f"{kind}:{number}"
    fabric = open_fabric(device, precision=fabric_precision(key["precision"]))
    _OWN[:] = backbone_of(key, fabric, weights, tuned, batch), received(images)


def _run(function: Callable[..., np.ndarray], job: tuple[Any, ...]) -> np.ndarray:
    return function(*_OWN, *job)
