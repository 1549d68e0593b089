"""The rules of docs/labels.md: its examples, and every rule again in each kind of file."""

import re
from pathlib import Path

import numpy as np
import pytest

from hashbench import InputError
from hashbench.data.readers.labels.cells import LabelColumn
from hashbench.data.readers.labels.find_labels import label_arrays, label_column
from hashbench.data.readers.labels.reading import read_labels

PAGE = Path(__file__).resolve().parents[2] / "docs" / "labels.md"


def column(cells, name="x", **facts):
    return LabelColumn(cells, name, lambda row: f"{name} row {row}", **facts)


def said(labels):
    """Return the names of each item's labels."""
    if labels.array.ndim == 1:
        return [[labels.names[number]] for number in labels.array]
    return [[labels.names[number] for number in np.flatnonzero(marks)] for marks in labels.array]


def examples():
    if not PAGE.is_file():
        return []
    blocks = re.findall(r"```text\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    return [line.split(" => ") for block in blocks for line in block.splitlines()]


@pytest.mark.parametrize(("given", "expected"), examples())
def test_the_examples_of_the_page(given, expected):
    cells = list(eval(f"({given.strip()},)", {"float": float}))
    if expected.startswith("refused: "):
        with pytest.raises(InputError, match=re.escape(expected.removeprefix("refused: "))) as raised:
            read_labels([column(cells)])
        assert "\n" not in str(raised.value)
        assert str(raised.value).startswith("x")
    else:
        assert said(read_labels([column(cells)])) == [one.strip().split(" + ") for one in expected.split("/")]


def test_the_page_has_examples():
    if not PAGE.is_file():
        pytest.skip("needs a checkout")
    assert len(examples()) > 40


@pytest.mark.parametrize("cells", [
    np.array([7, 3, 7]), np.array([7.0, 3.0, 7.0]), np.array([[7], [3], [7]]), np.array([7, 3, 7], np.uint8),
    np.array(["7", "3", "7"]), np.array([b"7", b"3", b"7"]), [7, 3, 7], [b"7", b"3", b"7"], [[7], [3], [7]],
    np.array(["7", "3", "7"], object), ["[7]", "[3]", "[7]"], [" 7", "3 ", "7"], [np.int32(7), np.int8(3), 7],
])  # fmt: skip
def test_one_class_is_one_class_however_it_is_stored(cells):
    labels = read_labels([column(cells)])
    assert labels.array.tolist() == [1, 0, 1]
    assert labels.array.dtype == np.int64
    assert labels.names == ["3", "7"]


def test_numbers_are_in_their_order_and_texts_in_theirs():
    assert read_labels([column(["10", "9", "2"])]).names == ["2", "9", "10"]
    assert read_labels([column(["b10", "b9", "a"])]).names == ["a", "b10", "b9"]


def test_class_names_in_another_order_are_matched_by_name():
    train = column([0, 1, 2], "train", class_names=["cat", "dog", "eel"])
    test = column([0, 1, 2], "test", class_names=["eel", "dog", "cat"])
    labels = read_labels([train, test])
    assert labels.names == ["cat", "dog", "eel"]
    assert labels.array.tolist() == [0, 1, 2, 2, 1, 0]
    assert any("matched by name" in note for note in labels.notes)
    assert said(read_labels([train, column(["dog"], "test")])) == [["cat"], ["dog"], ["eel"], ["dog"]]
    marks = [np.array([[0, 1], [1, 1]]), np.array([[0, 1], [1, 0]])]
    both = [column(one, class_names=names) for one, names in zip(marks, (["a", "b"], ["b", "a"]), strict=True)]
    assert said(read_labels(both)) == [["b"], ["a", "b"], ["a"], ["b"]]


def test_a_name_of_two_numbers_is_two_classes():
    names = ["crane", "dog", "crane"]
    labels = read_labels([column([0, 1, 2, 0], class_names=names)])
    assert (labels.array.tolist(), labels.names) == ([0, 2, 1, 0], ["crane (0)", "crane (2)", "dog"])
    with pytest.raises(InputError, match="train calls two classes 'crane', and other files number theirs differently"):
        read_labels([column([0, 1], "train", class_names=names), column([0, 1], "test", class_names=["dog", "crane"])])


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ({"cells": [0, 1]}, {"cells": [0, 1], "class_names": ["a", "b"]}, "train holds numbers, test names of classes"),
        ({"cells": [0, 1]}, {"cells": ["a", "b"]}, "train holds numbers, test names of classes, such as 'a'"),
        ({"cells": [0, 1, 2]}, {"cells": [1, 2, 3]}, "test has the classes 1 to 3, train 0 to 2: counted from 0"),
        ({"cells": [1, 2, 3]}, {"cells": [0, 1, 2]}, "test has the classes 0 to 2, train 1 to 3: counted from 0"),
        ({"cells": [[0, 1], [1, 1]]}, {"cells": [[0, 1, 0]]}, "train holds marks for 2 labels, test marks for 3"),
        ({"cells": [3, 4]}, {"cells": [[0, 1, 0], [1, 0, 0]]}, "test holds marks for 3 labels, train labels"),
        ({"cells": [0, 2], "class_names": ["a", "b"]}, {"cells": ["a"]}, "train row 1: a label is 2, the file names"),
        (
            {"cells": ["x|y", "x|z"], "are_names": True},
            {"cells": ["b"]},
            "'x|z' can be one class or",
        ),
        ({"cells": [object()]}, {"cells": ["b"]}, "train row 0: a label is <object"),
        ({"cells": np.zeros((2, 2, 2))}, {"cells": ["b"]}, "train is float64 of shape (2, 2, 2)"),
        ({"cells": np.array([[3, 4], [5, 6]])}, {"cells": ["b"]}, "train row 0 holds values other than 0 and 1"),
    ],
)
def test_what_is_not_sure_is_refused(first, second, words):
    with pytest.raises(InputError) as raised:
        read_labels([column(name="train", **first), column(name="test", **second)])
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


def test_what_was_made_of_the_labels_is_noted():
    assert read_labels([column(["cat", "dog"])]).notes == []
    assert "'cat' is written in 2 ways" in read_labels([column(["cat", "cat ", "dog"])]).notes[0]
    marks = read_labels([column([[0, 1], [1, 1], [0, 0]])])
    assert marks.notes == ["labels are lists of 2 marks, 0 or 1 for each label", "items without a label: 1"]


def test_names_of_folders_are_classes_whatever_is_in_them():
    names = ["Paris, France", "Lyon, France", "[new]", "a|b"]
    assert said(read_labels([column(names, are_names=True)])) == [[name] for name in names]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["id", "Label"], "Label"),
        (["labels", "category"], "labels"),
        (["id", "fine_label"], "fine_label"),
        (["Class Name"], "Class Name"),
        (["y"], "y"),
        (["id", "text"], None),
    ],
)
def test_usual_names_of_columns_are_understood(names, expected):
    assert label_column(names, "x") == expected


def test_columns_are_chosen_or_refused():
    assert label_column(["label", "kind"], "x", "kind") == "kind"
    assert label_column(["label"], "x", "none") is None
    for names, chosen, words in [
        (["fine_label", "coarse_label"], None, "x has the columns fine_label and coarse_label"),
        (["label", "Labels"], None, "x has the columns label and Labels"),
        (["label"], "kind", "x has no column kind; its columns are label"),
    ]:
        with pytest.raises(InputError, match=words):
            label_column(names, "x", chosen)


WORDS = {"database": ("database", "train"), "query": ("query", "test"), "vectors": ("vectors",)}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["labels"], {"": "labels"}),
        (["Labels", "ids"], {"": "Labels"}),
        (["y_train", "y_test"], {"database": "y_train", "query": "y_test"}),
        (["trainLabels", "query-label"], {"database": "trainLabels", "query": "query-label"}),
        (["labels_database", "test_targets"], {"database": "labels_database", "query": "test_targets"}),
        (["label", "y"], {"": "label"}),
        (["distances", "ids", "train_size"], {}),
    ],
)
def test_usual_names_of_arrays_are_understood(names, expected):
    assert label_arrays(names, WORDS, "x") == expected
