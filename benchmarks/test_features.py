"""Features and views on a CPU: by ONNX Runtime and compiled loops, by torch, and ONNX Runtime alone.

Run with ``pytest benchmarks/test_features.py --benchmark-only``; the ratios within a group are the result. Environment
variables that keep memory (``MALLOC_MMAP_THRESHOLD_``, ``MALLOC_TRIM_THRESHOLD_``), as a run's workers have them, help
torch most.
"""

import numpy as np
import pytest
import torch

from hashbench.data.view_recipes import PHOTO_VIEWS
from hashbench.features.backbones.opening import open_backbone
from hashbench.features.extraction import extract_features, extract_views

N_IMAGES, SIZE = 32, 128
IMAGES = np.random.default_rng(0).integers(0, 256, (N_IMAGES, 32, 32, 3), dtype=np.uint8)
ROWS = np.arange(N_IMAGES)


@pytest.fixture(scope="module", params=[1, 2], ids="{} threads".format)
def backbones(request):
    """Return the bundled network, run by ONNX Runtime and by torch."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield tuple(
        open_backbone("tf_efficientnet_lite0", image_size=SIZE, device="cpu", onnx=onnx) for onnx in (True, False)
    )
    torch.set_num_threads(before)


def timed(benchmark, job):
    benchmark.group = f"a batch of {N_IMAGES} images, {torch.get_num_threads()} threads"
    benchmark.pedantic(job, rounds=7, warmup_rounds=2)


def test_onnx_runtime_alone(benchmark, backbones):
    session = backbones[0].session()
    pixels = np.random.default_rng(0).standard_normal((N_IMAGES, 3, SIZE, SIZE), np.float32)
    timed(benchmark, lambda: session.run(None, {"images": pixels}))


@pytest.mark.parametrize("which", [0, 1], ids=["onnxruntime", "torch"])
def test_features(benchmark, backbones, which):
    timed(benchmark, lambda: extract_features(backbones[which], IMAGES, ROWS))


@pytest.mark.parametrize("which", [0, 1], ids=["onnxruntime", "torch"])
def test_views(benchmark, backbones, which):
    timed(benchmark, lambda: extract_views(backbones[which], IMAGES, ROWS, PHOTO_VIEWS, 0, [0]))
