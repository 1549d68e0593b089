"""Ranking by spherical Hamming distance, against the definition."""

import numpy as np
import pytest
import reference

from hashbench import evaluate


def by_definition(query, database):
    """Return |a ⊕ b| / |a ∧ b|, infinite without a common one and 0 between codes without any."""
    differ = reference.hamming(query, database)
    common = (query[:, None, :] & database[None, :, :]).sum(axis=2)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(differ == 0, 0.0, differ / common)


@pytest.fixture(params=[1, 7, 64, 100])
def codes(request):
    rng = np.random.default_rng(request.param)
    query, database = rng.random((6, request.param)) < 0.4, rng.random((90, request.param)) < rng.random((90, 1))
    query[0], database[:3] = False, False
    return query, database


@pytest.mark.parametrize("kind", ["classes", "labels", "neighbors"])
def test_histograms_by_definition(codes, kind):
    query, database = codes
    rng = np.random.default_rng(0)
    if kind == "classes":
        own, theirs = rng.integers(0, 4, 6), rng.integers(0, 4, 90)
        relevance, extra = own[:, None] == theirs, {"query_labels": own, "database_labels": theirs}
        metrics = ["mAP@all"]
    elif kind == "labels":
        own, theirs = rng.random((6, 5)) < 0.4, rng.random((90, 5)) < 0.4
        relevance, extra = (own[:, None] & theirs).any(axis=2), {"query_labels": own, "database_labels": theirs}
        metrics = ["mAP@all", "nDCG@10"]
    else:
        neighbors = np.stack([rng.permutation(90)[:10] for _ in range(6)])
        relevance = np.zeros((6, 90), bool)
        np.put_along_axis(relevance, neighbors, True, axis=1)
        extra, metrics = {"neighbors": neighbors}, ["mAP@all", "recall@10"]
    found = evaluate(query, database, metrics=metrics, distance="spherical", **extra).histograms
    distances = by_definition(query, database)
    for i, row in enumerate(distances):
        total = [int((row == value).sum()) for value in np.unique(row)]
        relevant = [int(relevance[i][row == value].sum()) for value in np.unique(row)]
        assert found.total[i][found.total[i] > 0].tolist() == total
        assert found.relevant[i][found.total[i] > 0].tolist() == relevant
        if found.shared is not None:
            shared = [np.bincount((own[i] & theirs)[row == v].sum(axis=1), minlength=6) for v in np.unique(row)]
            n_columns = found.shared.shape[2]
            assert (found.shared[i][found.total[i] > 0] == np.array(shared)[:, :n_columns]).all()
        for counts in found.nearest.values():
            assert counts[i][found.total[i] > 0].tolist() == relevant


def test_common_ones_decide_among_equal_hamming_distances():
    query = np.array([[1, 1, 0, 0]], bool)
    database = np.array([[0, 1, 0, 0], [1, 1, 1, 0]], bool)  # each differs in one bit; the second shares two ones
    labels = np.array([0, 1])
    assert evaluate(query, database, np.array([1]), labels, ["P@1"])["P@1"] == 0.5
    assert evaluate(query, database, np.array([1]), labels, ["P@1"], distance="spherical")["P@1"] == 1.0


@pytest.mark.parametrize(
    ("n_bits", "change", "message"),
    [
        (129, {}, "takes codes of up to 128 bits, got 129"),
        (8, {"metrics": ["P@r2"]}, "P@r2 is within a Hamming radius"),
        (8, {"distance": "cosine"}, "distance='cosine': expected 'hamming', 'spherical' or 'asymmetric'"),
    ],
)
def test_unusable_arguments_are_named(n_bits, change, message):
    codes, labels = np.ones((3, n_bits), bool), np.zeros(3, int)
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (the message is compared below, as text)
        evaluate(codes, codes, labels, labels, **{"distance": "spherical", **change})
    assert message in str(caught.value)
