"""Queries drawn from the training set: what is scored, how it is named, that it stays apart."""

import numpy as np
import pytest
from conftest import one_clear_line

from hashbench import InputError, load_dataset
from hashbench.data.protocol import is_validation
from hashbench.data.splits import Split, hold_out_queries
from hashbench.records.store import Store
from hashbench.results.setting import by_setting

CHOICE = "digits/1[validation=0.1]"


def test_queries_are_of_the_training_set_and_no_test_query_is_used(digits):
    chosen = load_dataset("digits", protocol=CHOICE)
    query, train, database = chosen.split.query, chosen.split.train, chosen.split.database
    of_each = np.bincount(digits.labels[digits.split.train])
    assert (np.bincount(digits.labels[query]) == of_each // 10).all()
    assert np.isin(query, digits.split.train).all()
    assert (np.sort(np.concatenate([query, train])) == digits.split.train).all()
    assert (np.sort(np.concatenate([query, database])) == digits.split.database).all()
    assert chosen.protocol.name == CHOICE
    assert "validation=0.1; of each class of the training set" in chosen.protocol.split
    assert chosen.protocol.hash != digits.protocol.hash
    assert chosen.fingerprint != digits.fingerprint
    assert chosen.data_fingerprint == digits.data_fingerprint  # the features in the cache serve


def test_a_training_set_outside_the_database_leaves_it_whole():
    split = hold_out_queries(Split(np.arange(20, 40), np.arange(10), np.arange(10, 20)), 0.25)
    assert len(split.query) == 5
    assert len(split.train) == 15
    assert (split.database == np.arange(10, 20)).all()


def test_no_query_is_lost_to_rounding():
    for percent in range(1, 100):
        split = hold_out_queries(Split(np.arange(100), np.arange(100, 110), np.arange(100)), percent / 100)
        assert len(split.query) == percent


def test_a_class_with_too_few_items_gives_no_query():
    labels = np.repeat([0, 1, 2], [60, 39, 1])
    split = hold_out_queries(Split(np.arange(100), np.arange(100, 110), np.arange(100)), 0.1, labels)
    assert np.bincount(labels[split.query]).tolist() == [6, 3]
    marks = np.ones((100, 2), bool)
    assert len(hold_out_queries(Split(np.arange(100), np.arange(100, 110), np.arange(100)), 0.1, marks).query) == 10


def test_it_goes_with_other_numbers_of_the_draw():
    chosen = load_dataset("digits", protocol="digits/1[validation=0.2,queries_per_class=10]")
    assert chosen.protocol.name == "digits/1[queries_per_class=10,validation=0.2]"
    assert (1797 - 100) // 5 - 10 < len(chosen.split.query) <= (1797 - 100) // 5
    assert len(chosen.split.database) == 1697 - len(chosen.split.query)


def test_neighbours_are_found_for_the_new_queries(tmp_path):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "database.npy", rng.standard_normal((400, 8)).astype(np.float32))
    np.save(tmp_path / "query.npy", rng.standard_normal((30, 8)).astype(np.float32))
    chosen = load_dataset("vectors", data_dir=tmp_path, protocol="vectors/1[validation=0.1]")
    X = np.asarray(chosen.features, np.float64)
    distances = ((X[chosen.split.query][:, None] - X[chosen.split.database]) ** 2).sum(axis=2)
    assert len(chosen.split.query) == 40
    assert (chosen.neighbors[:, 0] == distances.argmin(axis=1)).all()


NEIGHBOURS = """
import numpy as np
from hashbench import HashDataset, Items, Protocol, Split
class Known(HashDataset):
    protocols = (Protocol('known/1', 'by hand', None, None, None, ('recall@10',)),)
    def read(self, options):
        X = np.random.default_rng(0).standard_normal((40, 4)).astype(np.float32)
        return Items(features=X, neighbors=np.tile(np.arange(10), (10, 1)))
    def split(self, items, protocol):
        return Split(np.arange(20, 40), np.arange(10), np.arange(10, 40))
"""


def test_neighbours_of_other_queries_are_refused(tmp_path, cli):
    (tmp_path / "known.py").write_text(NEIGHBOURS)
    command = ("run", "--plugin", tmp_path / "known.py", "--dataset", "known", "--methods", "lsh", "--bits", 4)
    done = cli(*command, "--out", tmp_path / "out", "--protocol", "known/1[validation=0.5]")
    one_clear_line(done, "known/1[validation=0.5]: known knows true neighbours of its own queries only")


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("validation=0", "validation=0: expected a number above 0 and below 1"),
        ("validation=1.0", "validation=1.0: expected a number above 0 and below 1"),
        ("validation=-0.1", "validation=-0.1"),
        ("validation=nan", "validation=nan"),
        ("validation=0.0001", "validation=0.0001 gives no query of any class of 1497 training items"),
        ("valid=0.1", "digits/1 has no 'valid' to choose; it has queries_per_class, unseen, database, validation"),
    ],
)
def test_what_is_refused(choice, message):
    with pytest.raises(InputError) as refused:
        load_dataset("digits", protocol=f"digits/1[{choice}]")
    assert message in str(refused.value)


def test_records_stand_apart_and_are_not_published(tmp_path, cli):
    run = ("run", "--methods", "lsh", "--bits", 8, "--out", tmp_path / "out", "--protocol")
    done = cli(*run, f"digits/1,{CHOICE}")
    assert done.returncode == 0, done.stderr
    records = list(Store(tmp_path / "out"))
    assert len(by_setting(records)) == 2
    assert sorted(is_validation(record.config["protocol"]) for record in records) == [False, True]
    to = tmp_path / "boards"
    done = cli("publish", tmp_path / "out", "--to", to)
    assert done.returncode == 0, done.stderr
    assert "records: 1: scored on validation queries, which are for choosing parameters" in done.stderr
    text = (to / "digits.csv").read_text()
    assert "digits/1," in text
    assert "validation" not in text
    done = cli("bundle", tmp_path / "out", "-o", tmp_path / "both.zip")
    assert done.returncode == 0, done.stderr
    done = cli("validate", to / "digits.csv", "--recompute", tmp_path / "both.zip")
    assert done.returncode == 0, done.stdout
    assert "1 rows compared; 1 of the bundle's are of protocols that no leaderboard has" in done.stdout


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("digits/1[queries_per_class=10,validation=0.2]", True),
        ("folder/1[validation=0.1]+lists:01234567", True),
        ("digits/1+validation", False),
        ("digits/1", False),
    ],
)
def test_a_protocols_name_says_it(name, expected):
    assert is_validation(name) == expected
