"""The data sets' layouts, splits and errors."""

import io
import pickle
import tarfile

import numpy as np
import pytest
from conftest import one_clear_line
from PIL import Image

from hashbench import InputError, load_dataset
from hashbench.data.dataset import hold_out_validation
from hashbench.data.splits import draw_per_class, draw_per_label


def test_digits():
    digits = load_dataset("digits")
    query = digits.labels[digits.split.query]
    assert np.bincount(query).tolist() == [30] * 10
    assert len(digits.split.database) == 1497
    assert not set(digits.split.query) & set(digits.split.database)
    assert digits.images.shape == (1797, 8, 8, 1)
    assert digits.images.max() == 255
    assert digits.fingerprint == load_dataset("digits").fingerprint


def test_draws_are_reproducible_and_balanced():
    labels = np.repeat([3, 1, 2], [50, 40, 30])
    drawn = draw_per_class(labels, 7, seed=0)
    assert np.bincount(labels[drawn]).tolist() == [0, 7, 7, 7]
    assert (drawn == draw_per_class(labels, 7, seed=0)).all()
    assert (drawn != draw_per_class(labels, 7, seed=1)).any()
    with pytest.raises(InputError, match="class 2 has 30 items, 31"):
        draw_per_class(labels, 31, seed=0)


def test_cifar10_from_parquet(cifar_jpeg):
    cifar = load_dataset("cifar10", data_dir=cifar_jpeg)
    assert cifar.images.shape == (60_000, 32, 32, 3)
    assert (len(cifar.split.query), len(cifar.split.database), len(cifar.split.train)) == (
        10_000,
        50_000,
        5_000,
    )
    assert np.bincount(cifar.labels[cifar.split.train]).tolist() == [500] * 10
    assert np.bincount(cifar.labels[cifar.split.query]).tolist() == [1000] * 10
    assert cifar.provenance.startswith("copy")


@pytest.fixture
def small(monkeypatch):
    """Shrink the protocol, so that a layout can be tested with 60 images."""
    import dataclasses

    from hashbench.datasets import cifar10

    whole = cifar10.CIFAR10.protocols[0]
    protocol = dataclasses.replace(whole, n_query=10, n_database=50, n_train=20, draw={"training_per_class": 2})
    monkeypatch.setattr(cifar10.CIFAR10, "protocols", (protocol,))
    monkeypatch.setattr(cifar10, "FILES", dataclasses.replace(cifar10.FILES, sizes={"train": 50, "test": 10}))
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (60, 32, 32, 3), dtype=np.uint8)
    return images, np.arange(60) % 10


def batches(images, labels):
    parts = np.array_split(np.arange(50), 5)
    names = {f"data_batch_{i + 1}": rows for i, rows in enumerate(parts)} | {"test_batch": np.arange(50, 60)}
    return {
        name: pickle.dumps(
            {"data": images[rows].transpose(0, 3, 1, 2).reshape(-1, 3072), "labels": labels[rows].tolist()}, 4
        )
        for name, rows in names.items()
    }


def write_archive(path, contents):
    with tarfile.open(path, "w:gz") as tar:
        for name, content in contents.items():
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


@pytest.mark.parametrize("layout", ["folder", "inside the folder", "archive"])
def test_cifar10_from_python_batches(tmp_path, small, layout):
    images, labels = small
    contents = batches(images, labels)
    if layout == "archive":
        write_archive(tmp_path / "cifar-10-python.tar.gz", contents)
    else:
        folder = tmp_path / "cifar-10-batches-py" if layout == "folder" else tmp_path
        folder.mkdir(exist_ok=True)
        for name, content in contents.items():
            (folder / name).write_bytes(content)
    cifar = load_dataset("cifar10", data_dir=tmp_path)
    assert (cifar.images == images).all()
    assert (cifar.labels == labels).all()
    assert cifar.provenance.startswith("copy")


def test_cifar10_from_class_folders(tmp_path, small):
    from hashbench.datasets.cifar10 import CLASSES

    images, labels = small
    for part, rows in (("train", range(50)), ("test", range(50, 60))):
        for row in rows:
            folder = tmp_path / part / CLASSES[labels[row]]
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(images[row]).save(folder / f"{row:03}.png")
    cifar = load_dataset("cifar10", data_dir=tmp_path)
    order = np.concatenate([np.argsort(labels[:50], kind="stable"), 50 + np.argsort(labels[50:], kind="stable")])
    assert (cifar.images == images[order]).all()
    assert (cifar.labels == labels[order]).all()
    (tmp_path / "train" / "frog" / "006.png").write_text("no image")
    with pytest.raises(InputError, match=r"frog/006\.png is not a readable image"):
        load_dataset("cifar10", data_dir=tmp_path)


def test_a_batch_cannot_run_code(tmp_path, small):
    class Bomb:
        def __reduce__(self):
            return (print, ("executed",))

    contents = batches(*small) | {"data_batch_3": pickle.dumps(Bomb())}
    write_archive(tmp_path / "cifar-10-python.tar.gz", contents)
    with pytest.raises(InputError, match=r"data_batch_3 is not a CIFAR batch .*builtins.print is not allowed"):
        load_dataset("cifar10", data_dir=tmp_path)


def test_batches_pickled_by_an_old_numpy_are_read():
    from hashbench.data.readers.cifar import ArraysOnly

    build = ArraysOnly(io.BytesIO()).find_class("numpy.core.multiarray", "_reconstruct")
    assert build(np.ndarray, (0,), b"b").shape == (0,)


def test_a_parquet_without_images_is_named(tmp_path):
    import pandas as pd

    for part in ("train", "test"):
        frame = pd.DataFrame({"img": [{"bytes": b"x"}, {"bytes": None}], "label": [0, 1]})
        frame.to_parquet(tmp_path / f"{part}-0.parquet")
    with pytest.raises(InputError, match=r"train-0\.parquet: row 1 holds no image"):
        load_dataset("cifar10", data_dir=tmp_path)


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"label": [0.0, 1.5]}, "the column label is double, expected whole numbers"),
        ({"label": [0.0, 1.0]}, "the column label is double, expected whole numbers"),
        ({"label": ["0", "1"]}, "the column label is string, expected whole numbers"),
        ({"label": [None, None]}, "the column label is null, expected whole numbers"),
        ({"label": [0, None]}, "row 1 of label is empty"),
        ({"img": [1, 2]}, "the column img is int64, expected a struct whose field bytes is binary"),
        ({"img": [{"path": "a"}] * 2}, r"the column img is struct<path: string>, expected a struct"),
        ({"img": [{"bytes": "text"}] * 2}, r"the column img is struct<bytes: string>, expected a struct"),
    ],
)
def test_parquet_columns_of_other_types_are_named(tmp_path, columns, words):
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({"img": [{"bytes": b"x"}] * 2, "label": [0, 1]} | columns)
    for part in ("train", "test"):
        pq.write_table(table, tmp_path / f"{part}-0.parquet")
    with pytest.raises(InputError, match=rf"train-0\.parquet: {words}"):
        load_dataset("cifar10", data_dir=tmp_path)


@pytest.mark.usefixtures("empty_cache")
def test_batches_that_are_not_the_publishers_are_named(tmp_path, small, monkeypatch, capsys):
    import dataclasses
    import hashlib

    from hashbench.datasets import cifar10

    contents = batches(*small)
    sums = {name: hashlib.md5(content).hexdigest() for name, content in contents.items()}
    monkeypatch.setattr(cifar10, "FILES", dataclasses.replace(cifar10.FILES, md5=sums))
    write_archive(tmp_path / "cifar-10-python.tar.gz", contents)
    assert load_dataset("cifar10", data_dir=tmp_path).provenance == "official"
    assert "differ" not in capsys.readouterr().err
    swapped = {"data_batch_1": contents["data_batch_2"], "data_batch_2": contents["data_batch_1"]}
    odd = {"data_batch_4": contents["data_batch_4"] + b" "}
    write_archive(tmp_path / "cifar-10-python.tar.gz", contents | swapped | odd)
    assert load_dataset("cifar10", data_dir=tmp_path).provenance.startswith("copy")
    (line,) = (line for line in capsys.readouterr().err.splitlines() if "differ" in line)
    assert "data_batch_1 (is data_batch_2), data_batch_2 (is data_batch_1), data_batch_4; " in line
    assert "cifar-10-python.tar.gz" in line
    assert "marked as a copy" in line


def write_parquet(file, small, rows):
    import pandas as pd

    encoded = []
    for row in rows:
        buffer = io.BytesIO()
        Image.fromarray(small[0][row]).save(buffer, "PNG")
        encoded.append({"bytes": buffer.getvalue()})
    file.parent.mkdir(exist_ok=True)
    pd.DataFrame({"img": encoded, "label": small[1][list(rows)]}).to_parquet(file)


@pytest.mark.parametrize("folder", [".", "plain_text", "cifar10"])
def test_the_hubs_folder_is_found_from_its_parent(tmp_path, small, folder):
    write_parquet(tmp_path / folder / "train-0.parquet", small, range(50))
    write_parquet(tmp_path / folder / "test-0.parquet", small, range(50, 60))
    loaded = load_dataset("cifar10", data_dir=tmp_path)
    assert (loaded.labels == small[1]).all()


def test_swapped_and_incomplete_parquet_parts_are_named(tmp_path, small):
    def write(part, rows):
        write_parquet(tmp_path / f"{part}-0.parquet", small, rows)

    write("train", range(50, 60))
    write("test", range(50))
    words = "the train part 10 images, expected 50 and the test part 50 images, expected 10; its train and test files"
    with pytest.raises(InputError, match=words + " seem to be swapped"):
        load_dataset("cifar10", data_dir=tmp_path)
    write("train", range(49))
    write("test", range(50, 60))
    with pytest.raises(InputError, match="the train part 49 images, expected 50; fetch it again"):
        load_dataset("cifar10", data_dir=tmp_path)


def test_damaged_files_are_named(tmp_path, small, cifar_jpeg):
    archive = tmp_path / "cifar-10-python.tar.gz"
    contents = batches(*small)
    write_archive(archive, contents)
    archive.write_bytes(archive.read_bytes()[:-4000])
    with pytest.raises(InputError, match=r"cifar-10-python\.tar\.gz is not a readable archive"):
        load_dataset("cifar10", data_dir=tmp_path)
    del contents["data_batch_2"]
    write_archive(archive, contents)
    with pytest.raises(InputError, match="lacks data_batch_2"):
        load_dataset("cifar10", data_dir=tmp_path)
    archive.unlink()
    (tmp_path / "train-00000-of-00001.parquet").write_bytes(
        (cifar_jpeg / "train-00000-of-00001.parquet").read_bytes()[:100_000]
    )
    with pytest.raises(InputError, match=r"train-00000-of-00001\.parquet is not a readable parquet file"):
        load_dataset("cifar10", data_dir=tmp_path)


def test_other_columns_are_named(tmp_path):
    import pandas as pd

    for part in ("train", "test"):
        pd.DataFrame({"pixels": [1], "label": [2]}).to_parquet(tmp_path / f"{part}-0.parquet")
    with pytest.raises(InputError, match=r"has columns \['pixels', 'label'\], expected img and label"):
        load_dataset("cifar10", data_dir=tmp_path)


def test_an_incomplete_data_set_is_refused(tmp_path, small, monkeypatch):
    images, labels = small
    contents = batches(images, labels)
    contents["test_batch"] = contents["data_batch_1"][:0] + pickle.dumps(
        {"data": images[:3].reshape(3, -1), "labels": [0, 1, 2]}, 4
    )
    write_archive(tmp_path / "cifar-10-python.tar.gz", contents)
    with pytest.raises(InputError, match="the test part 3 images, expected 10; fetch it again"):
        load_dataset("cifar10", data_dir=tmp_path)


def test_held_out_validation_takes_half_of_the_queries():
    digits = load_dataset("digits")
    scored, validation = hold_out_validation(digits)
    assert len(scored.split.query) == len(validation.split.query) == 150
    assert set(scored.split.query) | set(validation.split.query) == set(digits.split.query)
    assert scored.protocol.name == "digits/1+validation"
    assert scored.protocol.hash != digits.protocol.hash
    assert scored.fingerprint != digits.fingerprint
    assert (hold_out_validation(digits)[1].split.query == validation.split.query).all()


def test_a_protocol_is_chosen_by_name_and_numbers(tmp_path, cli):
    chosen = load_dataset("digits", protocol="digits/1[queries_per_class=5]")
    assert chosen.protocol.name == "digits/1[queries_per_class=5]"
    assert len(chosen.split.query) == 50
    assert chosen.protocol.hash != load_dataset("digits").protocol.hash
    assert load_dataset("digits", protocol="digits/1[queries_per_class=30]").protocol.name == "digits/1"
    for choice, words in [
        ("digits/2", ["digits/2", "digits/1"]),
        ("digits/1[queries=5]", ["'queries'", "queries_per_class"]),
        ("digits/1[queries_per_class=0]", ["above 0"]),
        ("digits/1[queries_per_class=two]", ["queries_per_class=two"]),
        ("digits/1[queries_per_class=200]", ["class 0 has 178 items, 200"]),
    ]:
        one_clear_line(cli("run", "--protocol", choice, "--methods", "lsh", "--out", tmp_path / "out"), *words)


def test_published_lists_take_the_place_of_the_draw(tmp_path, cli):
    (tmp_path / "query.txt").write_text("3\n1\n2\n")
    (tmp_path / "train.txt").write_text("10 0 1\n12 1 0\n")
    listed = load_dataset("digits", splits=tmp_path)
    assert listed.split.query.tolist() == [3, 1, 2]
    assert listed.split.train.tolist() == [10, 12]
    assert len(listed.split.database) == 1794
    assert listed.protocol.name.startswith("digits/1+lists:")
    for name, content, words in [
        ("train.txt", "10\n1\n", ["query.txt", "train part", "as 1"]),
        ("train.txt", "10\n10\n", ["line 2", "'10' is on line 1"]),
        ("train.txt", "10\n1797\n", ["line 2", "'1797'"]),
        ("train.txt", "", ["train.txt is empty"]),
    ]:
        (tmp_path / name).write_text(content)
        one_clear_line(cli("run", "--splits", tmp_path, "--methods", "lsh", "--out", tmp_path / "out"), *words)
    (tmp_path / "train.txt").unlink()
    one_clear_line(cli("run", "--splits", tmp_path, "--methods", "lsh", "--out", tmp_path / "out"), "train.txt", "read")


def test_draws_per_label_take_no_item_twice():
    labels = np.random.default_rng(0).random((200, 4)) < 0.4
    drawn = draw_per_label(labels, 15, seed=0)
    assert len(set(drawn.tolist())) == 60
    assert (labels[drawn].sum(axis=0) >= 15).all()
    with pytest.raises(InputError, match="not taken, 60"):
        draw_per_label(labels, 60, seed=0)
