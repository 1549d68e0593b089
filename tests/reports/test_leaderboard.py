"""Leaderboards: merged from records, sorted, validated, never edited by hand."""

import dataclasses

import pandas as pd
import pytest
from conftest import one_clear_line

from hashbench import InputError
from hashbench.reports.leaderboard import publish, read, validate
from hashbench.runs.store import Store


@pytest.fixture(scope="module")
def records(tmp_path_factory, cli):
    out = tmp_path_factory.mktemp("run")
    done = cli("run", "--methods", "itq,lsh,itq[n_iter=3]", "--bits", "16,8", "--seeds", "0,1,2", "--out", out)
    assert done.returncode == 0, done.stderr
    return out, list(Store(out))


def test_a_row_is_one_method_over_its_seeds(records, tmp_path):
    _, found = records
    ((path, rows, notes),) = publish(found, tmp_path)
    assert (path.name, rows, notes) == ("digits.csv", 6, [])
    frame = pd.read_csv(path)
    assert frame["n_bits"].tolist() == [8, 8, 8, 16, 16, 16]
    assert (frame["n_seeds"] == 3).all()
    lsh = [r.metrics["mAP@all"] for r in found if r.config["method"] == "lsh" and r.config["n_bits"] == 8]
    row = frame[(frame["method"] == "lsh") & (frame["n_bits"] == 8)].iloc[0]
    assert row["mAP@all"] == pytest.approx(pd.Series(lsh).mean(), abs=1e-5)
    assert row["mAP@all std"] == pytest.approx(pd.Series(lsh).std(), abs=1e-5)
    assert validate(path) == []


def test_publishing_twice_changes_nothing(records, tmp_path, cli):
    out, found = records
    publish(found[::-1], tmp_path)
    first = (tmp_path / "digits.csv").read_bytes()
    assert cli("publish", out, "--to", tmp_path).returncode == 0
    assert (tmp_path / "digits.csv").read_bytes() == first
    publish([r for r in found if r.config["method"] == "lsh"], tmp_path)
    assert (tmp_path / "digits.csv").read_bytes() == first


def test_fewer_seeds_do_not_replace_more(records, tmp_path):
    _, found = records
    publish(found, tmp_path)
    first = (tmp_path / "digits.csv").read_bytes()
    ((_, _, notes),) = publish([r for r in found if r.config["seed"] == 0], tmp_path)
    assert len(notes) == 6
    assert "3 seeds against 1" in notes[0]
    assert (tmp_path / "digits.csv").read_bytes() == first


def test_a_formula_is_neutralised(records, tmp_path):
    _, found = records
    evil = dataclasses.replace(found[0], provenance="=HYPERLINK(1)")
    publish([evil], tmp_path)
    assert read(tmp_path / "digits.csv")[0]["data_provenance"] == "'=HYPERLINK(1)"


def _edit(path, old, new, count=1):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, count))


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        (lambda p: p.write_text(""), "lacks the columns"),
        (lambda p: p.write_text(p.read_text().splitlines()[0] + "\n"), "has no row"),
        (lambda p: _edit(p, "digits,digits/1", "digit,digits/1"), "dataset is 'digit'"),
        (lambda p: _edit(p, "mAP@all std", "mean average"), "canonical"),
        (lambda p: _edit(p, "P@100,", "Q@100,"), "unknown metric"),
        (lambda p: _edit(p, ",0.", ",7."), "expected a number from 0 to 1"),
        (lambda p: _edit(p, ",8,3,", ",x,3,"), "n_bits is 'x'"),
        (lambda p: _edit(p, ",False,", ",False,extra,"), "another number of fields"),
        (lambda p: p.write_text(p.read_text() + p.read_text().splitlines()[-1] + "\n"), "repeats line"),
        (
            lambda p: p.write_text(
                "\n".join([*p.read_text().splitlines()[:1], *p.read_text().splitlines()[:0:-1], ""])
            ),
            "order",
        ),
    ],
)
def test_edited_leaderboards_are_not_valid(records, tmp_path, edit, problem):
    _, found = records
    publish(found, tmp_path)
    path = tmp_path / "digits.csv"
    edit(path)
    assert any(problem in line for line in validate(path)), validate(path)
    with pytest.raises(InputError, match="not a valid leaderboard"):
        publish(found, tmp_path)


def test_the_commands_speak_plainly(records, tmp_path, cli):
    out, found = records
    one_clear_line(cli("publish", tmp_path), "holds no records that can be used")
    one_clear_line(cli("publish", tmp_path / "gone"), "holds no records that can be used")
    one_clear_line(cli("publish", out, "--to", "/proc/nowhere"), "--to /proc/nowhere")
    publish(found, tmp_path)
    assert cli("validate", tmp_path / "digits.csv").returncode == 0
    _edit(tmp_path / "digits.csv", ",8,3,", ",8,0,")
    one_clear_line(cli("validate", tmp_path / "digits.csv"), "1 of 1 leaderboards")
    one_clear_line(cli("validate", tmp_path / "gone.csv"), "1 of 1 leaderboards")
