"""Readings in the order of numpy's and torch's sorting equal scripts that sort so, written plainly."""

import numpy as np
import pandas as pd
import pytest
import torch

from hashbench.evaluation.conventions import LIBRARY_TIES, TIES, conventions

RNG = np.random.default_rng(0)
N_BITS = 10
QUERY, DATABASE = (np.where(RNG.random((n, N_BITS)) < 0.5, 1, -1).astype(np.float32) for n in (30, 900))
QUERY_MARKS, DATABASE_MARKS = (RNG.random((n, 12)) < 0.06 for n in (30, 900))
QUERY_MARKS[:2] = False
RELEVANT = QUERY_MARKS.astype(int) @ DATABASE_MARKS.T.astype(int) > 0


def partition(distances, k):
    near = np.argpartition(distances, k - 1)[:k]
    return near[np.argsort(distances[near])]


SCRIPTS = {
    "numpy": lambda distances, k: np.argsort(distances),
    "numpy-partition": partition,
    "torch": lambda distances, k: torch.argsort(torch.from_numpy(distances)).numpy(),
    "torch-topk": lambda distances, k: torch.topk(torch.from_numpy(distances), k, largest=False)[1].numpy(),
}


def script(order, k):
    """Return the average precision of each query, NaN without a hit."""
    values = []
    for query, relevant in zip(QUERY, RELEVANT, strict=True):
        ranked = relevant[order(0.5 * (N_BITS - DATABASE @ query), k)][:k]
        ranks = np.flatnonzero(ranked) + 1
        values.append(np.mean(np.arange(1, len(ranks) + 1) / ranks) if len(ranks) else np.nan)
    return np.array(values)


@pytest.fixture(scope="module")
def readings():
    packed = [np.packbits(codes > 0, axis=1) for codes in (QUERY, DATABASE)]
    told = []
    rows = conventions(*packed, QUERY_MARKS, DATABASE_MARKS, N_BITS, (5, 100, None), scripts=True, advance=told.append)
    assert sum(told) == 30
    return pd.DataFrame(rows).set_index(["cutoff", "divisor", "ties", "without_hit"])["mAP"].sort_index()


@pytest.mark.parametrize("k", [5, 100])
@pytest.mark.parametrize("ties", LIBRARY_TIES)
def test_an_order_is_what_the_library_leaves(ties, k, readings):
    values = script(SCRIPTS[ties], k)
    found = readings[str(k), "hits", ties]
    assert np.isnan(values).sum() > 2 or k == 100
    assert found["0"] == pytest.approx(np.nan_to_num(values).mean(), abs=1e-12)
    assert found["dropped"] == pytest.approx(np.nanmean(values), abs=1e-12)
    some = RELEVANT.any(axis=1)
    assert 0 < some.sum() < 30
    assert found["irrelevant dropped"] == pytest.approx(np.nan_to_num(values[some]).mean(), abs=1e-12)


def test_other_readings_stay_as_they_are(readings):
    packed = [np.packbits(codes > 0, axis=1) for codes in (QUERY, DATABASE)]
    rows = conventions(*packed, QUERY_MARKS, DATABASE_MARKS, N_BITS, (5, 100, None))
    assert {row["ties"] for row in rows} == set(TIES)
    for row in rows:
        key = tuple(row[name] for name in ("cutoff", "divisor", "ties", "without_hit"))
        assert readings[key] == row["mAP"]
