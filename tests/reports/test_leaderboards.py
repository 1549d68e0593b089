"""Leaderboards as files: what is valid, and whether the rows are of the code here."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from boards import rows_of, snapshot
from conftest import one_clear_line

from hashbench import InputError
from hashbench.evaluation.statistics import Comparison
from hashbench.plugins.registry import Registry
from hashbench.records.store import Store
from hashbench.reports.leaderboards import cell_values, csv_files
from hashbench.reports.leaderboards import columns as columns_module
from hashbench.reports.leaderboards.cell_values import are_seeds, is_count, is_metric, label_of
from hashbench.reports.leaderboards.checks import problems_in, problems_of, read_rows, stale_rows
from hashbench.reports.leaderboards.columns import HEAD, TAIL, Column, columns, key_of, of_metric
from hashbench.reports.leaderboards.dictionary import dictionary
from hashbench.reports.leaderboards.publish import publish
from hashbench.results.rows import Row, Score

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def published(board_run, tmp_path_factory):
    """Return a leaderboard."""
    to = tmp_path_factory.mktemp("published")
    publish([Store(board_run)], to)
    return to / "digits.csv"


@pytest.fixture
def copied(published, tmp_path):
    """Return a copy of a leaderboard, with the files next to it."""
    for path in published.parent.glob("*.*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path / "digits.csv"


def test_the_readme_explains_the_columns():
    path = ROOT / "leaderboards" / "README.md"
    assert path.read_text() == dictionary(path.parent), f"python -m hashbench.reports.leaderboards.dictionary > {path}"
    assert all(f"| `{column.name}` | {column.meaning} |" in path.read_text() for column in (*HEAD, *TAIL))


def _edit(path, old, new, count=1):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, count))


def _cell(path, name, value, line=0):
    """Put a value in a cell; the file keeps its form."""
    rows = rows_of(path)
    rows[line][name] = value
    _write(path, rows)


def _write(path, rows):
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _json(path, name, change):
    values = json.loads((path.parent / name).read_text())
    change(values)
    (path.parent / name).write_text(json.dumps(values))


def _conflict(path):
    head, *rows = path.read_text().splitlines()
    path.write_text("\n".join([head, "<<<<<<< HEAD", *rows[:1], "=======", *rows[1:], ">>>>>>> theirs", ""]))


EDITS = [
    (lambda p: p.write_text(""), "lacks the columns"),
    (lambda p: p.write_text(p.read_text().splitlines()[0] + "\n"), "has no row"),
    (lambda p: p.write_bytes(p.read_bytes()[:-9] + b"\xff"), "is not UTF-8"),
    (lambda p: p.write_text(p.read_text() + '"'), "is no CSV file"),
    (lambda p: _edit(p, "digits,digits/1", "digit,digits/1"), "dataset is 'digit'"),
    (lambda p: _edit(p, "mAP@all std", "mean average"), "lacks the columns mAP@all std"),
    (lambda p: _edit(p, "P@100,", "Q@100,"), "unknown metric 'Q@100'"),
    (lambda p: _edit(p, "n_bits,n_seeds", "n_seeds,n_bits"), "columns in another order"),
    (lambda p: _edit(p, "dataset,", "dataset,dataset,"), "column 'dataset' twice"),
    (lambda p: _edit(p, ",False,", ",False,extra,"), "another number of fields"),
    (lambda p: p.write_text(p.read_text() + p.read_text().splitlines()[-1] + "\n"), "repeats line"),
    (lambda p: _write(p, rows_of(p)[::-1]), "order"),
    (lambda p: p.write_text(p.read_text().replace(",", ";")), "parted by semicolons, as some spreadsheets save them"),
    (lambda p: p.write_text(p.read_text().replace(",", "\t")), "parted by tabs"),
    (lambda p: _conflict(p), "marks of a git conflict in line 2; take one side whole (git checkout --ours"),
    (lambda p: _cell(p, "mAP@all", "7.5"), "expected a number from 0 to 1"),
    (lambda p: _cell(p, "mAP@all", "nan"), "expected a number from 0 to 1"),
    (lambda p: _cell(p, "mAP@all", ""), "mAP@all is empty, and what belongs to it is not"),
    (lambda p: _cell(p, "mAP@all low", "0.99999"), "with the interval from 0.99999"),
    (lambda p: _cell(p, "mAP@all high", ""), "to nothing"),
    (lambda p: _cell(p, "mAP@all high", "inf"), "expected a number, or nothing"),
    (lambda p: _cell(p, "fit_s", "1e+999"), "fit_s is '1e+999', expected a number"),
    (lambda p: _cell(p, "mAP@all verdict", "good"), "expected best"),
    (lambda p: _cell(p, "mAP@all verdict", ""), "verdicts that contradict"),
    (lambda p: [_cell(p, "mAP@all verdict", "best", line) for line in (0, 1)], "verdicts that contradict"),
    (lambda p: [_cell(p, "mAP@all verdict", "separable", line) for line in range(4)], "verdicts that contradict"),
    (lambda p: _cell(p, "n_bits", "²"), "n_bits is '²', expected a whole number"),
    (lambda p: _cell(p, "n_bits", "٨"), "n_bits is '٨', expected a whole number"),
    (lambda p: _cell(p, "n_bits", "0008"), "n_bits is '0008', expected a whole number"),
    (lambda p: _cell(p, "n_bits", "9" * 5000), "n_bits is '9999"),
    (lambda p: _cell(p, "n_bits", "0"), "n_bits is '0'"),
    (lambda p: _cell(p, "n_seeds", "2"), "n_seeds is 2 with the seeds 0 1 2"),
    (lambda p: _cell(p, "seeds", "0 0 2"), "seeds is '0 0 2'"),
    (lambda p: _cell(p, "date", "2026-02-30"), "expected a day"),
    (lambda p: _cell(p, "source", "0"), "expected 16 hex digits"),
    (lambda p: _cell(p, "method", "=cmd|x"), "method is '=cmd|x'"),
    (lambda p: _cell(p, "dataset", "@SUM(1)"), "dataset is '@SUM(1)'"),
    (lambda p: _cell(p, "cpu", "=1+1"), "cpu is '=1+1'"),
    (lambda p: _cell(p, "method", "sph"), "its params are those of 'itq'"),
    (lambda p: _cell(p, "params", "0" * 16), "is not in methods.json"),
    (lambda p: _cell(p, "features", "0" * 16), "is not in features.json"),
    (lambda p: _cell(p, "views", "0" * 16), "views 0000000000000000 is not in features.json"),
    (lambda p: (p.parent / "methods.json").unlink(), "is not in methods.json"),
    (lambda p: (p.parent / "features.json").write_text("["), "features.json next to it cannot be used"),
    (lambda p: (p.parent / "features.json").write_text("[" * 99999), "features.json next to it cannot be used"),
    (lambda p: (p.parent / "features.json").write_text("[]"), "Expected `object`, got `array`"),
    (lambda p: _json(p, "features.json", lambda v: next(iter(v.values())).update(x=1)), "not its entry's hash"),
    (
        lambda p: _json(p, "methods.json", lambda v: v.update({"0" * 16: {"method": "x", "params": {}}})),
        "not its entry's hash",
    ),
    (lambda p: _json(p, "methods.json", lambda v: v.update({key_of(5): 5})), "Expected `object`, got `int`"),
]


@pytest.mark.parametrize(("edit", "problem"), EDITS, ids=[problem[:40] for _, problem in EDITS])
def test_edited_leaderboards_are_not_valid(copied, board_run, cli, edit, problem):
    assert problems_of(copied) == []
    edit(copied)
    assert any(problem in line for line in problems_of(copied)), problems_of(copied)
    done = cli("validate", copied)
    one_clear_line(done, "1 of 1 leaderboards")
    assert problem in done.stdout
    before = snapshot(copied.parent)
    with pytest.raises(InputError, match=r"digits\.csv is not a valid leaderboard"):
        publish([Store(board_run)], copied.parent)
    assert snapshot(copied.parent) == before


@pytest.mark.parametrize(
    ("save", "problem"),
    [
        (lambda content: content.replace(b"\n", b"\r\n"), "CRLF, as git writes them with core.autocrlf"),
        (lambda content: b"\xef\xbb\xbf" + content, "begins with a byte order mark"),
        (lambda content: b"\xef\xbb\xbf" + content.replace(b"\n", b"\r\n"), "begins with a byte order mark"),
        (lambda content: content.replace(b"itq,", b'"itq",'), "cells quoted as another program saves them"),
    ],
)
def test_a_board_that_another_program_has_saved_is_named_and_publishing_again_repairs_it(
    copied, board_run, cli, save, problem
):
    content = copied.read_bytes()
    copied.write_bytes(save(content))
    (said,) = problems_of(copied)
    assert problem in said
    assert said.endswith("publish again")
    assert problem in cli("validate", copied).stdout
    one_clear_line(cli("show", copied), problem)
    assert cli("publish", board_run, "--to", copied.parent).returncode == 0
    assert copied.read_bytes() == content


def test_json_files_that_another_program_has_saved_are_read(copied):
    for path in copied.parent.glob("*.json"):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert problems_of(copied) == []


def test_validate_speaks_plainly(copied, cli):
    done = cli("validate", copied, "--code")
    assert (done.returncode, done.stdout) == (0, f"{copied}: ok\n")
    one_clear_line(cli("validate", copied.parent / "gone.csv"), "1 of 1 leaderboards")
    one_clear_line(cli("validate", copied.parent), "1 of 1 leaderboards")


def test_rows_of_other_code_are_named(copied, cli):
    source = next(row["source"] for row in rows_of(copied) if row["method"] == "lsh")
    _edit(copied, source, "0" * 16)
    assert cli("validate", copied).returncode == 0
    done = cli("validate", copied, "--code")
    one_clear_line(done, "not valid or not of the code here")
    assert "line 4: lsh at 8 bits is of other code than is here; run it again and publish" in done.stdout
    _edit(copied, "0" * 16, source)
    _cell(copied, "engine", "99")
    stale, unknown = stale_rows(copied, Registry())
    assert ([line.partition(" is of")[0] for line in stale], unknown) == (["line 2: itq at 8 bits"], [])


def test_a_missing_method_is_reported(copied, cli):
    methods = {"method": "theirs", "params": {}}
    _json(copied, "methods.json", lambda values: values.update({key_of(methods): methods}))
    rows = [{**row, "method": "theirs", "params": key_of(methods)} for row in rows_of(copied) if row["method"] == "lsh"]
    _write(copied, [{**row, **{name: "" for name in row if name.endswith(" verdict")}} for row in rows])
    done = cli("validate", copied, "--code")
    assert done.returncode == 0, done.stdout
    assert "line 2: theirs at 8 bits: the method is not here" in done.stdout


def test_an_interval_below_zero_stays_a_number():
    low = Comparison("best", "", 0.01, (-0.0123, 0.03), 0.0, (0.0, 0.0), 0.0, 1.0, 1.0)
    column = next(column for column in of_metric("mAP@all") if column.name == "mAP@all low")
    row = Row("itq", {}, 8, scores={"mAP@all": Score.over_seeds([0.01, 0.03], low)})
    assert column.text(row) == "-0.01230"
    assert column.fits("-0.01230")


@pytest.mark.parametrize(
    ("params", "label"),
    [
        ({"a": 1, "b": "x"}, "m"),
        ({"b": "y", "a": 2}, "m[a=2,b=y]"),
        ({"b": "a b,c"}, "m[b='a b,c']"),
        ({"b": "=1"}, "m[b='=1']"),
        ({"b": None, "c": [1, 2.5]}, "m[b=None,c=[1,2.5]]"),
        ({"a": 1.0, "b": "2"}, "m[b='2']"),
    ],
)
def test_labels_hold_what_differs_from_the_defaults(params, label):
    assert label_of("m", params, {"a": 1, "b": "x"}) == label


def _deviation_problem(path, mean, deviation, n_seeds):
    """Return what is said of the deviation of a row with so many seeds."""
    _cell(path, "mAP@all", f"{mean:.5f}")
    _cell(path, "mAP@all std", f"{deviation:.5f}")
    _cell(path, "n_seeds", str(n_seeds))
    _cell(path, "seeds", " ".join(map(str, range(n_seeds))))
    _cell(path, "mAP@all low", "")
    _cell(path, "mAP@all high", "")
    problems = [problem for problem in problems_of(path) if "n_seeds" in problem or "at most" in problem]
    return "".join(problems)


@pytest.mark.parametrize("n_seeds", [2, 5, 10, 30])
@pytest.mark.parametrize("total", [4.9e-5, 3e-4, 0.05, 0.7, 1, 1.2, 1.999])
def test_whatever_deviation_seeds_can_have_is_valid(copied, n_seeds, total):
    scores = np.zeros(n_seeds)
    scores[: int(total)], scores[int(total)] = 1, total % 1  # no other scores of this sum deviate more
    for one in (scores, 1 - scores):
        assert _deviation_problem(copied, one.mean(), one.std(ddof=1), n_seeds) == ""


@pytest.mark.parametrize(
    ("mean", "deviation", "n_seeds"),
    [(0, 0.00003, 10), (1, 0.00003, 10), (0.0001, 0.00034, 10), (0.5, 0.70712, 2), (0.4, 0.5, 100)],
)
def test_deviations_that_no_seeds_can_have_are_not_valid(copied, mean, deviation, n_seeds):
    assert "it can be at most" in _deviation_problem(copied, mean, deviation, n_seeds)


def test_metrics_stand_in_the_order_of_their_cut_offs():
    names = [column.name for column in columns(["mAP@1000", "mAP@all", "P@r2", "mAP@50"])]
    assert [name for name in names if "@" in name and " " not in name] == ["P@r2", "mAP@50", "mAP@1000", "mAP@all"]


def test_what_counts_in_cells():
    assert [are_seeds(text) for text in ("", "none", "0", "3 10", "10 3", "01", "0  1", "²")] == [True] * 4 + [
        False
    ] * 4
    assert [is_count(text) for text in ("1", "128", "0", "01", "+1", "1_0", "")] == [True] * 2 + [False] * 5
    assert [is_metric(text) for text in ("mAP@all", "P@100", "mAP@010", "mAP@all std", "x")] == [True] * 2 + [False] * 3


def test_no_row_is_no_leaderboard():
    assert problems_in(b"", "digits", csv_files.Entries())[0].startswith("lacks the columns")


def test_an_older_board_may_lack_a_column_that_came_later(copied, board_run):
    rows = rows_of(copied)
    assert {row["method"]: row["portable"] for row in rows} == dict.fromkeys(
        ("itq", "itq[n_iter=3]", "lsh", "pcah"), "yes"
    )
    names = [name for name in rows[0] if name != "portable"]
    with copied.open("w", newline="") as file:
        writer = csv.DictWriter(file, names, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    assert problems_of(copied) == []
    assert [row["portable"] for row in read_rows(copied)] == [""] * len(rows)
    publish([Store(board_run)], copied.parent)
    assert rows_of(copied) == rows


def test_a_new_column_leaves_older_boards_valid(copied, cli, monkeypatch):
    new = Column("room_c", "Temperature of the room", lambda row: "21", cell_values.is_amount, "a number", default="20")
    of_metric = columns_module.of_metric
    monkeypatch.setattr(columns_module, "TAIL", (new, *columns_module.TAIL))
    more = Column("p", "p value", lambda row: "0.5", cell_values.is_number, "a number, or nothing", default="")
    monkeypatch.setattr(columns_module, "of_metric", lambda name: (*of_metric(name), replace(more, name=f"{name} p")))
    before = rows_of(copied)
    assert problems_of(copied) == []
    assert {row["room_c"] for row in read_rows(copied)} == {"20"}
    assert {row["mAP@all p"] for row in read_rows(copied)} == {""}
    done = cli("validate", copied)
    assert done.returncode == 0, done.stderr
    assert "it is of an older version and lacks columns, which are filled in: " in done.stdout
    assert "mAP@all p (empty)" in done.stdout
    assert "room_c (read as 20)" in done.stdout
    assert rows_of(copied) == before


def test_a_board_with_all_columns_needs_no_note(copied, cli):
    assert cli("validate", copied).stdout == f"{copied}: ok\n"
