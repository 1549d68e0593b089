"""The same labels in every kind of file: the same classes and the same score, or the same refusal."""

import io
import json
import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hashbench.datasets.folder import Folder
from hashbench.datasets.image_parquet import ImageParquet
from PIL import Image

from hashbench import InputError, evaluate, load_dataset
from hashbench.data.options import LoadOptions
from hashbench.data.readers.vectors import read_vectors

N = 24
stream = io.BytesIO()
Image.new("RGB", (4, 4)).save(stream, "PNG")
PNG = stream.getvalue()
X = np.random.default_rng(0).standard_normal((N, 4)).astype(np.float32)
CLASSES = [("cat", "dog", "owl")[row % 3] for row in range(N)]
PAIRS = [["cat", "red"] if row % 3 == 0 else ["dog"] if row % 3 == 1 else ["cat", "blue"] for row in range(N)]


def of_images(file, read, **columns):
    path = file.with_suffix(".parquet")
    pq.write_table(pa.table({name: pa.array(cells) for name, cells in columns.items()}), path)
    return read(LoadOptions(data_dir=path))


def image_parquet(path, cells):
    return of_images(path, ImageParquet().read, image=[PNG] * N, label=cells)


def table_parquet(path, cells):
    return of_images(path, Folder().read, path=[f"{row}.png" for row in range(N)], label=cells)


def table_csv(path, cells):
    path = path.with_suffix(".csv")
    quoted = ['"' + ("" if cell is None else str(cell)).replace('"', '""') + '"' for cell in cells]
    path.write_text("path,label\n" + "".join(f"{row}.png,{cell}\n" for row, cell in enumerate(quoted)), "utf-8")
    return Folder().read(LoadOptions(data_dir=path))


def class_folders(path, cells):
    if not all(isinstance(cell, str) and cell and "/" not in cell for cell in cells):
        pytest.skip("folders have names")
    for row, cell in enumerate(cells):
        (path / cell).mkdir(parents=True, exist_ok=True)
        (path / cell / f"{row:02}.png").write_bytes(PNG)
    items = Folder().read(LoadOptions(data_dir=path))
    order = np.argsort([int(name.rpartition("/")[2][:2]) for name in items.names])
    items.labels[:] = items.labels[order]
    return items


def arrays_of(cells):
    if any(isinstance(cell, list) and len(cell) != len(cells[0]) for cell in cells) or None in cells:
        pytest.skip("arrays have no empty cells and no lists of different lengths")
    if isinstance(cells[0], dict):
        pytest.skip("arrays have no objects")
    return np.array(cells)


def vectors_npz(path, cells):
    np.savez(path.with_suffix(".npz"), vectors=X, labels=arrays_of(cells))
    return read_vectors(path.with_suffix(".npz"), 5)


def vectors_npy(path, cells):
    path.mkdir()
    np.save(path / "vectors.npy", X)
    np.save(path / "label.npy", arrays_of(cells))
    return read_vectors(path, 5)


def vectors_hdf5(path, cells):
    h5py = pytest.importorskip("h5py")
    array = arrays_of(cells)
    with h5py.File(path.with_suffix(".hdf5"), "w") as file:
        file["vectors"] = X
        file["Labels"] = np.char.encode(array, "utf-8") if array.dtype.kind == "U" else array
    return read_vectors(path.with_suffix(".hdf5"), 5)


def vectors_parquet(path, cells):
    path = path.with_suffix(".parquet")
    pq.write_table(pa.table({"embedding": pa.array(list(X)), "label": pa.array(cells)}), path)
    return read_vectors(path, 5)


def vectors_csv(path, cells):
    path = path.with_suffix(".csv")
    lists = [cell.tolist() if isinstance(cell, np.ndarray) else cell for cell in cells]
    pd.DataFrame(X).assign(label=lists).to_csv(path, index=False)
    return read_vectors(path, 5)


CONTAINERS = [
    *(image_parquet, table_parquet, table_csv, class_folders),
    *(vectors_npz, vectors_npy, vectors_hdf5, vectors_parquet, vectors_csv),
]  # fmt: skip
WAYS = {
    "texts": CLASSES,
    "spaces around": [f"{one} " if row % 2 else one for row, one in enumerate(CLASSES)],
    "quoted lists of one": [str([one]) for one in CLASSES],
    "lists of one": [[one] for one in CLASSES],
}
SEVERAL = {
    "lists": PAIRS,
    "bars": ["|".join(one) for one in PAIRS],
    "semicolons": [" ; ".join(one) for one in PAIRS],
    "as Python writes lists": [str(one) for one in PAIRS],
    "as JSON writes lists": [json.dumps(one) for one in PAIRS],
    "as numpy writes lists": [str(np.array(one)) for one in PAIRS],
}
NUMBERS = {
    "whole": [(11, 2, 7)[row % 3] for row in range(N)],
    "whole floats": [(11.0, 2.0, 7.0)[row % 3] for row in range(N)],
    "texts of numbers": [("11", "2", "7")[row % 3] for row in range(N)],
}
MARKS = {
    "lists of marks": [[int(row % 3 == 0), int(row % 2 == 0), 1 - (row % 3 == 0)] for row in range(N)],
    "truth values": [[row % 3 == 0, row % 2 == 0, row % 3 != 0] for row in range(N)],
    "marks with bars": [f"{int(row % 3 == 0)}|{int(row % 2 == 0)}|{int(row % 3 != 0)}" for row in range(N)],
    "marks as numpy writes them": [str(np.array([row % 3 == 0, row % 2 == 0, row % 3 != 0]) * 1) for row in range(N)],
}
TRUTH = {"truth values": [row % 3 == 0 for row in range(N)], "their texts": [str(row % 3 == 0) for row in range(N)]}
SAME = [(group, way) for group in (WAYS, SEVERAL, NUMBERS, MARKS, TRUTH) for way in group]


def score(items):
    codes = np.random.default_rng(1).integers(0, 256, (N, 2), np.uint8)
    labels = items.labels
    return evaluate(codes[:6], codes[6:], labels[:6], labels[6:], ["mAP@all"]).values_by_name["mAP@all"]


def truth(group):
    """Return what each item's labels are, written down without the reader."""
    if group is WAYS or group is TRUTH:
        names = sorted(set(map(str, group[next(iter(group))])))
        return np.array([names.index(str(one)) for one in group[next(iter(group))]])
    if group is NUMBERS:
        return np.array([(2, 0, 1)[row % 3] for row in range(N)])
    if group is MARKS:
        return np.array(group["truth values"])
    return np.array([[name in one for name in ("blue", "cat", "dog", "red")] for one in PAIRS])


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize(("group", "way"), SAME, ids=[way for _, way in SAME])
def test_labels_are_the_same_in_every_file(tmp_path, container, group, way):
    if container is class_folders and way not in ("texts", "spaces around", "texts of numbers", "their texts"):
        pytest.skip("a folder is one class")
    items = container(tmp_path / "data", group[way])
    expected = truth(group)
    assert items.labels.dtype == (np.int64 if expected.ndim == 1 else bool)
    assert items.labels.tolist() == expected.tolist()
    assert score(items) == score(type(items)(labels=expected))


@pytest.mark.parametrize("container", CONTAINERS)
def test_the_two_forms_of_an_accent_are_one(tmp_path, container):
    cells = [("caf\u00e9" if row % 2 else "cafe\u0301", "dog", "owl")[row % 3] for row in range(N)]
    items = container(tmp_path / "data", cells)
    assert items.labels.tolist() == [row % 3 for row in range(N)]
    assert list(items.label_names) == ["caf\u00e9", "dog", "owl"]


@pytest.mark.parametrize("container", [image_parquet, table_parquet, vectors_parquet])
def test_what_pandas_writes_is_read_alike(tmp_path, container):
    items = container(tmp_path / "categories", pd.Categorical(CLASSES, ["owl", "dog", "cat", "eel"]))
    assert items.labels.tolist() == truth(WAYS).tolist()
    assert container(tmp_path / "whole", pd.array(NUMBERS["whole"], "Int64")).labels.tolist() == truth(NUMBERS).tolist()
    for number, hole in enumerate(
        (pd.array([None, *NUMBERS["whole"][1:]], "Int64"), pd.Categorical([None, *CLASSES[1:]]))
    ):
        with pytest.raises(InputError, match="a label is empty"):
            container(tmp_path / str(number), hole)


REFUSED = {
    "case": (["Cat", "cat", "dog"] * 8, "differ only in case"),
    "commas": (["cat, red", "dog, red", "owl"] * 8, "can be one class or the labels 'dog', 'red'"),
    "a label of all": (["cat"] * N, "every item has the label cat"),
    "a bare list": (["[cat, red]", "[dog]", "[owl]"] * 8, "looks like a list"),
    "half numbers": ([0.5, 1.0, 2.0] * 8, "0.5"),
    "negative": ([-1, 0, 1] * 8, "expected classes from 0"),
    "NaN": ([float("nan"), 1.0, 2.0] * 8, "a label is "),
    "empty": ([None, "cat", "dog"] * 8, "a label is empty"),
    "empty text": (["", "cat", "dog"] * 8, "a label is empty"),
    "NaN as text": (["nan", "cat", "dog"] * 8, "as programs write a missing value"),
    "objects": ([{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}] * 12, "fields id, name"),
    "counts": ([[0, 2, 0], [1, 0, 3], [0, 0, 1]] * 8, re.compile("can be 3 labels|values other than 0 and 1")),
}


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("what", REFUSED)
def test_refusals_are_the_same_in_every_file(tmp_path, container, what):
    cells, words = REFUSED[what]
    if container is class_folders and what not in ("case", "a label of all"):
        pytest.skip("a folder is one class")
    with pytest.raises(InputError) as raised:
        container(tmp_path / "data", cells)
    assert "\n" not in str(raised.value)
    assert str(tmp_path / "data") in str(raised.value)
    assert re.search(words if isinstance(words, re.Pattern) else re.escape(words), str(raised.value))


def with_names(path, column, cells, numbers, names):
    """Write what `datasets` writes of classes: numbers, and what they are called."""
    features = {"label": {"names": names, "_type": "ClassLabel"}}
    table = pa.table({column: cells, "label": pa.array(numbers, pa.int64())})
    pq.write_table(table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})}), path)


@pytest.mark.parametrize("column", ["image", "embedding"])
def test_classes_that_two_files_number_differently_are_matched_by_name(tmp_path, column):
    parts = {"train": (range(18), ["dog", "cat", "owl"]), "test": (range(18, N), ["owl", "cat", "dog"])}
    for part, (rows, names) in parts.items():
        cells = [PNG for _ in rows] if column == "image" else [X[row].tolist() for row in rows]
        file = tmp_path / f"{part}-00000-of-00001.parquet"
        with_names(file, column, cells, [names.index(CLASSES[row]) for row in rows], names)
    if column == "image":
        items = ImageParquet().read(LoadOptions(data_dir=tmp_path))
        order = np.argsort(np.concatenate([items.parts["query"], items.parts["database"], items.parts["train"]]))
        assert len(order) == N
        found = [items.label_names[number] for number in items.labels]
        assert found == CLASSES[18:] + CLASSES[:18]
    else:
        items = read_vectors(tmp_path, 5)
        assert [items.label_names[number] for number in items.labels] == CLASSES
    assert any("matched by name" in note for note in items.notes)


def test_what_is_passed_over_is_named(tmp_path):
    columns = {"embedding": pa.array(list(X)), "Category": pa.array(CLASSES), "id": pa.array(range(N))}
    pq.write_table(pa.table(columns), tmp_path / "v.parquet")
    items = read_vectors(tmp_path / "v.parquet", 5)
    assert items.label_names == ["cat", "dog", "owl"]
    assert (items.read_as, items.passed_over) == (
        "vectors of parquet, labels the column Category",
        ["arrays, columns or files: id"],
    )
    np.savez(tmp_path / "v.npz", vectors=X, Label=np.arange(N) % 2, ids=np.arange(N))
    items = read_vectors(tmp_path / "v.npz", 5)
    assert (items.read_as, items.passed_over) == (
        "vectors of .npz, labels label",
        ["arrays, columns or files: ids"],
    )
    folder = tmp_path / "folder"
    folder.mkdir()
    np.save(folder / "vectors.npy", X)
    (folder / "labels.txt").write_text("cat\n")
    assert read_vectors(folder, 5).passed_over == ["arrays, columns or files: labels.txt"]
    items = of_images(tmp_path / "i", ImageParquet().read, img=[PNG] * N, target=CLASSES, id=range(N))
    assert items.read_as == "columns img and target of i.parquet"
    assert items.passed_over == ["columns: id"]


def test_labels_for_all_parts_at_once_are_refused(tmp_path):
    np.savez(tmp_path / "v.npz", database=X[:18], query=X[18:], labels=np.arange(N) % 3)
    with pytest.raises(InputError, match="has labels without saying of which part: give database_labels and query_"):
        read_vectors(tmp_path / "v.npz", 5)
    np.savez(tmp_path / "v.npz", train=X[:18], test=X[18:], y_train=CLASSES[:18], y_test=CLASSES[18:])
    items = read_vectors(tmp_path / "v.npz", 5)
    assert [items.label_names[number] for number in items.labels] == CLASSES
    assert items.read_as == "test, train of .npz, labels y_train, y_test"


def test_a_column_of_labels_is_chosen_or_left(tmp_path, cache_dir):
    vectors = np.random.default_rng(2).standard_normal((200, 4)).astype(np.float32)
    table = pa.table({"embedding": pa.array(list(vectors)), "kind": ["a", "b"] * 100, "label": [None] * 200})
    pq.write_table(table, tmp_path / "v.parquet")
    asked = {"data_dir": tmp_path / "v.parquet", "cache_dir": cache_dir}
    with pytest.raises(InputError, match="row 0 of label: a label is empty"):
        load_dataset("vectors", **asked)
    chosen = load_dataset("vectors", **asked, label_column="kind")
    assert chosen.labels.tolist() == [0, 1] * 100
    first, second = chosen.summary
    assert first.endswith("vectors of parquet, labels the column kind")
    assert second == "vectors: left out: arrays, columns or files: label"
    assert load_dataset("vectors", **asked, label_column="none").protocol.name == "vectors/1"
    with pytest.raises(InputError, match="no column other; its columns are"):
        load_dataset("vectors", **asked, label_column="other")
    np.save(tmp_path / "v.npy", vectors)
    with pytest.raises(InputError, match=r"--label-column kind: .* has no column of labels"):
        load_dataset("vectors", data_dir=tmp_path / "v.npy", cache_dir=cache_dir, label_column="kind")
