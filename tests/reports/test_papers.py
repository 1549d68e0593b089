"""Tables to paste: what is bold, what is marked, from a run as from its leaderboard, and names that do no harm."""

import csv
import io
import re

import pytest
from conftest import one_clear_line
from made_records import made_record
from made_runs import made_run
from rich.console import Console

from hashbench import InputError, show
from hashbench.records.store import Store
from hashbench.reports.leaderboards.publish import publish
from hashbench.reports.papers.formats import LATEX, print_grids, to_csv, to_latex, to_markdown
from hashbench.reports.papers.grid import Grid, Score
from hashbench.reports.papers.sources import grids_of

ROUNDED = 5.001e-6
"""Half of a leaderboard's last digit, and what floating point adds."""
FORMATS = ("rich", "markdown", "latex", "csv")
HOSTILE = (
    "<script>alert(1)</script>",
    "=cmd|' /C calc'!A0",
    "@SUM(1+1)",
    'one "two", three; four',
    "a & b_c # 5% $x$ {y} ^z ~ \\input{/etc/passwd}",
    "\u202eturned\u202c \u200f\u2066held",
    "two\nlines\r\n| three |",
    "\x1b[31mred",
    "[link](javascript:alert(1)) ![image](x) `code` **bold**",
)


def grid(**scores):
    return Grid("toy", "toy/1", "pixels", "mAP@all", scores)


TABLE = grid(
    a={16: Score(0.5, 0.01, 5, verdict="not separable"), 32: Score(0.7, 0.02, 5, verdict="best")},
    b={16: Score(0.51, 0.02, 5, verdict="best"), 32: Score(0.6, None, 1, verdict="separable")},
    c={16: Score(0.2, None, 1, verdict="separable")},
)


@pytest.fixture(scope="module")
def published(board_run, tmp_path_factory):
    to = tmp_path_factory.mktemp("papers")
    publish([Store(board_run)], to)
    return to / "digits.csv"


def test_markdown():
    assert to_markdown([TABLE]).splitlines()[2:7] == [
        "| method | 16 bits | 32 bits |",
        "|---|---:|---:|",
        r"| a | 0.5000 ± 0.0100\* | **0.7000** ± 0.0200 |",
        "| b | **0.5100** ± 0.0200 | 0.6000 |",
        "| c | 0.2000 | – |",
    ]


def test_latex():
    text = to_latex([TABLE])
    assert r"a & 0.5000 $\pm$ 0.0100$^{*}$ & \textbf{0.7000} $\pm$ 0.0200 \\" in text
    assert r"c & 0.2000 & -- \\" in text
    assert re.findall(r"\\(\w+rule)", text) == ["toprule", "midrule", "bottomrule"]
    assert text.count("{") == text.count("}")


def test_csv_has_a_line_for_each_score():
    rows = list(csv.DictReader(io.StringIO(to_csv([TABLE]))))
    assert [(row["method"], row["n_bits"], row["mean"], row["std"]) for row in rows] == [
        ("a", "16", "0.5", "0.01"),
        ("a", "32", "0.7", "0.02"),
        ("b", "16", "0.51", "0.02"),
        ("b", "32", "0.6", ""),
        ("c", "16", "0.2", ""),
    ]


def test_of_a_mean_over_another_number_of_seeds_the_note_names_the_row():
    mixed = grid(
        a={16: Score(0.5, 0.01, 5), 32: Score(0.7, 0.02, 2), 64: Score(0.7, 0.02, 2)},
        b={16: Score(0.51, 0.02, 5), 32: Score(0.6, 0.02, 5), 64: Score(0.6, 0.02, 5)},
        d={16: Score(0.4, 0.02, 3)},
        c={16: Score(0.2, None, 1)},
    )
    assert mixed.notes[1] == "Mean ± standard deviation over 5 seeds; over 2: a (32, 64 bits); over 3: d."
    assert not any("seeds" in note for note in grid(c={16: Score(0.2, None, 1)}).notes)


def test_nothing_is_marked_where_the_best_is_not_in_the_table():
    without = grid(a=TABLE.scores["a"], c=TABLE.scores["c"])
    assert not without.is_as_good("a", 16)
    assert without.is_best("a", 16)
    assert without.notes[-1] == "Where no verdict is at hand, nothing is marked."
    assert TABLE.notes[-1].startswith("Mean ± standard deviation over 5 seeds")


def test_a_run_and_its_leaderboard_show_the_same(board_run, published):
    ours = {(one.metric, *key): score for one in grids_of(board_run) for key, score in flat(one)}
    theirs = {(one.metric, *key): score for one in grids_of(published) for key, score in flat(one)}
    assert ours.keys() == theirs.keys()
    assert len(ours) == 16
    for key, score in ours.items():
        assert theirs[key].mean == pytest.approx(score.mean, rel=0, abs=ROUNDED)
        assert theirs[key].std == (None if score.std is None else pytest.approx(score.std, rel=0, abs=ROUNDED))
        assert (theirs[key].n_seeds, theirs[key].verdict) == (score.n_seeds, score.verdict)


def flat(one):
    return [((method, n_bits), score) for method, row in one.scores.items() for n_bits, score in row.items()]


@pytest.mark.parametrize("form", FORMATS)
def test_the_command_shows_what_is_asked_for_in_that_order(published, cli, form):
    done = cli("show", published, "--format", form, "--methods", "pcah,itq", "--bits", "8", "--metric", "P@100")
    assert done.returncode == 0, done.stderr
    assert 0 < done.stdout.index("pcah") < done.stdout.index("itq")
    assert "lsh" not in done.stdout
    assert "mAP" not in done.stdout
    assert not re.search(r"(?<![\d.])16(?!\d)", done.stdout)


def test_methods_and_lengths_without_a_common_score_are_reported(tmp_path, cli):
    store = Store(tmp_path)
    store.open_for_writing()
    for name, n_bits in (("itq", 16), ("lsh", 32)):
        record = made_record(name, n_bits=n_bits, metrics={"mAP@all": 0.5})
        store.write(record, {"per_query:mAP@all": [0.5]})
    refused = cli("show", tmp_path, "--methods", "itq", "--bits", "32")
    one_clear_line(refused, "--methods itq --bits 32: nothing was measured of both together")
    assert "lsh" in cli("show", tmp_path, "--methods", "itq,lsh", "--bits", "32").stdout


@pytest.mark.parametrize("name", HOSTILE)
def test_names_do_no_harm(name):
    grids = [Grid(name, name, name, "mAP@all", {name: {16: Score(0.5, None, 1)}, "itq": {16: Score(0.4, None, 1)}})]
    text = to_markdown(grids)
    assert "<" not in text
    (row,) = [line for line in text.splitlines() if line.endswith(" | **0.5000** |")]
    assert len(re.findall(r"(?<!\\)\|", row)) == 3
    assert not re.search(r"(?<!\\)[\[`_]", row)
    end = r" & \textbf{0.5000} \\"
    (shown,) = [line.removesuffix(end) for line in to_latex(grids).splitlines() if line.endswith(end)]
    for written in sorted(LATEX.values(), key=len, reverse=True):
        shown = shown.replace(written, "")
    assert not set(shown) & set(LATEX) - set("{}"), shown
    cells = next(row for row in csv.reader(io.StringIO(to_csv(grids))) if row[6] == "0.5")
    assert len(cells) == 10
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in cells)
    stream = io.StringIO()
    print_grids(grids, Console(file=stream, width=200))
    for shown in (text, to_latex(grids), to_csv(grids), stream.getvalue()):
        assert all(letter.isprintable() or letter == "\n" for letter in shown)


def test_a_run_of_hostile_names(tmp_path, cli):
    store = Store(tmp_path)
    store.open_for_writing()
    for name in HOSTILE[:5]:
        store.write(made_record(name, metrics={"mAP@all": 0.5}), {"per_query:mAP@all": [0.5]})
    for form in FORMATS:
        done = cli("show", tmp_path, "--format", form)
        assert done.returncode == 0, done.stderr
        assert "alert(1)" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], "nowhere is not there"),
        (["empty"], "holds no records"),
        (["failed"], "holds no record that ended well"),
        (["other.csv"], "is not a valid leaderboard: lacks the columns"),
        (["BOARD", "--format", "docx"], "--format docx: expected one of rich, markdown, latex, csv, html"),
        (["BOARD", "--methods", "itqq"], "did you mean 'itq'?"),
        (["BOARD", "--bits", "48"], "nothing was measured at 48 bits; there is 8, 16"),
        (["BOARD", "--bits", "x"], "--bits x"),
        (["BOARD", "--metric", "mAP@1"], "--metric mAP@1"),
    ],
)
def test_what_cannot_be_shown(published, tmp_path, monkeypatch, cli, arguments, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    failed = Store(tmp_path / "failed")
    failed.open_for_writing()
    failed.write(made_record("itq", status="failed", error="it broke"))
    (tmp_path / "other.csv").write_text("model,score\nx,1\n")
    one_clear_line(cli("show", *(published if one == "BOARD" else one for one in arguments)), words)


def test_scores_by_two_versions_of_the_metrics_are_two_tables(tmp_path):
    store = Store(tmp_path)
    store.open_for_writing()
    for engine, label in enumerate(("old", "new"), 1):
        store.write(made_record(label, metrics={"mAP@all": 0.5}, engine=engine), {"per_query:mAP@all": [0.5]})
    assert [list(grid.scores) for grid in grids_of(tmp_path)] == [["new"], ["old"]]


def test_tables_in_a_notebook_hold_no_markup_of_names(tmp_path):
    store = made_run(tmp_path, {"<script>alert(1)</script>&": (0.9, {}), "lsh": (0.1, {})})
    tables = show(store.directory)
    html = tables._repr_html_()
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&amp;" in html
    assert html.count("<table>") == len(tables.grids)
    assert "<b>" in html
    frame = tables.to_frame()
    assert len(frame) == sum(len(row) for grid in tables.grids for row in grid.scores.values())
    assert frame["mean"].dtype == float
    assert repr(tables).startswith(f"Tables('{tmp_path}', n_methods=2, metrics=['mAP@10', 'mAP@all'")
    with pytest.raises(InputError, match="nothing was measured of 'nobody'"):
        show(store.directory, methods="nobody")
