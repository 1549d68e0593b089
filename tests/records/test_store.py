"""Records on disk: damaged, newer, odd and failed ones; several runs; nothing good is lost."""

import json
import os

import numpy as np
import pandas as pd
import pytest
from conftest import one_clear_line
from made_records import made_record

from hashbench.records.record import FORMAT, UnusableRecord, read_record
from hashbench.records.store import Store

CODES = np.zeros((3, 1), np.uint8)
ARRAYS = {"query_codes": CODES, "database_codes": CODES, "per_query:mAP@all": np.ones(3)}
ODD = """
from hashbench import HashMethod

TEXTS = {"half": "\\udce9", "red": "\\x1b[31m", "long": "x" * 5_000_000}


class Odd(HashMethod):
    '''Raises odd texts.'''

    def __init__(self, n_bits=8, text: str = ""):
        self.n_bits, self.text = n_bits, text

    def fit(self, X):
        raise ValueError(TEXTS[self.text])
"""


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "run")
    store.open_for_writing()
    return store


def add(store, label="itq", **values):
    record = made_record(label, metrics={"mAP@all": 0.5}, **values)
    store.write(record, ARRAYS)
    return record, store.folder / f"{record.id}.json"


def change(path, **values):
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_a_failure_is_kept_next_to_the_successful_record(store):
    record, path = add(store)
    failed = made_record("itq", status="failed", error="out of luck")
    store.write(failed)
    assert read_record(path).status == "ok"
    assert json.loads((store.folder / f"{record.id}.failed.json").read_text())["error"] == "out of luck"
    assert [one.status for one in store] == ["ok"]
    store.write(record, ARRAYS)
    assert not (store.folder / f"{record.id}.failed.json").exists()


def test_a_failure_gives_way_to_what_ends_well(store):
    store.write(made_record("itq", status="failed", error="out of luck"))
    assert [one.status for one in store] == ["failed"]
    add(store)
    assert [one.status for one in store] == ["ok"]


def test_a_byte_order_mark_does_no_harm(store):
    record, path = add(store)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert Store(store.directory).read(record.id) == record


def test_a_newer_record_is_left_as_it_is(tmp_path, cli):
    arguments = ("run", "--methods", "lsh", "--bits", 8, "--out", tmp_path)
    assert cli(*arguments).returncode == 0
    (path,) = (tmp_path / "records").glob("*.json")
    change(path, format=FORMAT + 1)
    before = path.read_bytes()
    one_clear_line(cli(*arguments), str(path), "newer version")
    one_clear_line(cli("plot", tmp_path), "no records that can be used")
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_text(path.read_text()[:100]),
        lambda path: path.write_text(""),
        lambda path: path.write_bytes(b"\xff\xfe{}"),
        lambda path: path.write_text("[1, 2]"),
        lambda path: path.write_text("[" * 100_000),
        lambda path: change(path, config={}),
        lambda path: change(path, metrics={"mAP@all": "high"}),
        lambda path: change(path, metrics={"mAP@all": 2.5}),
        lambda path: change(path, status="fine"),
        lambda path: change(path, id="0" * 64),
    ],
)
def test_a_damaged_record_is_moved_aside_and_computed_again(damage, tmp_path, cli):
    arguments = ("run", "--methods", "lsh", "--bits", 8, "--out", tmp_path)
    assert cli(*arguments).returncode == 0
    (path,) = (tmp_path / "records").glob("*.json")
    good = json.loads(path.read_text())
    damage(path)
    damaged = path.read_bytes()
    one_clear_line(cli("plot", tmp_path), "no records that can be used")
    done = cli(*arguments)
    assert done.returncode == 0
    assert "moved to" in done.stderr
    assert path.with_suffix(".json.damaged").read_bytes() == damaged
    assert json.loads(path.read_text())["codes_sha256"] == good["codes_sha256"]


def test_damaged_arrays_count_as_missing(tmp_path, cli):
    arguments = ("run", "--methods", "lsh,itq", "--bits", 8, "--out", tmp_path)
    assert cli(*arguments).returncode == 0
    path = min((tmp_path / "records").glob("*.npz"))
    path.write_bytes(path.read_bytes()[:300])
    done = cli(*arguments)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("already in") == 1
    assert "is damaged" in done.stderr
    np.load(path)


def test_odd_records_do_not_stop_the_others(store, cli):
    add(store, "itq")
    _, odd = add(store, "lsh")
    change(odd, training={"epoch": 1})
    _, deep = add(store, "pcah")
    deep.write_text('{"a":' * 5000)
    done = cli("plot", store.directory)
    assert done.stderr.count("is passed over") == 2
    assert "unexpected" not in done.stderr


@pytest.mark.parametrize("name", ["../../x", "/tmp/x", "a/b", "", "x" * 101, "=cmd", 5])
def test_names_that_lead_elsewhere_are_no_records(name, store):
    _, path = add(store, dataset="toy")
    record = json.loads(path.read_text())
    record["config"]["dataset"] = name
    path.write_text(json.dumps(record))
    with pytest.raises(UnusableRecord, match=r"config\.dataset"):
        read_record(path)


def test_odd_texts_of_errors_are_escaped_once(tmp_path, cli):
    file = tmp_path / "odd.py"
    file.write_text(ODD)
    methods = "odd[text=half|red|long],lsh"
    done = cli("run", "--plugin", file, "--methods", methods, "--bits", 8, "--out", tmp_path / "out")
    assert done.returncode == 1
    frame = pd.read_csv(tmp_path / "out" / "results.csv").set_index("method")
    assert set(frame.loc["odd", "error"].str[:24]) == {
        "ValueError: \\udce9",
        "ValueError: \\x1b[31m",
        "ValueError: xxxxxxxxxxxx",
    }
    assert "\x1b[31m" not in done.stdout + done.stderr
    assert len(done.stdout) < 20_000


def test_an_init_that_raises_fails_only_its_cells(tmp_path, cli):
    file = tmp_path / "late.py"
    file.write_text(
        "from hashbench import HashMethod, InputError\nclass Late(HashMethod):\n    '''Refuses.'''\n"
        "    def __init__(self, n_bits=8, at: str = 'init'):\n"
        "        self.n_bits, self.at = n_bits, at\n"
        "        if at == 'init': raise RuntimeError('not today')\n"
        "    def fit(self, X):\n        raise InputError('no input will do')\n"
    )
    done = cli("run", "--plugin", file, "--methods", "late,late[at=fit],lsh", "--bits", 8, "--out", tmp_path / "out")
    assert done.returncode == 1
    records = {record.label: record for record in Store(tmp_path / "out")}
    assert "not today" in records["late"].error
    assert records["late[at=fit]"].error == "no input will do"
    assert records["lsh"].status == "ok"


def test_results_that_cannot_be_written(tmp_path, cli):
    (tmp_path / "results.csv").mkdir()
    one_clear_line(cli("run", "--methods", "lsh", "--out", tmp_path), "results.csv is a directory")


def test_a_full_disk_while_results_are_written(tmp_path, cli, monkeypatch):
    def full(path, content):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("hashbench.results.results_csv.write_atomically", full)
    done = cli("run", "--methods", "lsh", "--bits", 8, "--out", tmp_path)
    one_clear_line(done, "results.csv", "No space left")
    assert [record.status for record in Store(tmp_path)] == ["ok"]


def test_a_plugin_that_changes_directory_and_prints(tmp_path, cli, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "moves.py").write_text(
        "import os\nfrom hashbench import HashMethod\nclass Moves(HashMethod):\n    '''Goes away.'''\n"
        "    def __init__(self, n_bits=8):\n        self.n_bits = n_bits\n"
        "    def fit(self, X):\n        os.chdir('/'); print('among the tables'); return self\n"
        "    def project(self, X):\n        return X[:, : self.n_bits] - 0.5\n"
    )
    done = cli("run", "--plugin", "moves.py", "--methods", "moves,lsh", "--bits", 8, "--out", "out")
    assert done.returncode == 0, done.stderr
    assert "among the tables" not in done.stdout
    assert len(list((tmp_path / "out" / "records").glob("*.json"))) == 2


def test_half_written_files_of_a_killed_run_go_with_the_next(tmp_path, cli):
    arguments = ("run", "--methods", "lsh", "--bits", 8, "--out", tmp_path)
    assert cli(*arguments).returncode == 0
    (record,) = Store(tmp_path)
    (labels,) = (tmp_path / "labels").glob("*.npz")
    names = [f"records/.{record.id}.npz.77", f"records/.{record.id}.failed.json.77", ".results.csv.77"]
    names += [
        f"models/.{Store(tmp_path).model_path(record).name}.77",
        f"models/.digits-gone-8bits-{'1' * 12}.safetensors.7",
    ]
    left = [tmp_path / name for name in (*names, f"labels/.{labels.name}.77")]
    others = (".results.csv", "records/.DS_Store", f"records/.{'0' * 64}.npz.77")
    kept = [tmp_path / name for name in (*others, f"models/.digits-lsh-8bits-seed0-{'0' * 12}.safetensors.77")]
    (tmp_path / "models").mkdir()
    for path in (*left, *kept):
        path.write_text("half")
    with Store(tmp_path).lock("0" * 64):  # somebody is at that cell
        assert cli(*arguments).returncode == 0
    assert not [path for path in left if path.exists()]
    assert all(path.read_text() == "half" for path in kept)


def test_kept_models_have_names_to_choose_by(tmp_path, cli):
    asked = ("run", "--methods", "itq,sign", "--bits", "16,32", "--seeds", "0,1", "--save-models")
    cli(*asked, "--backbone", "pixels", "--out", tmp_path / "out")
    names = sorted(path.name for path in (tmp_path / "out" / "models").iterdir())
    assert [name.rsplit("-", 1)[0] for name in names] == [
        "digits-itq-16bits-seed0",
        "digits-itq-16bits-seed1",
        "digits-itq-32bits-seed0",
        "digits-itq-32bits-seed1",
        "digits-sign-16bits",
        "digits-sign-32bits",
    ]
    records = [record.id for record in Store(tmp_path / "out")]
    assert sorted(name.rsplit("-", 1)[1] for name in names) == sorted(f"{id[:12]}.safetensors" for id in records)
