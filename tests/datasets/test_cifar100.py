"""CIFAR-100's layouts, with generated files: the publisher's archive, parquet copies, class folders."""

import hashlib
import io
import pickle
import struct
import tarfile
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from conftest import one_clear_line
from PIL import Image

from hashbench import InputError, load_dataset
from hashbench.data.items import Items
from hashbench.data.prepared.content_order import in_content_order
from hashbench.data.readers import cifar as cifar_files
from hashbench.datasets import cifar100
from hashbench.files.hashing import sha256
from hashbench.records.store import Store

N_TRAIN, N_TEST = 200, 100


@pytest.fixture
def small(monkeypatch):
    """Shrink the protocol to 300 images; return images, fine labels, and coarse labels that differ from them."""
    whole = cifar100.CIFAR100.protocols[0]
    sizes = {"n_query": N_TEST, "n_database": N_TRAIN, "n_train": 100, "split_checksum": ""}
    monkeypatch.setattr(cifar100.CIFAR100, "protocols", (replace(whole, draw={"training_per_class": 1}, **sizes),))
    monkeypatch.setattr(cifar100, "FILES", replace(cifar100.FILES, sizes={"train": N_TRAIN, "test": N_TEST}))
    rng = np.random.default_rng(0)
    fine = np.concatenate([rng.permutation(np.arange(N_TRAIN) % 100), rng.permutation(100)])
    return rng.integers(0, 256, (N_TRAIN + N_TEST, 32, 32, 3), dtype=np.uint8), fine, fine // 5


def by_content(images, fine):
    """Return the images and labels of both parts in the protocol's order, made by sorting pairs."""
    parts = []
    for rows in (range(N_TRAIN), range(N_TRAIN, N_TRAIN + N_TEST)):
        keys = [(hashlib.sha256(images[row].tobytes()).digest(), int(fine[row]), row) for row in rows]
        parts += [row for _, _, row in sorted(keys)]
    return images[parts], fine[parts]


def batches(images, fine, coarse):
    rows = {"train": slice(N_TRAIN), "test": slice(N_TRAIN, None)}
    return {
        part: pickle.dumps(
            {
                "data": images[which].transpose(0, 3, 1, 2).reshape(-1, 3072),
                "fine_labels": fine[which].tolist(),
                "coarse_labels": coarse[which].tolist(),
            },
            4,
        )
        for part, which in rows.items()
    }


def python2_batch(images, fine):
    """Return a batch as Python 2 pickled it, like the publisher's: byte strings, and numpy's old module names."""
    pixels = images.transpose(0, 3, 1, 2).tobytes()
    dtype = b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01"
    array += struct.pack("<cHcHc", b"M", len(images), b"M", 3072, b"\x86") + dtype
    array += b"\x89T" + struct.pack("<I", len(pixels)) + pixels + b"tb"
    labels = b"](" + b"".join(b"K" + bytes([label]) for label in fine) + b"e"
    return b"\x80\x02}(U\x04data" + array + b"U\x0bfine_labels" + labels + b"u."


def write_archive(path, contents, folder="cifar-100-python"):
    with tarfile.open(path, "w:gz") as tar:
        for name, content in contents.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


@pytest.mark.parametrize("layout", ["archive", "folder", "inside the folder"])
def test_the_publishers_files(tmp_path, small, layout):
    contents = batches(*small)
    if layout == "archive":
        write_archive(tmp_path / "cifar-100-python.tar.gz", contents)
    else:
        folder = tmp_path / "cifar-100-python" if layout == "folder" else tmp_path
        folder.mkdir(exist_ok=True)
        for name, content in contents.items():
            (folder / name).write_bytes(content)
    data = load_dataset("cifar100", data_dir=tmp_path)
    expected, labels = by_content(*small[:2])
    assert (data.images == expected).all()
    assert (data.labels == labels).all()
    assert data.split.query.tolist() == list(range(N_TRAIN, N_TRAIN + N_TEST))
    assert np.bincount(data.labels[data.split.train]).tolist() == [1] * 100
    assert data.provenance.startswith("copy")


def shuffled(images, fine, coarse, seed=1):
    """Return the same set in another order of each part."""
    rng = np.random.default_rng(seed)
    rows = np.concatenate([rng.permutation(N_TRAIN), N_TRAIN + rng.permutation(N_TEST)])
    return images[rows], fine[rows], coarse[rows]


def digits_of(folder, cli, tmp_path):
    """Return the checksums that a run keeps of one copy: features, data with its split, and codes."""
    out, cache = tmp_path / f"out-{folder.name}", tmp_path / f"cache-{folder.name}"
    paths = ("--data-dir", folder, "--cache-dir", cache, "--out", out)
    done = cli("run", "--dataset", "cifar100", "--methods", "lsh", "--bits", 16, "--backbone", "pixels", *paths)
    assert done.returncode == 0, done.stderr
    (record,) = Store(out)
    features = [sha256(file) for file in sorted(cache.glob("features/**/*.bin"))]
    return record.provenance, record.config["data"], record.codes_sha256, record.metrics, features


def test_every_order_gives_the_same_digits_and_its_set_is_official(tmp_path, small, monkeypatch, cli):
    images, fine, coarse = small
    images[1], images[N_TRAIN + 1] = images[0], images[0]  # equal images: by label in a part, and one in the other part
    small = images, fine, coarse
    items = Items(
        images=images, labels=fine, parts={"train": np.arange(N_TRAIN), "test": np.arange(N_TRAIN, len(fine))}
    )
    monkeypatch.setattr(cifar100.CIFAR100, "set_sha256", in_content_order(items)[1])
    copies = [tmp_path / name for name in ("parquet", "shuffled", "archive")]
    for folder in copies:
        folder.mkdir()
    parquet(copies[0], *small)
    parquet(copies[1], *shuffled(*small))
    write_archive(copies[2] / "cifar-100-python.tar.gz", batches(*shuffled(*small, seed=2)))
    found = [digits_of(folder, cli, tmp_path) for folder in copies]
    assert found[0] == found[1] == found[2]
    assert found[0][0] == "official"
    assert found[0][-1]


@pytest.mark.parametrize("what", ["one pixel", "one label for another", "one image twice"])
def test_another_set_is_a_copy_and_a_line_says_so(tmp_path, small, monkeypatch, capsys, what):
    images, fine, coarse = small
    items = Items(
        images=images, labels=fine, parts={"train": np.arange(N_TRAIN), "test": np.arange(N_TRAIN, len(fine))}
    )
    monkeypatch.setattr(cifar100.CIFAR100, "set_sha256", in_content_order(items)[1])
    images, fine = images.copy(), fine.copy()
    if what == "one pixel":
        images[5, 0, 31, 2] ^= 1
    elif what == "one label for another":
        fine[[0, 1]] = fine[[1, 0]]
        assert fine[0] != fine[1]
    else:
        first, second = np.flatnonzero(fine[:N_TRAIN] == 7)
        images[second] = images[first]
    write_archive(tmp_path / "cifar-100-python.tar.gz", batches(images, fine, coarse))
    assert load_dataset("cifar100", data_dir=tmp_path).provenance == "copy (not the publisher's set)"
    said = [line for line in capsys.readouterr().err.splitlines() if "marked as a copy" in line]
    assert len(said) == 1
    assert "it is not the publisher's set" in said[0]


def test_the_checksum_of_a_set_is_as_documented(small):
    images, fine, _ = small
    parts = {"train": np.arange(N_TRAIN), "test": np.arange(N_TRAIN, N_TRAIN + N_TEST)}
    items, checksum = in_content_order(Items(images=images, labels=fine, parts=parts))
    expected, labels = by_content(images, fine)
    assert (items.images == expected).all()
    whole = hashlib.sha256()
    for name, rows in parts.items():
        whole.update(name.encode() + struct.pack("<Q", len(rows)))
        whole.update(b"".join(hashlib.sha256(expected[row].tobytes()).digest() for row in rows))
        whole.update(struct.pack(f"<{len(rows)}q", *labels[rows]))
    assert checksum == whole.hexdigest()


@pytest.mark.parametrize("items", [Items(features=np.eye(3, dtype=np.float32)), Items(images=np.zeros((2, 4, 4, 3)))])
def test_only_labelled_pixels_have_an_order_by_content(items):
    with pytest.raises(InputError, match="only images of one size with one label each"):
        in_content_order(items)


def test_batches_of_python_2_are_read(tmp_path, small):
    images, fine, _ = small
    (tmp_path / "train").write_bytes(python2_batch(images[:N_TRAIN], fine[:N_TRAIN]))
    (tmp_path / "test").write_bytes(python2_batch(images[N_TRAIN:], fine[N_TRAIN:]))
    data = load_dataset("cifar100", data_dir=tmp_path)
    expected, labels = by_content(images, fine)
    assert (data.images == expected).all()
    assert (data.labels == labels).all()


def parquet(directory, images, fine, coarse, **columns):
    for part, rows in (("train", range(N_TRAIN)), ("test", range(N_TRAIN, N_TRAIN + N_TEST))):
        encoded = []
        for row in rows:
            buffer = io.BytesIO()
            Image.fromarray(images[row]).save(buffer, "PNG")
            encoded.append({"bytes": buffer.getvalue(), "path": None})
        frame = pd.DataFrame({"img": encoded, "fine_label": fine[rows], "coarse_label": coarse[rows]})
        frame.rename(columns=columns).to_parquet(directory / f"{part}-00000-of-00001.parquet")


@pytest.mark.parametrize("column", ["img", "image"])
def test_parquet_copies_are_read_by_their_fine_labels(tmp_path, small, column):
    parquet(tmp_path, *small, img=column)
    data = load_dataset("cifar100", data_dir=tmp_path)
    expected, labels = by_content(*small[:2])
    assert (data.images == expected).all()
    assert (data.labels == labels).all()
    assert data.provenance.startswith("copy")


def test_class_folders_are_numbered_as_the_publisher_does(tmp_path, small):
    images, fine, _ = small
    for row, label in enumerate(fine):
        folder = tmp_path / ("train" if row < N_TRAIN else "test") / cifar100.CLASSES[label]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(images[row]).save(folder / f"{row:03}.png")
    (tmp_path / "train" / "whale" / ".DS_Store").write_text("not an image")
    data = load_dataset("cifar100", data_dir=tmp_path)
    expected, labels = by_content(images, fine)
    assert (data.images == expected).all()
    assert (data.labels == labels).all()
    (tmp_path / "test" / "worm").rename(tmp_path / "test" / "wurm")
    with pytest.raises(InputError, match="test is to have the 100 class folders and has no worm, an unknown wurm"):
        load_dataset("cifar100", data_dir=tmp_path)


class Bomb:
    def __reduce__(self):
        return (print, ("executed",))


def changed(**values):
    def change(contents):
        batch = pickle.loads(contents["test"]) | values
        kept = {key: value for key, value in batch.items() if value is not None}
        return contents | {"test": pickle.dumps(kept, 4)}

    return change


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (
            lambda contents: contents | {"train": pickle.dumps(Bomb())},
            ["train is not", "builtins.print is not allowed"],
        ),
        (lambda contents: contents | {"train": contents["train"][:-100]}, ["train is not a CIFAR batch", "fetch it"]),
        (lambda contents: contents | {"train": pickle.dumps([1])}, ["train is not a CIFAR batch"]),
        (lambda contents: {"train": contents["train"]}, ["lacks test"]),
        (changed(fine_labels=None), ["test is not a CIFAR batch with fine_labels", "no 'fine_labels'"]),
        (changed(fine_labels=[100] * N_TEST), ["test: labels run from 100 to 100", "0 to 99"]),
        (changed(fine_labels=[1] * 99), ["test is not", "99 labels"]),
        (changed(fine_labels=[0.5] * N_TEST), ["test is not", "float64"]),
        (changed(data=np.zeros((N_TEST, 3072))), ["test is not", "float64"]),
        (changed(data=np.zeros((N_TEST, 784), np.uint8)), ["test is not", "(100, 784)"]),
        (changed(fine_labels=np.arange(N_TEST) % 20), ["test part has 5 images of apple, expected 1", "100 of 100"]),
        (changed(fine_labels=[0, 0, *range(2, N_TEST)]), ["test part has 2 images of apple, expected 1", "2 of 100"]),
        (changed(data=np.zeros((0, 3072), np.uint8), fine_labels=np.zeros(0, int)), ["test holds no images"]),
    ],
)
def test_damaged_batches_are_named(tmp_path, small, damage, words, cli):
    write_archive(tmp_path / "cifar-100-python.tar.gz", damage(batches(*small)))
    command = ("run", "--dataset", "cifar100", "--data-dir", tmp_path, "--methods", "lsh", "--out", tmp_path / "out")
    one_clear_line(cli(*command), *words)


def test_a_batch_of_unreasonable_size_is_not_unpacked(tmp_path, small, monkeypatch):
    monkeypatch.setattr(cifar_files, "MAX_BATCH", 2**20 // 2)
    write_archive(tmp_path / "cifar-100-python.tar.gz", batches(*small))
    with pytest.raises(InputError, match=r"train has 6\d\d,\d+ bytes, more than any CIFAR batch"):
        load_dataset("cifar100", data_dir=tmp_path)


def test_batches_of_another_folder_are_not_taken(tmp_path, small):
    write_archive(tmp_path / "cifar-100-python.tar.gz", batches(*small), folder="elsewhere")
    with pytest.raises(InputError, match="lacks train, test"):
        load_dataset("cifar100", data_dir=tmp_path)


def test_other_files_are_refused(tmp_path, small, cli):
    paths = ("--out", tmp_path / "out", "--cache-dir", tmp_path / "cache")
    command = ("run", "--dataset", "cifar100", "--methods", "lsh", *paths)
    one_clear_line(cli(*command), "cifar100 needs its files", "--data-dir", "--download")
    one_clear_line(cli(*command, "--data-dir", tmp_path), "holds no CIFAR-100", "fine_label")
    parquet(tmp_path, *small, fine_label="label")
    one_clear_line(cli(*command, "--data-dir", tmp_path), "'label'", "expected img and fine_label")
    (tmp_path / "test-00000-of-00001.parquet").unlink()
    parquet(tmp_path, *small)
    (tmp_path / "test-00000-of-00001.parquet").unlink()
    one_clear_line(cli(*command, "--data-dir", tmp_path), "no test-*.parquet")


def test_the_full_size_is_held_to(tmp_path, cli):
    """Without the fixture, 300 images are not the 60,000 of the publisher."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (300, 32, 32, 3), dtype=np.uint8)
    fine = np.concatenate([np.arange(200) % 100, np.arange(100)])
    write_archive(tmp_path / "cifar-100-python.tar.gz", batches(images, fine, fine // 5))
    done = cli("run", "--dataset", "cifar100", "--data-dir", tmp_path, "--methods", "lsh", "--out", tmp_path / "out")
    one_clear_line(
        done, str(tmp_path), "train part 200 images, expected 50,000", "test part 100 images, expected 10,000"
    )
