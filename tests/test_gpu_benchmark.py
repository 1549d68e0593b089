"""benchmarks/gpu.py runs on a CPU too, at a small size."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "benchmarks" / "gpu.py"


@pytest.mark.slow
def test_the_benchmark_of_gpus_measures_and_writes_a_file(tmp_path):
    out = tmp_path / "gpu.json"
    command = [sys.executable, SCRIPT, "--small", "--device", "cpu", "--out", out]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(out.read_text())
    assert found["device"] == "cpu"
    assert found["environment"]["versions"]["torch"]
    assert found["same_bits_again"] == {"default": True, "deterministic": True}
    assert found["largest_difference_to_cpu"] == 0
    whats = [one["what"].split()[0] for one in found["measurements"]]
    assert {"features", "2", "cibhash,", "fine-tuning"} <= set(whats)
    assert all(one["images_per_s"] > 0 for one in found["measurements"])
    assert "img/s" in done.stdout


@pytest.mark.slow
def test_without_a_gpu_the_full_size_is_refused_in_one_line(tmp_path):
    done = subprocess.run([sys.executable, SCRIPT, "--device", "cpu"], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == "gpu.py: no GPU is visible to torch; --small runs on a CPU\n"
