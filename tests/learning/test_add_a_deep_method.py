"""The example of docs/add-a-deep-method.md is run as it stands."""

import re
from pathlib import Path

import numpy as np
import pytest

from hashbench.plugins.registry import Registry
from hashbench.records.store import Store

PAGE = Path(__file__).resolve().parents[2] / "docs" / "add-a-deep-method.md"


@pytest.fixture
def plugin(tmp_path):
    """Return a file with the page's example."""
    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    file = tmp_path / "autoencoder.py"
    file.write_text(example, "utf-8")
    return file


@pytest.mark.slow
def test_the_example_passes_the_conformance_suite(plugin, cli):
    done = cli("check", "autoencoder", "--plugin", plugin)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "autoencoder" in done.stdout


def test_the_example_runs(plugin, cli, tmp_path):
    spec = "autoencoder[epochs=8,hidden=64],lsh"
    done = cli("run", "--plugin", plugin, "--methods", spec, "--bits", 8, "--out", tmp_path / "out", "--save-models")
    assert done.returncode == 0, done.stderr
    store = Store(tmp_path / "out")
    ours, lsh = sorted(store, key=lambda record: record.config["method"])
    assert ours.config["params"]["hidden"] == 64
    assert [entry["epoch"] for entry in ours.training] == list(range(1, 9))
    assert ours.training[-1]["error"] < 0.8 * ours.training[0]["error"]
    assert ours.metrics["mAP@all"] > lsh.metrics["mAP@all"] + 0.05


@pytest.mark.slow
@pytest.mark.usefixtures("forked_processes")
def test_the_example_trains_in_two_processes_that_import_its_file(plugin, data):
    method = Registry([plugin]).find("methods", "autoencoder").load()(8, epochs=2, hidden=16, random_state=0)
    X = data[:301]  # the last batch does not split evenly
    one = method.fit(X).weights1_
    two = method.fit(X, devices=2).weights1_
    assert np.abs(one - two).max() < 1e-5
