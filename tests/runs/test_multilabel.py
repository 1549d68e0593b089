"""Several labels an item, end to end: every method, validation, supervision, audit, figures, leaderboards, models."""

import itertools
import json

import little_coco
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from hashbench import evaluate, load_dataset
from hashbench.data.dataset import hold_out_validation
from hashbench.evaluation.conventions import conventions
from hashbench.evaluation.relevance import masks_of
from hashbench.records.store import Store

METHODS = "itq,lsh,sh,sph,agh[n_anchors=20],dgh[n_anchors=20],pcah,rr,sign,faiss_itq,faiss_lsh"
CIBHASH = "cibhash[batch_size=10,epochs=2,n_views=2]"
CHOSEN = "cibhash[batch_size=10,epochs=20,n_views=2,select=validation]"
PROTOCOL = "mscoco-cibhash/1[queries=16,training=24]"


@pytest.fixture(scope="module")
def little(tmp_path_factory):
    directory = tmp_path_factory.mktemp("coco")
    little_coco.write(directory)
    return directory


@pytest.fixture(scope="module")
def finished(tmp_path_factory, little, cli):
    """Return the directory of a run of all methods, with a supervised one, and how it ended."""
    pytest.importorskip("faiss")
    out = tmp_path_factory.mktemp("run")
    plugin = out / "by_labels.py"
    plugin.write_text(SUPERVISED)
    options = ("--data-dir", little, "--protocol", PROTOCOL, "--bits", "12", "--seeds", "0,1", "--image-size", "64")
    methods = f"{METHODS},{CIBHASH},{CHOSEN},by_labels"
    done = cli(
        "run", "--dataset", "mscoco", *options, "--methods", methods, "--plugin", plugin, "--save-models", "--out", out
    )
    assert done.returncode == 0, done.stderr
    return out, done


SUPERVISED = '''"""A linear map onto the labels, mixed into bits."""

import numpy as np

from hashbench.contract.method import HashMethod


class ByLabels(HashMethod):
    """A linear map onto the labels, mixed into bits."""

    supervision = "supervised"

    def __init__(self, n_bits=32, *, random_state=None):
        self.n_bits = n_bits
        self.random_state = random_state

    def fit(self, X, y=None):
        if y.shape != (len(X), 80) or y.dtype != bool:
            raise ValueError(f"y has shape {y.shape} and dtype {y.dtype}")
        self.mean_ = X.mean(axis=0)
        onto, *_ = np.linalg.lstsq(X - self.mean_, y - y.mean(axis=0), rcond=1e-2)
        mix = np.random.default_rng(self.random_state).standard_normal((80, self.n_bits))
        self.directions_ = (onto @ mix).astype(np.float32)
        return self

    def project(self, X):
        return (X - self.mean_) @ self.directions_
'''


def expected_ap(distances, relevant):
    """Return AP at the end of the list, the mean over all orders of items at one distance, by enumeration.

    Nearer groups count whole, so each group is enumerated by itself.
    """
    gathered, before, hits = 0.0, 0, 0
    for distance in np.unique(distances):
        group = relevant[distances == distance]
        n, r = len(group), int(group.sum())
        orders = [
            sum((hits + number) / (before + place + 1) for number, place in enumerate(places, 1))
            for places in itertools.combinations(range(n), r)
        ]
        gathered += float(np.mean(orders))
        before, hits = before + n, hits + r
    return gathered / hits if hits else 0.0


def check_record(store, record, query_labels, database_labels):
    """Score a record's codes by definition."""
    arrays, n_bits = store.arrays(record.id), record.config["n_bits"]
    query, database = (np.unpackbits(arrays[f"{part}_codes"], axis=1)[:, :n_bits] for part in ("query", "database"))
    scores = []
    for bits, labels in zip(query, query_labels, strict=True):
        relevant = np.array([bool((labels & other).any()) for other in database_labels])
        scores.append(expected_ap((bits != database).sum(axis=1), relevant))
    assert np.allclose(arrays["per_query:mAP@all"], scores, atol=1e-12)
    for name in ("mAP@all", "mAP@5000"):  # the database is smaller than the cut-off
        assert record.metrics[name] == pytest.approx(np.mean(scores), abs=1e-12)
    shares = [[(labels & other).any() for other in database_labels] for labels in query_labels]
    assert record.metrics["P@1000"] == pytest.approx(np.mean(shares), abs=1e-12)


@pytest.mark.slow
def test_every_method_runs_and_is_scored_by_definition(finished, little):
    out, done = finished
    frame = pd.read_csv(out / "results.csv")
    assert (frame["status"] == "ok").all()
    assert set(frame["method"]) == {name.partition("[")[0] for name in METHODS.split(",")} | {"cibhash", "by_labels"}
    assert "mAP@5000: mscoco (mscoco-cibhash/1[queries=16,training=24], 2017 release, unchecked)" in done.stdout
    dataset, store = load_dataset("mscoco", data_dir=little, protocol=PROTOCOL), Store(out)
    kept, _ = hold_out_validation(dataset)
    for record in store:
        scored = kept if record.config["protocol"].endswith("+validation") else dataset
        assert record.config["data"] == scored.fingerprint
        check_record(store, record, scored.labels[scored.split.query], scored.labels[scored.split.database])


def test_real_images_are_scored_by_definition(tiny_coco, cli, tmp_path):
    options = ("--data-dir", tiny_coco, "--protocol", "mscoco-cibhash/1[queries=20,training=40]", "--image-size", "64")
    done = cli("run", "--dataset", "mscoco", *options, "--methods", "itq", "--bits", "32", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    dataset, store = load_dataset("mscoco", data_dir=tiny_coco, protocol=options[3]), Store(tmp_path / "out")
    (record,) = store
    check_record(store, record, dataset.labels[dataset.split.query], dataset.labels[dataset.split.database])


def test_validation_takes_half_of_the_queries(finished):
    out, done = finished
    (chosen,) = [record for record in Store(out) if record.label == CHOSEN and record.config["seed"] == 0]
    assert chosen.uses_labels
    assert chosen.config["protocol"] == f"{PROTOCOL}+validation"
    assert "validation" in chosen.training[-1]
    assert len(Store(out).arrays(chosen.id)["query_codes"]) == 8
    assert "chosen by labelled queries" in done.stdout


def test_a_supervised_method_gets_the_label_matrix(finished):
    records = [record for record in Store(finished[0]) if record.config["method"] == "by_labels"]
    assert [record.uses_labels for record in records] == [True, True]


def test_audit_reads_label_matrices(finished, cli, tmp_path):
    out, _ = finished
    done = cli("audit", out, "--csv", tmp_path / "audit.csv")
    assert done.returncode == 0, done.stderr
    frame = pd.read_csv(tmp_path / "audit.csv")
    same = frame[(frame["ties"] == "expected") & (frame["without_hit"] == "0") & (frame["cutoff"] == "all")]
    assert len(same) == sum(record.status == "ok" for record in Store(out))
    assert np.allclose(same["mAP"], same["hashbench"], atol=1e-12)
    store = Store(out)
    record = next(record for record in store if record.config["method"] == "itq")
    arrays, labels = store.arrays(record.id), list(store.relevance(record.config["data"]).values())
    assert labels[0].dtype == bool
    codes = arrays["query_codes"], arrays["database_codes"]
    by_matrix, by_mask = (conventions(*codes, *pair, 12) for pair in (labels, map(masks_of, labels)))
    assert by_matrix == by_mask
    bits = [np.unpackbits(array, axis=1)[:, :12] for array in codes]
    relevant = (labels[0][:, None] & labels[1]).any(axis=2)
    scores = []
    for row, shares in zip(bits[0], relevant, strict=True):
        ranked = shares[np.argsort((row != bits[1]).sum(axis=1), kind="stable")]
        scores.append((np.cumsum(ranked) / np.arange(1, len(ranked) + 1))[ranked].mean() if ranked.any() else 0.0)
    (stable,) = [row for row in by_matrix if row["ties"] == "stable" and row["without_hit"] == "0"]
    assert stable["mAP"] == pytest.approx(np.mean(scores), abs=1e-12)


KINDS = {"precision_and_recall", "precision_N", "by_epoch"}


def test_figures_are_drawn(finished, cli, tmp_path):
    done = cli("plot", finished[0], "--to", tmp_path)
    assert done.returncode == 0, done.stderr
    files = sorted(tmp_path.glob("*.png"))
    assert len(files) >= 6
    assert {name for file in files for name in KINDS if name in file.name} == KINDS
    for file in files:
        assert np.asarray(Image.open(file).convert("L")).std() > 10


def test_results_are_published(finished, cli, tmp_path):
    assert cli("publish", finished[0], "--to", tmp_path, "--plugin", finished[0] / "by_labels.py").returncode == 0
    assert cli("validate", tmp_path / "mscoco.csv").returncode == 0
    board = pd.read_csv(tmp_path / "mscoco.csv")
    assert len(board) == len(METHODS.split(",")) + 3
    assert board.groupby("method")["uses_labels"].any()["by_labels"]
    assert set(board["protocol"]) == {PROTOCOL, f"{PROTOCOL}+validation"}
    assert {"mAP@5000", "mAP@all", "P@100", "P@1000"} <= set(board)


def test_models_encode_and_search_images_of_many_sizes(finished, little, cli, tmp_path):
    out, _ = finished
    record = next(record for record in Store(out) if record.config["method"] == "itq" and record.config["seed"] == 0)
    model, folder = Store(out).model_path(record), little / "val2017"
    done = cli("encode", model, folder, "--out", tmp_path / "val.npy")
    assert done.returncode == 0, done.stderr
    codes = np.load(tmp_path / "val.npy")
    dataset = load_dataset("mscoco", data_dir=little, protocol=PROTOCOL)
    names = (tmp_path / "val.names.txt").read_text().split()
    content = {dataset.images.encoded(row): place for place, row in enumerate(dataset.split.query)}
    queries = Store(out).arrays(record.id)["query_codes"]
    both = [(i, content.get((folder / name).read_bytes())) for i, name in enumerate(names)]
    both = [(i, place) for i, place in both if place is not None]
    assert len(both) >= 3
    # A feature's last bits depend on its batch, so that single bits may differ.
    differing = [np.unpackbits(codes[i] ^ queries[place]).sum() for i, place in both]
    assert max(differing) <= 1
    done = cli("search", model, tmp_path / "val.npy", folder, "-k", 1, "--csv", tmp_path / "near.csv")
    assert done.returncode == 0, done.stderr
    assert (pd.read_csv(tmp_path / "near.csv")["distance"] == 0).all()


def test_a_label_more_or_less_is_other_data(little, tmp_path):
    dataset = load_dataset("mscoco", data_dir=little, protocol=PROTOCOL)
    little_coco.write(tmp_path)
    file = tmp_path / "annotations" / "instances_val2017.json"
    content = json.loads(file.read_text())
    last = content["annotations"].pop()
    content["annotations"] = [entry for entry in content["annotations"] if entry["id"] // 2 != last["id"] // 2]
    file.write_text(json.dumps(content))
    other = load_dataset("mscoco", data_dir=tmp_path, protocol=PROTOCOL)
    assert other.labels.sum() == dataset.labels.sum() - 1
    assert other.fingerprint != dataset.fingerprint
    assert other.data_fingerprint == dataset.data_fingerprint


def test_relevant_is_a_shared_label_whatever_their_number():
    rng = np.random.default_rng(0)
    labels = [rng.random((n, 81)) < 0.04 for n in (15, 60)]
    labels[0][0] = False  # a query without a label finds nothing relevant
    codes = [rng.integers(0, 2, (n, 20), dtype=np.int8) * 2 - 1 for n in (15, 60)]
    found = evaluate(*codes, *labels, metrics=["mAP@all"])
    relevant = (labels[0][:, None] & labels[1]).any(axis=2)
    distances = (codes[0][:, None] != codes[1]).sum(axis=2)
    expected = [expected_ap(*row) for row in zip(distances, relevant, strict=True)]
    assert np.allclose(found.per_query["mAP@all"], expected, atol=1e-12)
    assert found.per_query["mAP@all"][0] == 0
