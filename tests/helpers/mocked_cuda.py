"""A machine with GPUs, as torch.cuda's functions tell of it: nothing is computed there."""

from types import SimpleNamespace

import pytest

TOO_OLD = "The NVIDIA driver on your system is too old (found version 11040). Please update your GPU driver."
NO_DRIVER = "Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU and installed a driver."
NO_GPU = "No CUDA GPUs are available"


class MockedCuda:
    """What the mocked functions answer, and what they were asked.

    Attributes
    ----------
    count : int
        Of visible GPUs.
    refusal : str
        What ``torch.cuda.init`` raises; nothing where it succeeds.
    capability : (int, int)
        Of every GPU.
    built_for : list of str
        Architectures of this torch.
    started : bool
        Whether CUDA is started.
    allocated : int
        Bytes that tensors hold on the first GPU, and in the cell's peak, ``peak``.
    broken : bool
        Whether an error has broken the context.
    emptied : int
        How often the allocator's cache was emptied.
    """

    def __init__(self):
        self.count, self.refusal, self.capability, self.started = 1, "", (9, 0), False
        self.built_for = ["sm_75", "sm_80", "sm_86", "sm_90", "sm_100"]
        self.allocated = self.peak = self.emptied = 0
        self.broken = False

    def init(self):
        if self.refusal:
            raise RuntimeError(self.refusal)
        self.started = True

    def synchronize(self, number=None):
        assert self.started
        if self.broken:
            raise RuntimeError("CUDA error: device-side assert triggered")

    def properties(self, number=None):
        self.init()
        return SimpleNamespace(name="Pretend", total_memory=80 << 30, major=self.capability[0], minor=0)

    def reset(self, number=None):
        assert self.started
        self.peak = self.allocated

    def empty(self):
        self.emptied += 1


@pytest.fixture
def cuda(monkeypatch):
    """Let torch tell of one GPU, an H100 by its capability; CUDA is not started."""
    import torch

    mocked = MockedCuda()

    def on_the_first(number):
        return lambda device=None: getattr(mocked, number) if device in (None, 0) and mocked.started else 0

    answers = {
        "is_available": lambda: mocked.count > 0,  # by NVML, which knows nothing of drivers that are too old
        "device_count": lambda: mocked.count,
        "init": mocked.init,
        "_lazy_init": mocked.init,
        "is_initialized": lambda: mocked.started,
        "get_device_capability": lambda number=None: (mocked.properties(), mocked.capability)[1],
        "get_device_properties": mocked.properties,
        "get_device_name": lambda number=None: mocked.properties().name,
        "get_arch_list": lambda: mocked.built_for,
        "is_bf16_supported": lambda including_emulation=True: mocked.capability[0] >= 8,
        "synchronize": mocked.synchronize,
        "empty_cache": mocked.empty,
        "memory_reserved": on_the_first("allocated"),
        "memory_allocated": on_the_first("allocated"),
        "max_memory_allocated": on_the_first("peak"),
        "reset_peak_memory_stats": mocked.reset,
    }
    for name, answer in answers.items():
        monkeypatch.setattr(torch.cuda, name, answer)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr("hashbench.progress._said", set(), raising=False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return mocked
