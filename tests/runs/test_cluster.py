"""A run on a dask cluster: the same results as in process, whatever becomes of its workers."""

import os
import platform
import signal
import socket
import subprocess
import sys
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from conftest import one_clear_line
from waiting import wait_until

from hashbench.errors import InputError
from hashbench.records.store import Store
from hashbench.runs.cluster import client
from hashbench.runs.cluster.inputs import prepare_inputs
from hashbench.runs.cluster.plugin_files import pack, unpack
from hashbench.runs.cluster.versions import own_versions
from hashbench.runs.plan import plan
from hashbench.runs.requested.options import RunOptions

distributed = pytest.importorskip("distributed")
pytestmark = pytest.mark.slow

NOTED = """
import os, time
from pathlib import Path
from hashbench import HashMethod


class Noted(HashMethod):
    '''Notes by which process it is trained; waits when it is trained for the first time.'''

    def __init__(self, n_bits=8, how: str = "well"):
        self.n_bits = n_bits
        self.how = how

    def fit(self, X, y=None):
        with open({notes!r}, "a") as stream:
            stream.write(f"{{self.how}} {{self.n_bits}} {{os.getppid()}} {{os.getpid()}}\\n")
        switch = Path({notes!r} + ".switch")
        if self.how == "waits" and not switch.exists():
            switch.touch()
            time.sleep(100)
        if self.how == "exits":
            os._exit(5)
        return self

    def project(self, X):
        return X[:, : self.n_bits] - 0.5
"""
BOXES = """
import numpy as np
from hashbench import HashDataset, Items, Protocol, Split


class Boxes(HashDataset):
    '''Vectors from a file; notes each time that it is read.'''

    protocols = (Protocol("boxes/1", "by hand", 20, 180, 180, ("mAP@all",)),)

    def read(self, options):
        with open({reads!r}, "a") as stream:
            stream.write("read\\n")
        X = np.load(options.data_dir / "boxes.npy")
        return Items(features=X, labels=np.arange(len(X)) % 5)

    def split(self, items, protocol):
        return Split(np.arange(20, 200), np.arange(20), np.arange(20, 200))
"""


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    """Return the cache of the workers' machine, which is not the client's."""
    return tmp_path_factory.mktemp("machine")


@pytest.fixture(scope="module")
def cluster(machine):
    """Return a cluster of two worker processes with one thread each, which say that they have a GPU."""
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        dashboard_address=None,
        resources={"GPU": 1},
        env={"HASHBENCH_CACHE": str(machine)},
    ) as cluster:
        yield cluster


@pytest.fixture
def plugins(tmp_path):
    """Return the arguments that name a method's file, a data set's and its data."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 16)) + 2 * (np.arange(200)[:, None] % 5 == np.arange(16) % 5)
    (tmp_path / "data").mkdir()
    np.save(tmp_path / "data" / "boxes.npy", X.astype(np.float32))
    (tmp_path / "noted.py").write_text(NOTED.format(notes=str(tmp_path / "notes.txt")))
    (tmp_path / "boxes.py").write_text(BOXES.format(reads=str(tmp_path / "reads.txt")))
    files = ("--plugin", tmp_path / "noted.py", "--plugin", tmp_path / "boxes.py")
    return (*files, "--dataset", "boxes", "--data-dir", tmp_path / "data")


def notes_of(tmp_path):
    return [tuple(line.split()) for line in (tmp_path / "notes.txt").read_text().splitlines()]


def kill_who_waits(tmp_path):
    """Kill the dask worker whose cell waits."""
    wait_until((tmp_path / "notes.txt.switch").exists, "the first of the waiting cells")
    os.kill(next(int(parent) for how, _, parent, _ in notes_of(tmp_path) if how == "waits"), signal.SIGKILL)


def knows(cluster, name):
    """Return whether the scheduler has a worker of this name."""
    return any(one["name"] == name for one in cluster.scheduler_info["workers"].values())


def results_in(out):
    return {one.id: (one.status, one.codes_sha256, one.metrics) for one in Store(out) if one.status == "ok"}


def test_added_metrics_of_kept_codes_are_computed_here_and_others_there(cluster, plugins, tmp_path, cli):
    text = (Path(__file__).resolve().parents[2] / "docs" / "add-a-metric.md").read_text()
    (tmp_path / "first_rank.py").write_text(text.split("```python\n")[1].split("```")[0])
    out = ("--scheduler", cluster.scheduler_address, "--out", tmp_path / "out")
    done = cli("run", *plugins, "--methods", "noted", "--bits", "8", *out)
    assert done.returncode == 0, done.stderr
    trained = notes_of(tmp_path)
    added = ("--metrics", "first@all", "--plugin", tmp_path / "first_rank.py")
    done = cli("run", *plugins, *added, "--methods", "noted,lsh", "--bits", "8", *out)
    assert done.returncode == 0, done.stderr
    assert notes_of(tmp_path) == trained
    assert {one.label: "first@all" in one.metrics for one in Store(tmp_path / "out")} == {"noted": True, "lsh": True}


def test_trials_of_a_tuning_are_computed_there_too(cluster, tmp_path, cli):
    arguments = ("tune", "--methods", "cca_itq", "--bits", "8", "--trials", "5")
    there, here = tmp_path / "there", tmp_path / "here"
    done = cli(*arguments, "--scheduler", cluster.scheduler_address, "--out", there)
    assert done.returncode == 0, done.stderr
    assert cli(*arguments, "--out", here).returncode == 0
    for name in ("trials", "."):
        assert len(results_in(there / name)) >= 2
        assert results_in(there / name) == results_in(here / name)
        assert all("--scheduler" in record.environment["command"] for record in Store(there / name))


def test_a_grid_ends_well_when_a_worker_is_killed(cluster, machine, plugins, tmp_path, cli):
    killer = threading.Thread(target=kill_who_waits, args=(tmp_path,), daemon=True)
    killer.start()
    arguments = ("run", *plugins, "--bits", "8,12")
    methods, out = "lsh,itq,noted[how=waits]", tmp_path / "out"
    options = ("--methods", f"{methods},noted[how=exits]", "--save-models", "--timeout", 90)
    done = cli(*arguments, *options, "--scheduler", cluster.scheduler_address, "--out", out)
    killer.join()
    assert done.returncode == 1, done.stderr
    store = Store(out)
    records = {(one.label, one.config["n_bits"]): one for one in store}
    assert len(records) == 8
    for n_bits in (8, 12):
        record = records["noted[how=exits]", n_bits]
        assert (record.status, record.error) == ("failed", "its process ended with exit code 5")
    notes = notes_of(tmp_path)
    tries = [(how, n_bits) for how, n_bits, _, _ in notes]
    assert tries.count(("exits", "8")) == tries.count(("exits", "12")) == 1  # a failed cell is not tried again
    assert tries.count(("waits", "8")) + tries.count(("waits", "12")) == 3  # the killed worker's cell was
    assert not any(psutil.pid_exists(int(pid)) for *_, pid in notes)
    for record in records.values():
        assert f"--scheduler {cluster.scheduler_address}" in record.environment["command"]
        assert record.timings_are_shared  # two workers on one machine
        assert record.environment["versions"]["numpy"] == np.__version__
        assert store.model_path(record).is_file() == (record.status == "ok")

    assert (tmp_path / "reads.txt").read_text().count("read") == 2  # once here and once there
    alone = tmp_path / "alone"
    assert cli(*arguments, "--methods", methods, "--out", alone).returncode == 0
    assert len(results_in(alone)) == 6
    assert results_in(out) == results_in(alone)
    assert not [path for path in (machine / "cluster").rglob("*") if path.is_file() and "plugins" not in path.parts]


@pytest.mark.filterwarnings("ignore:Mismatched versions")  # dask's own words on it
def test_a_worker_of_other_versions_is_refused(cluster, tmp_path, cli):
    (tmp_path / "numpy-0.0.1.dist-info").mkdir()
    (tmp_path / "numpy-0.0.1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 0.0.1\n")
    path = os.pathsep.join([str(tmp_path), *sys.path])
    command = [sys.executable, "-m", "distributed.cli.dask_worker", cluster.scheduler_address, "--name", "other"]
    options = ["--no-nanny", "--no-dashboard", "--nthreads", "1", "--local-directory", str(tmp_path)]
    worker = subprocess.Popen([*command, *options], env={**os.environ, "PYTHONPATH": path}, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: worker.poll() is not None or knows(cluster, "other"), "the other worker's start")
        assert worker.poll() is None
        done = cli("run", "--methods", "lsh", "--scheduler", cluster.scheduler_address, "--out", tmp_path / "out")
    finally:
        worker.terminate()
        worker.wait()
    one_clear_line(done, f"numpy 0.0.1 (here {own_versions()['numpy']})", "install the same", platform.node())
    assert not (tmp_path / "out").exists()


def test_a_plugin_that_was_changed_on_its_way_is_refused(plugins, tmp_path):
    sent = pack(tmp_path / "noted.py")
    arrived = unpack(sent, tmp_path / "there")
    assert arrived.read_bytes() == (tmp_path / "noted.py").read_bytes()
    arrived.write_text("import os")
    assert unpack(sent, tmp_path / "there") == arrived
    assert arrived.read_bytes() == (tmp_path / "noted.py").read_bytes()
    changed = replace(sent, contents={"noted.py": b"import os"})
    with pytest.raises(InputError, match=r"plugin noted.py: noted.py has another SHA-256 than it was sent with"):
        unpack(changed, tmp_path / "there")


def test_a_plugin_folder_travels_with_all_its_files(tmp_path):
    folder = tmp_path / "boxes"
    (folder / "__pycache__").mkdir(parents=True)
    (folder / "__pycache__" / "old.pyc").write_bytes(b"")
    (folder / "__init__.py").write_text(BOXES.format(reads=""))
    (folder / "means.csv").write_text("1,2\n")
    for named in (folder, folder / "__init__.py"):
        arrived = unpack(pack(named), tmp_path / "there")
        assert sorted(path.name for path in arrived.iterdir()) == ["__init__.py", "means.csv"]
        assert arrived.name == "boxes"


def test_quantizers_are_prepared_as_methods_are(tmp_path):
    np.save(tmp_path / "vectors.npy", np.random.default_rng(0).normal(size=(300, 16)).astype(np.float32))
    options = RunOptions(methods="int8,itq", bits=(8,), dataset="vectors", data_dir=tmp_path / "vectors.npy")
    int8, itq = plan(options)
    prepare_inputs(int8, options)
    with pytest.raises(InputError, match="'int8' has other source code than the client's"):
        prepare_inputs(replace(int8, config=int8.config | {"source": itq.config["source"]}), options)


def test_what_a_machine_refuses_ends_the_run(cluster, plugins, tmp_path, cli, monkeypatch):
    address = cluster.scheduler_address
    done = cli("run", *plugins, "--scheduler", address, "--device", "cuda", "--devices", 2, "--out", tmp_path / "two")
    one_clear_line(done, f"no worker of {address} offers 2 GPU", "--resources GPU=2")

    asked = RunOptions(methods="lsh", bits="8", plugins=[tmp_path / "noted.py"], out=tmp_path / "out")
    (job,) = plan(asked)
    other = replace(job, config=job.config | {"data": "0" * 64})
    changed = replace(pack(tmp_path / "noted.py"), contents={"noted.py": b"import os"})
    on_cluster, lines = replace(asked, scheduler=address), []
    refused = pytest.raises(InputError, match=rf"on {platform.node()}: digits is not the client's data set")
    with closing(client.Cluster(on_cluster, Store(asked.out), lines.append)) as one, refused:
        one.compute(other)
    assert lines[0] == "cluster: workers: 2, machines: 1, cells at once: 2"
    monkeypatch.setattr(client, "pack", lambda path: changed)
    refused = pytest.raises(InputError, match=rf"on {platform.node()}: plugin noted.py: noted.py has another SHA-256")
    with closing(client.Cluster(replace(on_cluster, device="cuda"), Store(asked.out), lines.append)) as one, refused:
        one.compute(job)
    assert not asked.out.exists()


@pytest.fixture
def silent():
    """Return the address of a port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.timeout(60)  # dask alone would wait for half a minute at each address
def test_a_scheduler_that_does_not_answer(silent, tmp_path, cli, monkeypatch):
    assert client.ANSWER_WITHIN_S < 10
    monkeypatch.setattr(client, "ANSWER_WITHIN_S", 1)
    for address in (silent, "127.0.0.1:1", "nowhere.invalid:8786", "what is this", "http://127.0.0.1:1"):
        done = cli("run", "--scheduler", address, "--out", tmp_path / "out")
        one_clear_line(done, f"--scheduler {address}", "does not answer")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("resources", "wanted", "expected"),
    [
        ({}, {}, 4),
        ({"GPU": 2.0}, {}, 4),
        ({"GPU": 2.0}, {"GPU": 1}, 2),
        ({"GPU": 3.0}, {"GPU": 2}, 1),
        ({}, {"GPU": 1}, 0),
    ],
)
def test_a_worker_takes_as_many_cells_as_it_has_threads_and_gpus(resources, wanted, expected):
    n = client.slots_of({"threads": 4, "resources": resources}, wanted)
    assert (n, type(n)) == (expected, int)


def test_the_extra_is_named_where_it_is_missing(tmp_path, cli, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    one_clear_line(cli("run", "--scheduler", "127.0.0.1:1", "--out", tmp_path / "out"), "pip install", "[cluster]")


@pytest.mark.parametrize("option", [("--jobs", 2), ("--in-process",), ("--exclusive-timing",)])
def test_options_of_one_machine_are_refused(option, tmp_path, cli):
    done = cli("run", "--scheduler", "127.0.0.1:1", *option, "--out", tmp_path / "out")
    one_clear_line(done, "--scheduler: --jobs, --in-process and --exclusive-timing")


def test_a_file_may_name_the_scheduler(silent, tmp_path, cli, monkeypatch):
    monkeypatch.setattr(client, "ANSWER_WITHIN_S", 1)
    (tmp_path / "bench.toml").write_text(f'methods = "lsh"\nscheduler = "{silent}"\nout = "out"\n')
    done = cli("run", tmp_path / "bench.toml", "--timeout", 5)
    one_clear_line(done, "bench.toml, line 2: --scheduler", "does not answer")
