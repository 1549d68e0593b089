"""Words that name parts, what parts go together, and files of one part."""

import re
from pathlib import Path

import pytest

from hashbench import InputError
from hashbench.data.readers.parts import arranged, part_column, part_of, parts_in, parts_of_column, word_in
from hashbench.data.readers.shards import refuse_copies, refuse_incomplete


@pytest.mark.parametrize("word", ["train", "Train", "TRAIN", "training", " train ", "Training"])
def test_a_word_names_a_part_whatever_its_case(word):
    assert part_of(word) == "train"
    assert word_in(f"pets-{word.strip()}") == word_in(f"pets_{word.strip()}") == (word.strip(), "pets")


def test_all_words_of_the_table():
    given = {"test": "query", "Queries": "query", "gallery": "database", "DB": "database", "dev": "validation"}
    assert {word: part_of(word) for word in given} == given
    assert [part_of(odd) for odd in ("foo", "", None, 3, float("nan"))] == [None] * 5


def test_names_name_parts_only_together():
    assert parts_in(["pets_train", "pets_test"]) == {"pets_train": "train", "pets_test": "query"}
    assert parts_in(["Training", "Testing"]) == {"Training": "train", "Testing": "query"}
    for classes in (["steam_train", "crash_test"], ["train", "cat"], ["train"], ["cat", "dog"], ["train-test", "val"]):
        assert parts_in(classes) == {}


def test_what_parts_are_used_for():
    assert arranged({"train": "train", "val": "validation"}, "x").part_of == {"train": "train", "val": "query"}
    three = arranged({"train": "train", "val": "validation", "test": "query"}, "x")
    assert (three.part_of, three.left_out) == ({"train": "train", "test": "query"}, ["val"])
    two = arranged({"train": "train", "val": "validation", "dev": "validation"}, "x")
    assert (two.part_of, two.left_out) == ({"train": "train", "val": "query"}, ["dev"])
    assert arranged({"train": "train"}, "x").part_of == {}
    with pytest.raises(InputError, match="x has the parts train, gallery; expected train and test"):
        arranged({"train": "train", "gallery": "database"}, "x")
    with pytest.raises(InputError, match="x has Train and train, which are two names of one part"):
        arranged({"Train": "train", "test": "query", "train": "train"}, "x")


def test_a_column_of_parts():
    assert part_column(["path", "Split"], "x") == "Split"
    assert part_column(["path", "label"], "x") is None
    assert parts_of_column(["test", "Train", "TEST"], "x") == {"test": "query", "Train": "train", "TEST": "query"}
    with pytest.raises(InputError, match=r"x row 2: the part 'foo' is none of train, .* \(2 rows\)"):
        parts_of_column(["test", "foo", "foo"], "x")


SHARD = "train-0000{}-of-00002.parquet"


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ([SHARD.format(0)], "has 1 of the 2 files train-*: fetch it again; number 1 is missing"),
        (
            [SHARD.format("0"), SHARD.format("0").replace(".p", "-0123456789abcdef.p")],
            "number 0 of train is there twice",
        ),
        ([SHARD.format("0"), SHARD.format("0").replace(".p", " (1).p")], "number 0 of train is there twice"),
        ([SHARD.format(0), "train-00001-of-00003.parquet"], "which are of different uploads"),
        (["0000.parquet", "0002.parquet"], "has 2 of the 3 files *.parquet: fetch it again; number 1 is missing"),
    ],
)
def test_files_of_a_part_are_there_once_each(names, words):
    with pytest.raises(InputError, match=re.escape(words)):
        refuse_incomplete([Path("d") / name for name in names])


@pytest.mark.parametrize("end", [" (1)", "(2)", " - Copy", " copy", " copy 2", " - Copy (3)"])
def test_copies_by_name_are_refused(end):
    with pytest.raises(InputError, match=r"d has a\.parquet twice, the second time as a.*\.parquet: remove one"):
        refuse_copies([Path(f"d/a{end}.parquet"), Path("d/a.parquet")])


def test_whole_parts_pass():
    refuse_incomplete([Path(SHARD.format(number)) for number in (1, 0)])
    refuse_incomplete([Path("0000.parquet"), Path("0001.parquet"), Path("a.parquet"), Path("b.parquet")])
    refuse_incomplete([Path("2019.parquet"), Path("2021.parquet")])
    refuse_copies([Path("a (1).parquet"), Path("b.parquet")])
