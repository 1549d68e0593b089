"""Where kernels are kept that were compiled, on a file system that is read-only."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hashbench.files import compiled

ROOT = Path(__file__).resolve().parents[2]
KERNEL = """
from hashbench.evaluation.counting import kernels
print(kernels.__file__)
from numba import config
print(config.CACHE_DIR)
"""
READ_ONLY = """
mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" || exit 77
exec "$@"
"""


def test_a_read_only_installation_without_a_home_compiles(tmp_path):
    """The package on a read-only mount, HOME nowhere: what a container with --read-only is."""
    package = tmp_path / "site"
    shutil.copytree(ROOT / "hashbench", package / "hashbench", ignore=shutil.ignore_patterns("__pycache__"))
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("HASHBENCH", "NUMBA_CACHE"))}
    environment |= {"PYTHONPATH": str(package), "HOME": "/proc/none", "XDG_CACHE_HOME": "/proc/none"}

    def run(**more):
        command = ["unshare", "-m", "bash", "-c", READ_ONLY, str(package), sys.executable, "-c", KERNEL]
        return subprocess.run(command, env=environment | more, capture_output=True, text=True, cwd=tmp_path)

    if shutil.which("unshare") is None:
        pytest.skip("needs unshare")
    done = run()
    if done.returncode in (1, 77) and "hashbench" not in done.stderr:
        pytest.skip("needs the right to mount")
    assert done.returncode == 0, done.stderr
    file, directory = done.stdout.split()
    assert file.startswith(str(package))
    assert "hashbench-numba-" in directory
    assert not Path(directory).exists()
    done = run(HASHBENCH_CACHE=str(tmp_path / "cache"))
    assert done.stdout.split()[1] == str(tmp_path / "cache" / "numba"), done.stderr


def test_a_writable_installation_keeps_its_kernels_next_to_the_sources(tmp_path, monkeypatch):
    monkeypatch.delenv(compiled.VARIABLE, raising=False)
    compiled.give_numba_a_cache(tmp_path)
    assert compiled.VARIABLE not in os.environ


def test_a_folder_that_the_user_names_stays(tmp_path, monkeypatch):
    monkeypatch.setenv(compiled.VARIABLE, "theirs")
    compiled.give_numba_a_cache(tmp_path / "none" / "at all")
    assert os.environ[compiled.VARIABLE] == "theirs"
