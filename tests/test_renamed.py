"""Old names are taken everywhere, and said once to be old."""

import json
import shutil

import pytest
from boards import rows_of
from conftest import one_clear_line

from hashbench import load_method, renamed, show
from hashbench.files.hashing import canonical_hash
from hashbench.plugins.registry import Registry
from hashbench.records.store import Store
from hashbench.renamed import Renamed, present_config, present_label
from hashbench.reports.leaderboards.checks import problems_of, read_rows, stale_rows
from hashbench.reports.leaderboards.csv_files import METHODS, key_of, read_entries

PROJECT = renamed.RENAMED
CHANGES = (
    Renamed("methods", "rotated", "turned", "0.3"),
    Renamed("methods", "turned", "itq", "9.0"),
    Renamed("quantizers", "bytewise", "int8", "9.0"),
    Renamed("datasets", "numerals", "digits", "9.0"),
    Renamed("parameters", "rounds", "n_iter", "9.0", of="itq"),
)
SAID = [
    "rotated is called itq since 9.0",
    "itq: rounds is called n_iter since 9.0",
    "numerals is called digits since 9.0",
]


@pytest.fixture(autouse=True)
def _changes(monkeypatch):
    monkeypatch.setattr(renamed, "RENAMED", CHANGES)
    renamed._note_once.cache_clear()


@pytest.fixture
def old_run(board_run, tmp_path):
    """Return a run as an older version would have left it, with the old names."""
    out = tmp_path / "old"
    shutil.copytree(board_run, out)
    for path in (out / "records").glob("*.json"):
        values = json.loads(path.read_text())
        config = values["config"]
        if config["method"] == "itq":
            config |= {"method": "rotated", "dataset": "numerals"}
            config["params"]["rounds"] = config["params"].pop("n_iter")
            values["label"] = values["label"].replace("itq", "rotated").replace("n_iter", "rounds")
        values["environment"]["versions"]["hashbench"] = "0.2.0"
        arrays, values["id"] = path.with_suffix(".npz"), canonical_hash(config)
        path.unlink()
        arrays.rename(path.with_name(f"{values['id']}.npz"))
        path.with_name(f"{values['id']}.json").write_text(json.dumps(values))
    return out


def test_the_project_renames_to_what_is_here_and_from_what_is_not(monkeypatch):
    registry = Registry()
    for changes in (CHANGES, PROJECT):
        monkeypatch.setattr(renamed, "RENAMED", changes)
        for one in changes:
            if one.kind != "parameters":
                known = registry.names(one.kind)
                assert one.old not in known
                assert registry.present_name(one.old, (one.kind,)) in known


def test_the_command_line_takes_old_names_and_says_so_once(tmp_path, cli):
    options = ("--methods", "rotated[rounds=3]", "--dataset", "numerals", "--bits", "8", "--out", tmp_path)
    done = cli("run", *options)
    assert done.returncode == 0, done.stderr
    assert [done.stderr.count(line) for line in SAID] == [1, 1, 1]
    (record,) = Store(tmp_path)
    assert (record.config["method"], record.config["dataset"], record.label) == ("itq", "digits", "itq[n_iter=3]")
    assert cli("run", *options).stderr.count("already in") == 1
    assert "method       itq\n" in cli("info", "rotated").stdout
    assert "itq" in cli("check", "bytewise", "rotated").stdout.splitlines()
    assert load_method("rotated") is load_method("itq")
    one_clear_line(cli("run", "--methods", "turned[laps=3]", "--out", tmp_path), "itq has no parameter 'laps'")


def test_a_users_plugin_of_an_old_name_is_that_plugin(tmp_path):
    file = tmp_path / "rotated.py"
    file.write_text((Registry().find("methods", "lsh").file).read_text())
    assert Registry(file).find("methods", "rotated").file == file


def test_records_are_shown_under_the_new_names(old_run, board_run, capsys):
    runs = (old_run, board_run)
    old, new = (sorted((record.label, canonical_hash(record.config)) for record in Store(run)) for run in runs)
    assert old == new
    said = capsys.readouterr().err
    assert [said.count(line) for line in SAID] == [1, 1, 1]
    assert show(old_run)._repr_html_() == show(board_run)._repr_html_()
    assert "itq[n_iter=3]" in show(old_run, methods="rotated[rounds=3]")._repr_html_()


def test_a_cell_that_was_computed_under_both_names_counts_once(old_run, board_run):
    shutil.copytree(board_run / "records", old_run / "records", dirs_exist_ok=True)
    assert len(list(Store(old_run))) == len(list(Store(board_run)))


def test_what_the_present_version_wrote_keeps_its_names(old_run):
    for path in (old_run / "records").glob("*.json"):
        values = json.loads(path.read_text())
        values["environment"]["versions"]["hashbench"] = "9.0.1"
        path.write_text(json.dumps(values))
    assert "rotated" in {record.config["method"] for record in Store(old_run)}


def test_boards_are_read_and_published_under_the_new_names(board_run, tmp_path, cli, capsys):
    assert cli("publish", board_run, "--to", tmp_path).returncode == 0
    board = tmp_path / "digits.csv"
    wanted, text = rows_of(board), board.read_text()
    methods = json.loads((tmp_path / METHODS).read_text())
    for key, entry in list(methods.items()):
        if entry["method"] == "itq":
            old = {"method": "rotated", "params": dict(entry["params"])}
            old["params"]["rounds"] = old["params"].pop("n_iter")
            methods[key_of(old)] = methods.pop(key) and old
            text = text.replace(key, key_of(old))
    (tmp_path / METHODS).write_text(json.dumps(methods))
    header, *lines = text.splitlines(keepends=True)
    lines = [line.replace(",itq", ",rotated").replace("[n_iter", "[rounds") for line in lines]
    at = header.split(",").index("method")
    cells = [line.split(",") for line in lines]
    order = sorted(range(len(lines)), key=lambda n: (cells[n][1:at], int(cells[n][at + 1]), cells[n][at]))
    board.write_text("".join([header, *(lines[n] for n in order)]))
    assert problems_of(board) == []
    assert sorted(row["method"] for row in read_rows(board)) == sorted(row["method"] for row in wanted)
    assert {row["params"] for row in read_rows(board)} <= read_entries(tmp_path).methods.keys()
    assert stale_rows(board, Registry()) == ([], [])
    assert cli("publish", board_run, "--to", tmp_path).returncode == 0
    assert rows_of(board) == wanted
    assert "rotated" not in (tmp_path / METHODS).read_text()


@pytest.mark.parametrize(
    ("label", "version", "present"),
    [
        ("rotated", "", "itq"),
        ("rotated[rounds=3,dims=8]", "0.2.0", "itq[n_iter=3,dims=8]"),
        ("rotated[rounds=3]", "0.10", "rotated[rounds=3]"),
        ("turned[rounds=3]", "0.10", "itq[n_iter=3]"),
        ("itq[rounds=rounds]", "0.2.0", "itq[n_iter=rounds]"),
        ("itq[rounds=3]", "9.0", "itq[rounds=3]"),
        ("lsh[rounds=3]", "", "lsh[rounds=3]"),
    ],
)
def test_labels(label, version, present):
    assert present_label(label, version) == present


def test_a_configuration_without_old_names_is_as_it_was():
    config = {"method": "lsh", "dataset": "digits", "params": {"rounds": 3}, "n_bits": 8}
    assert present_config(config, "0.2.0") == config
