"""Classes that training does not see, and a database without the training set: the parts, and what is refused."""

import dataclasses

import numpy as np
import pytest
from toy_images import InMemory

from hashbench import InputError, load_dataset
from hashbench.data.dataset import hold_out_validation
from hashbench.data.items import Items
from hashbench.data.loading import load
from hashbench.data.options import LoadOptions
from hashbench.data.plugin import HashDataset
from hashbench.data.protocol import NAMED_IN_PAPERS, Protocol
from hashbench.data.seen_classes import draw_unseen
from hashbench.data.splits import Split
from hashbench.evaluation.readings import READINGS
from hashbench.plugins.registry import Registry

CHOICE = "digits/1[unseen=0.2]"


def given(labels, query, protocol="in-memory/1", **more):
    """Load rows of numbers with labels, of which the first ``query`` are the queries and all others train."""

    class Rows(InMemory):
        def split(self, items, protocol):
            rows = np.arange(len(items))
            return Split(rows[query:], rows[:query], rows[query:])

    labels = np.asarray(labels)
    features = np.random.default_rng(0).standard_normal((len(labels), 4)).astype(np.float32)
    return load(Rows(Items(features=features, labels=labels, **more)), LoadOptions(protocol=protocol))


def test_training_sees_no_item_of_an_unseen_class_and_nothing_else_changes(digits):
    chosen = load_dataset("digits", protocol=CHOICE)
    labels, split = chosen.labels, chosen.split
    assert len(chosen.unseen) == 2
    assert not set(labels[split.train]) & set(chosen.unseen)
    assert set(labels[split.train]) | set(chosen.unseen) == set(range(10))
    assert (split.train == digits.split.train[~np.isin(digits.labels[digits.split.train], chosen.unseen)]).all()
    assert (split.query == digits.split.query).all()
    assert (split.database == digits.split.database).all()
    assert chosen.protocol.name == CHOICE
    assert "unseen are the classes 6, 9: " in chosen.protocol.split
    assert chosen.protocol.metrics[:4] == tuple(f"mAP@100 {reading}" for reading in READINGS)
    assert chosen.protocol.hash != digits.protocol.hash
    assert chosen.fingerprint != digits.fingerprint
    assert chosen.data_fingerprint == digits.data_fingerprint  # the features in the cache serve
    assert "classes that training does not see: 6, 9" in chosen.summary[1]


def test_which_classes_are_unseen_decides_the_identity_of_the_data(digits):
    alike = [dataclasses.replace(digits, labels=None, neighbors=np.zeros((300, 1), int))]
    assert alike[0].fingerprint != digits.fingerprint
    chosen = load_dataset("digits", protocol=CHOICE)
    fewer = dataclasses.replace(chosen, unseen=chosen.unseen[:1])
    assert fewer.fingerprint != chosen.fingerprint
    assert fewer.relevance()["unseen"].tolist() == [6]


def test_a_smaller_share_takes_some_of_the_classes_of_a_larger_one():
    labels = np.repeat(np.arange(100), 3)
    split = Split(np.arange(100, 300), np.arange(100), np.arange(100, 300))
    drawn = [set(draw_unseen(labels, split, share)) for share in (0.05, 0.15, 0.25)]
    assert list(map(len, drawn)) == [5, 15, 25]
    assert drawn[0] < drawn[1] < drawn[2]


def test_validation_is_by_seen_classes_that_are_held_out(digits):
    test = load_dataset("digits", protocol=CHOICE)
    chosen = load_dataset("digits", protocol="digits/1[validation=0.25,unseen=0.2]")
    labels, split = chosen.labels, chosen.split
    assert chosen.protocol.name == "digits/1[unseen=0.2,validation=0.25]"
    assert len(chosen.unseen) == 2
    everything = np.concatenate([split.train, split.query, split.database])
    assert not np.isin(everything, test.split.query).any()
    assert not set(labels[everything]) & set(test.unseen)
    assert not set(labels[split.train]) & set(chosen.unseen)
    assert len(set(labels[split.train])) == 6
    assert np.isin(split.query, test.split.train).all()
    assert not np.isin(split.query, np.concatenate([split.train, split.database])).any()
    of_class = {label: (labels[test.split.train] == label).sum() for label in set(labels[split.query])}
    assert {label: (labels[split.query] == label).sum() for label in of_class} == {
        label: n // 4 for label, n in of_class.items()
    }


def test_half_of_the_queries_for_validation_keeps_queries_of_each_unseen_class(digits):
    chosen = load_dataset("digits", protocol=CHOICE)
    for half in hold_out_validation(chosen):
        assert half.unseen.tolist() == [6, 9]
        assert half.protocol.metrics == chosen.protocol.metrics
    few = dataclasses.replace(
        chosen.split, query=chosen.split.query[np.isin(chosen.labels[chosen.split.query], [1, 6])]
    )
    with pytest.raises(InputError, match=r"digits: digits/1\[unseen=0.2\]: the unseen class 9 has no query"):
        dataclasses.replace(chosen, protocol=dataclasses.replace(chosen.protocol, n_query=None), split=few)


def test_the_training_set_can_be_out_of_the_database():
    whole = given(np.arange(40) % 4, 8)
    assert np.isin(whole.split.train, whole.split.database).all()
    rows = np.arange(8, 40)
    half = Split(rows[::2], np.arange(8), rows)

    class Half(InMemory):
        def split(self, items, protocol):
            return half

    items = Items(features=np.eye(40, dtype=np.float32), labels=np.arange(40) % 4)
    apart = load(Half(items), LoadOptions(protocol="in-memory/1[database=without-training]"))
    assert (apart.split.train == half.train).all()
    assert (apart.split.database == rows[1::2]).all()
    assert apart.protocol.split == "rows; with database=without-training"
    with pytest.raises(InputError, match=r"the database part of digits/1\[database=without-training\] is empty"):
        load_dataset("digits", protocol="digits/1[database=without-training]")


def test_the_protocol_with_54000_images_is_that_of_59000_without_the_training_set(monkeypatch):
    cifar10 = Registry().find("datasets", "cifar10").load()
    known = {one.name: one for one in cifar10.protocols}
    assert list(known) == ["cifar10-cibhash/1", "cifar10-1k/1", "cifar10-54k/1"]
    items = Items(features=np.zeros((60_000, 1), np.float32), labels=np.arange(60_000) % 10)
    monkeypatch.setattr("hashbench.data.loading.load_items", lambda plugin, options: items)
    monkeypatch.setattr("hashbench.data.loading.equal_items", lambda raw: np.zeros((0, 2), int))
    whole, apart = (load(cifar10(), LoadOptions(protocol=f"cifar10-{name}/1")) for name in ("1k", "54k"))
    assert (whole.split.query == apart.split.query).all()
    assert (whole.split.train == apart.split.train).all()
    assert (apart.split.database == np.setdiff1d(whole.split.database, whole.split.train)).all()
    assert apart.protocol == known["cifar10-54k/1"]
    assert apart.protocol.hash == apart.protocol.checksum == NAMED_IN_PAPERS["cifar10-1k/1"].checksum
    chosen = load(cifar10(), LoadOptions(protocol="cifar10-54k/1[unseen=0.2]"))
    assert (len(chosen.split.train), len(chosen.split.database)) == (4_000, 54_000)


def test_your_own_folder_and_vectors_can_have_unseen_classes(tmp_path, labelled_clusters):
    X, label = labelled_clusters
    np.savez(tmp_path / "own.npz", vectors=X, labels=label)
    chosen = load_dataset("vectors", data_dir=tmp_path / "own.npz", protocol="vectors-labels/1[unseen=0.2]")
    assert len(chosen.unseen) == 1
    assert not np.isin(chosen.labels[chosen.split.train], chosen.unseen).any()
    from PIL import Image

    for row in range(60):
        path = tmp_path / "photos" / "abc"[row % 3] / f"{row}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((4, 4, 3), row, np.uint8)).save(path)
    photos = load_dataset("folder", data_dir=tmp_path / "photos", protocol="folder/1[unseen=0.4]")
    assert len(set(photos.labels[photos.split.train])) == 2
    with pytest.raises(InputError, match="leaves 1 for training, which needs 2"):
        load_dataset("folder", data_dir=tmp_path / "photos", protocol="folder/1[unseen=0.7]")
    with pytest.raises(InputError, match=r"vectors/1 has no 'unseen' to choose"):
        load_dataset("vectors", data_dir=tmp_path / "own.npz", protocol="vectors/1[unseen=0.2]")


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("unseen=0", "unseen=0: expected a number above 0 and below 1"),
        ("unseen=1.0", "unseen=1.0: expected a number above 0 and below 1"),
        ("unseen=some", "cannot read 'unseen=some'; write name=number"),
        ("unseen=0.09", "unseen=0.09 of 10 classes is no class; give 0.1 or more"),
        ("unseen=0.9", "unseen=0.9 of 10 classes leaves 1 for training, which needs 2; give less"),
        ("unseen=0.2,validation=0.1", "validation=0.1 of 8 classes is no class; give 0.125 or more"),
        ("unseen=0.7,validation=0.7", "validation=0.7 of 3 classes leaves 1 for training, which needs 2; give less"),
        ("database=half", "database=half: expected one of whole, without-training"),
    ],
)
def test_what_is_refused(choice, message):
    with pytest.raises(InputError) as refused:
        load_dataset("digits", protocol=f"digits/1[{choice}]")
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


MANY = np.eye(4, dtype=bool)[np.arange(40) % 4]


@pytest.mark.parametrize(
    ("labels", "query", "share", "message"),
    [
        (MANY, 8, 0.25, "unseen=0.25 needs one class an item, here an item has several labels"),
        (np.r_[[0, 1, 2, 0], np.arange(36) % 4], 4, 0.5, "the unseen class d has no query"),
        (np.r_[[0, 1, 2, 3], np.arange(36) % 3], 4, 0.5, "the unseen class d has no item in the database"),
        (np.r_[[3, 2, 2, 3], np.arange(36) % 4], 4, 0.5, "no seen class has a query"),
        (np.r_[[0, 1, 2, 3], np.arange(36) % 2 * 3], 4, 0.25, "the training set has one seen class; it needs 2"),
    ],
)
def test_what_there_is_nothing_to_score_of_is_refused(labels, query, share, message):
    with pytest.raises(InputError) as refused:
        given(labels, query, f"in-memory/1[unseen={share}]", label_names=["a", "b", "c", "d"])
    assert message in str(refused.value)


def test_a_published_training_set_is_refused_where_it_has_items_of_unseen_classes(tmp_path, labelled_clusters):
    X, label = labelled_clusters
    np.savez(tmp_path / "own.npz", vectors=X, labels=label)
    lists = {"query": np.arange(50), "train": np.arange(100, 500)}
    for name, rows in lists.items():
        (tmp_path / f"{name}.txt").write_text("\n".join(map(str, rows)))
    about = {"data_dir": tmp_path / "own.npz", "splits": tmp_path, "protocol": "vectors-labels/1[unseen=0.2]"}
    with pytest.raises(InputError) as refused:
        load_dataset("vectors", **about)
    n = (label[100:] == 4).sum()
    assert "vectors: vectors-labels/1[unseen=0.2]+lists:" in str(refused.value)
    assert f": {n} training items are of unseen classes, row 105 of class 4 the first: take them" in str(refused.value)
    with pytest.raises(InputError, match="training items are of unseen classes"):
        load_dataset("vectors", **about | {"protocol": "vectors-labels/1[unseen=0.2,validation=0.25]"})
    (tmp_path / "train.txt").write_text("\n".join(map(str, lists["train"][label[100:] != 4])))
    chosen = load_dataset("vectors", **about)
    assert chosen.unseen.tolist() == [4]
    assert chosen.protocol.name.startswith("vectors-labels/1[unseen=0.2]+lists:")
    held_out = load_dataset("vectors", **about | {"protocol": "vectors-labels/1[unseen=0.2,validation=0.25]"})
    assert held_out.unseen.tolist() != [4]
    apart = load_dataset("vectors", **about | {"protocol": "vectors-labels/1[database=without-training]"})
    assert len(apart.split.database) == 450 - len(apart.split.train)


def test_a_data_set_without_labels_has_no_unseen_classes():
    class Near(HashDataset):
        name = "near"
        protocols = (Protocol("near/1", "rows", None, None, None, ("recall@10", "mAP@all")),)

        def read(self, options):
            return Items(features=np.eye(30, dtype=np.float32), neighbors=np.tile(np.arange(10), (5, 1)))

        def split(self, items, protocol):
            return Split(np.arange(5, 30), np.arange(5), np.arange(5, 30))

    with pytest.raises(InputError, match=r"near/1\[unseen=0.5\] has unseen classes, and the data no labels"):
        load(Near(), LoadOptions(protocol="near/1[unseen=0.5]"))
