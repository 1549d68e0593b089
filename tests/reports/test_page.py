"""The report's page without a browser: what it says, what it holds, hostile names, bad input."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from boards import edit_record, rows_of
from conftest import one_clear_line
from made_records import made_record
from made_runs import HOSTILE, METRICS, made_run
from pages import Tags

from hashbench.files.hashing import canonical_hash
from hashbench.records.store import Store
from hashbench.reports.page.figures.all_figures import figures_of
from hashbench.reports.page.figures.figure import Figure
from hashbench.reports.page.figures.files import write_figures
from hashbench.reports.page.from_leaderboard import settings_of_leaderboard
from hashbench.reports.page.from_run import settings_of_run
from hashbench.reports.page.page import render
from hashbench.reports.page.report import report
from hashbench.reports.page.setting import Setting, shown
from hashbench.reports.page.summary import summaries
from hashbench.results.rows import Row, Score
from hashbench.results.verdicts import group_of, verdicts

TRAINING = [{"epoch": 1, "<b>loss": 2.0}, {"epoch": 2, "<b>loss": 1.0}, {"note": 1.0}]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return made_run(tmp_path_factory.mktemp("hostile") / "run", HOSTILE, method="m", training=TRAINING)


@pytest.fixture(scope="module")
def page(run, tmp_path_factory):
    out = tmp_path_factory.mktemp("page") / "report.html"
    assert report([run.directory], out, command="hashbench report </script>") == [out]
    return out.read_bytes()


def test_a_page_holds_all_that_it_needs(page):
    tags = Tags(page)
    assert len(page) < 2_000_000
    policy = next(attrs["content"] for tag, attrs in tags.tags if attrs.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")
    assert "unsafe-eval" not in policy
    assert not [attrs for _, attrs in tags.tags if "src" in attrs or attrs.get("href", "#")[:1] != "#"]
    assert [attrs["type"] for tag, attrs in tags.tags if tag == "script"] == ["application/json", "module", "module"]


def test_hostile_names_are_text(page):
    (setting,) = Tags(page).payload["settings"]
    assert set(setting["labels"]) == set(HOSTILE)
    assert b"<script>alert" not in page
    choices = {figure["choice"] for figure in setting["figures"] if figure["panel"] == "sensitivity"}
    assert choices
    assert all(
        text.isprintable() for text in (*choices, *(fact for line in setting["evidence"] for fact in line.values()))
    )


def test_every_figure_has_a_description_and_its_numbers(page):
    (setting,) = Tags(page).payload["settings"]
    assert {"by_bits", "cost", "pr", "precision", "classes", "map", "sensitivity", "training"} == {
        figure["panel"] for figure in setting["figures"]
    }
    for figure in setting["figures"]:
        assert len(figure["alt"]) > 30
        assert len({len(column) for column in figure["columns"].values()}) == 1


def test_training_curves_are_means_over_seeds(page):
    (setting,) = Tags(page).payload["settings"]
    (figure,) = (
        one for one in setting["figures"] if one["panel"] == "training" and one["choice"] == "=cmd|' /C calc'!A0"
    )
    assert figure["columns"]["name"] == ["8 bits"] * 2 + ["16 bits"] * 2
    assert figure["columns"]["y"] == [2.0, 1.0] * 2


def test_rows_are_those_of_the_records(run):
    (setting,) = settings_of_run(run.directory)
    compared = verdicts(list(run), run)
    for row in setting.rows:
        for metric in METRICS:
            values = [record.metrics[metric] for record in row.records]
            one = compared[group_of(row.records[0]), metric]
            expected = Score(np.mean(values), np.std(values, ddof=1), len(values), *one.interval, one.verdict)
            assert row.scores[metric] == expected
    assert len(setting.evidence) == len(list(run))


def test_the_lowest_seed_is_first_whenever_it_ended(tmp_path):
    store = made_run(tmp_path / "run", {"one": (0.5, {})}, bits=(8,), seeds=(2, 10, 0))
    (lowest,) = (record for record in store if record.config["seed"] == 0)
    edit_record(store, lowest, lambda values: values.update(date="2026-02-02T00:00:00+00:00"))
    ((row,),) = (setting.rows for setting in settings_of_run(store.directory))
    assert [record.config["seed"] for record in row.records] == [0, 2, 10]
    assert row.date == "2026-02-02"


def test_a_leaderboard_gives_its_rows(board_run, tmp_path, cli):
    assert cli("publish", board_run, "--to", tmp_path).returncode == 0
    lines = rows_of(tmp_path / "digits.csv")
    (setting,) = settings_of_leaderboard(tmp_path / "digits.csv")
    assert [(row.label, str(row.n_bits)) for row in setting.rows] == [
        (line["method"], line["n_bits"]) for line in lines
    ]
    for row, line in zip(setting.rows, lines, strict=True):
        assert row.scores["mAP@all"].mean == float(line["mAP@all"])
        assert row.scores["mAP@all"].verdict == line["mAP@all verdict"]
    done = cli("report", board_run, tmp_path / "digits.csv", "-o", tmp_path / "both.html")
    assert done.returncode == 0, done.stderr
    names = [setting["name"] for setting in Tags((tmp_path / "both.html").read_bytes()).payload["settings"]]
    assert len(set(names)) == 2


def test_figures_as_png(run, tmp_path, cli, monkeypatch):
    monkeypatch.setattr("hashbench.reports.page.report.figures_of", lambda settings: [figures_of(settings)[0][:2]])
    done = cli("report", run.directory, "-o", tmp_path / "r.html", "--png", tmp_path / "png")
    assert done.returncode == 0, done.stderr
    pictures = [Path(line) for line in done.stdout.splitlines()[1:]]
    assert [path.read_bytes()[:4] for path in pictures] == [b"\x89PNG"] * 2
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+", path.name) for path in pictures)


def test_pictures_of_one_name_are_numbered(tmp_path, monkeypatch):
    monkeypatch.setattr("hashbench.reports.page.figures.files._svg", lambda figure, title: title)
    setting = made_setting({"a": (0.5, "best")})
    figure = Figure("map", "one title", "", {}, pd.DataFrame())
    names = [path.stem for path in write_figures([setting], [[figure] * 4], tmp_path, ["svg"])]
    assert names == ["one_title", "one_title-2", "one_title-3", "one_title-4"]


def test_the_old_page_stays_where_pictures_cannot_be_written(run, tmp_path, cli, monkeypatch):
    def full(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("hashbench.reports.page.figures.files.write_atomically", full)
    monkeypatch.setattr("hashbench.reports.page.report.figures_of", lambda settings: [figures_of(settings)[0][:1]])
    old = tmp_path / "old.html"
    old.write_text("old")
    one_clear_line(cli("report", run.directory, "-o", old, "--png", tmp_path / "png"), "No space left")
    assert old.read_text() == "old"


def test_the_same_input_gives_the_same_page(run, page, tmp_path):
    report([run.directory], tmp_path / "again.html", command="hashbench report </script>")
    assert (tmp_path / "again.html").read_bytes() == page


def test_an_edited_plugin_is_two_methods_at_all_its_lengths(tmp_path):
    training = [{"epoch": 1, "loss": 2.0}, {"epoch": 2, "loss": 1.0}]
    for source in ("5eed" * 16, "beef" * 16):
        store = made_run(tmp_path / "run", {"m": (0.5, {})}, training=training, source=source)
    (setting,) = settings_of_run(store.directory)
    names = ["m (5eed5ee)", "m (beefbee)"]
    assert [(row.label, row.n_bits) for row in setting.rows] == [(name, n_bits) for n_bits in (8, 16) for name in names]
    assert [one.choice for one in figures_of([setting])[0] if one.panel == "training"] == names


def test_an_edit_at_one_length_is_reported_at_both(tmp_path):
    made_run(tmp_path / "run", {"m": (0.5, {})})
    store = made_run(tmp_path / "run", {"m": (0.5, {})}, bits=(16,), source="beef" * 16)
    (setting,) = settings_of_run(store.directory)
    assert [row.label for row in setting.rows] == ["m (5eed5ee)", "m (5eed5ee)", "m (beefbee)"]


def test_equal_labels_of_equal_code_are_distinguished(tmp_path):
    for views in (None, {"crop": 1}):
        store = made_run(tmp_path / "run", {"m": (0.5, {})}, bits=(8,), views=views)
    (setting,) = settings_of_run(store.directory)
    assert len(setting.labels) == 2


def test_protocols_are_not_mixed(tmp_path):
    store = made_run(tmp_path / "run", {"one": (0.5, {})}, bits=(8,))
    first = next(iter(store))
    edit_record(store, first, lambda values: values["config"].update(protocol="toy/2"))
    assert [setting.protocol for setting in settings_of_run(store.directory)] == ["toy/1", "toy/2"]


def test_quantizers_and_rankings_by_real_values_have_no_curves(tmp_path):
    store = Store(tmp_path / "run")
    store.open_for_writing()
    for label, distance in (("int8", "own"), ("itq", "asymmetric")):
        record = made_record(label, 32, metrics={"recall@10": 0.5}, provenance="made")
        record.config["distance"] = distance
        record.id = canonical_hash(record.config)
        codes = {f"{part}_codes": np.zeros((4, 4), np.uint8) for part in ("query", "database")}
        store.write(record, {"per_query:recall@10": np.full(4, 0.5), **(codes if distance == "asymmetric" else {})})
    store.write_relevance(record.config["data"], {"neighbors": np.zeros((4, 2), np.int64)})
    report([store.directory], tmp_path / "r.html")
    (setting,) = Tags((tmp_path / "r.html").read_bytes()).payload["settings"]
    assert setting["labels"] == ["int8", "itq asymmetric"]
    assert [line["method"] for line in setting["evidence"]] == setting["labels"]
    assert not setting["figures"]


def test_failures_are_reported(tmp_path):
    store = made_run(tmp_path / "run", {"one": (0.5, {})}, bits=(8,))
    store.write(made_record("two", 8, 0, status="failed", error="out of <memory>"))
    (setting,) = settings_of_run(store.directory)
    assert setting.notes == ["two 8 bits seed 0: failed: out of <memory>"]


def test_a_data_set_whose_cells_all_failed_is_reported(tmp_path):
    store = made_run(tmp_path / "run", {"one": (0.5, {})}, bits=(8,))
    store.write(made_record("one", 8, 0, dataset="second", status="failed", error="out of memory"))
    (setting,) = settings_of_run(store.directory)
    title = "second · second/1 · pixels"
    assert setting.notes == [
        f"{title} is not on this page, since no cell of it ended well",
        f"{title}: one 8 bits seed 0: failed: out of memory",
    ]


def made_setting(verdict_of, n_bits=16):
    rows = [
        Row(
            label,
            {"method": "m", "source": label, "params": {}},
            n_bits,
            1,
            "0",
            {"mAP@all": Score(mean, verdict=verdict)},
            {},
            False,
            "",
        )
        for label, (mean, verdict) in verdict_of.items()
    ]
    return Setting("toy", "toy/1", "pixels", "official", "toy.csv", "", {}, rows, [])


def test_verdicts_in_a_sentence():
    setting = made_setting(
        {"a": (0.5, "best"), "b": (0.4, "not separable"), "c": (0.3, "separable"), "d": (0.2, "unknown")}
    )
    assert [one["text"] for one in summaries(setting)] == [
        "16 bits: by mAP@all, a has the highest mean (0.5000). Not separable from it, so that their order is not "
        "known: b. Worse by more than chance: 1 of 4. No verdict: too few seeds for d."
    ]
    assert summaries(made_setting({"a": (0.5, "")}))[0]["text"].endswith("so there are no verdicts.")


def test_odd_characters_are_spelled_out():
    assert shown("a\n\u200f\U000e0001") == r"a\n\u200f\U000e0001"


def test_names_of_settings_are_text_too():
    setting = replace(made_setting({"a": (0.5, "best")}), dataset="<script>alert(1)</script>\u200f", origin='"\n<b>')
    content = render([setting, setting], [[], []], {}, "")
    assert b"<script>alert" not in content
    payload = Tags(content).payload
    assert [one["dataset"] for one in payload["settings"]] == [shown(setting.dataset)] * 2
    assert len({one["name"] for one in payload["settings"]}) == 2


# ---- bad input


def broken(directory, board_run):
    """Return by name what cannot be reported, and a word of the line that says so."""
    (directory / "other.csv").write_text("model,score\na,1\n")
    (directory / "empty.csv").write_text("")
    (directory / "nothing").mkdir()
    failed = Store(directory / "failed")
    failed.open_for_writing()
    failed.write(made_record("two", 8, 0, status="failed", error="out of memory"))
    return {
        "other tool": (directory / "other.csv", "lacks the columns"),
        "empty file": (directory / "empty.csv", "cannot be reported"),
        "run's table": (board_run / "results.csv", f"name its directory, {board_run}"),
        "nothing": (directory / "nothing", "no records"),
        "failed": (failed.directory, "out of memory"),
        "missing": (directory / "missing", "is not here"),
    }


def test_bad_input_is_one_line_and_the_old_page_stays(run, board_run, tmp_path, cli):
    old = tmp_path / "old.html"
    old.write_text("old")
    for source, words in broken(tmp_path, board_run).values():
        one_clear_line(cli("report", run.directory, source, "-o", old), words)
        assert old.read_text() == "old"


@pytest.mark.parametrize(
    ("target", "words"), [("report.txt", ".html"), ("folder.html", "directory"), ("missing/r.html", "no directory")]
)
def test_a_target_that_cannot_be_written(run, tmp_path, cli, target, words):
    (tmp_path / "folder.html").mkdir()
    one_clear_line(cli("report", run.directory, "-o", tmp_path / target), words)


def test_a_full_disk_is_one_line(run, tmp_path, cli, monkeypatch):
    def full(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("hashbench.reports.page.report.write_atomically", full)
    one_clear_line(cli("report", run.directory, "-o", tmp_path / "r.html"), "No space left")


def test_damaged_arrays_are_one_line(tmp_path, cli):
    store = made_run(tmp_path / "run", {"one": (0.5, {})}, bits=(8,))
    store.arrays_path(next(iter(store)).id).write_bytes(b"PK\x03\x04")
    one_clear_line(cli("report", store.directory, "-o", tmp_path / "r.html"), "damaged")
