"""What lies in the working directory is never executed in place of a library."""

import multiprocessing
import os
import subprocess
import sys

import pytest

from hashbench.files.search_path import ROOT
from hashbench.plugins.registry import Registry
from hashbench.runs.workers.worker import Worker


@pytest.fixture
def downloads(tmp_path, monkeypatch):
    """Work in a folder with modules named like libraries and like Python's own, which leave a mark if they run."""
    for name in ("queue", "numpy", "numba", "faiss", "pandas", "secrets", "fractions"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'executed')!r}, 'a').write('{name} ')\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "executed"


@pytest.mark.slow
def test_a_run_executes_nothing_of_the_working_directory(downloads, tmp_path):
    command = [sys.executable, "-m", "hashbench", "run", "--methods", "lsh", "--bits", "8", "--out", tmp_path / "out"]
    done = subprocess.run(command, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert not downloads.exists(), downloads.read_text()


def spawned_path():
    """Return what a process that multiprocessing has spawned looks through."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return sys.path, pool.apply(eval, ("__import__('sys').path",))


@pytest.mark.parametrize("first", ["", "the folder"])
def test_a_worker_does_not_look_there_nor_what_it_starts(first, downloads, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [first and str(tmp_path), *sys.path])
    worker = Worker()
    try:
        for path in worker.call(spawned_path):
            assert "" not in path
            assert str(tmp_path) not in path
    finally:
        worker.close()
    assert not downloads.exists(), downloads.read_text()


@pytest.mark.slow
def test_a_folder_that_the_user_names_is_looked_through(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "helper_of_mine.py").write_text("answer = 42\n")
    (tmp_path / "mine.py").write_text(
        "import helper_of_mine\nfrom hashbench import HashMethod\n"
        "class Mine(HashMethod):\n    '''Mine.'''\n    def __init__(self, n_bits=8): self.n_bits = n_bits\n"
    )
    registry = Registry([tmp_path / "mine.py"])
    plugin = registry.find("methods", "mine")
    assert "helper_of_mine" in registry.check([plugin])["mine"]
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(tmp_path)
    assert registry.check([plugin]) == {"mine": None}


def test_modules_next_to_a_script_are_found_and_replace_nothing(tmp_path):
    (tmp_path / "fractions.py").write_text("raise SystemExit('executed')\n")
    script = (
        "import os, sys\nfrom hashbench.files.search_path import safe_environment\n"
        "print(safe_environment()['PYTHONPATH'])\n"
    )
    (tmp_path / "script.py").write_text(script)
    done = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert [folder for folder in done.stdout.strip().split(os.pathsep) if folder != str(ROOT)][-1] == str(tmp_path)
