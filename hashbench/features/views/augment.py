"""Batched image augmentation: every image of a batch gets its own random parameters, on any device.

The steps and their distributions are those of torchvision's PIL transforms as CIBHash's code chains them
(random resized crop, flip, colour jitter in random order, grey, 3 × 3 Gaussian blur), computed in floating
point instead of rounding to whole grey levels between steps.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hashbench.data.view_recipes import ViewRecipe
from hashbench.features.hardware.precision import float32_products
from hashbench.features.hardware.upload import all_to_device

GRAY = (0.299, 0.587, 0.114)
"""ITU-R 601 luma weights, as Pillow's mode L uses."""


@dataclass(frozen=True)
class ViewParameters:
    """The random parameters of one view of n images, on the CPU; every field has n rows."""

    box: Tensor | None
    flip: Tensor
    affine: Tensor | None
    jitter: Tensor
    order: Tensor
    strength: Tensor
    gray: Tensor
    sigma: Tensor

    def __getitem__(self, rows: slice | Tensor) -> ViewParameters:
        """Return the parameters of some of the images."""
        return ViewParameters(**{name: None if value is None else value[rows] for name, value in vars(self).items()})


def seed_of(*identity: int) -> int:
    """Return a well-mixed 63-bit seed for whatever a tuple of integers identifies."""
    return int(np.random.SeedSequence(identity).generate_state(1, np.uint64)[0] >> np.uint64(1))


def draw(recipe: ViewRecipe, sizes: np.ndarray, seed: tuple[int, ...]) -> ViewParameters:
    """Draw the parameters of one view.

    Parameters
    ----------
    recipe : ViewRecipe
    sizes : ndarray of shape (n, 2), int
        Height and width of each original image.
    seed : tuple of int
        Whatever identifies the view; equal seeds give equal parameters, whatever the batch size later is.

    Returns
    -------
    ViewParameters
    """
    generator = torch.Generator().manual_seed(seed_of(*seed))
    n_images, extent = len(sizes), torch.from_numpy(np.ascontiguousarray(sizes)).float()

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return torch.rand(n_images, *shape, generator=generator) * (high - low) + low

    box = _boxes(recipe, extent, generator) if recipe.crop_scale else None
    flip = uniform(0, 1) < recipe.flip
    affine = None
    if recipe.rotation or recipe.shift or recipe.zoom != (1.0, 1.0):
        angle = uniform(-1, 1) * math.radians(recipe.rotation)
        zoom = uniform(*recipe.zoom)
        offset = uniform(-1, 1, 2) * recipe.shift * 2 / extent.flip(1)
        cos, sin = torch.cos(angle) / zoom, torch.sin(angle) / zoom
        affine = torch.stack([torch.stack([cos, -sin, offset[:, 0]], 1), torch.stack([sin, cos, offset[:, 1]], 1)], 1)
    jitter = uniform(0, 1) < recipe.jitter
    order = torch.argsort(torch.rand(n_images, 4, generator=generator), dim=1)
    amounts = (recipe.brightness, recipe.contrast, recipe.saturation)
    factors = [uniform(max(0.0, 1 - amount), 1 + amount) for amount in amounts]
    strength = torch.stack([*factors, uniform(-recipe.hue, recipe.hue)], dim=1)
    gray = uniform(0, 1) < recipe.gray
    blurred = uniform(0, 1) < recipe.blur
    sigma = torch.where(blurred, uniform(*recipe.blur_sigma), torch.zeros(()))
    return ViewParameters(box, flip, affine, jitter, order, strength, gray, sigma)


def _boxes(recipe: ViewRecipe, sizes: Tensor, generator: torch.Generator) -> Tensor:
    """Draw crop boxes (top, left, height, width) as torchvision's RandomResizedCrop does, whole pixels.

    Ten tries each; where all fail, the largest central box of an allowed aspect ratio.
    """
    assert recipe.crop_scale is not None
    low, high = recipe.crop_scale
    n, height, width = len(sizes), sizes[:, 0], sizes[:, 1]
    area = (height * width)[:, None] * (torch.rand(n, 10, generator=generator) * (high - low) + low)
    log_ratio = torch.tensor(recipe.crop_ratio).log()
    ratio = torch.exp(torch.rand(n, 10, generator=generator) * (log_ratio[1] - log_ratio[0]) + log_ratio[0])
    w, h = torch.round(torch.sqrt(area * ratio)), torch.round(torch.sqrt(area / ratio))
    fits = (w > 0) & (w <= width[:, None]) & (h > 0) & (h <= height[:, None])
    first = fits.float().argmax(dim=1, keepdim=True)
    w, h = w.gather(1, first).squeeze(1), h.gather(1, first).squeeze(1)
    clipped = (width / height).clamp(*recipe.crop_ratio)
    whole_w = torch.minimum(width, torch.round(height * clipped))
    whole_h = torch.minimum(height, torch.round(width / clipped))
    any_fits = fits.any(dim=1)
    w, h = torch.where(any_fits, w, whole_w), torch.where(any_fits, h, whole_h)
    random_top = torch.floor(torch.rand(n, generator=generator) * (height - h + 1))
    random_left = torch.floor(torch.rand(n, generator=generator) * (width - w + 1))
    top = torch.where(any_fits, random_top, torch.floor((height - h) / 2))
    left = torch.where(any_fits, random_left, torch.floor((width - w) / 2))
    return torch.stack([top, left, h, w], dim=1)


def apply(images: Tensor | Iterable[Tensor], parameters: ViewParameters, size: int) -> Tensor:
    """Make one view of each image.

    Which images a step changes is known on the CPU, where the parameters are: nothing waits for a GPU.

    Parameters
    ----------
    images : Tensor of shape (n, c, h, w), float in 0..1, or tensors (c, h, w) of any sizes
        On any device; a tensor may be changed.
    parameters : ViewParameters
    size : int
        Side in pixels of the result.

    Returns
    -------
    Tensor of shape (n, c, size, size), float in 0..1
    """
    if isinstance(images, Tensor):
        return _view(images, parameters, size, images.device)
    images = iter(images)
    first = next(images)
    return _view(itertools.chain([first], images), parameters, size, first.device)


def _view(images: Tensor | Iterable[Tensor], parameters: ViewParameters, size: int, device: torch.device) -> Tensor:
    with float32_products(device):
        drawn = _uploaded(parameters, device)
        if isinstance(images, Tensor):
            images = _cropped(images, drawn, slice(None), size)
        else:
            cropped = [_cropped(image[None], drawn, slice(row, row + 1), size) for row, image in enumerate(images)]
            images = torch.cat(cropped)
        if drawn.affine is not None:
            grid = F.affine_grid(drawn.affine, list(images.shape), align_corners=False)
            images = F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        return _blur(_coloured(images, drawn), drawn.sigma, drawn.blurred)


@dataclass(frozen=True)
class _Drawn:
    """The parameters of a view on the images' device, and the rows that each step changes."""

    flips: np.ndarray
    box: Tensor | None
    flip: Tensor
    affine: Tensor | None
    strength: Tensor
    sigma: Tensor
    jittered: list[Tensor]
    gray: Tensor
    blurred: Tensor


def _uploaded(parameters: ViewParameters, device: torch.device) -> _Drawn:
    """Bring parameters to a device in two copies: numbers, and rows."""
    drawn = {name: vars(parameters)[name] for name in ("flip", "strength", "sigma", "box", "affine")}
    drawn = {name: value.float().numpy() for name, value in drawn.items() if value is not None}
    numbers = dict.fromkeys(("box", "affine")) | dict(zip(drawn, all_to_device([*drawn.values()], device), strict=True))
    steps = [parameters.jitter & (parameters.order[:, at] == step) for at in range(4) for step in range(4)]
    changed = [*steps, parameters.gray, parameters.sigma > 0]
    *jittered, gray, blurred = all_to_device([np.flatnonzero(rows.numpy()) for rows in changed], device)
    return _Drawn(parameters.flip.numpy(), **numbers, jittered=jittered, gray=gray, blurred=blurred)


def _cropped(images: Tensor, drawn: _Drawn, part: slice, size: int) -> Tensor:
    """Return the boxes of some images, the whole images by default, resized and flipped."""
    n, _, height, width = images.shape
    flip = drawn.flip[part, None, None] > 0
    if drawn.box is None:
        if height == size and width == size and not drawn.flips[part].any():
            return images
        start, whole = images.new_zeros(n), images.new_ones(n)
        rows = _resize_weights(start, whole * height, height, size)
        columns = _resize_weights(start, whole * width, width, size)
    else:
        top, left, box_height, box_width = drawn.box[part].unbind(1)
        rows = _resize_weights(top, box_height, height, size)
        columns = _resize_weights(left, box_width, width, size)
    columns = torch.where(flip, columns.flip(1), columns)
    return rows[:, None] @ (images @ columns[:, None].mT)


def _resize_weights(start: Tensor, length: Tensor, n_in: int, n_out: int) -> Tensor:
    """Return (n, n_out, n_in) weights that crop and resize one axis as Pillow's bilinear filter does.

    A triangle of half-width max(1, scale) around each output pixel's centre, cut off at the crop's edges.
    """
    scale = (length / n_out)[:, None, None]
    half = scale.clamp(min=1.0)
    out = torch.arange(n_out, device=start.device)[None, :, None] + 0.5
    centre = start[:, None, None] + out * scale
    pixel = torch.arange(n_in, device=start.device)[None, None, :]
    weights = (1 - ((pixel + 0.5 - centre) / half).abs()).clamp(min=0)
    inside = (pixel >= start[:, None, None]) & (pixel < (start + length)[:, None, None])
    weights = weights * inside
    return weights / weights.sum(dim=2, keepdim=True)


def _luma(images: Tensor) -> Tensor:
    r, g, b = images.unbind(1)
    return (GRAY[0] * r + GRAY[1] * g + GRAY[2] * b).unsqueeze(1)


def _coloured(images: Tensor, drawn: _Drawn) -> Tensor:
    """Apply brightness, contrast, saturation and hue to each image in its own order, then grey."""
    is_colour = images.shape[1] == 3
    for number, rows in enumerate(drawn.jittered):
        step = number % 4
        if len(rows) and (is_colour or step < 2):
            factor = drawn.strength[:, step][rows][:, None, None, None]
            images[rows] = _JITTER_STEPS[step](images[rows], factor)
    if is_colour and len(drawn.gray):
        images[drawn.gray] = _luma(images[drawn.gray]).expand(-1, 3, -1, -1)
    return images


def _brightness(images: Tensor, factor: Tensor) -> Tensor:
    return images.mul_(factor).clamp_(0, 1)


def _contrast(images: Tensor, factor: Tensor) -> Tensor:
    luma = _luma(images) if images.shape[1] == 3 else images
    mean = luma.mean(dim=(1, 2, 3), keepdim=True)
    return images.mul_(factor).add_(mean * (1 - factor)).clamp_(0, 1)


def _saturation(images: Tensor, factor: Tensor) -> Tensor:
    gray = _luma(images)
    return images.mul_(factor).add_(gray.mul_(1 - factor)).clamp_(0, 1)


def _hue(images: Tensor, factor: Tensor) -> Tensor:
    """Turn the hue by ``factor`` of a full circle, through HSV (Smith 1978)."""
    r, g, b = images.unbind(1)
    value, which = images.max(dim=1)
    chroma = value - images.amin(dim=1)
    safe = torch.where(chroma > 0, chroma, 1.0)
    hue = torch.where(which == 0, (g - b) / safe, torch.where(which == 1, (b - r) / safe + 2, (r - g) / safe + 4))
    hue = hue + 6 * factor[:, 0]
    offsets = torch.arange(5.0, 0.0, -2.0, device=images.device)[None, :, None, None]
    k = torch.remainder(hue.unsqueeze(1) + offsets, 6)
    return value.unsqueeze(1) - chroma.unsqueeze(1) * torch.minimum(k, 4 - k).clamp_(0, 1)


_JITTER_STEPS = (_brightness, _contrast, _saturation, _hue)


def _blur(images: Tensor, sigma: Tensor, rows: Tensor) -> Tensor:
    """Blur some rows with a 3 × 3 Gaussian; edges reflect without repeating, as OpenCV's do."""
    if len(rows):
        side = torch.exp(-0.5 / sigma[rows] ** 2)[:, None, None, None]
        centre = 1 / (1 + 2 * side)
        side = side * centre
        x = F.pad(images[rows], (1, 1, 1, 1), mode="reflect")
        x = x[:, :, 1:-1] * centre + (x[:, :, :-2] + x[:, :, 2:]) * side
        images[rows] = x[..., 1:-1] * centre + (x[..., :-2] + x[..., 2:]) * side
    return images
