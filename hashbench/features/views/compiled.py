"""Views of images on a CPU, by compiled loops: the steps of `hashbench.features.views.augment`, a fifth of the time.

Each sum has one order and no product is fused with a sum, so that every processor makes the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numba import njit
from torch import Tensor

from hashbench.data.images import decoding_threads
from hashbench.features.views.augment import GRAY, ViewParameters
from hashbench.files.compiled import give_numba_a_cache
from hashbench.files.cores import n_cores

RED, GREEN, BLUE = (np.float32(weight) for weight in GRAY)
ZERO, ONE, THREE, FOUR, SIX = (np.float32(value) for value in (0, 1, 3, 4, 6))

give_numba_a_cache(Path(__file__).parent)


def apply(images: Tensor | Iterable[Tensor], parameters: ViewParameters, size: int) -> Tensor:
    """Make one view of each image; see `hashbench.features.views.augment.apply`.

    Parameters
    ----------
    images : Tensor of shape (n, c, h, w), float32 in 0..1, or tensors (c, h, w) of any sizes
        On the CPU.
    parameters : ViewParameters
    size : int
        Side in pixels of the result.

    Returns
    -------
    Tensor of shape (n, c, size, size), float32 in 0..1
    """
    pixels = [np.ascontiguousarray(image.numpy()) for image in images]
    whole = [(0.0, 0.0, float(image.shape[1]), float(image.shape[2])) for image in pixels]
    boxes = np.array(whole) if parameters.box is None else parameters.box.numpy().astype(np.float64)
    views = _resampled(pixels, boxes, parameters.flip.numpy() > 0, size)
    if parameters.affine is not None:
        grid = F.affine_grid(parameters.affine.float(), list(views.shape), align_corners=False)
        moved = F.grid_sample(torch.from_numpy(views), grid, mode="bilinear", align_corners=False)
        views = np.ascontiguousarray(moved.numpy())
    # In double precision: exponentials of single precision differ between processors.
    side = np.exp(-0.5 / np.maximum(parameters.sigma.numpy().astype(np.float64), 1e-3) ** 2)
    side[parameters.sigma.numpy() <= 0] = 0
    drawn = (parameters.jitter, parameters.order, parameters.strength.float(), parameters.gray)
    drawn_for = [*(values.numpy() for values in drawn), side]
    _in_threads(len(views), lambda rows: _change(views[rows], *(values[rows] for values in drawn_for)))
    return torch.from_numpy(views)


def resize(images: Tensor | Iterable[Tensor], size: int) -> Tensor:
    """Resize images to a square as Pillow's bilinear filter does.

    Parameters
    ----------
    images : Tensor of shape (n, c, h, w), float32, or tensors (c, h, w) of any sizes
        On the CPU.
    size : int
        Side in pixels of the result.

    Returns
    -------
    Tensor of shape (n, c, size, size), float32
    """
    pixels = [np.ascontiguousarray(image.numpy()) for image in images]
    boxes = np.array([(0.0, 0.0, float(image.shape[1]), float(image.shape[2])) for image in pixels])
    return torch.from_numpy(_resampled(pixels, boxes, np.zeros(len(pixels), bool), size))


def _resampled(images: Sequence[np.ndarray], boxes: np.ndarray, flips: np.ndarray, size: int) -> np.ndarray:
    """Return boxes (top, left, height, width) of images, resized to a square and perhaps flipped."""
    out = np.empty((len(images), images[0].shape[0], size, size), np.float32)

    def some(rows: slice) -> None:
        for number in range(len(images))[rows]:
            _resample(images[number], boxes[number], flips[number], out[number])

    _in_threads(len(images), some)
    return out


def _in_threads(n: int, work: Callable[[slice], None]) -> None:
    """Let threads work on n rows; compiled loops release Python's lock."""
    step = -(-n // n_cores())
    list(decoding_threads().map(work, [slice(start, start + step) for start in range(0, n, step)]))


@njit(cache=True, nogil=True, error_model="numpy")
def _taps(start: float, length: float, n_in: int, n_out: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the first pixel, and the weights, of each output pixel: a triangle cut off at the box's edges."""
    scale = length / n_out
    half = max(scale, 1.0)
    first = np.empty(n_out, np.int64)
    weights = np.zeros((n_out, min(n_in, math.ceil(2 * half) + 1)), np.float32)
    low, high = int(start), math.ceil(start + length)
    for at in range(n_out):
        centre = start + (at + 0.5) * scale
        begin = max(low, math.ceil(centre - half - 0.5))
        end = min(high, math.floor(centre + half - 0.5) + 1)
        first[at] = min(begin, n_in - weights.shape[1])
        total = 0.0
        for pixel in range(begin, end):
            total += 1 - abs(pixel + 0.5 - centre) / half
        for pixel in range(begin, end):
            weights[at, pixel - first[at]] = (1 - abs(pixel + 0.5 - centre) / half) / total
    return first, weights


@njit(cache=True, nogil=True, error_model="numpy")
def _resample(image: np.ndarray, box: np.ndarray, flip: bool, out: np.ndarray) -> None:
    n_channels, height, width = image.shape
    size = out.shape[1]
    first_row, row_weights = _taps(box[0], box[2], height, size)
    first_column, column_weights = _taps(box[1], box[3], width, size)
    top, bottom = first_row[0], first_row[-1] + row_weights.shape[1]
    narrow = np.empty((bottom - top, size), np.float32)
    for channel in range(n_channels):
        for row in range(top, bottom):
            line, short = image[channel, row], narrow[row - top]
            for column in range(size):
                total = ZERO
                for k in range(column_weights.shape[1]):
                    total += column_weights[column, k] * line[first_column[column] + k]
                short[size - 1 - column if flip else column] = total
        for row in range(size):
            target = out[channel, row]
            target[:] = ZERO
            for k in range(row_weights.shape[1]):
                weight, source = row_weights[row, k], narrow[first_row[row] + k - top]
                if weight != ZERO:
                    for column in range(size):
                        target[column] += weight * source[column]


@njit(cache=True, nogil=True, error_model="numpy")
def _change(
    images: np.ndarray,
    jitter: np.ndarray,
    order: np.ndarray,
    strength: np.ndarray,
    gray: np.ndarray,
    side: np.ndarray,
) -> None:
    """Change the colours of images in place, each in its own order, and blur those whose ``side`` is not 0."""
    in_colour = images.shape[1] == 3
    for number in range(len(images)):
        image = images[number].reshape(images.shape[1], -1)
        if jitter[number]:
            for at in range(4):
                step = order[number, at]
                factor = strength[number, step]
                if step == 0:
                    _brightness(image.reshape(-1), factor)
                elif step == 1:
                    _contrast(image, factor)
                elif step == 2 and in_colour:
                    _saturation(image, factor)
                elif in_colour:
                    _hue(image[0], image[1], image[2], factor * SIX)
        if gray[number] and in_colour:
            _saturation(image, ZERO)
        if side[number] > 0:
            centre = 1 / (1 + 2 * side[number])
            for channel in range(images.shape[1]):
                _blur(images[number, channel], np.float32(centre), np.float32(side[number] * centre))


@njit(cache=True, nogil=True, error_model="numpy")
def _brightness(values: np.ndarray, factor: np.float32) -> None:
    for i in range(values.size):
        values[i] = min(max(values[i] * factor, ZERO), ONE)


@njit(cache=True, nogil=True, error_model="numpy")
def _contrast(image: np.ndarray, factor: np.float32) -> None:
    total = 0.0
    if len(image) == 3:
        for i in range(image.shape[1]):
            total += RED * image[0, i] + GREEN * image[1, i] + BLUE * image[2, i]
    else:
        for i in range(image.shape[1]):
            total += image[0, i]
    added = np.float32(total / image.shape[1]) * (ONE - factor)
    values = image.reshape(-1)
    for i in range(values.size):
        values[i] = min(max(values[i] * factor + added, ZERO), ONE)


@njit(cache=True, nogil=True, error_model="numpy")
def _saturation(image: np.ndarray, factor: np.float32) -> None:
    red, green, blue = image[0], image[1], image[2]
    rest = ONE - factor
    for i in range(red.size):
        luma = (RED * red[i] + GREEN * green[i] + BLUE * blue[i]) * rest
        red[i] = min(max(red[i] * factor + luma, ZERO), ONE)
        green[i] = min(max(green[i] * factor + luma, ZERO), ONE)
        blue[i] = min(max(blue[i] * factor + luma, ZERO), ONE)


@njit(cache=True, nogil=True, error_model="numpy")
def _hue(red: np.ndarray, green: np.ndarray, blue: np.ndarray, sixths: np.float32) -> None:
    """Turn the hue by some sixths of a circle, through HSV (Smith 1978)."""
    for i in range(red.size):
        r, g, b = red[i], green[i], blue[i]
        value = max(r, max(g, b))
        chroma = value - min(r, min(g, b))
        safe = chroma if chroma > ZERO else ONE
        on_green = (b - r) / safe + np.float32(2)
        on_blue = (r - g) / safe + FOUR
        hue = (g - b) / safe if r == value else (on_green if g == value else on_blue)
        hue += sixths
        red[i] = value - chroma * _share(hue + np.float32(5))
        green[i] = value - chroma * _share(hue + THREE)
        blue[i] = value - chroma * _share(hue + ONE)


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _share(place: np.float32) -> np.float32:
    k = place - SIX * np.floor(place / SIX)
    return min(max(min(k, FOUR - k), ZERO), ONE)


@njit(cache=True, nogil=True, error_model="numpy")
def _blur(plane: np.ndarray, centre: np.float32, side: np.float32) -> None:
    """Blur by a 3 × 3 Gaussian; edges reflect without repeating, as OpenCV's do. One row or column reflects nothing."""
    height, width = plane.shape
    if min(height, width) < 2:
        return
    above, here = plane[1].copy(), np.empty(width, np.float32)
    for row in range(height):
        line, below = plane[row], plane[row + 1 if row + 1 < height else height - 2]
        if row + 1 == height:
            below = above
        for column in range(width):
            here[column] = line[column] * centre + (above[column] + below[column]) * side
        above[:] = line
        line[0] = here[0] * centre + (here[1] + here[1]) * side
        for column in range(1, width - 1):
            line[column] = here[column] * centre + (here[column - 1] + here[column + 1]) * side
        line[width - 1] = here[width - 1] * centre + (here[width - 2] + here[width - 2]) * side
