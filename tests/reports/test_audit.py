"""The audit against the scripts it stands for: sorted rankings, labels of both kinds, ties in plenty."""

import itertools
import shutil
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from conftest import one_clear_line

from hashbench.errors import InputError
from hashbench.evaluation import conventions
from hashbench.evaluation.evaluate import evaluate
from hashbench.evaluation.metrics import SuccessAt
from hashbench.records.store import Store
from hashbench.reports import audit


def script(query_bits, database_bits, relevance, k, divisor, dropped):
    """Score as the usual script does: dot products, a stable argsort, cumulative precision."""
    q, d = 2.0 * query_bits - 1, 2.0 * database_bits - 1
    values = []
    for i in range(len(q)):
        distances = 0.5 * (q.shape[1] - d @ q[i])
        ranked = relevance[i][np.argsort(distances, kind="stable")]
        top = ranked[:k].astype(float)
        found = top.sum()
        if found == 0:
            if not dropped:
                values.append(0.0)
            continue
        ranks = np.flatnonzero(top) + 1
        total = np.sum(np.arange(1, len(ranks) + 1) / ranks)
        values.append(total / {"hits": found, "R": ranked.sum(), "min(k,R)": min(k, ranked.sum())}[divisor])
    return np.mean(values) if values else np.nan


def frame_of(rows):
    return pd.DataFrame(rows).set_index(["cutoff", "divisor", "ties", "without_hit"])["mAP"]


def problem(kind, n_bits, seed, n_query=17, n_database=300, class_sorted=False):
    """Return random bits, labels and relevance; some queries have nothing relevant."""
    rng = np.random.default_rng(seed)
    query_bits, database_bits = (rng.random((n, n_bits)) < 0.4 for n in (n_query, n_database))
    if kind == "single":
        query, database = (rng.integers(0, 12, n) for n in (n_query, n_database))
        query[:2], database[database == 5] = 99, 6
        key = database
        relevance = query[:, None] == database
    else:
        n_labels = {"masks": 21, "wide masks": 81}[kind]
        query, database = (rng.random((n, n_labels)) < 0.03 for n in (n_query, n_database))
        key = np.where(database.any(axis=1), database.argmax(axis=1), n_labels)
        relevance = (query.astype(int) @ database.T.astype(int)) > 0
        query, database = masks(query), masks(database)
    if class_sorted:
        order = np.argsort(key, kind="stable")
        database_bits, database, key, relevance = database_bits[order], database[order], key[order], relevance[:, order]
    return query_bits, database_bits, query, database, relevance, np.argsort(key, kind="stable")


def masks(labels):
    """Pack a bool matrix into uint64 words, label by label."""
    words = np.zeros((len(labels), -(-labels.shape[1] // 64)), np.uint64)
    for item, label in zip(*np.nonzero(labels), strict=True):
        words[item, label // 64] |= np.uint64(1) << np.uint64(label % 64)
    return words


@pytest.mark.parametrize("kind", ["single", "masks", "wide masks"])
@pytest.mark.parametrize("n_bits", [3, 8, 16, 70])
@pytest.mark.parametrize("class_sorted", [False, True])
def test_stable_orders_equal_the_usual_script(kind, n_bits, class_sorted):
    query_bits, database_bits, query, database, relevance, by_class = problem(
        kind, n_bits, 0, class_sorted=class_sorted
    )
    packed = np.packbits(query_bits, axis=1), np.packbits(database_bits, axis=1)
    found = frame_of(conventions.conventions(*packed, query, database, n_bits, (1, 20, 150, 9999, None)))
    assert set(found.index.get_level_values("cutoff")) == {"1", "20", "150", "all"}
    for (cutoff, divisor, ties, rule), value in found.items():
        if ties in ("stable", "class-sorted"):
            order = by_class if ties == "class-sorted" else np.arange(len(database))
            k = len(database) if cutoff == "all" else int(cutoff)
            expected = script(query_bits, database_bits[order], relevance[:, order], k, divisor, rule == "dropped")
            np.testing.assert_allclose(value, expected, rtol=0, atol=1e-12)
    if class_sorted:
        rows = found.unstack("ties")  # noqa: PD010
        np.testing.assert_array_equal(rows["stable"], rows["class-sorted"])
    assert not found.xs("dropped", level="without_hit").equals(found.xs("0", level="without_hit"))


@pytest.mark.parametrize("kind", ["single", "masks"])
@pytest.mark.parametrize("seed", range(5))
def test_every_order_is_between_the_bounds(kind, seed):
    query_bits, database_bits, query, database, _, _ = problem(kind, 5, seed, n_database=80)
    packed = np.packbits(query_bits, axis=1), np.packbits(database_bits, axis=1)
    found = frame_of(conventions.conventions(*packed, query, database, 5, (1, 7, 50, None)))
    rows = found.xs("0", level="without_hit").unstack("ties")  # noqa: PD010
    for ties in ("expected", "stable", "class-sorted"):
        assert (rows["optimistic"] >= rows[ties] - 1e-12).all()
        assert (rows["pessimistic"] <= rows[ties] + 1e-12).all()
    assert (rows["optimistic"] > rows["pessimistic"]).any()
    with_zero, dropped = (found.xs(rule, level="without_hit") for rule in ("0", "dropped"))
    some = dropped.notna()
    assert some.any()
    assert (dropped[some] >= with_zero[some] - 1e-12).all()


def test_expected_is_what_evaluate_says():
    query_bits, database_bits, query, database, _, _ = problem("single", 12, 3, n_database=1200)
    packed = np.packbits(query_bits, axis=1), np.packbits(database_bits, axis=1)
    found = frame_of(conventions.conventions(*packed, query, database, 12))
    names = ["mAP@1000", "mAP@1000(min(k,R))", "mAP@all", "mAP@all(optimistic)"]
    scores = evaluate(*packed, query, database, names, n_bits=12)
    assert found["1000", "hits", "expected", "0"] == pytest.approx(scores["mAP@1000"], abs=1e-15)
    assert found["1000", "min(k,R)", "expected", "0"] == pytest.approx(scores["mAP@1000(min(k,R))"], abs=1e-15)
    assert found["all", "R", "expected", "0"] == pytest.approx(scores["mAP@all"], abs=1e-15)
    assert found["all", "R", "optimistic", "0"] == pytest.approx(scores["mAP@all(optimistic)"], abs=1e-15)
    assert set(found.index.get_level_values("cutoff")) == {"1000", "all"}


def test_chance_of_a_hit_equals_enumeration():
    query = np.array([[0, 0, 0]], bool)
    database = np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0], [1, 1, 0], [1, 0, 1], [1, 1, 1]], bool)
    labels = np.array([1, 2, 2, 1, 1, 2])
    codes = np.packbits(query, axis=1), np.packbits(database, axis=1)
    distances = database.sum(axis=1)
    histograms = evaluate(*codes, np.array([1]), labels, (), n_bits=3).histograms
    orders = [order for order in itertools.permutations(range(6)) if (np.diff(distances[list(order)]) >= 0).all()]
    for k in range(1, 7):
        chance = np.mean([(labels[list(order[:k])] == 1).any() for order in orders])
        assert SuccessAt(k).per_query(histograms) == pytest.approx([chance])


@pytest.mark.parametrize("kind", ["single", "masks"])
def test_queries_with_nothing_relevant_are_dropped_at_every_cutoff(kind):
    query_bits, database_bits, query, database, relevance, _ = problem(kind, 8, 0)
    answered = relevance.any(axis=1)
    assert not answered.all()
    packed = np.packbits(query_bits, axis=1), np.packbits(database_bits, axis=1)
    found = frame_of(conventions.conventions(*packed, query, database, 8))
    for ties in conventions.TIES:
        of_all = found["all", "R", ties, "0"]
        assert found["all", "R", ties, "dropped"] == pytest.approx(of_all * len(query) / answered.sum(), rel=1e-12)


def test_no_query_with_a_hit_leaves_nothing_to_average():
    bits = np.eye(4, dtype=bool)
    codes = np.packbits(bits, axis=1)
    found = frame_of(conventions.conventions(codes, codes, np.arange(4), np.arange(4, 8), 4))
    assert (found.xs("0", level="without_hit") == 0).all()
    assert found.xs("dropped", level="without_hit").isna().all()


@pytest.mark.parametrize("cutoff", [0, -1])
def test_a_cutoff_below_one_is_refused(cutoff):
    codes = np.packbits(np.eye(4, dtype=bool), axis=1)
    with pytest.raises(ValueError, match=f"cutoffs: {cutoff}: expected at least 1"):
        conventions.conventions(codes, codes, np.arange(4), np.arange(4), 4, (cutoff, None))


@pytest.fixture(scope="module")
def finished(tmp_path_factory, cli):
    out = tmp_path_factory.mktemp("audited")
    done = cli("run", "--methods", "itq,lsh", "--bits", "16,32", "--seeds", "0,1", "--out", out)
    assert done.returncode == 0, done.stderr
    return out


def test_command_shows_extremes_and_all_conventions(finished, cli, tmp_path):
    done = cli("audit", finished, "--csv", tmp_path / "audit.csv")
    assert done.returncode == 0, done.stderr
    for words in ("itq", "lsh", "lowest", "highest", "spread", "optimistic", "min(k,R)", "0 or dropped"):
        assert words in done.stdout
    frame = pd.read_csv(tmp_path / "audit.csv")
    n_conventions = (3 + 3 + 1) * 5 * 2
    assert len(frame) == 8 * n_conventions
    assert not frame.duplicated(["id", *audit.CONVENTION]).any()
    extremes = audit.summary(audit.audit(Store(finished)))
    assert len(extremes) == 4
    assert (extremes["min"] < extremes["hashbench"]).all()
    assert (extremes["hashbench"] < extremes["max"]).all()
    assert (extremes["spread"] > 0.05).all()
    assert extremes["max_convention"].str.contains("optimistic").all()


def test_scores_of_the_run_are_found_again(finished):
    frame = audit.audit(Store(finished))
    assert set(frame["cutoff"]) == {"100", "1000", "all"}, "the data set's own cut-off is 100"
    own = frame.query("cutoff == '100' and divisor == 'hits' and ties == 'expected' and without_hit == '0'")
    assert len(own) == 8
    np.testing.assert_allclose(own["mAP"], own["hashbench"], rtol=0, atol=1e-12)
    assert set(own["hashbench_metric"]) == {"mAP@100"}
    stored = {record.id: record.metrics["mAP@all"] for record in Store(finished)}
    whole = frame.query("cutoff == 'all' and ties == 'expected' and without_hit == '0'").set_index("id")["mAP"]
    assert whole.to_dict() == pytest.approx(stored, abs=1e-12)


def test_cutoffs_are_those_of_the_record_and_the_usual_ones():
    metrics = {"mAP@50": 0.1, "mAP@all": 0.2, "mAP@1000(min(k,R))": 0.3, "P@7": 0.4, "of a later version@3": 0.5}
    assert audit.cutoffs_of(SimpleNamespace(metrics=metrics)) == [50, 1000, 5000, None]
    assert audit.cutoffs_of(SimpleNamespace(metrics={})) == [1000, 5000, None]


def test_missing_labels_are_added_by_the_same_run(finished, cli, tmp_path):
    out = tmp_path / "old"
    shutil.copytree(finished, out)
    shutil.rmtree(out / "labels")
    one_clear_line(cli("audit", out), "labels", "is missing", "repeat the run")
    again = cli("run", "--methods", "lsh", "--bits", "16", "--seeds", "0,1", "--out", out)
    assert again.stderr.count("already in") == 2
    assert cli("audit", out).returncode == 0
    (labels,) = (out / "labels").glob("*.npz")
    labels.write_bytes(labels.read_bytes()[:100])
    one_clear_line(cli("audit", out), "labels", "is damaged", "delete it")


def test_labels_that_do_not_fit_are_refused(finished, tmp_path):
    out = tmp_path / "other"
    shutil.copytree(finished, out)
    (labels,) = (out / "labels").glob("*.npz")
    np.savez(labels, query=np.zeros(3, np.int64), database=np.zeros(4, np.int64))
    with pytest.raises(InputError, match="does not fit the codes"):
        audit.audit(Store(out))


def test_directories_without_records_are_refused(cli, tmp_path):
    one_clear_line(cli("audit", tmp_path / "nowhere"), "nowhere", "holds no records that can be used", "hashbench run")
    one_clear_line(cli("audit", tmp_path), "holds no records that can be used")


@pytest.mark.parametrize(
    ("name", "word"),
    [("no/audit.csv", "there is no directory"), ("audit.txt", "ends in .csv"), ("folder.csv", "is a directory")],
)
def test_a_file_that_cannot_be_written_is_refused_before_codes_are_scored(
    finished, cli, tmp_path, monkeypatch, name, word
):
    (tmp_path / "folder.csv").mkdir()
    monkeypatch.setattr(audit, "conventions", lambda *_, **__: pytest.fail("scored first"))
    one_clear_line(cli("audit", finished, "--csv", tmp_path / name), "--csv", word)


def test_a_full_disk_leaves_the_older_file(finished, cli, tmp_path, monkeypatch):
    file = tmp_path / "audit.csv"
    file.write_text("older")

    def full(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(audit, "write_atomically", full)
    one_clear_line(cli("audit", finished, "--csv", file), "audit.csv cannot be written (No space left on device)")
    assert file.read_text() == "older"
