"""The bare backbone on a CPU, by everything that could run it, in float32 and bfloat16.

Run with ``pytest benchmarks/test_network.py --benchmark-only -s``, with the environment variables that a run's workers
have (``MALLOC_MMAP_THRESHOLD_`` and ``MALLOC_TRIM_THRESHOLD_``, both 1073741824). It prints how long each way takes to
get ready, which is compiling. Weights are random: time does not depend on them.
"""

import time

import pytest
import timm
import torch

from hashbench.features.backbones.opening import open_backbone

N_IMAGES, SIZE, NAME = 32, 128, "tf_efficientnet_lite0"
PIXELS = torch.rand(N_IMAGES, 3, SIZE, SIZE).to(memory_format=torch.channels_last)


def traced(network, pixels):
    """Return the network with batch normalisation folded into its convolutions, by torch.jit."""
    frozen = torch.jit.freeze(torch.jit.trace(network, pixels))
    for _ in range(2):
        frozen(pixels)
    return frozen


def fused(network, pixels):
    """Return the network with graphs that oneDNN fuses, by torch.jit."""
    torch.jit.enable_onednn_fusion(True)
    try:
        return traced(network, pixels)
    finally:
        torch.jit.enable_onednn_fusion(False)


def compiled(network, pixels):
    """Return the network for torch.compile."""
    torch.compiler.reset()
    return torch.compile(network)


def compiled_frozen(network, pixels):
    """Return the network for torch.compile, its weights constants."""
    from torch._inductor import config

    torch.compiler.reset()
    frozen = torch.compile(network)
    with config.patch(freezing=True):  # given as an option of torch.compile, it gained nothing
        frozen(pixels)
    return frozen


WAYS = {
    "eager": lambda network, pixels: network,
    "jit, folded": traced,
    "jit, oneDNN fused": fused,
    "compile": compiled,
    "compile, frozen": compiled_frozen,
}


def timed(benchmark, job):
    with torch.inference_mode():
        benchmark.group = f"a batch of {N_IMAGES} images, {SIZE} pixels"
        benchmark.pedantic(job, rounds=15, warmup_rounds=3)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("way", WAYS)
def test_torch(benchmark, way, dtype):
    network = timm.create_model(NAME, num_classes=0).eval().to(dtype, memory_format=torch.channels_last)
    pixels = PIXELS.to(dtype)
    started = time.perf_counter()
    with torch.inference_mode():
        job = WAYS[way](network, pixels)
        job(pixels)
    print(f"{way}, {dtype}: ready in {time.perf_counter() - started:.1f} s")
    timed(benchmark, lambda: job(pixels))


def test_onnx_runtime(benchmark):
    session, pixels = open_backbone(NAME, image_size=SIZE, device="cpu").session(), PIXELS.contiguous().numpy()
    timed(benchmark, lambda: session.run(None, {"images": pixels}))
