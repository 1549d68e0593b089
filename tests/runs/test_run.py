"""The main job: a run on the embedded digits, resumed, repeated, killed, and fed bad input."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from conftest import one_clear_line

from hashbench import evaluate, load_dataset, run
from hashbench.records.store import Store
from hashbench.runs.run import _ctrl_c_finishes

QUICK = ("--methods", "cibhash[epochs=2],itq,lsh", "--bits", "16,32")


@pytest.fixture(scope="module")
def finished(tmp_path_factory, cli):
    out = tmp_path_factory.mktemp("run")
    done = cli("run", *QUICK, "--seeds", "0,1", "--out", out)
    assert done.returncode == 0, done.stderr
    return out, done


def test_tables_and_results(finished):
    out, done = finished
    for words in (
        "mAP@100: digits (digits/1)",
        "mAP@all",
        "16 bits",
        "32 bits",
        "±",
        "fit_s",
        "search_queries_per_s",
    ):
        assert words in done.stdout
    assert "epoch 2/2" in done.stderr
    frame = pd.read_csv(out / "results.csv")
    assert len(frame) == 12
    assert (frame["status"] == "ok").all()
    assert {"dataset", "protocol", "backbone", "method", "params", "n_bits", "seed", "error"} <= set(frame)
    assert {"mAP@100", "mAP@all", "P@100", "features_s", "views_s", "fit_s", "encode_items_per_s"} <= set(frame)
    assert frame["mAP@all"].between(0.2, 1).all()
    assert frame.loc[frame["method"] == "itq", "views_s"].isna().all()


def test_a_record_holds_all_that_another_needs_to_score_again(finished):
    out, _ = finished
    dataset = load_dataset("digits")
    for record in Store(out):
        arrays = Store(out).arrays(record.id)
        again = evaluate(
            arrays["query_codes"],
            arrays["database_codes"],
            dataset.labels[dataset.split.query],
            dataset.labels[dataset.split.database],
            list(record.metrics),
            n_bits=record.config["n_bits"],
        )
        assert dict(again) == record.metrics
        for name, value in record.metrics.items():
            assert arrays[f"per_query:{name}"].mean() == value
        if record.config["method"] == "cibhash":
            assert [entry["epoch"] for entry in record.training] == [1, 2]
            assert set(record.training[0]) == {"epoch", "loss", "contrastive", "kl"}
            assert record.config["views"]["n_views"] == record.config["params"]["n_views"]


def test_the_same_command_again_computes_nothing(finished, cli):
    out, first = finished
    before = {path.name: path.stat().st_mtime_ns for path in (out / "records").iterdir()}
    done = cli("run", *QUICK, "--seeds", "0,1", "--out", out)
    assert done.stdout == first.stdout
    assert done.stderr.count("already in") == 12
    assert {path.name: path.stat().st_mtime_ns for path in (out / "records").iterdir()} == before


def test_fresh_computes_again_and_gives_the_same_bits(finished, cli):
    out, _ = finished
    before = {record.id: (record.metrics, record.codes_sha256) for record in Store(out)}
    done = cli("run", *QUICK, "--seeds", "0,1", "--out", out, "--fresh")
    assert done.returncode == 0
    assert "already in" not in done.stderr
    assert {record.id: (record.metrics, record.codes_sha256) for record in Store(out)} == before


@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_was(tmp_path, cache_dir, cli):
    arguments = ["--methods", "lsh,cibhash[epochs=500]", "--bits", "16", "--out", str(tmp_path)]
    process = subprocess.Popen(
        [sys.executable, "-m", "hashbench", "run", *arguments],
        env={**os.environ, "HASHBENCH_CACHE": str(cache_dir)},
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in process.stderr:
        if "/500" in line:
            break
    process.send_signal(signal.SIGKILL)
    process.communicate()
    kept = list(Store(tmp_path))
    assert [record.config["method"] for record in kept] == ["lsh"]
    done = cli("run", "--methods", "lsh,cibhash[epochs=2]", "--bits", 16, "--out", tmp_path)
    assert done.returncode == 0
    assert "[1/2] lsh 16 bits seed 0: already in" in done.stderr


def test_skipped_cells_are_tried_again_on_request(tmp_path, cli):
    file, switch = tmp_path / "needy.py", tmp_path / "installed"
    file.write_text(
        "from pathlib import Path\n"
        "from hashbench import HashMethod, Unsupported\n"
        "class Needy(HashMethod):\n"
        "    def __init__(self, n_bits=8):\n"
        "        self.n_bits = n_bits\n"
        "    def fit(self, X):\n"
        f"        if not Path({str(switch)!r}).exists():\n"
        "            raise Unsupported('needy needs more')\n"
        "    def project(self, X):\n"
        "        return X[:, 2 : 2 + self.n_bits] - 0.5\n"
    )
    arguments = ("run", "--plugin", file, "--methods", "needy,lsh", "--bits", 8, "--out", tmp_path / "out")
    assert cli(*arguments).returncode == 0
    switch.write_text("")
    again = cli(*arguments)
    assert "needy 8 bits: skipped before (needy needs more); --retry-failed runs it again" in again.stderr
    assert cli(*arguments, "--retry-failed").stderr.count("already in") == 1
    assert {record.status for record in Store(tmp_path / "out")} == {"ok"}


def test_more_bits_than_a_method_can_give_is_skipped(tmp_path, cli):
    done = cli("run", "--methods", "itq,lsh", "--bits", "64,65", "--out", tmp_path)
    assert done.returncode == 0
    assert "itq 65 bits seed 0: skipped: n_bits=65: ITQ gives at most one bit per feature, 64 here" in done.stdout
    frame = pd.read_csv(tmp_path / "results.csv")
    assert frame.set_index(["method", "n_bits"])["status"].to_dict() == {
        ("itq", 64): "ok",
        ("itq", 65): "skipped",
        ("lsh", 64): "ok",
        ("lsh", 65): "ok",
    }


def test_nothing_left_to_run_is_an_error(tmp_path, cli):
    done = cli("run", "--methods", "itq", "--bits", "65", "--out", tmp_path)
    one_clear_line(done, "no cell could run", "n_bits=65")


def test_one_failing_cell_does_not_stop_the_rest(tmp_path, cli):
    plugin = tmp_path / "fails.py"
    plugin.write_text(
        "from hashbench import HashMethod\n"
        "class Fails(HashMethod):\n"
        "    def __init__(self, n_bits=32):\n        self.n_bits = n_bits\n"
        "    def fit(self, X, y=None):\n        raise RuntimeError('on purpose')\n"
    )
    done = cli("run", "--plugin", plugin, "--methods", "fails,lsh", "--bits", 16, "--out", tmp_path / "out")
    assert done.returncode == 1
    assert "fails 16 bits: failed: RuntimeError: on purpose" in done.stdout
    statuses = {record.config["method"]: record.status for record in Store(tmp_path / "out")}
    assert statuses == {"fails": "failed", "lsh": "ok"}


BAD = [
    (["--methods", "iqt"], "did you mean 'itq'"),
    (["--dataset", "digit"], "did you mean 'digits'"),
    (["--methods", "cibhash[bta=1]"], "did you mean 'beta'"),
    (["--methods", "cibhash[beta=x]"], "not a finite number"),
    (["--bits", "0"], "--bits 0"),
    (["--bits=-3"], "--bits -3"),
    (["--bits", "abc"], "--bits abc"),
    (["--seeds", "x"], "--seeds x"),
    (["--dataset", "cifar10"], "--data-dir"),
    (["--dataset", "cifar10", "--data-dir", "/nonexistent/dir"], "/nonexistent/dir"),
    (["--backbone", "nonsense"], "unknown backbone"),
    (["--weights", "/nonexistent.pth"], "pixels"),
    (["--backbone", "tf_efficientnet_lite0", "--weights", "/nonexistent.pth"], "no such file"),
    (["--device", "tpu"], "--device tpu"),
    (["--precision", "int8"], "--precision int8"),
    (["--frobnicate"], "--frobnicate"),
    (["--image-size", "0"], "image-size"),
    (["--image-size", "64"], "--image-size: the pixels backbone"),
    (["--out", "/proc/nowhere"], "--out /proc/nowhere"),
    (["--cache-dir", "/proc/nowhere"], "--cache-dir /proc/nowhere"),
]


@pytest.mark.usefixtures("empty_cache")  # what another test has prepared would be found without --data-dir
@pytest.mark.parametrize(("arguments", "word"), BAD, ids=[" ".join(a) for a, _ in BAD])
def test_bad_input_gets_one_clear_line(finished, tmp_path, cli, arguments, word):
    out, _ = finished
    before = sorted(path.stat().st_mtime_ns for path in (out / "records").iterdir())
    given = [] if "--out" in arguments else ["--out", out]
    one_clear_line(cli("run", *arguments, *given), word)
    assert sorted(path.stat().st_mtime_ns for path in (out / "records").iterdir()) == before


@pytest.mark.skipif("__import__('torch').cuda.is_available()", reason="a CUDA device is there")
def test_cuda_that_is_not_there(tmp_path, cli):
    one_clear_line(cli("run", "--device", "cuda", "--out", tmp_path), "--device cuda: ", "or use --device cpu")


def test_features_with_nan_are_refused(tmp_path, cli):
    plugin = tmp_path / "holes.py"
    plugin.write_text(
        "import numpy as np\n"
        "from hashbench import HashDataset, Items, Protocol, Split\n"
        "class Holes(HashDataset):\n"
        "    protocols = (Protocol('holes/1', 'by hand', 2, 8, 8, ('mAP@all',)),)\n"
        "    def read(self, options):\n"
        "        X = np.ones((10, 4), np.float32); X[7, 2] = np.nan\n"
        "        return Items(features=X, labels=np.zeros(10, np.int64))\n"
        "    def split(self, items, protocol):\n"
        "        return Split(np.arange(8), np.array([8, 9]), np.arange(8))\n"
    )
    done = cli("run", "--plugin", plugin, "--dataset", "holes", "--methods", "lsh", "--out", tmp_path / "out")
    one_clear_line(done, "features of item 7", "NaN")
    assert not list((tmp_path / "out").glob("records/*.json"))


ASKING = """
from hashbench import HashMethod
class Asks(HashMethod):
    def __init__(self, n_bits=8):
        self.n_bits = n_bits
    def fit(self, X, y=None, *, {asked}):
        {body}
        return self
    def project(self, X):
        return X[:, : self.n_bits] - 0.5
"""


def test_fit_gets_what_it_asks_for_and_using_labels_is_recorded(tmp_path, cli):
    plugin = tmp_path / "asks.py"
    body = "assert 0 < validation(self) < 1; (workdir / 'kept').write_text(device); print('with', device, devices)"
    plugin.write_text(ASKING.format(asked="validation, workdir, device, devices", body=body))
    done = cli("run", "--plugin", plugin, "--methods", "asks", "--bits", 8, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    (record,) = Store(tmp_path / "out")
    assert record.uses_labels
    assert record.config["protocol"] == "digits/1+validation"
    assert record.metrics["mAP@all"] > 0
    assert "with c" in done.stderr
    assert "asks †" in done.stdout
    assert "† chosen by labelled queries, scored on the others: digits/1+validation" in done.stdout
    assert not (tmp_path / "out" / "work" / record.id).exists()


@pytest.mark.parametrize(
    ("asked", "word"), [("teacher", "fit asks for teacher"), ("views", "needs the parameters n_views and views_seed")]
)
def test_a_plugin_that_asks_for_what_no_run_has(tmp_path, cli, asked, word):
    plugin = tmp_path / "asks.py"
    plugin.write_text(ASKING.format(asked=asked, body="pass"))
    one_clear_line(cli("run", "--plugin", plugin, "--methods", "asks", "--out", tmp_path / "out"), word, str(plugin))


def test_a_plugin_without_n_bits(tmp_path, cli):
    plugin = tmp_path / "bitless.py"
    plugin.write_text("from hashbench import HashMethod\nclass Bitless(HashMethod):\n    pass\n")
    done = cli("run", "--plugin", plugin, "--methods", "bitless", "--out", tmp_path / "out")
    assert done.returncode == 1
    assert (
        done.stdout.count("bitless, 3 cells: failed: it cannot be made: TypeError: Bitless() takes no arguments") == 1
    )


def test_debug_can_be_anywhere(cli):
    for arguments in (["--debug", "run"], ["run", "--debug"]):
        done = cli(*arguments, "--methods", "iqt")
        assert done.returncode == 2
        assert "Traceback" in done.stderr


@pytest.mark.slow
def test_bad_input_is_refused_before_torch_is_imported(tmp_path):
    code = (
        "import sys; sys.argv = ['hashbench', 'run', '--methods', 'iqt']\n"
        "from hashbench.cli.main import main\n"
        "try: main()\n"
        "except SystemExit as end: assert end.code == 2\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_damaged_arrays_are_one_clear_line(tmp_path, cli):
    cli("run", "--methods", "itq,lsh", "--bits", 8, "--out", tmp_path)
    for path in (tmp_path / "records").glob("*.npz"):
        path.write_bytes(path.read_bytes()[:500])
    one_clear_line(cli("audit", tmp_path), ".npz is damaged", "command again")


def test_a_damaged_record_is_computed_again(finished, tmp_path, cli):
    out = tmp_path / "out"
    cli("run", "--methods", "lsh", "--bits", 8, "--out", out)
    (record,) = (out / "records").glob("*.json")
    record.write_text(record.read_text()[:100])
    done = cli("run", "--methods", "lsh", "--bits", 8, "--out", out)
    assert done.returncode == 0
    assert "already in" not in done.stderr
    assert json.loads(record.read_text())["status"] == "ok"


@pytest.mark.slow
def test_from_python(tmp_path, cache_dir):
    started = time.time()
    frame = run(methods="lsh", bits=[8], seeds=[0, 1], out=tmp_path, cache_dir=cache_dir)
    assert frame["mAP@all"].nunique() == 2
    assert np.all(pd.to_datetime(frame["date"]).map(lambda moment: moment.timestamp()) >= started - 1)


def test_ctrl_c_does_not_wait_for_a_lock_of_the_display():
    display, said = threading.Lock(), []

    def log(line):
        said.append((line, display.acquire(timeout=10)))

    queue = SimpleNamespace(stopping=False)
    with _ctrl_c_finishes(queue, log, watch=True):
        with display:  # as where the signal arrives while a line is printed
            os.kill(os.getpid(), signal.SIGINT)
            assert queue.stopping
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    ((line, printed),) = said
    assert line.startswith("the cells in flight are finished")
    assert printed
