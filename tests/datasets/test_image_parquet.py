"""Images in parquet files of any columns, written here as the hub has them."""

import io
import json
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import one_clear_line
from PIL import Image

from hashbench import InputError, LoadOptions, load_dataset
from hashbench.checks import check_dataset
from hashbench.data.readers import image_parquet as reader
from hashbench.plugins.registry import Registry

N = 60


def png(row, size=(8, 8)):
    pixels = np.random.default_rng(row).integers(0, 256, (*size, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def written(path, rows=range(N), labels=None, image="image", label="label", plain=False, info=None, size=(8, 8)):
    """Write a file of images and labels, in row groups of seven."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = [None if row is None else png(row, size) for row in rows]
    images = content if plain else [{"bytes": one, "path": None} for one in content]
    kind = pa.binary() if plain else pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    labels = [row % 3 for row in rows] if labels is None else labels
    table = pa.table({image: pa.array(images, kind), label: pa.array(labels)})
    if info:
        features = {label: {"names": info, "_type": "ClassLabel"}}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, path, row_group_size=7)
    return path


@pytest.mark.parametrize("names", [("image", "label"), ("img", "labels"), ("photo", "kind")])
@pytest.mark.parametrize("plain", [False, True])
def test_columns_are_found_or_named(tmp_path, cache_dir, names, plain):
    file = written(tmp_path / "x.parquet", image=names[0], label=names[1], plain=plain, info=["cat", "dog", "owl"])
    chosen = {"image_column": names[0], "label_column": names[1]} if names[1] == "kind" else {}
    dataset = load_dataset("image_parquet", data_dir=file, cache_dir=cache_dir, **chosen)
    expected = [np.asarray(Image.open(io.BytesIO(png(row)))) for row in range(N)]
    assert (dataset.images == expected).all()
    assert (dataset.labels == np.arange(N) % 3).all()
    assert len(dataset.split.query) == 6
    items = Registry().find("datasets", "image_parquet").load()().read(LoadOptions(file, **chosen))
    assert list(items.label_names) == ["cat", "dog", "owl"]


def test_two_columns_of_labels_are_two_data_sets(tmp_path, cache_dir):
    file = written(tmp_path / "x.parquet")
    table = pq.read_table(file)
    pq.write_table(table.append_column("coarse", pa.array([row % 2 for row in range(N)])), file)
    asked = {"data_dir": file, "cache_dir": cache_dir}
    fine, coarse = load_dataset("image_parquet", **asked), load_dataset("image_parquet", **asked, label_column="coarse")
    assert fine.data_fingerprint == coarse.data_fingerprint
    assert fine.fingerprint != coarse.fingerprint
    assert (coarse.labels == np.arange(N) % 2).all()
    assert load_dataset("image_parquet", cache_dir=cache_dir, label_column="coarse").fingerprint == coarse.fingerprint


@pytest.mark.parametrize("kind", ["numbers", "texts"])
def test_lists_are_several_labels(tmp_path, cache_dir, kind):
    lists = [sorted({row % 3, row % 4}) for row in range(N)]
    given = lists if kind == "numbers" else [[f"label {one}" for one in labels] for labels in lists]
    dataset = load_dataset("image_parquet", data_dir=written(tmp_path / "x.parquet", labels=given), cache_dir=cache_dir)
    marks = np.zeros((N, 4), bool)
    for row, labels in enumerate(lists):
        marks[row, labels] = True
    assert (dataset.labels == marks).all()


@pytest.mark.parametrize("held_out", ["test", "validation"])
@pytest.mark.parametrize("below", ["", "data"])
def test_parts_are_those_of_the_files_names(tmp_path, cache_dir, held_out, below):
    for number, rows in enumerate(np.split(np.arange(10, N), [20])):
        written(tmp_path / below / f"train-{number:05}-of-00002.parquet", rows.tolist())
    written(tmp_path / below / f"{held_out}-00000-of-00001.parquet", range(10))
    dataset = load_dataset("image_parquet", data_dir=tmp_path, cache_dir=cache_dir)
    assert dataset.split.query.tolist() == list(range(10))
    assert dataset.split.database.tolist() == dataset.split.train.tolist() == list(range(10, N))
    assert (dataset.labels == np.arange(N) % 3).all()


def test_validation_is_left_out_if_there_is_a_test_part(tmp_path, cache_dir):
    for part, rows in (("train", range(20, N)), ("test", range(10)), ("validation", range(10, 20))):
        written(tmp_path / f"{part}.parquet", rows)
    dataset = load_dataset("image_parquet", data_dir=tmp_path, cache_dir=cache_dir)
    assert len(dataset) == N - 10
    assert "validation.parquet (validation): test gives the queries" in dataset.summary[1]


def test_of_two_parts_for_choosing_one_gives_the_queries(tmp_path, cache_dir):
    for part, rows in (("train", range(20, N)), ("val", range(10)), ("validation", range(10, 20))):
        written(tmp_path / f"{part}.parquet", rows)
    dataset = load_dataset("image_parquet", data_dir=tmp_path, cache_dir=cache_dir)
    assert (len(dataset), len(dataset.split.query)) == (N - 10, 10)
    assert "validation.parquet (validation): val gives the queries" in dataset.summary[1]


@pytest.mark.parametrize(
    ("database", "query"),
    [
        ("Train-00000-of-00001", "Test-00000-of-00001"),
        ("training", "testing"),
        ("pets-train", "pets-test"),
        ("pets_train-00000-of-00001", "pets_test-00000-of-00001"),
        ("default/train/0000", "default/test/0000"),
        ("plain_text/train-00000-of-00001", "plain_text/test-00000-of-00001"),
        ("train/0000", "validation/0000"),
    ],
)
def test_files_and_their_folders_name_parts_in_many_ways(tmp_path, cache_dir, database, query):
    written(tmp_path / "data" / f"{query}.parquet", range(10))
    written(tmp_path / "data" / f"{database}.parquet", range(10, N))
    dataset = load_dataset("image_parquet", data_dir=tmp_path / "data", cache_dir=cache_dir)
    assert dataset.split.query.tolist() == list(range(10))
    assert dataset.split.database.tolist() == list(range(10, N))
    assert "columns image and label of" in dataset.summary[0]


@pytest.mark.parametrize("column", ["part", "split", "Set"])
@pytest.mark.parametrize("held_out", [(), (20, 30)])
def test_a_column_names_the_parts_of_rows(tmp_path, cache_dir, column, held_out):
    file = written(tmp_path / "x.parquet")
    said = ["Test" if row < 10 else "val" if row in range(*held_out or (0, 0)) else "train" for row in range(N)]
    pq.write_table(pq.read_table(file).append_column(column, pa.array(said).dictionary_encode()), file)
    dataset = load_dataset("image_parquet", data_dir=file, cache_dir=cache_dir)
    kept = [row for row in range(N) if said[row] != "val"]
    assert (dataset.images == [np.asarray(Image.open(io.BytesIO(png(row)))) for row in kept]).all()
    assert (dataset.labels == np.array(kept) % 3).all()
    assert dataset.split.query.tolist() == list(range(10))
    assert len(dataset.split.database) == len(kept) - 10
    assert ("10 rows of the part validation" in " ".join(dataset.summary)) == bool(held_out)


@pytest.mark.parametrize("named", [True, False])
def test_what_datasets_saved_on_a_disk(tmp_path, cache_dir, named):
    for part, rows in (("train", range(10, N)), ("test", range(10))) if named else (("", range(N)),):
        table = pq.read_table(written(tmp_path / "x.parquet", rows))
        folder = tmp_path / "saved" / part
        folder.mkdir(parents=True, exist_ok=True)
        with pa.ipc.new_stream(folder / "data-00000-of-00001.arrow", table.schema) as stream:
            stream.write_table(table, max_chunksize=7)
        (folder / "state.json").write_text("{}")
    dataset = load_dataset("image_parquet", data_dir=tmp_path / "saved", cache_dir=cache_dir)
    assert (dataset.images == [np.asarray(Image.open(io.BytesIO(png(row)))) for row in range(N)]).all()
    assert (dataset.labels == np.arange(N) % 3).all()
    assert not named or dataset.split.query.tolist() == list(range(10))
    (folder / "data-00000-of-00001.arrow").write_bytes(b"ARROW1 no stream")
    with pytest.raises(InputError, match=r"data-00000-of-00001\.arrow is not a readable Arrow file"):
        load_dataset("image_parquet", data_dir=tmp_path / "saved", cache_dir=cache_dir)


def test_files_that_do_not_fit_together_are_refused(tmp_path, cache_dir):
    for name in ("fine/train", "fine/test", "coarse/train", "coarse/test"):
        written(tmp_path / "two" / f"{name}.parquet")
    written(tmp_path / "copy" / "train.parquet")
    written(tmp_path / "copy" / "train (1).parquet")
    file = written(tmp_path / "foo.parquet")
    pq.write_table(pq.read_table(file).append_column("split", pa.array(["train", "foo"] * (N // 2))), file)
    for source, words in (
        ("two", "two holds several data sets: coarse, fine; give one of these folders"),
        ("copy", "copy has train.parquet twice, the second time as train (1).parquet"),
        ("foo.parquet", "row 1: the part 'foo' is none of"),
    ):
        with pytest.raises(InputError, match=re.escape(words)):
            load_dataset("image_parquet", data_dir=tmp_path / source, cache_dir=cache_dir)


def test_images_are_read_in_any_order_with_few_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(reader, "KEPT_BYTES", 0)
    files = [written(tmp_path / f"{number}.parquet", range(30 * number, 30 * number + 30)) for number in range(2)]
    images = reader.read_image_parquet(files).sources
    for row in np.random.default_rng(0).permutation(N).tolist():
        assert images[row] == png(row)
        assert len(images._kept) <= 2


def test_broken_images_are_left_out_where_that_is_asked(tmp_path, cache_dir, cli):
    file = written(tmp_path / "x.parquet", [*range(20), None, *range(21, N)], labels=[row % 3 for row in range(N)])
    one_clear_line(
        cli("data", "prepare", "image_parquet", "--from", file), "x.parquet: row 20 holds no image", "--skip-broken"
    )
    dataset = load_dataset("image_parquet", data_dir=file, cache_dir=cache_dir, skip_broken=True)
    assert (len(dataset), dataset.n_left_out) == (N - 1, 1)
    assert (dataset.labels == np.delete(np.arange(N) % 3, 20)).all()


def test_the_conformance_suite_passes(tmp_path):
    check_dataset(Registry().find("datasets", "image_parquet").load(), written(tmp_path / "x.parquet"))


def bad_files(folder):
    """Yield (what --data-dir names, more options, words of the message)."""
    good = written(folder / "good.parquet")
    yield good, {"image_column": "img"}, ["good.parquet has no column img; its columns are image, label"]
    yield good, {"image_column": "label"}, ["the column label is int64, expected images as bytes"]
    yield good, {"label_column": "image"}, ["the column image is an object with the fields bytes, path"]
    other = written(folder / "other.parquet", label="kind")
    yield other, {}, ["columns image, kind: name that of the labels with --label-column"]
    table = pq.read_table(good)
    pq.write_table(table.append_column("second", table["image"]), folder / "two.parquet")
    yield folder / "two.parquet", {}, ["columns image, second of images", "--image-column"]
    pq.write_table(table.select(["label"]), folder / "none.parquet")
    yield folder / "none.parquet", {}, ["the columns label: name that of the images"]
    yield written(folder / "minus.parquet", labels=[-1] * N), {}, ["of label: a label is -1, expected classes from 0"]
    holes = [None, *range(1, N)]
    yield written(folder / "hole.parquet", labels=holes), {}, ["hole.parquet: row 0 of label: a label is empty"]
    yield written(folder / "bare.parquet", labels=[[1], [], *[[0]] * (N - 2)]), {}, ["row 1 of label: a label is empty"]
    yield (
        written(folder / "half.parquet", labels=[0.5] * N),
        {},
        ["row 0 of label: a label is 0.5 (float), expected whole numbers or texts"],
    )
    yield (
        written(folder / "one.parquet", labels=[4] * N),
        {},
        ["one.parquet: the column label: every item has the label 4"],
    )
    (folder / "cut.parquet").write_bytes(good.read_bytes()[:500])
    yield folder / "cut.parquet", {}, ["cut.parquet is not a readable parquet file"]
    pq.write_table(table[:0], folder / "empty.parquet")
    yield folder / "empty.parquet", {}, ["empty.parquet has no rows"]
    yield folder / "nothing", {}, ["expected a .parquet file, or a folder"]
    for end in ("", "-b42a5b2d5a1b9f8f"):
        written(folder / f"shards{end}" / f"train-00000-of-00002{end}.parquet")
        yield folder / f"shards{end}", {}, ["1 of the 2 files train-*: fetch it again"]
    for known in (["train"], ["train", "test"], ["train", "validation"]):
        for part in (*known, "extra"):
            written(folder / known[-1] / f"{part}.parquet")
        yield folder / known[-1], {}, [f"files of {', '.join(sorted([*known, 'extra']))};", "parts are train and test"]
    written(folder / "kinds" / "train.parquet")
    written(folder / "kinds" / "test.parquet", labels=["a", "b"] * (N // 2))
    yield folder / "kinds", {}, ["holds numbers", "names of classes, such as 'a'", "give names in both"]


@pytest.mark.parametrize("case", range(20))
def test_bad_files_give_one_clear_line(tmp_path, cache_dir, case):
    source, options, words = list(bad_files(tmp_path))[case]
    with pytest.raises(InputError) as raised:
        load_dataset("image_parquet", data_dir=source, cache_dir=cache_dir, **options)
    assert "\n" not in str(raised.value)
    for word in words:
        assert word in str(raised.value)


def test_one_command_goes_from_files_to_a_table(tmp_path, cli):
    file = written(tmp_path / "x.parquet", image="photo", label="kind")
    asked = ["--data-dir", file, "--image-column", "photo", "--label-column", "kind", "--backbone", "pixels"]
    done = cli("run", "--dataset", "image_parquet", *asked, "--methods", "lsh", "--bits", 8, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "mAP@100" in (tmp_path / "out" / "results.csv").read_text()
