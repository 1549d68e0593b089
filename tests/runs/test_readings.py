"""Runs of protocols with unseen classes: one training, four readings, in records, files, boards and pages."""

import numpy as np
import pandas as pd
import pytest
from conftest import one_clear_line

from hashbench import evaluate, load_dataset
from hashbench.evaluation.readings import READINGS
from hashbench.records.store import Store
from hashbench.reports.page.figures.codes import figures_of_codes
from hashbench.reports.page.from_run import settings_of_run

CHOICE = "digits/1[unseen=0.2]"
RUN = ("run", "--protocol", CHOICE, "--methods", "itq,lsh", "--bits", 16, "--seeds", "0,1")
METRICS = [f"mAP@{k} {reading}" for k in (100, "all") for reading in READINGS]


@pytest.fixture(scope="module")
def out(tmp_path_factory, cli):
    folder = tmp_path_factory.mktemp("unseen")
    done = cli(*RUN, "--distance", "hamming,asymmetric", "--out", folder)
    assert done.returncode == 0, done.stderr
    assert "mAP@all unseen@all: digits (digits/1[unseen=0.2]), features: pixels" in done.stdout
    return folder


def by_hand(arrays, queries, dataset, distance):
    """Return each metric's values per query from kept codes, each reading from its rows alone."""
    of_query, of_database = (dataset.labels[getattr(dataset.split, part)] for part in ("query", "database"))
    unseen = {"seen": False, "unseen": True}
    values = {}
    for name in METRICS:
        metric, reading = name.split(" ")
        searched, among = reading.split("@")
        some = np.isin(of_query, dataset.unseen) == unseen[searched]
        items = np.isin(of_database, dataset.unseen) == unseen.get(among)
        items |= among == "all"
        codes = queries[some], arrays["database_codes"][items]
        scored = evaluate(*codes, of_query[some], of_database[items], [metric], n_bits=16, distance=distance)
        values[name] = scored.per_query[metric], scored[metric]
    return values


def test_the_four_readings_are_those_of_the_kept_codes_to_the_last_bit(out):
    store, dataset = Store(out), load_dataset("digits", protocol=CHOICE)
    for record in store:
        arrays = store.arrays(record.id)
        queries = arrays["query_values" if record.is_asymmetric else "query_codes"]
        expected = by_hand(arrays, queries, dataset, record.distance)
        assert set(record.metrics) == set(METRICS)
        for name, (per_query, mean) in expected.items():
            assert record.metrics[name] == mean
            assert (arrays[f"per_query:{name}"] == per_query).all()
    assert len(list(store)) == 8


def test_a_resumed_run_keeps_them_and_computes_what_is_missing(out, tmp_path, cli):
    import shutil

    again = shutil.copytree(out, tmp_path / "again")
    store = Store(again)
    before = {record.id: record for record in store}
    gone = next(record for record in before.values() if record.config["method"] == "itq")
    store.remove(gone.id)
    done = cli(*RUN, "--distance", "hamming,asymmetric", "--out", again)
    assert done.returncode == 0, done.stderr
    after = {record.id: record for record in Store(again)}
    assert after.keys() == before.keys()
    assert all(after[id].metrics == record.metrics for id, record in before.items())
    assert all(after[id].codes_sha256 == record.codes_sha256 for id, record in before.items())
    assert {id for id, record in after.items() if record.date != before[id].date} == {gone.id}


def test_results_csv_has_the_readings_side_by_side(out):
    frame = pd.read_csv(out / "results.csv")
    columns = [name for name in frame.columns if name.startswith("mAP")]
    suffixes = ("", " low", " high", " verdict")
    assert set(columns) == {f"{metric}{suffix}" for metric in METRICS for suffix in suffixes}
    at = list(frame.columns).index(columns[0])
    assert list(frame.columns)[at : at + len(columns)] == columns
    assert set(frame["mAP@all unseen@all verdict"]) <= {"best", "separable", "not separable"}
    assert (frame["mAP@all unseen@all verdict"] == "best").sum() == 4  # two seeds by each distance


def test_boards_and_bundles_keep_them(out, tmp_path, cli):
    board = tmp_path / "boards" / "digits.csv"
    for arguments in (
        ("publish", out, "--to", board.parent),
        ("validate", board),
        ("bundle", out, "-o", tmp_path / "run.zip"),
        ("validate", board, "--recompute", tmp_path / "run.zip"),
    ):
        done = cli(*arguments)
        assert done.returncode == 0, (arguments, done.stdout, done.stderr)
    assert "4 rows compared" in done.stdout
    row = pd.read_csv(board).query("protocol == @CHOICE and method == 'itq'").iloc[0]
    records = [one for one in Store(out) if one.config["method"] == "itq" and not one.is_asymmetric]
    assert row["mAP@100 unseen@all"] == round(np.mean([one.metrics["mAP@100 unseen@all"] for one in records]), 5)


def test_pages_read_each_by_its_queries(out):
    setting = next(one for one in settings_of_run(out) if one.protocol == CHOICE)
    assert setting.headline == METRICS
    maps = {figure.metric: figure for figure in figures_of_codes(setting) if figure.metric}
    assert set(maps["mAP@all unseen@all"].data["class"]) == {"6", "9"}
    assert set(maps["mAP@all seen@seen"].data["class"]) == set("01234578")


def test_metrics_are_added_with_a_reading_or_without(tmp_path, cli):
    run = ("run", "--methods", "lsh", "--bits", 8, "--seeds", 0, "--metrics", "P@10,P@10 unseen@all")
    done = cli(*run, "--out", tmp_path / "out", "--protocol", CHOICE)
    assert done.returncode == 0, done.stderr
    store = Store(tmp_path / "out")
    record = next(iter(store))
    values = {name: store.arrays(record.id)[f"per_query:{name}"] for name in record.added}
    assert {name: len(of) for name, of in values.items()} == {"P@10": 300, "P@10 unseen@all": 60}
    some = np.isin(store.relevance(record.config["data"])["query_labels"], [6, 9])
    assert (values["P@10"][some] == values["P@10 unseen@all"]).all()
    done = cli(*run, "--out", tmp_path / "plain")
    one_clear_line(done, "--metrics P@10 unseen@all: it is of unseen@all, digits/1 has no unseen classes")


def test_the_audit_of_conventions_leaves_them_out(out, cli):
    one_clear_line(
        cli("audit", out), "by seen and unseen classes, or a quantizer's; the conventions that are audited are"
    )
