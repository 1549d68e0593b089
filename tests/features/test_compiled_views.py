"""Compiled views are torch's to rounding, and the same bits on every processor."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from hashbench.data.view_recipes import PHOTO_VIEWS, ViewRecipe
from hashbench.features.views import augment, compiled

STRONG = replace(PHOTO_VIEWS, jitter=1.0, gray=0.3, blur=1.0, hue=0.5)
MOVED = ViewRecipe("moved", crop_scale=(0.6, 1.0), flip=0.5, shift=2.0, rotation=20, jitter=0.7, brightness=0.2)
WHOLE = replace(STRONG, crop_scale=None)


def images(height, width, channels, n=8):
    """Return random images (n, c, height, width), floats in 0..1; the same each time."""
    values = np.random.default_rng(height).integers(0, 256, (n, channels, height, width), dtype=np.uint8)
    return torch.from_numpy(values).float() / 255


@pytest.mark.parametrize("recipe", [PHOTO_VIEWS, STRONG, MOVED, WHOLE], ids=["photo", "strong", "moved", "whole"])
@pytest.mark.parametrize("shape", [(32, 32, 3), (90, 61, 3), (28, 28, 1)])
@pytest.mark.parametrize("size", [20, 64])
def test_views_are_torchs_to_rounding(recipe, shape, size):
    given = images(*shape)
    drawn = augment.draw(recipe, np.tile(shape[:2], (len(given), 1)), (3, 1))
    expected = augment.apply(given.clone(), drawn, size)
    before = given.clone()
    torch.testing.assert_close(compiled.apply(given, drawn, size), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(compiled.apply(iter(given), drawn, size), expected, atol=1e-5, rtol=0)
    assert torch.equal(given, before)


@pytest.mark.parametrize(
    ("height", "width", "size"), [(32, 32, 128), (200, 150, 32), (5, 7, 6), (64, 64, 64), (1, 1, 8)]
)
def test_resizing_is_pillows_bilinear_filter(height, width, size):
    given = images(height, width, 3)
    expected = torch.nn.functional.interpolate(given, (size, size), mode="bilinear", antialias=True)
    torch.testing.assert_close(compiled.resize(given, size), expected, atol=2e-6, rtol=0)


def test_neither_the_batch_nor_the_threads_decide_a_bit(monkeypatch):
    given = images(32, 32, 3)
    drawn = augment.draw(STRONG, np.full((8, 2), 32), (0, 0))
    whole = compiled.apply(given, drawn, 48)
    alone = [compiled.apply(given[row : row + 1], drawn[slice(row, row + 1)], 48) for row in range(8)]
    assert torch.equal(torch.cat(alone), whole)
    monkeypatch.setattr(compiled, "n_cores", lambda: 3)
    assert torch.equal(compiled.apply(given, drawn, 48), whole)


def test_a_view_of_one_pixel_is_not_blurred():
    given = images(32, 32, 3)
    drawn = augment.draw(replace(PHOTO_VIEWS, blur=1.0), np.full((8, 2), 32), (0, 0))
    found = compiled.apply(given, drawn, 1)
    assert torch.equal(found, compiled.apply(given, replace(drawn, sigma=torch.zeros(8)), 1))


CHECKSUM = """
import hashlib, numpy as np
from hashbench.features.views import augment, compiled
from tests.features.test_compiled_views import STRONG, images
given = images(45, 32, 3)
drawn = augment.draw(STRONG, np.tile([45, 32], (8, 1)), (0, 0))
print(hashlib.sha256(compiled.apply(given, drawn, 64).numpy().tobytes()).hexdigest())
"""


@pytest.mark.slow
def test_a_processor_without_wide_vectors_makes_the_same_bits(tmp_path, monkeypatch):
    def checksum():
        return subprocess.run([sys.executable, "-c", CHECKSUM], capture_output=True, text=True, check=True).stdout

    here = checksum()
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("NUMBA_CPU_NAME", "generic")
    assert checksum() == here
