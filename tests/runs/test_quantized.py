"""Runs that measure recall for bytes: quantizers and hash methods in one table."""

import numpy as np
import pandas as pd
import pytest
from boards import part_of
from conftest import one_clear_line

import hashbench
from hashbench.evaluation.candidates import recalls
from hashbench.plugins.registry import Registry
from hashbench.records.store import Store
from hashbench.reports.by_bytes import front, recall, rows_of_bytes
from hashbench.results.rows import Row, Score
from hashbench.runs.requested.groups import FIXED, with_groups

METHODS = "float32,int8,rabitq,itq[n_iter=2],pq"


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("vectors") / "vectors.npy"
    rng = np.random.default_rng(0)
    centres = 2 * rng.standard_normal((20, 32))
    np.save(path, (centres[rng.integers(20, size=900)] + rng.standard_normal((900, 32))).astype(np.float32))
    return path


@pytest.fixture(scope="module")
def finished(file, tmp_path_factory, cli):
    out = tmp_path_factory.mktemp("bytes")
    command = ("run", "--dataset", "vectors", "--data-dir", file, "--methods", METHODS, "--bits", "32,24")
    command = (*command, "--distance", "hamming,asymmetric", "--out", out)
    done = cli(*command)
    assert done.returncode == 0, done.stderr
    return out, done, command


def test_every_cell_is_of_one_protocol_and_has_its_bytes(finished):
    records = [record for record in Store(finished[0]) if record.status == "ok"]
    assert {record.config["protocol"] for record in records} == {"vectors/1+bytes"}
    sizes = {(row.label, row.n_bytes) for row in rows_of_bytes(records)}
    hashed = {(label, n) for label in ("itq[n_iter=2]", "itq[n_iter=2] asymmetric") for n in (3, 4)}
    assert sizes == hashed | {("float32", 128), ("int8", 32), ("rabitq", 12), ("pq", 4)}
    (skipped,) = (record for record in Store(finished[0]) if record.status == "skipped")
    assert "divided by 3" in skipped.error


def test_float32_finds_all_and_rescoring_never_loses(finished):
    rows = {(row.label, row.n_bytes): row for row in rows_of_bytes(list(Store(finished[0])))}
    assert recall(rows["float32", 128], 10, 1) == 1
    for row in rows.values():
        for k in (10, 100):
            scores = [recall(row, k, times) for times in (1, 2, 4, 10)]
            assert scores == sorted(scores)
        assert row.timings["top100_queries_per_s"] > 0
    assert recall(rows["itq[n_iter=2] asymmetric", 4], 10, 1) > recall(rows["itq[n_iter=2]", 4], 10, 1)
    assert recall(rows["rabitq", 12], 10, 1) < 1


def test_table_results_and_figure_show_them(finished, cli, tmp_path):
    out, done, _ = finished
    assert "recall for bytes: vectors (vectors/1+bytes)" in done.stdout
    assert "itq[n_iter=2] asymmetric" in done.stdout
    frame = pd.read_csv(out / "results.csv")
    assert frame.loc[frame["method"] == "int8", "recall10@40"].notna().all()
    assert frame.loc[frame["status"] == "ok", "top100_queries_per_s"].notna().all()
    drawn = cli("plot", out, "--to", tmp_path)
    assert drawn.returncode == 0, drawn.stderr
    assert (tmp_path / "recall_10_by_bytes.png").is_file()


def test_a_finished_run_is_not_computed_again(finished, cli):
    out, _, command = finished
    before = {path: path.stat().st_mtime_ns for path in (out / "records").iterdir()}
    again = cli(*command)
    assert again.returncode == 0, again.stderr
    assert before == {path: path.stat().st_mtime_ns for path in (out / "records").iterdir()}


def test_recall_for_bytes_has_no_leaderboard(finished, cli, tmp_path):
    one_clear_line(cli("publish", finished[0], "--to", tmp_path), "nothing to publish", "recall for bytes")


def test_a_bundle_holds_the_hash_methods_alone_and_says_so(finished, cli, tmp_path):
    done = cli("bundle", finished[0], "-o", tmp_path / "methods.zip", "--with-labels")
    assert (done.returncode, done.stdout) == (0, f"{tmp_path / 'methods.zip'}: 4 records\n")
    assert "left out, records: 4: of quantizers, whose codes are not kept" in done.stderr
    done = cli("validate", "--recompute", tmp_path / "methods.zip")
    assert done.returncode == 0, done.stderr
    assert "4 records: their codes give their metrics" in done.stdout


def test_a_bundle_of_quantizers_alone_cannot_be_made(finished, cli, tmp_path):
    part_of(finished[0], tmp_path / "run", lambda record: record.is_quantizer)
    refused = cli("bundle", tmp_path / "run", "-o", tmp_path / "none.zip")
    one_clear_line(refused, "records of quantizers only", "no codes to bundle")
    assert not (tmp_path / "none.zip").exists()


@pytest.fixture(scope="module")
def labelled(tmp_path_factory, cli):
    out = tmp_path_factory.mktemp("labelled")
    command = ("run", "--dataset", "digits", "--methods", "float32,float32_cosine,lsh,pq", "--bits", "16")
    done = cli(*command, "--metrics", "P@10", "--out", out)
    assert done.returncode == 0, done.stderr
    return out, done


def test_where_items_have_labels_quantizers_are_scored_by_them(labelled):
    """The metrics are those of a plain ranking by exact distances."""
    records = {record.config["method"]: record for record in Store(labelled[0])}
    dataset = hashbench.load_dataset("digits")
    X, split, y = dataset.images.reshape(1797, -1) / 255, dataset.split, dataset.labels
    for name, rows in (("float32", X), ("float32_cosine", X / np.linalg.norm(X, axis=1, keepdims=True))):
        distances = np.square(rows[split.query][:, None] - rows[split.database]).sum(axis=2)
        hits = np.take_along_axis(y[split.query][:, None] == y[split.database], distances.argsort(axis=1), axis=1)
        precisions = hits.cumsum(axis=1) / np.arange(1, hits.shape[1] + 1)
        plain = (precisions * hits).sum(axis=1) / hits.sum(axis=1)
        assert records[name].metrics["mAP@all"] == pytest.approx(plain.mean(), abs=1e-4)  # near ties are turned
        kept = Store(labelled[0]).arrays(records[name].id)["per_query:mAP@all"]
        assert kept.mean() == pytest.approx(records[name].metrics["mAP@all"])
    assert records["pq"].metrics["mAP@all"] == pytest.approx(records["float32"].metrics["mAP@all"], abs=0.05)
    protocols = {name: record.config["protocol"] for name, record in records.items()}
    assert protocols == dict.fromkeys(("float32", "float32_cosine", "pq"), "digits/1+uncoded") | {"lsh": "digits/1"}


def test_a_ceiling_is_no_method(labelled, cli, tmp_path):
    """It has a table of its own, no leaderboard, and no metrics beyond the protocol's."""
    out, done = labelled
    assert "no methods, but their ceiling: the features themselves" in done.stdout
    assert done.stdout.count("float32_cosine") == 1
    assert "P@10 is left out of some cells: a quantizer's codes are scored by the protocol's metrics" in done.stderr
    made = cli("report", out, "-o", tmp_path / "report.html")
    assert made.returncode == 0, made.stderr
    part_of(out, tmp_path / "run", lambda record: record.is_quantizer)
    one_clear_line(cli("publish", tmp_path / "run", "--to", tmp_path), "nothing to publish", "without codes of bits")
    one_clear_line(cli("audit", tmp_path / "run"), "every record is scored by true neighbours", "or a quantizer's")


SIGNS = """
'Signs of the vectors themselves.'
import numpy as np
from hashbench import Quantizer
class Signs(Quantizer):
    'Signs.'
    paper = 'none'
    def n_bytes(self, n_features):
        return -(-n_features // 8)
    def fit(self, X):
        return self
    def encode_block(self, X):
        return np.packbits(X > 0, axis=1)
    def distances(self, queries, codes):
        return -queries @ np.unpackbits(codes, axis=1, count=queries.shape[1]).T.astype(np.float32)
"""


def test_a_file_of_the_user_can_be_a_quantizer(file, cli, tmp_path):
    plugin = tmp_path / "signs.py"
    plugin.write_text(SIGNS)
    command = ("run", "--dataset", "vectors", "--data-dir", file, "--methods", "signs", "--plugin", plugin)
    done = cli(*command, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    (record,) = Store(tmp_path / "out")
    assert record.config["n_bits"] == 32
    assert 0.05 < record.metrics["recall@10"] < 1
    checked = cli("check", "signs", "--plugin", plugin)
    assert checked.returncode == 0, checked.stdout
    described = cli("info", "signs", "--plugin", plugin)
    assert "quantizer    signs" in described.stdout


def test_a_group_stands_for_its_methods():
    assert with_groups("lsh, engineers ,itq", Registry()) == f"lsh,{FIXED['engineers']},itq"
    assert with_groups("itq[n_iter=2]", Registry()) == "itq[n_iter=2]"


def test_recalls_are_shares_of_common_rows():
    rng = np.random.default_rng(0)
    rows = np.stack([rng.permutation(300)[:200] for _ in range(30)])
    neighbors = np.stack([rng.permutation(300)[:100] for _ in range(30)])
    got = recalls(rows, neighbors, ["recall@10", "recall10@40", "recall100@200"])
    for name, k, among in (("recall@10", 10, 10), ("recall10@40", 10, 40), ("recall100@200", 100, 200)):
        expected = [len(set(own[:among]) & set(true[:k])) / k for own, true in zip(rows, neighbors, strict=True)]
        np.testing.assert_allclose(got[name], expected)


def test_recalls_are_those_after_ranking_candidates_by_their_vectors():
    rng = np.random.default_rng(1)
    X, Q = rng.standard_normal((400, 8)), rng.standard_normal((20, 8))
    true = np.argsort(((Q[:, None] - X) ** 2).sum(axis=2), axis=1)
    rows = np.argsort(((Q[:, None, :2] - X[:, :2]) ** 2).sum(axis=2), axis=1)
    got = recalls(rows, true[:, :10], ["recall10@40"])["recall10@40"]
    for query in range(20):
        candidates = rows[query, :40]
        again = candidates[np.argsort(((Q[query] - X[candidates]) ** 2).sum(axis=1))][:10]
        assert got[query] == len(set(again) & set(true[query, :10])) / 10


@pytest.mark.parametrize(("metric", "words"), [("mAP@all", "recall@10"), ("recall@20", "20 neighbours")])
def test_recalls_refuse_what_rows_cannot_tell(metric, words):
    with pytest.raises(ValueError, match=words):
        recalls(np.zeros((1, 5), int), np.zeros((1, 10), int), [metric])


def test_the_front_has_all_equal_rows_and_none_without_a_recall():
    rows = [
        Row(label, {}, 8 * n_bytes, scores={} if recalled is None else {"recall@10": Score(recalled)})
        for label, n_bytes, recalled in [("d", 4, 0.9), ("a", 2, 0.7), ("b", 2, 0.7), ("c", 3, 0.7), ("e", 1, None)]
    ]
    assert [row.label for row in front(rows, 1)] == ["a", "b", "d"]
    assert front(rows, 4) == []


def test_no_row_beats_one_of_the_front(finished):
    rows = rows_of_bytes(list(Store(finished[0])))
    for times in (1, 4):
        kept = front(rows, times)
        assert kept
        for row in rows:
            beaten = any(
                other.n_bytes <= row.n_bytes
                and recall(other, 10, times) >= recall(row, 10, times)
                and (other.n_bytes, recall(other, 10, times)) != (row.n_bytes, recall(row, 10, times))
                for other in rows
            )
            assert (row in kept) != beaten
