"""Metrics that a run adds to the protocol's: recorded, scored from kept codes, and left out with a reason."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import one_clear_line

import hashbench
from hashbench.records.record import UnusableRecord, read_record
from hashbench.records.store import Store
from hashbench.reports.page.figures.looks import looks_of
from hashbench.reports.page.figures.scores import figures_of_scores
from hashbench.reports.page.from_run import settings_of_run
from hashbench.reports.page.summary import summaries
from hashbench.results.metric_infos import of_one_version
from hashbench.runs.requested.config import read_config

DOCS = Path(__file__).resolve().parents[2] / "docs"
RUN = ("run", "--methods", "itq,lsh", "--bits", "8", "--seeds", "0,1")
FIRST = (DOCS / "add-a-metric.md").read_text().split("```python\n")[1].split("```")[0]


@pytest.fixture
def first(tmp_path):
    file = tmp_path / "first_rank.py"
    file.write_text(FIRST)
    return file


def plugin(path, returned, name="odd"):
    """Write a metric that returns the value of an expression of the histograms ``h``."""
    path.write_text(
        FIRST.replace("first@all", f"{name}@all")
        .replace(
            "        total, relevant =", f"        h = histograms\n        return {returned}\n        total, relevant ="
        )
        .replace('better = "lower"', 'better = "higher"')
    )
    return path


@pytest.fixture(scope="module")
def plain(tmp_path_factory, cli):
    out = tmp_path_factory.mktemp("plain")
    done = cli(*RUN, "--out", out)
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture
def copied(plain, tmp_path):
    import shutil

    return Path(shutil.copytree(plain, tmp_path / "copied"))


def test_a_finished_cell_is_scored_from_its_codes_and_keeps_all_else(copied, first, cli):
    before = {record.id: record for record in Store(copied)}
    arrays = {id: dict(Store(copied).arrays(id)) for id in before}
    done = cli(*RUN, "--out", copied, "--metrics", "first@all,P@10", "--plugin", first)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("without first@all, P@10: its codes are scored again") == 4
    assert "first@all, rank (lower is better): digits (digits/1)" in done.stdout
    after = {record.id: record for record in Store(copied)}
    assert after.keys() == before.keys()
    for id, record in after.items():
        assert record.without_added_metrics() == before[id]
        assert set(record.metrics) == {*before[id].metrics, "first@all", "P@10"}
        assert (before[id].format, record.format) == (2, 3)
        assert record.added["first@all"].better == "lower"
        assert record.added["P@10"].source == ""
        kept = Store(copied).arrays(id)
        assert all(np.array_equal(kept[name], array) for name, array in arrays[id].items())
        assert record.metrics["first@all"] == kept["per_query:first@all"].mean()
    again = cli(*RUN, "--out", copied, "--metrics", "first@all,P@10", "--plugin", first)
    assert again.stderr.count("already in") == 4
    assert read_config(copied / "run.toml")["metrics"] == "first@all,P@10"


def test_verdicts_and_reports_know_the_direction(copied, first, cli):
    assert cli(*RUN, "--out", copied, "--metrics", "first@all", "--plugin", first).returncode == 0
    frame = pd.read_csv(copied / "results.csv").groupby("method").mean(numeric_only=True)
    best = frame["first@all"].idxmin()
    verdicts = pd.read_csv(copied / "results.csv").groupby("method")["first@all verdict"].first()
    assert verdicts[best] == "best"
    assert (frame["first@all low"] <= frame["first@all"]).all()
    assert (frame["first@all"] <= frame["first@all high"]).all()
    shown = cli("show", copied, "--format", "markdown", "--metric", "first@all").stdout
    assert "first@all (lower is better) on digits" in shown
    assert "Bold: the lowest mean" in shown
    assert f"| {best} | **{frame.loc[best, 'first@all']:.4f}**" in shown
    compared = hashbench.compare(copied, methods="itq,lsh", metrics="first@all")
    assert compared["better"].tolist() == ["lower"]
    assert compared["verdict"].isin(["A lower", "not separable"]).all()
    tables = hashbench.show(copied, metrics="first@all")
    assert "first@all" in repr(tables)
    assert len(tables.to_frame()) == 2


def test_pages_and_figures_know_the_direction(copied, first, tmp_path, cli):
    command = ("run", "--methods", "itq,lsh", "--bits", "8,16", "--seeds", "0,1")
    assert cli(*command, "--out", copied, "--metrics", "first@all", "--plugin", first).returncode == 0
    (setting,) = settings_of_run(copied)
    assert setting.axes["first@all"] == "first@all, rank (lower is better)"
    assert setting.lower_is_better == ["first@all"]
    rows = [row for row in setting.rows if row.n_bits == 16]
    best = min(rows, key=lambda row: row.scores["first@all"].mean)
    (summary,) = (one["text"] for one in summaries(setting) if (one["metric"], one["bits"]) == ("first@all", 16))
    assert f"{best.label} has the lowest mean ({best.scores['first@all'].mean:.4f})" in summary
    figures = [one for one in figures_of_scores(setting, looks_of([setting])) if one.metric == "first@all"]
    by_bits = next(one for one in figures if one.panel == "by_bits")
    assert '"first@all, rank (lower is better)"' in json.dumps(by_bits.spec)
    (cost,) = (one for one in figures if one.panel == "cost" and "bytes" in one.title)
    cheapest = cost.data[cost.data["x"] == 1.0]
    assert cheapest.loc[cheapest["front"], "y"].tolist() == [cheapest["y"].min()]
    files = cli("plot", copied, "--to", tmp_path / "plots", "--format", "svg").stdout
    assert "first_all_by_code_length.svg" in files.replace("@", "_")


def test_a_run_from_python_computes_them_with_the_cell(tmp_path, first):
    frame = hashbench.run(
        methods="itq",
        bits=[8],
        metrics=["first@all", "R-precision", "mAP@all"],
        plugins=[first],
        out=tmp_path / "out",
        in_process=True,
    )
    columns = list(frame)
    assert columns.index("error") < columns.index("R-precision") < columns.index("R-precision verdict")
    assert columns.index("R-precision verdict") < columns.index("fit_s")
    (record,) = Store(tmp_path / "out")
    assert set(record.added_metrics) == {"first@all", "R-precision"}


@pytest.mark.parametrize(
    ("returned", "reason"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("np.full(len(h.total), np.nan)", "ContractError: odd@all is nan for query 0"),
        ("h.total", "ContractError: odd@all returns shape"),
        ("exit()", "SystemExit"),
    ],
)
def test_a_metric_that_fails_is_left_out_with_the_reason(copied, tmp_path, cli, returned, reason):
    odd = plugin(tmp_path / "odd.py", returned)
    done = cli(*RUN, "--out", copied, "--metrics", "odd@all,P@10", "--plugin", odd)
    assert done.returncode == 1
    assert f"4 cells: odd@all left out: {reason}" in " ".join(done.stdout.split())
    for record in Store(copied):
        assert record.status == "ok"
        assert "P@10" in record.metrics
        assert "odd@all" not in record.metrics
        assert reason in record.added["odd@all"].left_out
    assert cli(*RUN, "--out", copied, "--metrics", "odd@all", "--plugin", odd).stderr.count("already in") == 4
    retried = cli(*RUN, "--out", copied, "--metrics", "odd@all", "--plugin", odd, "--retry-failed")
    assert retried.stderr.count("without odd@all: its codes are scored again") == 4


def test_an_edited_metric_is_computed_again_and_older_values_are_not_mixed_in(copied, tmp_path, cli):
    odd = plugin(tmp_path / "odd.py", "np.full(len(h.total), 2.0)")
    assert cli(*RUN, "--out", copied, "--metrics", "odd@all", "--plugin", odd).returncode == 0
    plugin(odd, "np.full(len(h.total), 3.0)")
    only_itq = ("run", "--methods", "itq", *RUN[3:])
    done = cli(*only_itq, "--out", copied, "--metrics", "odd@all", "--plugin", odd, "--fresh")
    assert done.returncode == 0, done.stderr
    values = {record.label: record.metrics["odd@all"] for record in Store(copied)}
    assert values == {"itq": 3.0, "lsh": 2.0}
    shown = {record.label: record.metrics.get("odd@all") for record in of_one_version(list(Store(copied)))}
    assert shown == {"itq": 3.0, "lsh": None}


def test_unknown_and_impossible_metrics_are_one_clear_line(tmp_path, first, cli):
    for names, words in {
        "map@1000": ["unknown metric 'map@1000'", "did you mean"],
        "colour": ["unknown metric 'colour'", "known: ", "P@k"],
        "P@0": ["P@0: the cut-off must be at least 1"],
        "recall@10": ["recall@10: it needs 10 true neighbours of each query, digits/1 has labels and none"],
    }.items():
        one_clear_line(cli(*RUN, "--out", tmp_path / "out", "--metrics", names), "--metrics", *words)
    done = cli(*RUN, "--distance", "asymmetric", "--out", tmp_path / "out", "--metrics", "P@r2")
    one_clear_line(done, "within a Hamming radius")
    same = plugin(tmp_path / "again.py", "0", name="first")
    files = ("--plugin", first, "--plugin", same)
    one_clear_line(cli(*RUN, "--out", tmp_path / "out", "--metrics", "first@all", *files), "two metrics are named")
    broken = tmp_path / "broken.py"
    broken.write_text(FIRST.replace('    title = "Rank of the first relevant item"\n', ""))
    one_clear_line(cli(*RUN, "--out", tmp_path / "out", "--metrics", "first@all", "--plugin", broken), "title")
    assert not (tmp_path / "out").exists()


def test_metrics_that_some_cells_cannot_have_are_left_out_with_a_note(tmp_path, cli):
    options = ("--methods", "itq", "--bits", "8", "--distance", "hamming,asymmetric", "--out", tmp_path / "out")
    done = cli("run", *options, "--metrics", "P@r2")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("--metrics P@r2 is left out of some cells: it is within a Hamming radius") == 1
    scored = {record.distance: "P@r2" in record.metrics for record in Store(tmp_path / "out")}
    assert scored == {"hamming": True, "asymmetric": False}


def test_a_quantizer_has_recalls_alone_and_is_run_again_for_more(tmp_path, cli):
    np.save(tmp_path / "vectors.npy", np.random.default_rng(0).standard_normal((400, 16), np.float32))
    data = ("--dataset", "vectors", "--data-dir", tmp_path / "vectors.npy", "--out", tmp_path / "out")
    options = ("run", "--methods", "int8,itq", "--bits", "8", *data)
    assert cli(*options).returncode == 0
    done = cli(*options, "--metrics", "recall@5,MRR@10")
    assert done.returncode == 0, done.stderr
    assert "MRR@10 is left out of some cells: a quantizer's codes are searched" in done.stderr
    assert "without recall@5: run again, as its codes are not kept" in done.stderr
    assert "without recall@5, MRR@10: its codes are scored again" in done.stderr
    added = {record.label: set(record.added_metrics) for record in Store(tmp_path / "out")}
    assert added == {"int8": {"recall@5"}, "itq": {"recall@5", "MRR@10"}}
    assert "recall@5: vectors" in done.stdout


def test_a_plugins_recall_is_not_a_quantizers(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from hashbench.evaluation.metrics import NeighborRecall\n\n\n"
        "class Mine(NeighborRecall):\n"
        "    pattern = r'mine(?P<k>[0-9]+)@(?P<among>[0-9]+)'\n"
        "    def __str__(self):\n"
        "        return f'mine{self.k}@{self.among}'\n"
    )
    np.save(tmp_path / "vectors.npy", np.random.default_rng(0).standard_normal((400, 16), np.float32))
    frame = hashbench.run(
        methods="int8,lsh",
        bits=[8],
        dataset="vectors",
        data_dir=tmp_path / "vectors.npy",
        metrics="mine5@10",
        plugins=[tmp_path / "mine.py"],
        out=tmp_path / "out",
        in_process=True,
    )
    assert frame["status"].tolist() == ["ok", "ok"], frame["error"].tolist()
    assert frame.set_index("method")["mine5@10"].isna().to_dict() == {"int8": True, "lsh": False}


def test_leaderboards_leave_them_out(copied, first, tmp_path, cli):
    assert cli("publish", copied, "--to", tmp_path / "before").returncode == 0
    assert cli(*RUN, "--out", copied, "--metrics", "first@all,P@10", "--plugin", first).returncode == 0
    assert cli("publish", copied, "--to", tmp_path / "after").returncode == 0
    before, after = ((tmp_path / name / "digits.csv").read_bytes() for name in ("before", "after"))
    assert before == after
    assert cli("bundle", copied, "-o", tmp_path / "run.zip").returncode == 0
    checked = cli("validate", "--recompute", tmp_path / "run.zip", tmp_path / "after" / "digits.csv")
    assert checked.returncode == 0, checked.stderr
    assert "not computed again, as runs have added them to the protocol's metrics: P@10, first@all" in checked.stdout


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda values: values["metrics"].update({"first@all": 0.5}), "first@all is 0.5: Expected `float` >= 1.0"),
        (lambda values: values["metrics"].update({"mAP@all": 1.5}), "mAP@all is 1.5: Expected `float` <= 1.0"),
        (lambda values: values["added_metrics"]["first@all"].update(better="sideways"), "better"),
        (lambda values: values["added_metrics"].update({"x": {"title": "x"}}), "axis"),
    ],
)
def test_a_damaged_record_of_them_is_refused(copied, first, cli, change, reason):
    assert cli(*RUN, "--out", copied, "--metrics", "first@all", "--plugin", first).returncode == 0
    path = next((copied / "records").glob("*.json"))
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))
    with pytest.raises(UnusableRecord, match=reason):
        read_record(path)
