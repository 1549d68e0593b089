"""Publishing believes no record: its metrics are computed again from its codes; one that lies stops it, by name."""

import numpy as np
import pytest
from boards import edit_arrays, edit_record, first_of, part_of, snapshot
from conftest import one_clear_line

from hashbench.records.store import Store
from hashbench.reports.leaderboards.publish import publish


@pytest.fixture
def damaged(board_run, tmp_path):
    """Return a copy of some of the run's ITQ and PCAH, to be damaged, and a folder with the undamaged PCAH's rows."""
    publish([part_of(board_run, tmp_path / "pcah", lambda record: record.label == "pcah")], tmp_path / "boards")
    return part_of(board_run, tmp_path / "run", _is_one_of_few), tmp_path / "boards"


def _is_one_of_few(record):
    return record.label == "pcah" or (record.label == "itq" and record.config["n_bits"] == 8)


def refused(cli, run, boards, *words):
    before = snapshot(boards)
    done = cli("publish", run.directory, "--to", boards)
    one_clear_line(done, *words)
    assert snapshot(boards) == before


def metric(value):
    return lambda values: values["metrics"].update({"mAP@all": value})


@pytest.mark.parametrize("change", [metric(0.9), lambda values: values["metrics"].update({"mAP@5": 0.5})])
def test_an_edited_metric(damaged, cli, change):
    run, boards = damaged
    path = edit_record(run, first_of(run, "itq"), change)
    refused(cli, run, boards, path.name, "mAP@", "is", "run it again")


def test_a_metric_that_is_off_by_little(damaged, cli):
    run, boards = damaged
    record = first_of(run, "itq")
    path = edit_record(run, record, metric(record.metrics["mAP@all"] + 1e-9))
    refused(cli, run, boards, path.name, "its codes give")


@pytest.mark.parametrize("name", ["mAP@0100", "mAP@²", "Q@100", "mAP@all std", "P@" + "9" * 5000, "=cmd@1"])
def test_a_metric_that_is_none(damaged, cli, name):
    run, boards = damaged
    path = edit_record(run, first_of(run, "itq"), lambda values: values["metrics"].update({name: 0.5}))
    refused(cli, run, boards, path.name, "is no metric")


def test_flipped_codes(damaged, cli):
    run, boards = damaged
    record = first_of(run, "itq")

    def flip(arrays):
        arrays["database_codes"][7] ^= 255

    edit_arrays(run, record, flip, true_checksums=False)
    refused(cli, run, boards, record.id, "SHA-256 of its database_codes")
    edit_arrays(run, record, lambda arrays: None)
    refused(cli, run, boards, record.id, "its codes give")


def test_codes_of_another_record(damaged, cli):
    run, boards = damaged
    one, other = (record for record in run if record.config["method"] == "pcah")
    run.arrays_path(one.id).write_bytes(run.arrays_path(other.id).read_bytes())
    refused(cli, run, boards, one.id)


def test_values_per_query_that_are_not_those_of_the_codes(damaged, cli):
    run, boards = damaged
    record = first_of(run, "pcah")

    def shuffle(arrays):
        arrays["per_query:mAP@all"] = arrays["per_query:mAP@all"][::-1]

    edit_arrays(run, record, shuffle)
    refused(cli, run, boards, record.id, "mAP@all per query")
    edit_arrays(run, record, lambda arrays: arrays.pop("per_query:mAP@all"))
    refused(cli, run, boards, record.id, "mAP@all per query")


@pytest.mark.parametrize(
    "codes", [None, np.zeros((3, 5), np.uint8), np.zeros(3, np.uint8), np.zeros((3, 1)), np.array(["a", "b"])]
)
def test_arrays_that_are_no_codes(damaged, cli, codes):
    run, boards = damaged
    record = first_of(run, "pcah")
    edit_arrays(run, record, lambda arrays: arrays.update(query_codes=codes), true_checksums=False)
    refused(cli, run, boards, record.id, "query_codes")


def test_codes_of_another_number_of_items(damaged, cli):
    run, boards = damaged
    record = first_of(run, "pcah")
    edit_arrays(run, record, lambda arrays: arrays.update(database_codes=arrays["database_codes"][:5]))
    refused(cli, run, boards, record.id, "database_labels has shape")


def test_bits_beyond_the_code_length(tmp_path, cli):
    out = tmp_path / "run"
    assert cli("run", "--methods", "pcah", "--bits", "12", "--out", out).returncode == 0
    publish([Store(out)], tmp_path / "boards")
    run = Store(out)
    record = first_of(run, "pcah")

    def widen(arrays):
        arrays["query_codes"][0, 1] |= 1

    edit_arrays(run, record, widen)
    refused(cli, run, tmp_path / "boards", record.id, "has bit 15 set")


def test_damaged_arrays(damaged, cli):
    run, boards = damaged
    record = first_of(run, "itq")
    path = run.arrays_path(record.id)
    path.write_bytes(path.read_bytes()[:-200])
    refused(cli, run, boards, path.name, "is damaged")


def test_labels_of_two_runs_that_differ(damaged, board_run, tmp_path, cli):
    run, boards = damaged
    other = part_of(board_run, tmp_path / "other", lambda record: record.config["method"] == "lsh")
    path = other.labels_path(first_of(other, "lsh").config["data"])
    arrays = dict(np.load(path))
    arrays["query"] = arrays["query"][::-1]
    np.savez(path, **arrays)
    before = snapshot(boards)
    one_clear_line(cli("publish", run.directory, other.directory, "--to", boards), path.name, "is not as in")
    assert snapshot(boards) == before


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda values: values["timings"].update(fit_s=-1.0), "fit_s would be"),
        (lambda values: values.update(date="2026-99-99"), "date would be '2026-99-99'"),
        (lambda values: values.update(provenance="x" * 5000), "data_provenance would be"),
    ],
)
def test_what_cannot_stand_in_a_row(damaged, cli, change, words):
    run, boards = damaged
    path = edit_record(run, first_of(run, "pcah"), change)
    refused(cli, run, boards, path.name, words)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (float("nan"), "it is no JSON"),  # which has no NaN
        (2.5, "Expected `float` <= 1.0 - at `metrics[...]`"),
        (-0.1, "Expected `float` >= 0.0 - at `metrics[...]`"),
        ("0.5", "Expected `float`, got `str` - at `metrics[...]`"),
        (None, "Expected `float`, got `null` - at `metrics[...]`"),
        (True, "Expected `float`, got `bool` - at `metrics[...]`"),
        pytest.param(10**400, "Number out of range - at `metrics[...]`", id="huge"),
    ],
)
def test_a_metric_out_of_range_is_no_record(damaged, cli, value, words):
    run, boards = damaged
    path = edit_record(run, first_of(run, "pcah"), metric(value))
    done = cli("publish", run.directory, "--to", boards)
    assert done.returncode == 0, done.stderr
    (line,) = (line for line in done.stderr.splitlines() if f"{path} is passed over: " in line)
    assert words in line
