"""Batched image augmentation: every image of a batch gets its own random parameters, on any device.

The steps and their distributions are those of torchvision's PIL transforms as CIBHash's code chains them
(random resized crop, flip, colour jitter in random order, grey, 3 × 3 Gaussian blur), computed in floating
point instead of rounding to whole grey levels between steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hashbench.data.view_recipes import ViewRecipe

GRAY = (0.299, 0.587, 0.114)
"""ITU-R 601 luma weights, as Pillow's mode L uses."""


@dataclass(frozen=True)
class ViewParameters:
    """The random parameters of one view of n images; every field has n rows."""

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
        return self._map(lambda value: value[rows])

    def to(self, device: torch.device) -> ViewParameters:
        """Return the parameters on another device."""
        return self._map(lambda value: value.to(device))

    def _map(self, change: Callable[[Tensor], Tensor]) -> ViewParameters:
        fields = {name: None if value is None else change(value) for name, value in vars(self).items()}
        return ViewParameters(**fields)


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
        On the CPU.
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

    Parameters
    ----------
    images : Tensor of shape (n, c, h, w), float in 0..1, or tensors (c, h, w) of any sizes
    parameters : ViewParameters
        On the images' device.
    size : int
        Side in pixels of the result.

    Returns
    -------
    Tensor of shape (n, c, size, size), float in 0..1
    """
    if isinstance(images, Tensor):
        images = _cropped(images, parameters.box, parameters.flip, size)
    else:
        cropped = []
        for row, image in enumerate(images):
            one = parameters[slice(row, row + 1)]
            cropped.append(_cropped(image[None], one.box, one.flip, size))
        images = torch.cat(cropped)
    if parameters.affine is not None:
        grid = F.affine_grid(parameters.affine, list(images.shape), align_corners=False)
        images = F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    images = _jitter(images, parameters)
    if images.shape[1] == 3:
        gray = parameters.gray.nonzero().squeeze(1)
        if len(gray):
            images[gray] = _luma(images[gray]).expand(-1, 3, -1, -1)
    return _blur(images, parameters.sigma)


def _cropped(images: Tensor, box: Tensor | None, flip: Tensor, size: int) -> Tensor:
    """Return the images' boxes, the whole images by default, resized and flipped."""
    n, _, height, width = images.shape
    if box is None:
        if height == size and width == size and not bool(flip.any()):
            return images
        box = torch.tensor([0.0, 0.0, height, width], device=images.device).expand(n, 4)
    rows = _resize_weights(box[:, 0], box[:, 2], height, size)
    columns = _resize_weights(box[:, 1], box[:, 3], width, size)
    columns = torch.where(flip[:, None, None], columns.flip(1), columns)
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


def _jitter(images: Tensor, parameters: ViewParameters) -> Tensor:
    """Apply brightness, contrast, saturation and hue to each image in its own order."""
    is_colour = images.shape[1] == 3
    for position in range(4):
        for step in range(4 if is_colour else 2):
            rows = (parameters.jitter & (parameters.order[:, position] == step)).nonzero().squeeze(1)
            if len(rows):
                factor = parameters.strength[rows, step][:, None, None, None]
                images[rows] = _JITTER_STEPS[step](images[rows], factor)
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
    offsets = torch.tensor([5.0, 3.0, 1.0], device=images.device)[None, :, None, None]
    k = torch.remainder(hue.unsqueeze(1) + offsets, 6)
    return value.unsqueeze(1) - chroma.unsqueeze(1) * torch.minimum(k, 4 - k).clamp_(0, 1)


_JITTER_STEPS = (_brightness, _contrast, _saturation, _hue)


def _blur(images: Tensor, sigma: Tensor) -> Tensor:
    """Blur with a 3 × 3 Gaussian where sigma is above 0; edges reflect without repeating, as OpenCV's do."""
    rows = (sigma > 0).nonzero().squeeze(1)
    if len(rows):
        side = torch.exp(-0.5 / sigma[rows] ** 2)[:, None, None, None]
        centre = 1 / (1 + 2 * side)
        side = side * centre
        x = F.pad(images[rows], (1, 1, 1, 1), mode="reflect")
        x = x[:, :, 1:-1] * centre + (x[:, :, :-2] + x[:, :, 2:]) * side
        images[rows] = x[..., 1:-1] * centre + (x[..., :-2] + x[..., 2:]) * side
    return images
