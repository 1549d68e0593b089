"""A disk that fills up while a run goes on: one clear line, what was written stays whole, more room and it goes on."""

import subprocess

import pytest
from conftest import one_clear_line
from disk_limits import files_of_at_most

from hashbench.records.store import Store

GRID = ("run", "--methods", "lsh", "--bits", 8, "--seeds", ",".join(map(str, range(12))))


@pytest.fixture
def disk(tmp_path):
    """Return an empty disk of 1 MB, or skip where none may be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no small disk can be mounted here: {error}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def files(out):
    return [path for path in out.rglob("*") if path.is_file()]


@pytest.mark.slow
@pytest.mark.parametrize(("free", "how"), [(0, ["--in-process"]), (8_000, ["--in-process"]), (120_000, ["--jobs", 2])])
def test_a_disk_that_fills_up(disk, cli, free, how):
    filler, out = disk / "filler", disk / "out"
    filler.write_bytes(bytes(2**20 - free))
    one_clear_line(cli(*GRID, *how, "--out", out), "No space left on device")
    before = {record.id: record for record in Store(out)}
    assert not [path for path in files(out) if path.name.startswith(".")]
    assert len(before) < 12
    filler.unlink()
    done = cli(*GRID, "--out", out)
    assert done.returncode == 0, done.stderr
    after = {record.id: record for record in Store(out)}
    assert len(after) == 12
    assert {id: after[id] for id in before} == before
    assert done.stderr.count("already in") == len(before)


def test_files_that_must_not_grow(tmp_path, cli):
    assert cli(*GRID[:-2], "--out", tmp_path / "first").returncode == 0  # what is prepared once is written here
    with files_of_at_most(4096):
        done = cli(*GRID, "--out", tmp_path / "out")
    one_clear_line(done, "cannot be written (File too large)", "make room or name another --out")
    assert not [path for path in files(tmp_path / "out") if path.stat().st_size]
