"""The documentation's example package is built, installed, listed, checked and run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
EXAMPLE = Path(__file__).resolve().parents[1] / "docs" / "example-package"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Return a function that runs a module of this Python with the example package installed beside it."""
    pytest.importorskip("pip", reason="needs pip in this environment to install the package")
    wheels, site = tmp_path_factory.mktemp("wheels"), tmp_path_factory.mktemp("site")

    def python(*arguments):
        path = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")]))
        environment = {**os.environ, "PYTHONPATH": path, "HASHBENCH_CACHE": str(wheels / "cache")}
        command = [sys.executable, *map(str, arguments)]
        return subprocess.run(command, cwd=EXAMPLE, env=environment, capture_output=True, text=True)

    assert python("-m", "hatchling", "build", "-t", "wheel", "-d", wheels).returncode == 0
    (wheel,) = wheels.glob("*.whl")
    finished = python("-m", "pip", "install", "-q", "--no-index", "--no-deps", "--target", site, wheel)
    assert finished.returncode == 0, finished.stderr
    return python


def test_it_is_listed_with_its_package(installed):
    listed = installed("-m", "hashbench", "list").stdout
    assert "balanced_lsh" in listed
    assert "package balanced-lsh" in listed


def test_it_passes_its_tests(installed):
    finished = installed("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests")
    assert finished.returncode == 0, finished.stdout


def test_it_gets_a_row_in_the_table(installed, tmp_path):
    finished = installed("-m", "hashbench", "run", "--methods", "balanced_lsh,itq", "--bits", 16, "--out", tmp_path)
    assert finished.returncode == 0, finished.stderr
    results = (tmp_path / "results.csv").read_text()
    assert results.count("balanced_lsh") == 1
