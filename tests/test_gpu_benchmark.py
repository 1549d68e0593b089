"""benchmarks/gpu.py runs on a CPU too, at a small size."""

import importlib
import json
import multiprocessing
import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).resolve().parents[1] / "benchmarks" / "gpu.py"


@pytest.fixture
def script(monkeypatch, forked_processes):
    """Return the script as a module that the processes which it starts can import."""
    monkeypatch.syspath_prepend(SCRIPT.parent)
    module = importlib.import_module(SCRIPT.stem)
    monkeypatch.setattr(module, "get_context", multiprocessing.get_context)
    with torch.random.fork_rng():
        yield module


@pytest.mark.slow
def test_the_benchmark_of_gpus_measures_and_writes_a_file(script, tmp_path, monkeypatch, capsys):
    out = tmp_path / "gpu.json"
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), "--small", "--device", "cpu", "--out", str(out)])
    script.main()
    found = json.loads(out.read_text())
    assert found["device"] == "cpu"
    assert found["environment"]["versions"]["torch"]
    assert found["same_bits_again"] == {"default": True, "deterministic": True}
    assert found["largest_difference_to_cpu"] == 0
    whats = [one["what"].split()[0] for one in found["measurements"]]
    assert {"features", "2", "cibhash,", "fine-tuning"} <= set(whats)
    assert all(one["images_per_s"] > 0 for one in found["measurements"])
    assert "img/s" in capsys.readouterr().out


@pytest.mark.slow
def test_without_a_gpu_the_full_size_is_refused_in_one_line(tmp_path):
    done = subprocess.run([sys.executable, SCRIPT, "--device", "cpu"], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == "gpu.py: no GPU is visible to torch; --small runs on a CPU\n"
