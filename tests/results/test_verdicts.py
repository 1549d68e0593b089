"""Verdicts over records: what competes for one best, and which records say of each other how far seeds scatter."""

import numpy as np
import pytest
from made_records import made_record

from hashbench.evaluation.statistics import compare
from hashbench.records.store import Store
from hashbench.results.verdicts import group_of, verdicts

METRIC = "mAP@all"


@pytest.fixture
def store(tmp_path):
    """Return a store for made records."""
    store = Store(tmp_path)
    store.open_for_writing()
    return store


def put(store, label, values, n_bits=16, **fields):
    """Write a record for each seed, or one of a method without seeds; return the group that they are."""
    seeds = [None] if values.ndim == 1 else range(len(values))
    for seed, of in zip(seeds, np.atleast_2d(values), strict=True):
        record = made_record(label, n_bits, seed, metrics={METRIC: float(of.mean())}, **fields)
        store.write(record, {f"per_query:{METRIC}": of})
    return group_of(record)


def test_methods_that_read_labels_and_others_have_a_best_each(store):
    rng = np.random.default_rng(0)
    values = {name: rng.random((3, 50)) / 10 + mean for name, mean in {"a": 0.2, "b": 0.4, "c": 0.6, "d": 0.9}.items()}
    groups = {name: put(store, name, of, uses_labels=name in "cd") for name, of in values.items()}
    compared = verdicts(list(store), store)
    assert [compared[groups[name], METRIC].verdict for name in "abcd"] == ["separable", "best", "separable", "best"]
    assert compared[groups["a"], METRIC] == compare({name: values[name] for name in "ab"})["a"]


def test_lengths_of_one_board_say_of_each_other_how_far_seeds_scatter(store):
    easy, seeds = np.random.default_rng(1).random(50), np.array([[-0.01], [0.0], [0.012]])
    short = {"a": put(store, "a", easy + seeds), "b": put(store, "b", easy - 0.1 + seeds)}
    alone = verdicts(list(store), store)[short["b"], METRIC]
    put(store, "b", easy + seeds / 10, n_bits=32)
    together = verdicts(list(store), store)[short["b"], METRIC]
    assert together.p_value < alone.p_value
    assert together.interval == alone.interval
    put(store, "b", easy + 100 * seeds, n_bits=64, uses_labels=True)
    put(store, "b", easy + 100 * seeds, n_bits=64, protocol="toy/2")
    assert verdicts(list(store), store)[short["b"], METRIC] == together


def test_metrics_that_not_all_of_a_length_have_are_not_compared(store):
    values = np.random.default_rng(2).random((2, 3, 50))
    a, b = put(store, "a", values[0]), put(store, "b", values[1])
    other = made_record("c", metrics={"P@10": 0.5})
    store.write(other, {"per_query:P@10": values[0, 0]})
    assert verdicts(list(store), store) == {}
    assert group_of(other) not in (a, b)
