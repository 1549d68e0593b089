"""A user's own texts: every form that they may have, and every way in which they can be wrong."""

import json

import numpy as np
import pandas as pd
import pytest
from conftest import one_clear_line
from hashbench.datasets.text import Text

from hashbench import InputError, load_dataset
from hashbench.checks import check_dataset
from hashbench.data.readers.texts import files, texts
from hashbench.data.readers.texts.texts import Texts

WORDS = {"cat": "purrs soft whiskers kitten", "dog": "barks loud tail puppy", "fish": "swims wet fins scales"}
LABELS = [list(WORDS)[row % 3] for row in range(60)]
TEXTS = [
    f"A {WORDS[label].split()[row % 4]} and {WORDS[label].split()[row % 3]} №{row}" for row, label in enumerate(LABELS)
]
FRAME = {"text": TEXTS, "label": LABELS}


@pytest.fixture
def table(tmp_path):
    """Return a function that writes a table and returns its path."""

    def write(frame=FRAME, name="pets.csv"):
        path, frame = tmp_path / name, pd.DataFrame(frame)
        if path.suffix == ".csv":
            frame.to_csv(path, index=False)
        elif path.suffix == ".parquet":
            frame.to_parquet(path)
        else:
            path.write_text(frame.to_json(orient="records", lines=True, force_ascii=False), "utf-8")
        return path

    return write


@pytest.fixture
def load(tmp_path):
    """Return a function that loads texts with a cache of the test's own."""

    def run(source, **options):
        return load_dataset("text", data_dir=source, cache_dir=tmp_path / "cache", **options)

    return run


def class_folders(folder, suffix=".txt"):
    for row, (text, label) in enumerate(zip(TEXTS, LABELS, strict=True)):
        path = folder / label / ("old" if row % 2 else "") / f"{row:02}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return folder


@pytest.mark.parametrize("name", ["pets.csv", "pets.jsonl", "pets.parquet"])
def test_tables(table, load, name):
    data = load(table(name=name))
    assert data.images[:] == TEXTS
    assert [data.label_names[label] for label in data.labels] == LABELS
    assert (len(data.split.query), len(data.split.database)) == (6, 54)
    np.testing.assert_array_equal(data.split.train, data.split.database)
    assert np.bincount(data.labels[data.split.query]).tolist() == [2, 2, 2]
    assert data.protocol.metrics == ("P@100", "mAP@all")


def test_the_same_texts_are_the_same_data_in_every_form(table, load, tmp_path):
    lines = tmp_path / "pets.txt"
    lines.write_text("".join(f"__label__{label} {text}\n" for text, label in zip(TEXTS, LABELS, strict=True)), "utf-8")
    sources = [table(name="a.csv"), table(name="b.jsonl"), table(name="c.parquet"), lines]
    assert len({load(source).fingerprint for source in sources}) == 1


def test_prepared_texts_are_the_texts(table, load):
    path = table()
    first, again = load(path), load(path)
    assert isinstance(again.images, Texts)
    assert again.images[:] == first.images[:] == TEXTS
    assert again.images[np.array([3, 1])] == [TEXTS[3], TEXTS[1]]
    assert first.fingerprint == again.fingerprint


def test_columns_of_other_names_and_several_labels(table, load):
    frame = {
        "body": TEXTS,
        "animal": [f"{label}|pet" if row % 2 else label for row, label in enumerate(LABELS)],
        "n": range(60),
    }
    data = load(table(frame), text_column="body", label_column="animal")
    assert data.images[:] == TEXTS
    assert data.labels.shape == (60, 4)
    assert "left out: columns: n" in data.summary[1]


def test_parts_by_a_column_and_by_files(table, load, tmp_path):
    parts = ["test" if row < 12 else "train" for row in range(60)]
    data = load(table({**FRAME, "split": parts}))
    folder = tmp_path / "news"
    folder.mkdir()
    pd.DataFrame(FRAME)[:12].to_csv(folder / "test.csv", index=False)
    pd.DataFrame(FRAME)[12:].to_csv(folder / "train.csv", index=False)
    by_files = load(folder)
    for one in (data, by_files):
        assert (len(one.split.query), len(one.split.train), len(one.split.database)) == (12, 48, 48)
        assert one.images[one.split.query] == TEXTS[:12]
    with pytest.raises(InputError, match=r"query_percent=20\.0 cannot be chosen: the data names its queries"):
        load(folder, protocol="text-semantic/1[query_percent=20.0]")


@pytest.mark.parametrize("suffix", [".txt", ""])
def test_class_folders(load, tmp_path, suffix):
    folder = class_folders(tmp_path / "pets", suffix)
    (folder / "cat" / "cat.png").write_bytes(b"no text")
    data = load(folder)
    assert sorted(data.images[:]) == sorted(TEXTS)
    assert data.names[0] == f"cat/00{suffix}"
    assert data.label_names == ["cat", "dog", "fish"]
    assert "1 file .png" in data.summary[1]


def test_folders_of_parts(load, tmp_path):
    for part in ("20news-bydate-train", "20news-bydate-test"):
        class_folders(tmp_path / "news" / part, "")
    data = load(tmp_path / "news")
    assert (len(data.split.query), len(data.split.train)) == (60, 60)


def test_a_class_of_one_text_gives_no_query(table, load):
    data = load(table({"text": [*TEXTS, "An owl"], "label": [*LABELS, "owl"]}))
    assert 60 not in data.split.query
    assert 60 in data.split.database


def test_empty_texts_are_left_out_only_when_asked(table, load):
    path = table({"text": [*TEXTS, " ", None], "label": [*LABELS, "cat", "dog"]}, "pets.jsonl")
    with pytest.raises(InputError, match=r"row 61: the text is empty, as in 2 of 62; .* --skip-broken"):
        load(path)
    data = load(path, skip_broken=True)
    assert data.images[:] == TEXTS
    assert "2 empty texts" in data.summary[1]


BAD_TABLES = {
    "no texts": ({"words": TEXTS, "label": LABELS}, "has no column text; its columns are words, label"),
    "no labels": ({"text": TEXTS}, "has no column of labels"),
    "all empty": ({"text": [" "] * 60, "label": LABELS}, "the text is empty, as in 60 of 60"),
    "numbers": ({"text": [*range(60)], "label": LABELS}, "the text is 0 (int), expected a text"),
    "a missing label": ({"text": TEXTS, "label": [*LABELS[:-1], None]}, "a label is empty"),
    "two columns": ({**FRAME, "texts": TEXTS, "content": TEXTS, "text": TEXTS}, None),
    "one label": ({"text": TEXTS, "label": ["cat"] * 60}, "every item has the label cat"),
    "each its own": ({"text": TEXTS, "label": [f"c{row}" for row in range(60)]}, "every text has another label"),
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_bad_tables(table, load, case):
    frame, words = BAD_TABLES[case]
    path = table(frame, "pets.jsonl")
    if words is None:  # the first name counts
        assert load(path).images[:] == TEXTS
        return
    with pytest.raises(InputError) as caught:
        load(path)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_options_that_have_no_effect(table, load, tmp_path):
    for option in ("text_column", "label_column"):
        with pytest.raises(InputError, match="class folders and no table"):
            load(class_folders(tmp_path / "pets"), **{option: "text"})
    with pytest.raises(InputError, match=r"--text-column body: .* its columns are text, label"):
        load(table(), text_column="body")
    with pytest.raises(InputError, match="has no use for it"):
        load(table(), exif=True)
    with pytest.raises(InputError, match="expected a file that ends in"):
        load(tmp_path / "missing.csv")


BAD_FILES = {
    "latin1.txt": (b"__label__a caf\xe9\n__label__b x\n", "latin1.txt line 1 is not UTF-8 (byte 0xe9 at 14)"),
    "latin1.csv": (b"text,label\ncaf\xe9,a\ntea,b\n", "cannot be read as a csv file"),
    "latin1.jsonl": (b'{"text": "caf\xe9", "label": "a"}\n', "line 1 is no JSON object (it is not UTF-8)"),
    "bare.txt": (b"__label__a x y\nno label here\n", "line 2 has no label, as 1 of 2 lines"),
    "empty.txt": (b"\n\n", "has no lines"),
    "empty.csv": (b"text,label\n", "has no rows"),
    "wordless.txt": (b"__label__a\n__label__b x\n", "line 1: the text is empty"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_files(load, tmp_path, name):
    content, words = BAD_FILES[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as caught:
        load(tmp_path / name)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["long.txt", "long.csv", "long.jsonl", "long/a/1.txt"])
def test_a_line_that_is_longer_than_any_text(load, tmp_path, monkeypatch, name):
    for module in (texts, files):
        monkeypatch.setattr(module, "LONGEST", 2**18)
    monkeypatch.setattr("hashbench.data.readers.texts.folders.LONGEST", 2**18)
    text = "word " * 2**16
    contents = {
        ".txt": f"__label__a {text}\n" if "/" not in name else text,
        ".csv": f"text,label\n{text},a\n",
        ".jsonl": json.dumps({"text": text, "label": "a"}),
    }
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(contents[path.suffix], "utf-8")
    with pytest.raises(InputError, match=r"more than 262,144 bytes|field larger than field limit") as caught:
        load(path if "/" not in name else tmp_path / "long")
    assert "\n" not in str(caught.value)


def test_a_csv_s_cells_may_be_longer_than_128_kib(table, load):
    long = "word " * 50_000
    assert load(table({"text": [*TEXTS, long], "label": [*LABELS, "cat"]})).images[np.array([60])] == [long]


def test_bad_folders(load, tmp_path):
    folder = class_folders(tmp_path / "pets")
    (folder / "loose.txt").write_text("no class")
    with pytest.raises(InputError, match=r"loose\.txt and 0 more texts are in no class folder"):
        load(folder)
    (folder / "loose.txt").unlink()
    (folder / "dog" / "latin1.txt").write_bytes(b"caf\xe9")
    with pytest.raises(InputError, match=r"dog/latin1\.txt is not UTF-8"):
        load(folder)
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match="holds no texts: expected class folders"):
        load(tmp_path / "none")


def test_a_run_refuses_in_one_line(table, tmp_path, cli):
    path = table({"text": TEXTS})
    done = cli("run", "--dataset", "text", "--data-dir", path, "--methods", "lsh", "--out", tmp_path / "out")
    one_clear_line(done, "has no column of labels", "--label-column")
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("empty_cache")
def test_the_suite_of_checks(table):
    check_dataset(Text, data_dir=table())


def test_an_export_has_rows_and_no_texts(table, tmp_path, cli):
    path, cache = table(), tmp_path / "cache"
    refused = cli(
        "data", "export", "text", "--data-dir", path, "--cache-dir", cache, "-o", tmp_path / "e", "--images", "png"
    )
    one_clear_line(refused, "text has texts")
    done = cli("data", "export", "text", "--data-dir", path, "--cache-dir", cache, "-o", tmp_path / "e")
    assert done.returncode == 0, done.stderr
    assert len(np.load(tmp_path / "e" / "query.npy")) == 6
