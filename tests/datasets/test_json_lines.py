"""Tables of images in JSON lines, as image folders of the Hugging Face hub have them: metadata.jsonl."""

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from hashbench import InputError, load_dataset
from hashbench.data.readers.labelled_images import list_images
from hashbench.data.readers.labels.reading import read_labels

N = 40
PIXELS = np.random.default_rng(0).integers(0, 256, (N, 8, 8, 3), dtype=np.uint8)
NAMES = [f"{row:02}.png" for row in range(N)]
LABELS = [("cat", "dog")[row % 2] for row in range(N)]


@pytest.fixture
def images(tmp_path):
    """Return a folder of images that only a table can label."""
    folder = tmp_path / "pets"
    folder.mkdir()
    for row, name in enumerate(NAMES):
        Image.fromarray(PIXELS[row]).save(folder / name)
    return folder


def write(folder, rows, name="metadata.jsonl"):
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return folder / name


def rows(labels=LABELS, **more):
    columns = {"file_name": NAMES, "label": labels, **more}
    return [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]


def load(source, tmp_path, **options):
    return load_dataset("folder", data_dir=source, cache_dir=tmp_path / "cache", **options)


def names_of(source):
    listing = list_images(source)
    read = read_labels(listing.labels)
    assert read.array.ndim == 1
    return [read.names[label] for label in read.array]


@pytest.mark.parametrize("name", ["metadata.jsonl", "list.jsonl", "list.json"])
def test_a_folder_or_a_file_of_lines(name, images, tmp_path):
    table = write(images, rows(split=["test" if row % 4 == 0 else "train" for row in range(N)]), name)
    data = load(images if name == "metadata.jsonl" else table, tmp_path)
    assert (data.images == PIXELS).all()
    assert data.labels.tolist() == [0, 1] * (N // 2)
    assert data.split.query.tolist() == list(range(0, N, 4))
    assert f"columns file_name and label, parts by split, of {name}" in data.summary[0]


def test_each_part_can_have_a_file_of_lines(tmp_path):
    for part, some in (("train", range(10, N)), ("test", range(10))):
        (tmp_path / "own" / part).mkdir(parents=True)
        for row in some:
            Image.fromarray(PIXELS[row]).save(tmp_path / "own" / part / NAMES[row])
        write(tmp_path / "own" / part, [rows()[row] for row in some])
    data = load(tmp_path / "own", tmp_path)
    assert {data.images[row].tobytes() for row in data.split.query} == {one.tobytes() for one in PIXELS[:10]}


@pytest.mark.parametrize(
    "pair",
    [("01", "02"), ("2020-01-01", "2020-01-02"), ("1e3", "x"), ("null", "true"), (1, 2), (7.0, 8.0), (True, False)],
)
def test_labels_stay_what_they_are(pair, images):
    write(images, rows([pair[row % 2] for row in range(N)]))
    shown = [f"{int(value)}" if isinstance(value, float) else str(value) for value in pair]
    assert names_of(images) == shown * (N // 2)


@pytest.mark.parametrize(
    "pair", [("01", 1), ("cat", None), ({"id": 1}, {"id": 2}), ("Cat", "cat"), ("a", float("nan"))]
)
def test_labels_that_no_file_may_have(pair, images):
    write(images, rows([pair[row % 2] for row in range(N)]))
    with pytest.raises(InputError, match=r"metadata\.jsonl row [12]: "):
        names_of(images)


def test_several_labels_and_marks(images):
    write(images, rows([["cat", "red"] if row % 2 else ["cat", "blue"] if row % 4 else ["dog"] for row in range(N)]))
    read = read_labels(list_images(images).labels)
    assert (read.names, read.array[:3].tolist()) == (
        ["blue", "cat", "dog", "red"],
        [[False, False, True, False], [False, True, False, True], [True, True, False, False]],
    )
    write(images, rows([[0, 1] if row % 2 else [1, 0] for row in range(N)]))
    assert names_of(images) == ["0", "1"] * (N // 2)


def test_as_windows_and_people_write_lines(images):
    lines = [json.dumps(row) for row in rows()]
    text = "\ufeff" + "\r\n".join(["", *lines[:5], "  ", *lines[5:]])
    (images / "metadata.jsonl").write_bytes(text.encode())
    assert names_of(images) == LABELS
    (images / "metadata.jsonl").write_text("\n".join(json.dumps({"label": "a\u2028b", **row}) for row in rows()))
    assert names_of(images) == LABELS


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b'{"file_name": "02.png", "label": "cat"', "is no JSON object .Expecting ',' delimiter at column 39."),
        (b'["02.png", "cat"]', "is no JSON object but a list"),
        (b'{"file_name": "02.png", "label": "\xff"}', "it is not UTF-8"),
        (b'{"file_name": "02.png", "label": "\\ud800"}', "it is not UTF-8"),
        (b"[" * 100_000, "is no JSON object"),
        (b'{"file_name": "02.png", "label": "cat", "label": "dog"}', "has the field 'label' 2 times: which one holds"),
    ],
)
def test_a_broken_line_is_named_with_its_number(line, words, images):
    lines = [json.dumps(row).encode() for row in rows()]
    (images / "metadata.jsonl").write_bytes(b"\n".join([lines[0], b"", line, *lines[3:]]))
    with pytest.raises(InputError, match=rf"metadata\.jsonl line 3 .*{words}"):
        list_images(images)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"file_name": ""}, "row 3: the path is empty"),
        ({"file_name": None}, "row 3: the path is empty"),
        ({"file_name": "../02.png"}, "row 3: .* has '..' in it"),
        ({"file_name": "01.png"}, "row 3: 01.png is in row 2 already"),
        ({"file_name": "a\0b.png"}, r"row 3: the file name .* holds control characters"),
        ({"path": "02.png"}, "row 1: the path is empty"),
    ],
)
def test_paths_follow_the_rules_of_tables(change, words, images):
    lines = rows()
    lines[2] |= change
    write(images, lines)
    with pytest.raises(InputError, match=words):
        list_images(images)


def test_an_image_without_a_line_and_a_line_without_an_image(images, tmp_path):
    table = write(images, rows()[:-2])
    Image.fromarray(PIXELS[0]).save(images / ".00.png")
    data = load(images, tmp_path)
    assert len(data) == N - 2
    assert "left out: 2 images without a row, 1 hidden image" in data.summary[1]
    as_csv = tmp_path / "as_csv"
    images.rename(as_csv)
    (as_csv / table.name).unlink()
    pd.DataFrame(rows()[:-2]).to_csv(as_csv / "metadata.csv", index=False)
    assert load(as_csv, tmp_path).summary[1] == data.summary[1]
    (as_csv / "05.png").unlink()
    with pytest.raises(InputError, match=r"1 of 38 listed images are missing, first .*metadata\.csv row 6: 05\.png"):
        load(as_csv, tmp_path)


def test_a_hidden_image_that_a_line_names_is_read(images):
    (images / "00.png").rename(images / ".00.png")
    lines = rows()
    lines[0]["file_name"] = ".00.png"
    write(images, lines)
    assert list_images(images).passed_over == []


def test_two_tables_of_one_folder_are_refused(images):
    write(images, rows())
    pd.DataFrame(rows()).to_csv(images / "metadata.csv", index=False)
    with pytest.raises(InputError, match=r"pets has metadata\.csv and metadata\.jsonl, which both name images and"):
        list_images(images)
    write(images, [{"file_name": name, "caption": "a pet"} for name in NAMES])
    assert names_of(images) == LABELS


def test_lines_without_labels_are_no_table(images):
    write(images, [{"file_name": name, "caption": "a pet"} for name in NAMES])
    with pytest.raises(InputError, match="lie in no class folder"):
        list_images(images)
    for row in range(N):
        (images / LABELS[row]).mkdir(exist_ok=True)
        (images / NAMES[row]).rename(images / LABELS[row] / NAMES[row])
    assert names_of(images) == sorted(LABELS)
