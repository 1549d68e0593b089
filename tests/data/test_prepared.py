"""Prepared data: what is read comes back as it was, once, whatever data sets bring."""

import os
from pathlib import Path

import numpy as np
import pytest
from conftest import one_clear_line
from PIL import Image
from toy_images import InMemory, encoded, load_toy, noise

from hashbench import InputError, load_dataset
from hashbench.data.dataset import Dataset
from hashbench.data.images import EncodedImages, ImageFiles
from hashbench.data.items import Items, fingerprint_of
from hashbench.data.loading import load, load_items
from hashbench.data.options import LoadOptions
from hashbench.data.prepared.entries import choose_entries, entries
from hashbench.data.prepared.make_entry import prepare


def kinds_of_items():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (8, 5, 6, 3), np.uint8)
    same = encoded([Image.fromarray(image) for image in pixels])
    mixed = encoded([noise(5 + row, 6, row) for row in range(8)])
    places = [f"image {row}" for row in range(8)]
    labels, marks = rng.integers(0, 3, 8), rng.random((8, 4)) < 0.5
    parts = {"train": np.arange(5), "test": np.arange(5, 8), "none": np.arange(0)}
    names = [f"{row}.png" for row in range(7)] + ["two\nlines ä"]
    sizes = np.array([[5 + row, 6] for row in range(8)], np.int32)
    offsets = np.concatenate([[0], np.cumsum([len(content) for content in mixed])])
    kept = EncodedImages(np.frombuffer(b"".join(mixed), np.uint8), offsets, sizes)
    features = rng.standard_normal((8, 4)).astype(np.float32)
    return {
        "array": (Items(images=pixels, labels=labels, parts=parts, provenance="official"), pixels),
        "grey": (Items(images=pixels[..., :1], labels=labels), pixels[..., :1]),
        "one stated size": (Items(images=ImageFiles(same, places, (5, 6)), labels=labels, names=names), pixels),
        "one size": (Items(images=ImageFiles(same, places), labels=labels, label_names=["x", "y", "z"]), pixels),
        "many sizes": (Items(images=ImageFiles(mixed, places), labels=marks, label_names=list("wxyz")), kept),
        "encoded": (Items(images=kept, labels=marks), kept),
        "vectors": (Items(features=features, neighbors=rng.permuted(np.tile(np.arange(5), (3, 1)), axis=1)), features),
    }


@pytest.mark.parametrize("kind", kinds_of_items())
def test_every_kind_of_items_comes_back_as_it_was(kind, tmp_path):
    given, raw = kinds_of_items()[kind]
    plugin, options = InMemory(given), LoadOptions(tmp_path / "data", tmp_path / "cache")
    (tmp_path / "data").mkdir()
    back = load_items(plugin, options)
    if isinstance(raw, EncodedImages):
        assert isinstance(back.images, EncodedImages)
        for name in ("data", "offsets", "sizes"):
            np.testing.assert_array_equal(getattr(back.images, name), getattr(raw, name), strict=True)
    else:
        np.testing.assert_array_equal(back.images if given.images is not None else back.features, raw)
    for name in ("labels", "neighbors"):
        if getattr(given, name) is None:
            assert getattr(back, name) is None
        else:
            np.testing.assert_array_equal(getattr(back, name), getattr(given, name), strict=True)
    assert {part: rows.tolist() for part, rows in back.parts.items()} == {
        part: rows.tolist() for part, rows in given.parts.items()
    }
    assert list(back.label_names) == list(given.label_names)
    assert given.names is None or (list(back.names) == list(given.names) and back.names[7] == given.names[7])
    assert (back.provenance, list(back.left_out)) == (given.provenance, [])
    assert back.sha256 == fingerprint_of(raw)
    loaded = load(plugin, options)
    in_memory = Dataset(
        "in-memory",
        plugin.protocols[0],
        plugin.split(back, plugin.protocols[0]),
        labels=given.labels,
        neighbors=given.neighbors,
        **{"images" if given.images is not None else "features": raw},
    )
    assert loaded.fingerprint == in_memory.fingerprint
    plugin.given = None
    assert load(plugin, options).fingerprint == in_memory.fingerprint
    choose_entries(tmp_path / "cache", "in-memory")[0].verify()


def test_vectors_in_a_file_are_not_copied(tmp_path, cli):
    (tmp_path / "data").mkdir()
    file = tmp_path / "data" / "vectors.npy"
    np.save(file, np.random.default_rng(0).standard_normal((5000, 16), np.float32))
    vectors = np.load(file, mmap_mode="r")
    labels = np.zeros(5000, np.int64)
    options = LoadOptions(tmp_path / "data", tmp_path / "cache")
    entry, _ = prepare(InMemory(Items(features=vectors, labels=labels)), options)
    np.testing.assert_array_equal(entry.open().features, vectors)
    assert entry.n_bytes < 100_000 < vectors.nbytes
    entry.verify()
    part, _ = prepare(InMemory(Items(features=vectors[10:20], labels=labels[:10])), LoadOptions(file, tmp_path / "b"))
    np.testing.assert_array_equal(part.open().features, vectors[10:20])
    os.utime(file, (1, 1))
    assert (load_items(InMemory(None), LoadOptions(None, tmp_path / "cache")).features == vectors).all()
    other, found = np.zeros((5000, 16), np.float32), file.stat()
    np.save(file, other)
    os.utime(file, ns=(found.st_atime_ns, found.st_mtime_ns))
    with pytest.raises(InputError, match=r"vectors\.npy was written to after.*hashbench data remove in-memory-"):
        load_items(InMemory(None), LoadOptions(None, tmp_path / "cache"))


@pytest.mark.slow
def test_cifar10_keeps_its_fingerprints(cifar_jpeg):
    cifar = load_dataset("cifar10", data_dir=cifar_jpeg)
    assert isinstance(cifar.images, np.memmap)
    assert cifar.data_fingerprint.startswith("34182dbb")
    assert cifar.fingerprint.startswith("b7c3c677")


def test_digits_stay_in_memory(tmp_path, data_command):
    load_dataset("digits", cache_dir=tmp_path / "cache")
    assert entries(tmp_path / "cache") == []
    one_clear_line(data_command("prepare", "digits"), "digits", "nothing to prepare")


def test_arrays_that_a_plugin_finds_by_itself_stay_in_memory(tmp_path):
    images = np.zeros((4, 2, 2, 3), np.uint8)
    items = load_items(InMemory(Items(images=images, labels=np.zeros(4, np.int64))), LoadOptions(None, tmp_path))
    assert items.images is images
    assert entries(tmp_path) == []


def test_numbers_of_a_draw_are_finite(tmp_path, cli):
    for value in ("nan", "inf", "-1"):
        done = cli("run", "--dataset", "folder", "--protocol", f"folder/1[query_percent={value}]", "--out", tmp_path)
        one_clear_line(done, "query_percent", "above 0")


def test_a_folder_whose_name_is_not_utf_8_is_prepared_once(toy, tmp_path, cli):
    folder = Path(os.fsdecode(os.fsencode(tmp_path / "photos") + b"\xff"))
    toy[1].rename(folder)
    first = load_toy(toy, tmp_path, data_dir=folder)
    (entry,) = entries(tmp_path / "cache")
    assert entry.manifest["from"] == str(folder)
    assert load_toy(toy, tmp_path, data_dir=folder).fingerprint == first.fingerprint
    run = ("run", "--plugin", toy[0], "--dataset", "toy", "--data-dir", folder, "--backbone", "pixels", "--bits", 8)
    one_clear_line(cli(*run, "--methods", "sign", "--out", tmp_path / "out"), "run.toml cannot hold", "is not UTF-8")
