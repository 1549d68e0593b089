"""What records say of the machine and the moment, and timings that other cells have disturbed."""

import json
import re
import subprocess
import sys
from datetime import datetime

import psutil
import pytest
from conftest import one_clear_line
from made_records import made_record

import hashbench
from hashbench.records.record import UnusableRecord, read_record
from hashbench.records.store import Store
from hashbench.runs.environment import _memory, environment

PLUGIN = """
import time
from pathlib import Path
from hashbench import HashMethod
class Noted(HashMethod):
    '''Writes down when it is trained, and takes longer beside others; unsteady: gives other codes each time.'''
    def __init__(self, n_bits=8, random_state=0, unsteady: bool = False):
        self.n_bits = n_bits
        self.random_state = random_state
        self.unsteady = unsteady
    def fit(self, X, y=None):
        began = time.time()
        time.sleep(0.4)
        with (Path(__file__).parent / "times.txt").open("a") as file:
            file.write(f"{began} {time.time()}\\n")
        return self
    def project(self, X):
        n_trained = (Path(__file__).parent / "times.txt").read_text().count(" ")
        shift = n_trained / 10 if self.unsteady else 0.1 * self.random_state
        return X[:, 20 : 20 + self.n_bits] - shift
"""


def test_the_environment_says_what_timings_depend_on():
    import numpy  # noqa: F401 - brings its BLAS library

    told = environment()
    assert {"python", "system", "cpu", "cores", "cores_usable", "memory_mb", "versions", "commit", "dirty"} <= set(told)
    assert told["versions"]["numpy"].count(".") == 2
    assert 1 <= told["cores_usable"] <= told["cores"]
    assert told["memory_mb"] > 100
    assert re.match(r"(openblas|mkl|blis|accelerate|flexiblas)", told["blas"])
    assert told["threads"] == max(told["thread_pools"].values()) >= 1
    assert told["commit"] is None or re.fullmatch(r"[0-9a-f]{40}", told["commit"])


@pytest.mark.parametrize("name", ["memory.max", "memory/memory.limit_in_bytes"])
@pytest.mark.parametrize(("limit", "memory_mb"), [(str(2**30), 1024), ("max", None), (str(2**63 - 4096), None)])
def test_a_container_has_the_memory_of_its_limit(tmp_path, monkeypatch, name, limit, memory_mb):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(f"{limit}\n")
    monkeypatch.setattr("hashbench.runs.environment.CONTROL_GROUP", tmp_path)
    total = round(psutil.virtual_memory().total / 2**20)
    assert round(_memory() / 2**20) == (memory_mb or total)


def test_a_record_says_when_where_and_how_it_came_about(kept):
    out, _ = kept
    for record in Store(out):
        began, ended = datetime.fromisoformat(record.started), datetime.fromisoformat(record.date)
        assert 0 <= (ended - began).total_seconds() < 600
        assert record.timings["cell_s"] == pytest.approx((ended - began).total_seconds(), abs=1)
        assert record.environment["command"].startswith("hashbench run --methods 'itq[n_iter=5],lsh'")
        assert record.environment["jobs"] == 1
        assert not record.timings_are_shared


def test_paths_of_the_machine_stay_out_of_leaderboards(kept, tmp_path, cli):
    out, _ = kept
    assert str(out) in next(iter(Store(out))).environment["command"]
    assert cli("publish", out, "--to", tmp_path).returncode == 0
    assert str(out) not in (tmp_path / "digits.csv").read_text()


@pytest.mark.parametrize(
    ("name", "value"),
    [("cores_usable", -1), ("dirty", "no"), ("blas", 3), ("thread_pools", [1]), ("command", 1), ("jobs", "2")],
)
def test_an_odd_environment_is_refused(tmp_path, name, value):
    record = made_record("lsh", status="skipped", environment={name: value})
    path = tmp_path / f"{record.id}.json"
    path.write_bytes(record.to_json())
    with pytest.raises(UnusableRecord, match=f"environment.{name}"):
        read_record(path)


def test_an_odd_start_is_refused(tmp_path):
    record = made_record("lsh", status="skipped", started="yesterday")
    path = tmp_path / f"{record.id}.json"
    path.write_bytes(record.to_json())
    with pytest.raises(UnusableRecord, match="started"):
        read_record(path)


def test_env_is_light_and_tells_what_a_bug_report_needs(cli):
    code = (
        "import sys; sys.argv = ['hashbench', 'env']\n"
        "from hashbench.cli.main import main\n"
        "try: main()\n"
        "except SystemExit as end: assert end.code == 0\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    for word in ("python: 3", "versions: hashbench", "cpu: ", "blas: ", "gpu: not asked", "cache: "):
        assert word in done.stdout
    assert re.search(r"^gpu: (none|\w+)", cli("env", "--torch").stdout, re.MULTILINE)
    one_clear_line(cli("env", "--trch"), "--trch")


def spans(tmp_path):
    return [tuple(map(float, line.split())) for line in (tmp_path / "times.txt").read_text().splitlines()]


def overlaps(times):
    return sum(first[1] > second[0] for first, second in zip(sorted(times), sorted(times)[1:], strict=False))


@pytest.mark.slow
def test_cells_that_were_timed_during_others_are_timed_again_alone(tmp_path, cli):
    (tmp_path / "noted.py").write_text(PLUGIN)
    out = tmp_path / "out"
    arguments = ("run", "--plugin", tmp_path / "noted.py", "--methods", "noted", "--bits", 8, "--seeds", "0,1,2,3")
    assert cli(*arguments, "--jobs", 2, "--out", out).returncode == 0
    before = {record.id: record for record in Store(out)}
    assert all(record.timings_are_shared for record in before.values())
    (tmp_path / "times.txt").unlink()
    done = cli(*arguments, "--jobs", 2, "--out", out, "--exclusive-timing")
    assert done.stderr.count("timed again, alone") == 4
    assert len(spans(tmp_path)) == 4
    assert overlaps(spans(tmp_path)) == 0
    for record in Store(out):
        old = before[record.id]
        assert not record.timings_are_shared
        assert record.timings["fit_s"] != old.timings["fit_s"]
        assert (record.metrics, record.codes_sha256, record.date) == (old.metrics, old.codes_sha256, old.date)
        Store(out).arrays(record.id)
    again = cli(*arguments, "--jobs", 2, "--out", out, "--exclusive-timing")
    assert "timed again" not in again.stderr


@pytest.mark.slow
def test_a_method_that_gives_other_codes_each_time_keeps_its_mark(tmp_path, cli):
    (tmp_path / "noted.py").write_text(PLUGIN)
    arguments = ("--methods", "noted[unsteady=True],lsh", "--bits", 8, "--jobs", 2, "--out", tmp_path / "out")
    done = cli("run", "--plugin", tmp_path / "noted.py", *arguments, "--exclusive-timing")
    assert done.returncode == 0
    assert "its codes came out different" in done.stderr
    shared = {record.label: record.timings_are_shared for record in Store(tmp_path / "out")}
    assert shared == {"noted[unsteady=True]": True, "lsh": False}
    for path in (tmp_path / "out" / "records").glob("*.json"):
        assert json.loads(path.read_text())["environment"]["jobs"] in (1, 2)


@pytest.mark.parametrize("called", ["/some/where/bin/hashbench", "/some/where/hashbench/__main__.py", "hashbench"])
def test_the_command_of_a_record_names_no_folder_of_the_program(called, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "argv", [called, "run", "--methods", "lsh"])
    hashbench.run(methods="lsh", bits=[8], out=tmp_path, in_process=True)
    (record,) = Store(tmp_path)
    assert record.environment["command"] == "hashbench run --methods lsh"
