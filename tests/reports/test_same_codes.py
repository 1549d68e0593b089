"""Rows of changed code: kept where one seed gives the same codes, bit for bit."""

import pytest
from boards import edit_arrays, edit_record, first_of, part_of, rows_of, snapshot
from conftest import one_clear_line

from hashbench.records.store import Store
from hashbench.reports.leaderboards.checks import problems_of
from hashbench.reports.leaderboards.publish import publish

OLDER = "0" * 16


def of_older_code(path, *methods):
    """Let a leaderboard's rows of some methods be of other code than is here; return the rows before."""
    rows = rows_of(path)
    text = path.read_text()
    for source in {row["source"] for row in rows if row["method"].partition("[")[0] in methods}:
        text = text.replace(source, OLDER)
    path.write_text(text)
    return rows


@pytest.fixture
def boards(board_run, tmp_path):
    to = tmp_path / "boards"
    publish([Store(board_run)], to)
    return to


def first_seeds(record):
    return record.config["seed"] in (0, None)


def test_rows_keep_their_numbers_and_take_the_present_source(board_run, tmp_path, boards, cli):
    path = boards / "digits.csv"
    before = of_older_code(path, "itq", "pcah")
    again = part_of(board_run, tmp_path / "again", first_seeds)
    done = cli("publish", again.directory, "--same-codes", "--to", boards)
    assert done.returncode == 0, done.stderr
    assert "itq[n_iter=3] at 8 bits: the same codes; its row is kept" in done.stdout
    assert "lsh" not in done.stdout
    after = rows_of(path)
    for old, new in zip(before, after, strict=True):
        assert new["same_codes"] == ("" if old["method"] == "lsh" else "1")
        assert {**new, "same_codes": ""} == old
    assert problems_of(path) == []
    assert cli("validate", "--code", path).returncode == 0


def test_rows_of_other_codes_stay_as_they_are(board_run, tmp_path, boards, cli):
    path = boards / "digits.csv"
    of_older_code(path, "itq", "lsh")
    stale = rows_of(path)
    again = part_of(board_run, tmp_path / "again", first_seeds)
    changed = next(one for one in again if (one.label, one.config["n_bits"]) == ("lsh", 8))

    def turn_a_bit(arrays):
        arrays["database_codes"] = arrays["database_codes"] ^ 1

    edit_arrays(again, changed, turn_a_bit)
    done = cli("publish", again.directory, "--same-codes", "--to", boards)
    assert "lsh at 8 bits: other codes; its row is left as it is, publish the run to replace it" in done.stdout
    kept = {(row["method"], row["n_bits"]): row for row in rows_of(path)}
    for row in stale:
        if (row["method"], row["n_bits"]) == ("lsh", "8"):
            assert kept["lsh", "8"] == row
        elif row["source"] == OLDER:
            assert kept[row["method"], row["n_bits"]]["source"] != OLDER


def test_another_seed_or_other_parameters_are_not_compared(board_run, tmp_path, boards, cli):
    path = boards / "digits.csv"
    of_older_code(path, "lsh", "itq")
    before = snapshot(boards)
    others = part_of(board_run, tmp_path / "others", lambda record: record.config["seed"] == 1)
    one_clear_line(cli("publish", others.directory, "--same-codes", "--to", boards), "nothing to compare")
    features = part_of(board_run, tmp_path / "features", first_seeds)
    for record in list(features):
        edit_record(features, record, lambda values: values["config"]["features"].update(precision="bf16-mixed"))
    one_clear_line(cli("publish", features.directory, "--same-codes", "--to", boards), "nothing to compare")
    assert snapshot(boards) == before


def test_codes_that_a_record_does_not_have_are_refused(board_run, tmp_path, boards, cli):
    of_older_code(boards / "digits.csv", "lsh")
    before = snapshot(boards)
    again = part_of(board_run, tmp_path / "again", first_seeds)

    def turn_a_bit(arrays):
        arrays["query_codes"] = arrays["query_codes"] ^ 1

    edit_arrays(again, first_of(again, "lsh"), turn_a_bit, true_checksums=False)
    one_clear_line(cli("publish", again.directory, "--same-codes", "--to", boards), "the SHA-256 of its query_codes")
    assert snapshot(boards) == before


def test_rows_of_older_files_do_not_tell_their_codes(board_run, tmp_path, boards, cli):
    path = boards / "digits.csv"
    of_older_code(path, "lsh")
    lines = [line.split(",") for line in path.read_text().splitlines()]
    gone = {lines[0].index("codes"), lines[0].index("same_codes")}
    path.write_text("".join(",".join(c for i, c in enumerate(line) if i not in gone) + "\n" for line in lines))
    assert problems_of(path) == []
    again = part_of(board_run, tmp_path / "again", first_seeds)
    done = cli("publish", again.directory, "--same-codes", "--to", boards)
    assert "lsh at 16 bits: its row does not tell its codes; publish the run to replace it" in done.stdout


def test_codes_do_not_prove_what_real_valued_queries_score(tmp_path, cli):
    asked = ("run", "--methods", "pcah", "--bits", 8, "--distance", "asymmetric", "--backbone", "pixels")
    assert cli(*asked, "--out", tmp_path / "run").returncode == 0
    assert cli("publish", tmp_path / "run", "--to", tmp_path).returncode == 0
    of_older_code(tmp_path / "digits.csv", "pcah")
    done = cli("publish", tmp_path / "run", "--same-codes", "--to", tmp_path)
    assert "pcah at 8 bits: its row does not tell its codes; publish the run to replace it" in done.stdout
    assert [row["source"] for row in rows_of(tmp_path / "digits.csv")] == [OLDER]
