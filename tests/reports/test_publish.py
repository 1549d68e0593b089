"""Publishing: rows that people can read, replaced and never kept twice, verdicts only where they hold."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from boards import edit_record, first_of, part_of, rows_of, snapshot
from conftest import one_clear_line

from hashbench import InputError
from hashbench.records.store import Store
from hashbench.reports.leaderboards import evidence
from hashbench.reports.leaderboards import publish as publishing
from hashbench.reports.leaderboards.checks import problems_of
from hashbench.reports.leaderboards.columns import key_of
from hashbench.reports.leaderboards.publish import publish
from hashbench.results.verdicts import group_of, verdicts

METHODS = ["itq", "itq[n_iter=3]", "lsh", "pcah"]


def method_is(*names):
    return lambda record: record.config["method"] in names


def test_a_row_is_one_method_over_its_seeds(board_run, tmp_path):
    store = Store(board_run)
    (board,) = publish([store], tmp_path)
    assert (board.path.name, board.n_rows, board.notes) == ("digits.csv", 8, [])
    assert problems_of(board.path) == []
    rows = rows_of(board.path)
    assert [(row["n_bits"], row["method"]) for row in rows] == [(n, name) for n in ("8", "16") for name in METHODS]
    assert [(row["n_seeds"], row["seeds"]) for row in rows[:4]] == [("3", "0 1 2")] * 3 + [("1", "none")]
    values = [one.metrics["mAP@all"] for one in store if one.label == "lsh" and one.config["n_bits"] == 8]
    assert float(rows[2]["mAP@all"]) == pytest.approx(np.mean(values), abs=1e-5)
    assert float(rows[2]["mAP@all std"]) == pytest.approx(np.std(values, ddof=1), abs=1e-5)


def test_intervals_and_verdicts_are_those_of_the_run(board_run, tmp_path):
    store = Store(board_run)
    compared = verdicts(list(store), store)
    (board,) = publish([store], tmp_path)
    row_of = {(row["method"], row["n_bits"]): row for row in rows_of(board.path)}
    for record in store:
        row = row_of[record.label, str(record.config["n_bits"])]
        for metric in record.metrics:
            one = compared[group_of(record), metric]
            assert row[f"{metric} verdict"] == one.verdict
            assert (row[f"{metric} low"], row[f"{metric} high"]) == tuple(f"{end:.5f}" for end in one.interval)


def test_long_values_lie_in_json_files_under_their_hash(board_run, tmp_path):
    publish([Store(board_run)], tmp_path)
    features, methods = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("features", "methods"))
    for entries in (features, methods):
        assert all(key == key_of(value) for key, value in entries.items())
    for row in rows_of(tmp_path / "digits.csv"):
        assert features[row["features"]]["backbone"] == row["backbone"]
        assert methods[row["params"]]["method"] == row["method"].partition("[")[0]
        assert max(map(len, row.values())) < 60
    assert {"method": "itq", "params": {"n_iter": 3}} in methods.values()


TIMINGS = ("features_s", "fit_s", "encode_items_per_s", "encode_images_per_s", "search_queries_per_s")


def test_timings_measured_during_other_cells_are_published_only_on_request(board_run, tmp_path, cli):
    store = part_of(board_run, tmp_path / "run", method_is("lsh", "pcah"))
    for record in store:
        if record.config["method"] == "lsh":
            edit_record(store, record, lambda values: values["environment"].update(jobs=2))
    done = cli("publish", tmp_path / "run", "--to", tmp_path / "boards")
    assert "timings left out, records: 6" in done.stderr
    for row in rows_of(tmp_path / "boards" / "digits.csv"):
        assert all((row[name] == "") == (row["method"] == "lsh") for name in TIMINGS)
        assert row["mAP@all"]
    done = cli("publish", tmp_path / "run", "--to", tmp_path / "boards", "--shared-timings")
    assert "timings left out" not in done.stderr
    assert all(row[name] for row in rows_of(tmp_path / "boards" / "digits.csv") for name in TIMINGS)


def test_publishing_twice_changes_nothing(board_run, tmp_path, cli):
    to = tmp_path / "boards"
    publish([Store(board_run)], to)
    before = snapshot(to)
    assert cli("publish", board_run, "--to", to).returncode == 0
    assert snapshot(to) == before
    (board,) = publish([part_of(board_run, tmp_path / "part", method_is("lsh"))], to)
    assert (snapshot(to), board.notes) == (before, [])


def test_fewer_seeds_do_not_replace_more(board_run, tmp_path):
    to = tmp_path / "boards"
    publish([Store(board_run)], to)
    before = snapshot(to)
    (board,) = publish([part_of(board_run, tmp_path / "one", lambda record: record.config["seed"] == 0)], to)
    assert len(board.notes) == 6
    assert "3 seeds against 1" in board.notes[0]
    assert snapshot(to) == before


def test_verdicts_are_emptied_where_rows_stay_that_were_not_compared(board_run, tmp_path):
    to = tmp_path / "boards"
    publish([part_of(board_run, tmp_path / "a", method_is("itq"))], to)
    low = {(row["method"], row["n_bits"]): row["mAP@all low"] for row in rows_of(to / "digits.csv")}
    b = part_of(board_run, tmp_path / "b", lambda record: record.config["method"] == "lsh" and _is_short(record))
    (board,) = publish([b], to)
    assert [note for note in board.notes if "verdicts are empty at all code lengths, as 4 of 5 rows stay" in note]
    for row in rows_of(to / "digits.csv"):
        assert row["mAP@all verdict"] == ""  # those of 16 bits too: they rest on what seeds do at 8
        assert low.get((row["method"], row["n_bits"]), row["mAP@all low"]) == row["mAP@all low"] != ""
    (board,) = publish([Store(tmp_path / "a"), b], to)
    assert board.notes == []
    assert all(row["mAP@all verdict"] for row in rows_of(to / "digits.csv"))


def test_methods_that_read_labels_have_a_separate_setting(board_run, tmp_path):
    store = part_of(board_run, tmp_path / "run", _is_short)
    for record in store:
        if record.config["method"] == "lsh":
            edit_record(store, record, lambda values: values.update(uses_labels=True))
    (board,) = publish([store], tmp_path / "boards")
    rows = rows_of(board.path)
    assert {row["uses_labels"] for row in rows if row["method"] == "lsh"} == {"True"}
    best = [row["uses_labels"] for row in rows if row["mAP@all verdict"] == "best"]
    assert sorted(best) == ["False", "True"]
    assert problems_of(board.path) == []


def _is_short(record):
    return record.config["n_bits"] == 8


def test_a_row_of_older_code_is_replaced_even_where_it_has_more_seeds(board_run, tmp_path):
    to = tmp_path / "boards"
    publish([Store(board_run)], to)
    path = to / "digits.csv"
    text, source = path.read_text(), {row["source"] for row in rows_of(path) if row["method"] == "lsh"}.pop()
    path.write_text(text.replace(source, "0" * 16))
    assert problems_of(path) == []
    publish([part_of(board_run, tmp_path / "one", lambda record: record.config["seed"] == 0)], to)
    rows = rows_of(path)
    assert len(rows) == 8
    assert {(row["source"], row["n_seeds"]) for row in rows if row["method"] == "lsh"} == {(source, "1")}
    assert {row["n_seeds"] for row in rows if row["method"] == "itq"} == {"3"}


def test_what_no_row_names_any_more_leaves_the_json_files(board_run, tmp_path):
    to = tmp_path / "boards"
    publish([Store(board_run)], to)
    before = snapshot(to)
    methods = json.loads(before["methods.json"])
    other = {"method": "gone", "params": {}}
    (to / "methods.json").write_text(json.dumps({**methods, key_of(other): other}))
    assert problems_of(to / "digits.csv") == []
    publish([Store(board_run)], to)
    assert snapshot(to) == before


def test_records_of_other_code_are_passed_over_by_name(board_run, tmp_path, cli):
    run = part_of(board_run, tmp_path / "run", lambda record: True)
    for method, change in {
        "lsh": {"source": "0" * 64},
        "pcah": {"method": "elsewhere"},
        "itq": {"engine": 99},
    }.items():
        edit_record(run, first_of(run, method), lambda values, change=change: values["config"].update(change))
    done = cli("publish", run.directory, "--to", tmp_path / "boards")
    assert done.returncode == 0, done.stderr
    for line in (
        "1: lsh is of other code than is here",
        "1: elsewhere is not here",
        "1: itq has the metrics of engine",
    ):
        assert line in done.stderr
    counts = {(row["method"], row["n_bits"]): row["n_seeds"] for row in rows_of(tmp_path / "boards" / "digits.csv")}
    assert sorted(counts.values()) == ["1"] + ["2"] * 2 + ["3"] * 4
    only = part_of(board_run, tmp_path / "only", method_is("pcah"))
    for record in list(only):
        edit_record(only, record, lambda values: values["config"].update(source="0" * 64))
    one_clear_line(cli("publish", only.directory, "--to", tmp_path / "none"), "nothing to publish", "run it again")
    assert not (tmp_path / "none").exists()


def test_failed_cells_are_not_published(board_run, tmp_path, cli):
    run = part_of(board_run, tmp_path / "run", method_is("pcah"))
    for record in list(run):
        edit_record(run, record, lambda values: values.update(status="failed", error="no"))
    one_clear_line(cli("publish", run.directory, "--to", tmp_path / "to"), "no record ended ok")


def test_names_cannot_lead_elsewhere(board_run, tmp_path, cli):
    to = tmp_path / "deep" / "boards"
    for number, name in enumerate(["../../x", str(tmp_path / "y"), "..", "a/b", "=cmd", "@SUM(1)"]):
        for key in ("dataset", "method"):
            run = part_of(board_run, tmp_path / f"run{key}{number}", method_is("pcah"))
            for record in list(run):
                edit_record(run, record, lambda values, key=key, name=name: values["config"].update({key: name}))
            one_clear_line(cli("publish", run.directory, "--to", to), "holds no records that can be used")
    assert not to.parent.exists()
    assert not list(tmp_path.glob("*.csv"))


def test_a_formula_is_neutralised(board_run, tmp_path):
    run = part_of(board_run, tmp_path / "run", method_is("pcah"))
    for record in list(run):
        edit_record(run, record, lambda values: values.update(provenance="=HYPERLINK(1)"))
    publish([run], tmp_path / "boards")
    assert rows_of(tmp_path / "boards" / "digits.csv")[0]["data_provenance"] == "'=HYPERLINK(1)"


def test_nine_publish_at_once_and_all_rows_land(board_run, tmp_path, monkeypatch):
    to = tmp_path / "boards"
    parts = [(n_bits, label) for n_bits in (8, 16) for label in METHODS]
    stores = [
        part_of(board_run, tmp_path / str(number), lambda one, part=part: (one.config["n_bits"], one.label) == part)
        for number, part in enumerate([*parts, parts[0]])
    ]
    together, one_at_a_time, scored, rows = threading.Barrier(9), threading.Lock(), evidence.Verifier.per_query, None
    rows = publishing.rows_of

    def rows_when_all_are_there(*arguments):
        made = rows(*arguments)
        together.wait(60)
        return made

    def score(*arguments):  # the compiled kernels' threads take one caller at a time
        with one_at_a_time:
            return scored(*arguments)

    monkeypatch.setattr(evidence.Verifier, "per_query", score)
    monkeypatch.setattr(publishing, "rows_of", rows_when_all_are_there)
    with ThreadPoolExecutor(9) as pool:
        boards = list(pool.map(lambda store: publish([store], to), stores))
    assert len(boards) == 9
    assert problems_of(to / "digits.csv") == []
    assert sorted((int(row["n_bits"]), row["method"]) for row in rows_of(to / "digits.csv")) == sorted(parts)


@pytest.mark.parametrize("broken_at", ["features.json", "methods.json", "digits.csv"])
def test_a_break_leaves_leaderboards_that_are_valid(board_run, tmp_path, monkeypatch, broken_at):
    to = tmp_path / "boards"
    publish([part_of(board_run, tmp_path / "itq", method_is("itq"))], to)
    before = rows_of(to / "digits.csv")
    write = publishing.write_atomically

    def breaking(path, content):
        if path.name == broken_at:
            raise OSError(28, "No space left on device")
        write(path, content)

    monkeypatch.setattr(publishing, "write_atomically", breaking)
    with pytest.raises(InputError, match="No space left"):
        publish([part_of(board_run, tmp_path / "lsh", method_is("lsh"))], to)
    assert problems_of(to / "digits.csv") == []
    assert rows_of(to / "digits.csv") == before


def test_the_command_speaks_plainly(board_run, tmp_path, cli):
    one_clear_line(cli("publish", tmp_path), "holds no records that can be used")
    one_clear_line(cli("publish", tmp_path / "gone"), "holds no records that can be used")
    one_clear_line(cli("publish", board_run, "--to", "/proc/nowhere"), "--to /proc/nowhere")
    (tmp_path / "features.json").mkdir()
    one_clear_line(cli("publish", board_run, "--to", tmp_path), "features.json", "directory")
