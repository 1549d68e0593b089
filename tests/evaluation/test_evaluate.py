"""The public scoring function: every form of codes and labels, and one clear error for the rest."""

import numpy as np
import pytest
from reference import hamming, ranked_value

from hashbench import evaluate
from hashbench.evaluation import metrics
from hashbench.evaluation.evaluate import score
from hashbench.evaluation.readings import READINGS


@pytest.fixture
def case():
    rng = np.random.default_rng(0)
    return (
        rng.random((9, 24)) < 0.5,
        rng.random((80, 24)) < 0.5,
        rng.integers(0, 3, 9),
        rng.integers(0, 3, 80),
    )


def test_packed_bool_signed_and_float_codes_are_the_same(case):
    query, database, own, theirs = case
    expected = dict(evaluate(query, database, own, theirs))
    for form in (
        lambda bits: np.packbits(bits, axis=1),
        lambda bits: np.where(bits, 1, -1).astype(np.int8),
        lambda bits: np.where(bits, 1.0, -1.0).astype(np.float32),
        np.asfortranarray,
        lambda bits: np.repeat(bits, 2, axis=0)[::2],
    ):
        assert dict(evaluate(form(query), form(database), own, theirs)) == expected


def test_values_by_definition_where_nothing_is_tied():
    rng = np.random.default_rng(1)
    database = np.tri(64, 64, -1, dtype=bool)
    query = np.zeros((1, 64), bool)
    theirs = rng.integers(0, 3, 64)
    ranked = (theirs == 1)[np.argsort(hamming(query, database)[0], kind="stable")]
    found = evaluate(query, database, np.array([1]), theirs, ["mAP@10", "mAP@all", "P@10", "R@10"])
    assert found["mAP@10"] == pytest.approx(ranked_value("hits", ranked, 10, ranked.sum()))
    assert found["mAP@all"] == pytest.approx(ranked_value("min", ranked, None, ranked.sum()))
    assert found["P@10"] == pytest.approx(ranked[:10].mean())
    assert found["R@10"] == pytest.approx(ranked[:10].sum() / ranked.sum())


def test_ndcg_by_definition_where_nothing_is_tied():
    rng = np.random.default_rng(2)
    database = np.tri(40, 40, -1, dtype=bool)
    own, theirs = np.ones((1, 5), bool), rng.random((40, 5)) < 0.4
    gains = 2.0 ** theirs.sum(axis=1) - 1
    discount = 1 / np.log2(np.arange(2, 12))
    expected = (gains[:10] * discount).sum() / (np.sort(gains)[::-1][:10] * discount).sum()
    found = evaluate(np.zeros((1, 40), bool), database, own, theirs, ["nDCG@10"])
    assert found["nDCG@10"] == pytest.approx(expected)


def test_ndcg_of_classes_is_that_of_one_label_each(case):
    query, database, own, theirs = case
    one_hot = np.eye(3, dtype=bool)
    names = ["nDCG@20", "nDCG@20(linear)", "ACG@20", "wmAP@20", "mAP@20"]
    by_class = evaluate(query, database, own, theirs, names)
    by_label = evaluate(query, database, one_hot[own], one_hot[theirs], names)
    assert dict(by_class) == pytest.approx(dict(by_label), abs=1e-14)
    assert 0 < by_class["nDCG@20"] < 1


def test_labels_as_matrix_and_as_masks_are_the_same(case):
    from hashbench.evaluation.relevance import masks_of

    query, database, _, _ = case
    rng = np.random.default_rng(3)
    own, theirs = rng.random((9, 70)) < 0.05, rng.random((80, 70)) < 0.05
    names = ["mAP@20", "nDCG@20"]
    expected = dict(evaluate(query, database, own, theirs, names))
    assert dict(evaluate(query, database, own.astype(int), theirs.astype(float), names)) == expected
    assert dict(evaluate(query, database, masks_of(own), masks_of(theirs), names, n_labels=70)) == expected


def test_a_memory_mapped_database(case, tmp_path):
    query, database, own, theirs = case
    np.save(tmp_path / "codes.npy", np.packbits(database, axis=1))
    mapped = np.load(tmp_path / "codes.npy", mmap_mode="r")
    assert dict(evaluate(np.packbits(query, axis=1), mapped, own, theirs)) == dict(
        evaluate(query, database, own, theirs)
    )


@pytest.mark.parametrize("name", ["query_codes", "database_codes"])
@pytest.mark.parametrize("distance", ["hamming", "spherical"])
@pytest.mark.parametrize(("n_bits", "n_bytes"), [(1, 1), (12, 2), (23, 3), (127, 16)])
def test_a_bit_beyond_the_length_is_refused(name, distance, n_bits, n_bytes):
    codes = {"query_codes": np.zeros((5, n_bytes), np.uint8), "database_codes": np.zeros((7, n_bytes), np.uint8)}
    labels = np.zeros(5, int), np.zeros(7, int)
    assert evaluate(**codes, query_labels=labels[0], database_labels=labels[1], n_bits=n_bits, distance=distance)
    codes[name][3, -1] = 1
    message = f"{name} has bit {8 * n_bytes - 1} set in row 3, expected bits 0 to {n_bits - 1}"
    with pytest.raises(ValueError, match=message):
        evaluate(**codes, query_labels=labels[0], database_labels=labels[1], n_bits=n_bits, distance=distance)


@pytest.mark.parametrize("kind", ["classes", "masks", "graded", "neighbors"])
@pytest.mark.parametrize("n_bits", [12, 1017])
def test_a_bit_beyond_the_length_in_a_late_shard_is_refused(monkeypatch, kind, n_bits):
    monkeypatch.setattr("hashbench.evaluation.counting.histograms.SHARD_BYTES", 1024)
    codes = np.zeros((500, -(-n_bits // 8)), np.uint8)
    codes[477] = 0xFF
    relevance = {
        "classes": {"query_labels": np.zeros(2, int), "database_labels": np.zeros(500, int)},
        "neighbors": {"neighbors": np.array([[477, 1], [3, 4]])},
    }.get(kind, {"query_labels": np.ones((2, 3), bool), "database_labels": np.ones((500, 3), bool)})
    metrics = ["nDCG@5"] if kind == "graded" else ["mAP@all"]
    with pytest.raises(ValueError, match=f"database_codes has bit {n_bits} set in row 477"):
        evaluate(codes[:2], codes, metrics=metrics, n_bits=n_bits, **relevance)


def beyond(n, n_labels):
    """Return masks of which the last one has a bit too many."""
    masks = np.ones((n, 1), np.uint64)
    masks[-1] |= np.uint64(1 << n_labels)
    return masks


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"query_codes": np.ones((9, 16), bool)}, "query_codes have 16 bits and database_codes 24"),
        ({"query_codes": np.zeros((0, 24), bool)}, "query_codes has shape (0, 24): there is nothing"),
        ({"database_codes": np.zeros((0, 24), bool)}, "database_codes has shape (0, 24)"),
        ({"query_codes": np.ones(24, bool)}, "query_codes has shape (24,), expected (n, width)"),
        ({"query_codes": np.eye(9, 24, dtype=np.int8)}, "holds a zero at (0, 1)"),
        ({"query_codes": np.full((9, 24), 0.3)}, "values other than -1 and 1"),
        ({"query_codes": np.full((9, 24), "a")}, "query_codes has dtype <U1"),
        ({"query_codes": np.ones((9, 3), np.uint16)}, "query_codes has dtype uint16"),
        (
            {"query_codes": np.where(np.eye(9, 24), 1, -1).astype(np.uint8)},
            "query_codes is uint8 and holds nothing but 1 and 255, which -1 becomes in that type",
        ),
        (
            {"database_codes": np.where(np.eye(80, 24), 1, -1).astype(np.uint8)},
            "pass a signed type holding -1 and 1, or numpy.packbits(codes > 0, axis=1)",
        ),
        ({"query_labels": np.zeros(8, int)}, "query_labels has shape (8,), expected (9,) or (9, n_labels)"),
        ({"database_labels": np.zeros((80, 2), bool)}, "expected the same kind and number of labels"),
        ({"query_labels": np.zeros(9)}, "query_labels has dtype float64, expected integers"),
        ({"query_labels": np.full((9, 3), 2)}, "expected a matrix of 0 and 1"),
        ({"query_labels": None}, "give query_labels and database_labels, or neighbors"),
        ({"metrics": ["mAP@0"]}, "mAP@0: the cut-off must be at least 1"),
        ({"metrics": ["wmAP@0"]}, "wmAP@0: the cut-off must be at least 1"),
        ({"metrics": ["MRR@0"]}, "MRR@0: the cut-off must be at least 1"),
        ({"metrics": ["recall@5"]}, "needs at least 5 true neighbours"),
        ({"n_bits": 99}, "n_bits=99 does not fit codes of 3 bytes"),
        ({"n_bits": 0}, "n_bits=0 does not fit codes of 3 bytes"),
        ({"query_codes": np.ones((9, 8192), np.uint8), "database_codes": np.ones((80, 8192), np.uint8)}, "65535 bits"),
        (
            {"query_labels": np.full((9, 1), 2, np.uint64), "database_labels": beyond(80, 21), "n_labels": 21},
            "database_labels has label 21 in row 79, expected labels 0 to 20",
        ),
        (
            {"query_labels": np.ones((9, 1), np.uint64), "n_labels": 65},
            "query_labels has shape (9, 1), expected (9, 2) words",
        ),
        ({"query_labels": np.ones((9, 3), bool), "n_labels": 4}, "query_labels has shape (9, 3), expected (9, 4)"),
        ({"neighbors": np.full((9, 3), 80)}, "neighbors names row 80, the database has 80"),
        ({"neighbors": np.tile(np.arange(3), (9, 1)), "metrics": ["recall@5"]}, "recall@5 needs 5 neighbors, got 3"),
    ],
)
def test_unusable_arguments_are_named(case, change, message):
    names = ("query_codes", "database_codes", "query_labels", "database_labels")
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (the message is compared below, as text)
        evaluate(**{**dict(zip(names, case, strict=True)), **change})
    assert message in str(caught.value)


def test_an_evaluation_is_one_line_at_the_prompt_and_a_table_in_a_notebook():
    class Odd(metrics.PrecisionAt):
        def __str__(self):
            return "<b>&@1"

    rng = np.random.default_rng(0)
    codes, labels = rng.integers(0, 2, (20, 16)).astype(bool), np.arange(20) % 3
    result = evaluate(codes, codes, labels, labels, ["P@1", Odd(1)])
    assert repr(result) == f"Evaluation(P@1={result['P@1']:.4f}, <b>&@1={result['P@1']:.4f}, n_queries=20)"
    assert repr(result.histograms) == "Histograms(n_queries=20, n_levels=17, n_database=20)"
    frame = result.to_frame()
    assert frame.shape == (20, 2)
    assert frame["P@1"].mean() == result["P@1"]
    shown = result._repr_html_()
    assert "<b>" not in shown
    assert "&lt;b&gt;&amp;@1" in shown
    assert f"<td>{result['P@1']:.4f}</td>" in shown
    nothing = evaluate(codes, codes, labels, labels, [])
    assert repr(nothing) == "Evaluation(n_queries=20)"
    assert nothing.to_frame().empty


def test_unseen_classes_are_read_from_their_own_rows():
    rng = np.random.default_rng(0)
    queries, items = rng.integers(0, 2, (30, 16)).astype(bool), rng.integers(0, 2, (90, 16)).astype(bool)
    of_query, of_item = np.arange(30) % 3, np.arange(90) % 3
    names = ["P@5", *(f"mAP@all {reading}" for reading in READINGS)]
    result = evaluate(queries, items, of_query, of_item, names, unseen=[2])
    assert list(result) == names
    assert result["P@5"] == evaluate(queries, items, of_query, of_item, ["P@5"])["P@5"]
    some, kept = of_query == 2, of_item == 2
    for reading, rows, kept_rows in (
        ("seen@seen", ~some, ~kept),
        ("seen@all", ~some, kept | ~kept),
        ("unseen@unseen", some, kept),
        ("unseen@all", some, kept | ~kept),
    ):
        alone = evaluate(queries[rows], items[kept_rows], of_query[rows], of_item[kept_rows], ["mAP@all"])
        assert (result.per_query[f"mAP@all {reading}"] == alone.per_query["mAP@all"]).all()
    frame = result.to_frame()
    assert frame["mAP@all unseen@all"].dropna().index.tolist() == np.flatnonzero(some).tolist()
    assert frame["mAP@all unseen@all"].mean() == result["mAP@all unseen@all"]
    assert "n_queries=unknown" in repr(result)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"unseen": None}, "mAP@all unseen@all needs unseen, the classes that training has not seen"),
        ({"unseen": [7]}, "unseen@all: 0 queries and 80 database items are of its classes"),
        ({"query_labels": np.ones((9, 2), bool)}, "query_labels must be one class an item, integers of shape (n,)"),
        ({"query_labels": None}, "query_labels must be one class an item"),
        ({"metrics": ["mAP@all unseen@some"]}, "unknown metric 'mAP@all unseen@some'"),
        ({"metrics": ["mAP@0 unseen@all"]}, "mAP@0: the cut-off must be at least 1"),
    ],
)
def test_unusable_unseen_classes_are_named(change, message):
    arguments = {
        "query_codes": np.ones((9, 8), bool),
        "database_codes": np.ones((80, 8), bool),
        "query_labels": np.arange(9) % 3,
        "database_labels": np.arange(80) % 3,
        "metrics": ["P@5", "mAP@all unseen@all"],
        "unseen": [2],
    }
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (the message is compared below, as text)
        evaluate(**arguments | change)
    assert message in str(caught.value)


def test_a_reading_is_not_had_from_histograms_which_know_no_classes():
    metric = metrics.parse("mAP@all unseen@all")
    assert (str(metric), metric.title) == ("mAP@all unseen@all", "Mean average precision, unseen@all")
    labels = np.arange(20) % 3
    counted = evaluate(np.ones((20, 8), bool), np.ones((20, 8), bool), labels, labels).histograms
    with pytest.raises(ValueError, match="mAP@all unseen@all needs classes"):
        score(counted, [metric])
    with pytest.raises(ValueError, match="keeps no histograms, nor do metrics of unseen classes"):
        _ = evaluate(np.ones((20, 8), bool), np.ones((20, 8), bool), labels, labels, [metric], unseen=[1]).histograms
