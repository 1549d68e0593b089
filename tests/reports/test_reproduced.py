"""Rows of a run made on another processor: equal, within the stated spread, beyond it, or not to be compared."""

import json

import pytest
from boards import edit_record, part_of, rows_of
from conftest import one_clear_line

from hashbench.records.store import Store
from hashbench.reports.bundles.pack import bundle
from hashbench.reports.leaderboards.publish import publish
from hashbench.reports.leaderboards.reproduced import DEFAULT, SPREAD, compare_with_board


@pytest.fixture
def board(board_run, tmp_path):
    publish([Store(board_run)], tmp_path / "boards")
    return tmp_path / "boards" / "digits.csv"


def moved(row, metric, by):
    return {**row, metric: f"{float(row[metric]) + by:.5f}", "codes": "1" * 16}


def state(board, spread, measured="two processors, three seeds"):
    (board.parent / SPREAD).write_text(json.dumps({board.stem: {"measured": measured, "spread": spread}}))


def test_the_run_of_a_board_equals_it(board_run, tmp_path, board, cli):
    n_rows = len(rows_of(board))
    done = cli("validate", board, "--against", board_run)
    assert done.returncode == 0, done.stderr
    assert f"{n_rows} rows compared with {board}: {n_rows} equal, 0 within the spread, 0 beyond it" in done.stdout
    assert "lsh at 8 bits: equal codes and numbers" in done.stdout
    assert f"spread between processors: not measured for this leaderboard; {DEFAULT} by default" in done.stdout


def test_a_bundle_is_compared_as_a_run_is(board_run, tmp_path, board, cli):
    part = part_of(board_run, tmp_path / "part", lambda record: record.label == "pcah")
    bundle(part, tmp_path / "part.zip")
    done = cli("validate", board, "--against", tmp_path / "part.zip")
    assert done.returncode == 0, done.stderr
    assert "2 rows compared" in done.stdout
    assert "2 equal" in done.stdout


def test_differences_are_held_against_the_spread_of_method_and_metric(board):
    state(board, {"*": {"mAP@100": 0.01}, "lsh": {"mAP@100": 0.001}, "itq[n_iter=3]": {"mAP@100": 0.03}})
    rows = {(row["method"], row["n_bits"]): row for row in rows_of(board)}
    made = [
        moved(rows["lsh", "8"], "mAP@100", 0.001),
        moved(rows["lsh", "16"], "mAP@100", -0.00101),
        moved(rows["pcah", "8"], "mAP@100", -0.01),
        moved(rows["pcah", "16"], "mAP@100", 0.01001),
        moved(rows["itq[n_iter=3]", "8"], "mAP@100", 0.03),
        moved(rows["itq[n_iter=3]", "16"], "mAP@all", DEFAULT + 0.00001),
    ]
    found = compare_with_board(board, made)
    assert [line.partition(":")[0] for line in found.within] == [
        "lsh at 8 bits",
        "pcah at 8 bits",
        "itq[n_iter=3] at 8 bits",
    ]
    assert [line.partition(":")[0] for line in found.beyond] == [
        "lsh at 16 bits",
        "pcah at 16 bits",
        "itq[n_iter=3] at 16 bits",
    ]
    assert "mAP@100 +0.00100 (spread 0.001)" in found.within[0]
    assert f"mAP@all +{DEFAULT + 0.00001:.5f} (spread {DEFAULT})" in found.beyond[2]
    assert found.measured == "two processors, three seeds"
    assert not found.equal
    assert not found.passed_over


def test_equal_numbers_of_other_codes_are_not_called_equal_codes(board):
    row = rows_of(board)[0]
    assert compare_with_board(board, [{**row, "codes": "1" * 16}]).equal[0].endswith("bits: equal numbers")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seeds": "0"}, "seeds is 0, the leaderboard has 0 1 2; its first seed has equal codes"),
        ({"seeds": "1"}, "not compared, seeds is 1, the leaderboard has 0 1 2"),
        ({"source": "1" * 16, "codes": "1" * 16}, "not compared, source is 1111111111111111, the leaderboard has"),
        ({"features": "1" * 16}, "the leaderboard's row has another features"),
        ({"data": "1" * 16, "protocol_hash": "1" * 16}, "another data and protocol_hash"),
        ({"n_bits": "7"}, "the leaderboard has no such row"),
        ({"method": "another"}, "the leaderboard has no such row"),
    ],
)
def test_what_cannot_be_compared_is_said(board, change, words):
    row = next(row for row in rows_of(board) if row["method"] == "lsh")
    found = compare_with_board(board, [{**row, **change}])
    assert (found.equal, found.within, found.beyond) == ([], [], [])
    assert words in found.passed_over[0]
    assert words.startswith("seeds is 0") == ("equal codes" in found.passed_over[0])


def test_a_run_beyond_the_spread_fails(board_run, tmp_path, board, cli):
    text, row = board.read_text(), next(row for row in rows_of(board) if row["method"] == "pcah")
    board.write_text(text.replace(row["mAP@100"], f"{float(row['mAP@100']) - 0.02:.5f}"))
    state(board, {"*": {"mAP@100": 0.0199}})
    done = cli("validate", board, "--against", board_run)
    one_clear_line(done, "1 of", f"rows of {board_run} differ from {board} by more than the spread between processors")
    assert "1 beyond it" in done.stdout
    (line,) = [line for line in done.stdout.splitlines() if "mAP@100 +0.02000 (spread 0.0199)" in line]
    assert line.startswith(f"  {row['method']} at {row['n_bits']} bits: ")
    state(board, {"*": {"mAP@100": 0.02}})
    assert cli("validate", board, "--against", board_run).returncode == 0


def test_what_is_asked_wrongly_gets_one_line(board_run, tmp_path, board, cli):
    one_clear_line(cli("validate", "--against", board_run), "name leaderboard files")
    one_clear_line(cli("validate", board, board, "--against", board_run), "one leaderboard, 2 are named")
    one_clear_line(cli("validate", board, "--against", tmp_path / "nothing"), "nothing")
    other = part_of(board_run, tmp_path / "other", lambda record: record.label == "pcah")
    for record in list(other):
        edit_record(other, record, lambda values: values["config"]["features"].update(precision="bf16-mixed"))
    done = cli("validate", board, "--against", other.directory)
    one_clear_line(done, "has no row that can be compared", "pcah at", "the leaderboard's row has another features")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "it is no JSON"),
        ("[]", "Expected `object`, got `array`"),
        ('{"digits": {"spread": {}}}', "missing required field `measured`"),
        ('{"digits": {"measured": "x", "spread": {"*": {"mAP@100": -1}}}}', ">= 0"),
        ('{"digits": {"measured": "x", "spread": {}, "more": 1}}', "unknown field `more`"),
        ('{"digits": {"measured": "two\\nlines", "spread": {}}}', "a line of printable characters"),
        ('{"digits": {"measured": "x", "spread": {"*": {"mAP@100": NaN}}}}', "NaN is no number"),
    ],
)
def test_a_damaged_file_of_spreads_is_one_line(board_run, board, cli, content, words):
    (board.parent / SPREAD).write_text(content)
    one_clear_line(cli("validate", board, "--against", board_run), str(board.parent / SPREAD), words)
