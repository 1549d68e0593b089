"""Tables for people: what is marked, what a title says, and terminals of any width."""

import io

import numpy as np
import pytest
from made_records import made_record
from rich.console import Console

from hashbench.records.store import Store
from hashbench.reports.tables import print_tables

SCORES = {"mAP@all": 0.5, "mAP@100": 0.6}


def printed(records, width, store=None):
    stream = io.StringIO()
    print_tables(records, Console(file=stream, width=width), store)
    return stream.getvalue()


@pytest.mark.parametrize("width", [20, 30, 40, 60, 80, 200])
def test_numbers_are_never_cut(width):
    label = "cibhash[beta=0.001,epochs=20]"
    records = [
        made_record(
            label, n_bits, seed, metrics={"mAP@all": 0.12345 + seed / 100 + n_bits / 1000}, timings={"fit_s": 1.5}
        )
        for n_bits in (16, 32, 64, 128)
        for seed in (0, 1)
    ]
    text = printed(records, width)
    for n_bits in (16, 32, 64, 128):
        assert f"{np.mean([0.12345 + n_bits / 1000, 0.13345 + n_bits / 1000]):.4f} ± 0.0071" in text
        assert f"{n_bits} bits" in text
    assert "…" not in text


def run_of(tmp_path, seeds, labels=("a", "b")):
    store, rng = Store(tmp_path), np.random.default_rng(0)
    store.open_for_writing()
    for number, label in enumerate(labels):
        for seed in seeds:
            values = rng.random(300) / 2 + 0.2 * number
            record = made_record(label, 16, seed, metrics={"mAP@all": float(values.mean())})
            store.write(record, {"per_query:mAP@all": values})
    return store


def test_one_seed_gives_no_verdict_and_the_title_says_so(tmp_path):
    store = run_of(tmp_path, [0])
    text = printed(list(store), 100, store)
    assert "one seed, so no verdict" in text
    assert "*" not in text


def test_several_seeds_give_verdicts(tmp_path):
    store = run_of(tmp_path, [0, 1, 2], ("a", "b", "c"))
    text = printed(list(store), 100, store)
    assert "one seed" not in text
    assert "corrected for its choice" not in text
    store = run_of(tmp_path / "equal", range(5), ("a",))
    for seed in range(5):
        record = made_record("twin", 16, seed, metrics={"mAP@all": 0.25})
        twin = store.arrays(made_record("a", 16, seed).id)
        store.write(record, twin)
    text = printed(list(store), 100, store)
    assert "* not separable from the best of its column" in text


def test_data_sets_get_separate_tables():
    records = [made_record("itq", 16, None, dataset=name, metrics=SCORES) for name in ("toy", "other")]
    text = printed(records, 100)
    assert text.count("mAP@all: toy (toy/1)") == 1
    assert text.count("mAP@all: other (other/1)") == 1


def test_cells_without_a_result_for_one_reason_share_a_line():
    reason = "epochs=0: expected at least 1"
    refused = [made_record("cibhash", n_bits, 0, status="skipped", error=reason, metrics={}) for n_bits in (16, 32, 64)]
    failed = made_record("itq", 16, 0, status="failed", error="it broke", metrics={})
    text = printed([*refused, failed, made_record("lsh", metrics=SCORES)], 200)
    assert text.count(reason) == 1
    assert f"cibhash, 3 cells: skipped: {reason}" in text
    assert "itq 16 bits seed 0: failed: it broke" in text
