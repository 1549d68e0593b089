"""Which differences between runs are more than chance."""

import numpy as np
import pandas as pd
import pytest
from conftest import one_clear_line
from made_records import made_record

import hashbench
from hashbench.evaluation.statistics import compare as compare_methods
from hashbench.evaluation.statistics import holm
from hashbench.records.store import Store

rng = np.random.default_rng(0)
QUERIES = rng.uniform(0.2, 0.8, 60)


def write(directory, label, shift=0.0, seeds=(0, 1, 2), noise=0.01, metrics=("mAP@all",), **values):
    """Write a method's records, a seed each, whose queries are shifted."""
    store = Store(directory)
    store.open_for_writing()
    for seed in seeds:
        per_query = np.clip(QUERIES + shift + noise * rng.standard_normal(60), 0, 1)
        record = made_record(label, seed=seed, metrics={name: per_query.mean() for name in metrics}, **values)
        store.write(record, {f"per_query:{name}": per_query for name in metrics})
    return store


@pytest.fixture
def two(tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    for directory, better in ((a, 0.0), (b, 0.1)):
        write(directory, "same")
        write(directory, "better", better)
        write(directory, "one", better, seeds=(0,))
    write(a, "only_a")
    return a, b


def test_real_differences_and_chance_are_distinguished(two):
    frame = hashbench.compare(*two).set_index("method_a")
    assert set(frame.index) == {"same", "better", "one"}
    assert frame["verdict"].to_dict() == {"same": "not separable", "better": "B higher", "one": "unknown"}
    row = frame.loc["better"]
    assert row["low"] < 0.1 < row["high"]
    assert row["difference"] == pytest.approx(row["mean_b"] - row["mean_a"])
    assert (row["seeds_a"], row["seeds_b"]) == (3, 3)
    assert frame["p_holm"].drop("one").to_list() == holm(frame["p"].drop("one").to_numpy()).tolist()
    swapped = hashbench.compare(*reversed(two)).set_index("method_a")
    assert swapped.loc["better", "verdict"] == "A higher"
    assert swapped.loc["better", "difference"] == -row["difference"]


def test_two_methods_of_one_run_are_compared_as_its_tables_compare_them(two):
    _, b = two
    frame = hashbench.compare(b, methods="same,better")
    store = Store(b)
    values = {label: [] for label in ("same", "better")}
    for record in store:
        if record.label in values:
            values[record.label].append(store.arrays(record.id)["per_query:mAP@all"])
    expected = compare_methods({label: np.stack(of) for label, of in values.items()})["same"]
    (row,) = frame.itertuples()
    wanted = (expected.difference, *expected.difference_interval, expected.p_value, expected.p_corrected)
    assert (row.difference, row.low, row.high, row.p, row.p_holm) == pytest.approx(wanted, rel=1e-9)  # another order
    assert row.verdict == "B higher"


def test_the_command_prints_and_writes_the_same_rows(two, tmp_path, cli):
    done = cli("compare", *two, "--csv", tmp_path / "rows.csv")
    assert done.returncode == 0, done.stderr
    assert "toy (toy/1), features: pixels" in done.stdout
    assert "B higher" in done.stdout
    assert "corrected for all 3 rows" in done.stdout
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "rows.csv"), hashbench.compare(*two))
    crossed = cli("compare", *two, "--methods", "same,better", "--metrics", "mAP@all")
    assert "same / better" in crossed.stdout


def test_deterministic_methods_need_no_seeds(tmp_path):
    write(tmp_path / "a", "fixed", seeds=(None,))
    write(tmp_path / "b", "fixed", 0.1, seeds=(None,))
    (row,) = hashbench.compare(tmp_path / "a", tmp_path / "b").itertuples()
    assert row.verdict == "B higher"


def test_of_an_edited_plugin_the_last_version_counts(tmp_path):
    write(tmp_path / "a", "edited", 0.1, date="2026-02-01", source="ab" * 32)
    write(tmp_path / "a", "edited", date="2026-01-01")
    write(tmp_path / "b", "edited")
    (row,) = hashbench.compare(tmp_path / "a", tmp_path / "b").itertuples()
    assert (row.seeds_a, row.verdict) == (3, "A higher")


OTHER = "12" * 32


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"data": OTHER}, "different data or splits"),
        ({"protocol_hash": OTHER}, "their protocols have one name"),
        ({"engine": 2}, "count differently"),
        ({"protocol": "toy/2"}, "no finished cells of the same data set"),
        ({"n_bits": 8}, "no finished cells of the same data set"),
    ],
)
def test_what_cannot_be_paired_is_refused(tmp_path, cli, values, word):
    write(tmp_path / "a", "lsh")
    write(tmp_path / "b", "lsh", **values)
    one_clear_line(cli("compare", tmp_path / "a", tmp_path / "b"), word)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("a",), ["name two methods of one"]),
        (("a", "a"), ["name two methods of one"]),
        (("a", "--methods", "same"), ["name two methods of one"]),
        (("a", "b", "--methods", "same,better,one"), ["name two methods of one"]),
        (("a", "b", "--methods", "bettr"), ["a has no finished cell of 'bettr'", "did you mean 'better'"]),
        (("a", "b", "--methods", "only_a"), ["b has no finished cell of 'only_a'"]),
        (("a", "b", "--metrics", "mAP@al"), ["--metrics", "did you mean 'mAP@all'"]),
        (("a", "none"), ["none holds no records"]),
        (("a", "b", "--csv", "rows.txt"), ["--csv", "ends in .csv"]),
    ],
)
def test_bad_input(two, cli, arguments, words, monkeypatch):
    monkeypatch.chdir(two[0].parent)
    one_clear_line(cli("compare", *arguments), *words)
