"""Processes of a training or an extraction, forked from a server that has imported their libraries once."""

import multiprocessing

import pytest

PRELOADED = (
    "hashbench.checks",
    "hashbench.features.backbones.opening",
    "hashbench.features.extraction",
    "hashbench.learning.training.launch",
    "timm",
)


@pytest.fixture
def forked_processes(monkeypatch):
    """Start a process from multiprocessing's fork server where the code asks for a spawned one.

    Both get their work by pickle and inherit no state; a spawned one takes seven seconds to import torch and the rest.
    Each launcher keeps a test that spawns.
    """
    real = multiprocessing.get_context
    real("forkserver").set_forkserver_preload(list(PRELOADED))

    def get_context(method=None):
        return real("forkserver" if method == "spawn" else method)

    monkeypatch.setattr(multiprocessing, "get_context", get_context)  # of torch, which lightning asks
    monkeypatch.setattr("hashbench.features.extraction.get_context", get_context)
