"""Which results may be compared: one key, in every table, figure and file, and names that tell its values apart."""

import io
import re

import numpy as np
import pandas as pd
import pytest
from conftest import one_clear_line
from made_records import made_record
from rich.console import Console

import hashbench
from hashbench.files.writing import DIGITS
from hashbench.records.store import Store
from hashbench.reports.audit import audit, summary
from hashbench.reports.page.figures.files import plot
from hashbench.reports.page.from_run import settings_of_run
from hashbench.reports.papers.sources import grids_of
from hashbench.reports.tables import print_tables
from hashbench.results.compare_runs import compare_runs
from hashbench.results.results_csv import IDENTITY, results_frame, write_results
from hashbench.results.rows import rows_of
from hashbench.results.setting import Named, by_setting, file_of, named, setting_of
from hashbench.results.verdicts import verdicts

rng = np.random.default_rng(0)
QUERIES = rng.integers(0, 4, 40)
DATABASE = rng.integers(0, 4, 200)
PIXELS = {"backbone": "pixels", "image_size": 16, "mean": [0.5]}
A, B = "aa" * 32, "bb" * 32


def write(directory, label="itq", level=0.5, seeds=(0, 1), data=A, **values):
    """Write a method's records, a seed each, with all that reports read, and labels of their data."""
    store = Store(directory)
    store.open_for_writing()
    store.write_relevance(data, {"query_labels": QUERIES, "database_labels": DATABASE})
    for seed in seeds:
        scores = np.full(40, level) + 0.01 * np.arange(40) / 40
        record = made_record(label, 16, seed, data=data, metrics={"mAP@all": float(scores.mean())}, **values)
        curve = np.linspace(0.1, 1, 5)
        arrays = {
            "per_query:mAP@all": scores,
            "query_codes": rng.integers(0, 256, (40, 2), np.uint8),
            "database_codes": rng.integers(0, 256, (200, 2), np.uint8),
            **dict.fromkeys(("rank_precision", "rank_recall"), curve),
            "ranks": np.arange(1, 6),
        }
        store.write(record, arrays)
    return store


def print_of(store):
    stream = io.StringIO()
    print_tables(list(store), Console(file=stream, width=200), store)
    return stream.getvalue()


TWO = {
    "two files": ({"data": A, "data_file": "a.npz"}, {"data": B, "data_file": "b.npz"}, ("toy (a.npz)", "toy (b.npz)")),
    "two data": ({"data": A}, {"data": B}, (f"toy (data {A[:7]})", f"toy (data {B[:7]})")),
    "one file, changed": (
        {"data": A, "data_file": "a.npz"},
        {"data": B, "data_file": "a.npz"},
        (f"toy (data {A[:7]})", f"toy (data {B[:7]})"),
    ),
    "two image sizes": (
        {"features": PIXELS},
        {"features": PIXELS | {"image_size": 32}},
        ("pixels (image_size=16)", "pixels (image_size=32)"),
    ),
    "two metrics": ({"engine": 1}, {"engine": 2}, ("toy/1, metrics of version 1", "toy/1, metrics of version 2")),
    "two protocols": (
        {"protocol_hash": A},
        {"protocol_hash": B},
        (f"toy/1, protocol {A[:7]}", f"toy/1, protocol {B[:7]}"),
    ),
    "with and without labels": ({}, {"uses_labels": True}, ("toy/1", "toy/1, methods that read labels")),
}


@pytest.fixture(params=TWO)
def two(request, tmp_path):
    """Return a run of one method in two settings, and the words that tell these apart."""
    first, second, words = TWO[request.param]
    if request.param == "with and without labels":  # what a method is decides whether it reads labels
        second = {**second, "label": "sdh"}
    write(tmp_path / "run", level=0.2, **first)
    return write(tmp_path / "run", level=0.8, **second), words


def test_no_report_averages_over_two_settings(two, tmp_path):
    store, words = two
    printed = print_of(store)
    grids = grids_of(store.directory)
    pages = settings_of_run(store.directory)
    for shown in (printed, *(" ".join(one.title for one in each) for each in (grids, pages))):
        assert all(word in shown for word in words)
    assert printed.count("mAP@all: ") == len(grids) == len(pages) == 2
    levels = {0.2049: 2, 0.8049: 2}
    scores = [score for one in grids for row in one.scores.values() for score in row.values()]
    assert {round(score.mean, 4): score.n_seeds for score in scores} == levels
    assert {round(row.scores["mAP@all"].mean, 4): row.n_seeds for one in pages for row in one.rows} == levels
    assert "0.2049 ± 0.0000" in printed
    assert "0.8049 ± 0.0000" in printed
    frame = summary(audit(store))
    assert sorted(frame["hashbench"].round(4)) == sorted(levels)
    figures = plot(store.directory, tmp_path / "plots")
    assert len({path.name.partition("_precision_and_recall")[0] for path in figures if "_and_recall" in path.name}) == 2
    assert len(verdicts(list(store), store)) == 2


def test_results_csv_tells_the_rows_apart_and_is_read_again(two):
    store, _ = two
    write_results(store)
    frame = pd.read_csv(store.directory / "results.csv")
    assert not frame.duplicated(list(IDENTITY)).any()
    assert sorted(frame["mAP@all"].round(4)) == [0.2049, 0.2049, 0.8049, 0.8049]
    exact = results_frame(list(store), verdicts(list(store), store))
    pd.testing.assert_frame_equal(
        frame[["n_bits", "bytes", "mAP@all"]], exact[["n_bits", "bytes", "mAP@all"]], rtol=1e-9
    )


def test_under_recall_for_bytes_the_distance_and_the_bytes_are_columns(tmp_path, cli):
    np.save(tmp_path / "v.npy", rng.standard_normal((1300, 12)).astype(np.float32))
    out = tmp_path / "out"
    run = ("run", "--dataset", "vectors", "--data-dir", tmp_path / "v.npy", "--methods", "lsh,float16", "--bits", 192)
    done = cli(*run, "--distance", "hamming,asymmetric", "--out", out)
    assert done.returncode == 0, done.stderr
    frame = pd.read_csv(out / "results.csv")
    assert list(frame[["method", "distance", "bytes"]].itertuples(index=False, name=None)) == [
        ("float16", "own", 24),
        ("lsh", "asymmetric", 24),
        ("lsh", "hamming", 24),
    ]
    assert set(frame["data_file"]) == {"v.npy"}
    numbers = re.findall(r"(?<=,)0\.[0-9]+(?=,)", (out / "results.csv").read_text())
    assert numbers
    assert all(len(number.lstrip("0.")) <= DIGITS for number in numbers)
    (grid,) = grids_of(out, ["recall@10"])
    assert sorted(grid.scores) == ["float16", "lsh", "lsh asymmetric"]
    compared = hashbench.compare(out, methods="lsh,float16", metrics="recall@10")
    assert sorted(compared["method_a"]) == ["lsh", "lsh asymmetric"]
    assert list(compared["difference"]) == pytest.approx(
        [grid.scores["float16"][192].mean - grid.scores[label][192].mean for label in compared["method_a"]]
    )


def test_seeds_of_one_cell_under_two_spellings_are_one_row_and_count_once(tmp_path):
    store = write(tmp_path, "itq", seeds=(0,), params={"n_iter": 51})
    write(tmp_path, "itq[n_iter=51]", level=0.6, seeds=(1,), params={"n_iter": 51}, date="2026-02-01")
    (row,) = rows_of([*store, *store])
    assert (row.label, [record.config["seed"] for record in row.records]) == ("itq[n_iter=51]", [0, 1])
    ((score,),) = [one.values() for one in grids_of(tmp_path)[0].scores.values()]
    assert score.n_seeds == 2
    assert print_of(store).count("0.5549 ± 0.0707") == 1
    assert len(summary(audit(store))) == 1


def test_one_cell_that_is_asked_for_twice_is_computed_once(tmp_path, cli):
    done = cli("run", "--methods", "itq,itq[n_iter=51]", "--bits", 8, "--seeds", "0,1", "--out", tmp_path)
    assert "itq[n_iter=51] and itq are one method with the same parameters: it is run once, as itq" in done.stderr
    records = list(Store(tmp_path))
    assert len(records) == 2
    values = [record.metrics["mAP@all"] for record in records]
    assert f"itq      {np.mean(values):.4f} ± {np.std(values, ddof=1):.4f}" in done.stdout
    assert "itq[" not in done.stdout
    frame = hashbench.run(methods="itq,itq[n_iter=51]", bits=[8], seeds=[0, 1], out=tmp_path, in_process=True)
    assert len(frame) == 2


def test_methods_are_compared_within_one_setting_and_its_name_says_which(tmp_path, cli):
    small, large = ({"features": PIXELS | {"image_size": size}} for size in (16, 32))
    write(tmp_path, "itq", 0.2, **small)
    write(tmp_path, "lsh", 0.3, **small)
    write(tmp_path, "itq", 0.9, date="2026-02-01", **large)
    (row,) = hashbench.compare(tmp_path, methods="itq,lsh").itertuples()
    assert row.difference == pytest.approx(0.1)
    assert row.backbone == "pixels (image_size=16)"
    assert "toy (toy/1), features: pixels (image_size=16)" in cli("compare", tmp_path, "--methods", "itq,lsh").stdout


def test_methods_that_share_no_setting_are_not_compared(tmp_path, cli):
    write(tmp_path, "itq", 0.2, features=PIXELS)
    write(tmp_path, "lsh", 0.3, features=PIXELS | {"image_size": 32})
    done = cli("compare", tmp_path, "--methods", "itq,lsh")
    one_clear_line(done, "their features were not made the same way", "image_size=16", "image_size=32")


def test_methods_of_two_data_files_are_compared_where_both_were_scored(tmp_path):
    store = write(tmp_path, "itq", 0.2, data=A)
    write(tmp_path, "lsh", 0.3, data=A)
    write(tmp_path, "lsh", 0.4, data=B)
    frame = compare_runs(store, store, ["itq", "lsh"])
    assert frame["difference"].tolist() == [pytest.approx(0.1)]


def test_failures_are_listed_with_the_methods_other_results():
    there = [made_record("sdh", seed=0, uses_labels=True, metrics={"mAP@all": 0.5}), made_record("itq")]
    failed = made_record("sdh", seed=1, status="failed", error="it broke")
    groups = by_setting([*there, failed])
    assert [len(group) for group in groups.values()] == [2, 1]
    assert failed in groups[setting_of(there[0])]


def test_a_file_is_named_only_where_there_are_several():
    records = [made_record("itq", data=data, data_file=file) for data, file in ((A, "a.npz"), (B, "b.npz"))]
    one, other = (setting_of(record) for record in records)
    assert named({one: file_of(records[:1])}) == {one: Named("toy", "toy/1", "pixels")}
    assert named({one: "a.npz", other: "b.npz"})[other] == Named("toy (b.npz)", "toy/1", "pixels")
    assert named({one: "a.npz", other: ""})[other].dataset == f"toy (data {B[:7]})"


def test_a_record_says_the_name_of_its_data_and_no_path(tmp_path, cli):
    np.save(tmp_path / "mine.npy", rng.standard_normal((1300, 8)).astype(np.float32))
    run = ("run", "--dataset", "vectors", "--data-dir", tmp_path / "mine.npy", "--methods", "sign", "--bits", 8)
    assert cli(*run, "--out", tmp_path / "out").returncode == 0
    (record,) = Store(tmp_path / "out")
    assert record.data_file == "mine.npy"


FOREIGN = "mAP@all(of another version)"


def test_a_metric_of_another_version_is_one_line_or_passed_over(tmp_path, cli):
    """Each report shows what it knows; asked for by its name, the metric is shown as any other."""
    store = Store(tmp_path / "run")
    store.open_for_writing()
    for label in ("itq", "lsh"):
        metrics = {"mAP@all": 0.5, FOREIGN: 0.25}
        arrays = {f"per_query:{name}": np.full(9, value) for name, value in metrics.items()}
        store.write(made_record(label, metrics=metrics), arrays)
    assert "mAP@all on toy" in cli("show", store.directory).stdout
    assert "0.2500" in cli("show", store.directory, "--metric", FOREIGN).stdout
    assert cli("compare", store.directory, "--methods", "itq,lsh").returncode == 0
    assert print_of(store).count("mAP@all: ") == 1
    only = Store(tmp_path / "only")
    only.open_for_writing()
    only.write(made_record("itq", metrics={FOREIGN: 0.25}), {f"per_query:{FOREIGN}": np.full(9, 0.25)})
    one_clear_line(cli("show", only.directory), "knows no metric to show by default", FOREIGN)
    assert "timings" in print_of(only)
    words = ("knows no metric to compare by default", FOREIGN)
    one_clear_line(cli("compare", only.directory, tmp_path / "run", "--methods", "itq"), *words)


def test_records_by_bytes_that_lack_metrics_or_timings_have_gaps(tmp_path):
    """A record of another version may have other metrics, and its timings may be gone."""
    store = Store(tmp_path)
    store.open_for_writing()
    for label, metrics in (("lsh", {"recall@10": 0.25}), ("pq", {"recall@100": 0.5})):
        arrays = {f"per_query:{name}": np.full(9, value) for name, value in metrics.items()}
        store.write(made_record(label, metrics=metrics, protocol="toy/1+bytes"), arrays)
    printed = print_of(store)
    assert [line.split()[:2] for line in printed.splitlines() if line.strip().startswith(("lsh", "pq"))] == [
        ["lsh", "2"],
        ["pq", "2"],
    ]
    assert ".250" in printed
    assert plot(store.directory, tmp_path / "plots")


def test_imported_codes_join_the_methods_of_their_backbone_and_no_others(tmp_path):
    theirs = {"origin": "imported", "features": {"backbone": "pixels"}}
    store = write(tmp_path, "itq", 0.5, features=PIXELS)
    write(tmp_path, "supervised", 0.6, features=PIXELS, uses_labels=True)
    write(tmp_path, "mine", 0.7, **theirs)
    write(tmp_path, "mine", 0.7, **theirs, data=B)
    write(tmp_path, "alexnet", 0.7, **theirs | {"features": {"backbone": "AlexNet"}})
    of = by_setting(store)
    assert sorted(sorted({one.label for one in members}) for members in of.values()) == [
        ["alexnet"],
        ["itq", "mine"],
        ["mine"],
        ["supervised"],
    ]
    write(tmp_path, "itq", 0.5, features=PIXELS | {"image_size": 32})  # of which of two is not said
    assert ["mine"] in [sorted({one.label for one in members}) for members in by_setting(store).values()]
    assert "mine (imported)" in print_of(store)
