"""Prepared data: round trips, stamps, locks, kills, and what broken images and files do."""

import contextlib
import dataclasses
import io
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from conftest import one_clear_line
from disk_limits import files_of_at_most
from PIL import Image
from waiting import wait_until

from hashbench import InputError, load_dataset
from hashbench.data import decoding
from hashbench.data.dataset import Dataset
from hashbench.data.images import EncodedImages, ImageFiles
from hashbench.data.items import Items, fingerprint_of
from hashbench.data.loading import load, load_items
from hashbench.data.look import Look
from hashbench.data.options import LoadOptions
from hashbench.data.plugin import HashDataset
from hashbench.data.prepared import stamp as stamps
from hashbench.data.prepared import write_images
from hashbench.data.prepared.entries import choose_entries, entries, remove
from hashbench.data.prepared.prepare import prepare
from hashbench.data.protocol import Protocol
from hashbench.data.splits import Split
from hashbench.files.cores import n_cores

TOY = '''
import os
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hashbench.data.plugin import HashDataset, Items
from hashbench.data.images import ImageFiles
from hashbench.data.protocol import Protocol
from hashbench.data.splits import Split


class Gated(Sequence):
    def __init__(self, files):
        self.files = files

    def __len__(self):
        return len(self.files)

    def __getitem__(self, row):
        while row == 5 and "TOY_GATE" in os.environ and not Path(os.environ["TOY_GATE"]).exists():
            time.sleep(0.01)
        return self.files[row]


class Toy(HashDataset):
    """Images of any size, labelled by their first letter."""

    protocols = (Protocol("toy/1", "rows", None, None, None, ("mAP@all",)),)
    licence = "none"

    def read(self, options):
        if "TOY_READS" in os.environ:
            with Path(os.environ["TOY_READS"]).open("a") as log:
                log.write("read\\n")
        files = sorted(path for path in options.data_dir.iterdir() if path.suffix != ".txt" and path.name[0] != ".")
        n = len(files)
        return Items(
            images=ImageFiles(Gated(files), [str(file) for file in files]),
            labels=np.array([ord(file.name[0]) - ord("a") for file in files]),
            label_names=["a", "b", "c"],
            names=[file.name for file in files],
            parts={"first": np.arange(0, n // 2), "second": np.arange(n // 2, n)},
            provenance="toy",
        )

    def split(self, items, protocol):
        rows = np.arange(len(items))
        return Split(rows[2:], rows[:2], rows[2:])
'''


def noise(height, width, seed=0):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))


@pytest.fixture
def toy(tmp_path):
    """Return a plugin file and a folder of twelve images of two sizes."""
    plugin, folder = tmp_path / "toy.py", tmp_path / "photos"
    plugin.write_text(TOY)
    folder.mkdir()
    for row in range(12):
        noise(20 + row % 2, 30, row).save(folder / f"{'abc'[row % 3]}{row:02}.png")
    return plugin, folder


@pytest.fixture
def data(cli, tmp_path):
    """Run ``hashbench data`` with a cache of the test's own."""
    return lambda *arguments: cli("data", *arguments, "--cache-dir", tmp_path / "cache")


def load_toy(toy, tmp_path, **options):
    return load_dataset("toy", plugins=(toy[0],), cache_dir=tmp_path / "cache", **options)


class InMemory(HashDataset):
    """Returns what the test puts into it."""

    name = "in-memory"
    protocols = (Protocol("in-memory/1", "rows", None, None, None, ("mAP@all",)),)

    def __init__(self, items):
        self.given = items

    def read(self, options):
        return self.given

    def split(self, items, protocol):
        rows = np.arange(len(items))
        return Split(rows[3:], rows[:3], rows[3:])


def encoded(images, kind="PNG"):
    contents = []
    for image in images:
        buffer = io.BytesIO()
        image.save(buffer, kind)
        contents.append(buffer.getvalue())
    return contents


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


@pytest.mark.parametrize("small", [True, False])
def test_a_file_in_the_place_of_another_is_seen(tmp_path, cli, monkeypatch, small):
    """With the size and the time of the other, as cp -p and rsync -a leave them."""
    if not small:
        monkeypatch.setattr(stamps, "SMALL_BYTES", 0)
    one, other = np.random.default_rng(0).standard_normal((2, 300, 4)).astype(np.float32)
    place, cache = tmp_path / "x.npy", tmp_path / "cache"
    for rows in (one, other):
        np.save(tmp_path / "new.npy", rows)
        os.utime(tmp_path / "new.npy", (1.5e9, 1.5e9))
        shutil.copy2(tmp_path / "new.npy", place)
        found = load_dataset("vectors", data_dir=place, cache_dir=cache)
        assert (found.features == rows).all()
        assert found.data_fingerprint == fingerprint_of(rows)
        verified = cli("data", "verify", "vectors", "--cache-dir", cache)
        assert verified.returncode == 0, verified.stderr
    np.save(place, one)
    os.utime(place, (1.5e9, 1.5e9))
    one_clear_line(cli("data", "verify", "vectors", "--cache-dir", cache), "x.npy", "hashbench data remove")


def test_verify_looks_at_the_sources(toy, data):
    folder = toy[1]
    assert data("prepare", "toy", "--from", folder, "--plugin", toy[0]).returncode == 0
    assert data("verify", "toy").returncode == 0
    file = folder / "a00.png"
    found = file.stat()
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(found.st_atime_ns, found.st_mtime_ns))
    one_clear_line(data("verify", "toy"), str(folder), "has changed since it was prepared", "data remove toy-")
    shutil.rmtree(folder)  # sources may go
    assert data("verify", "toy").returncode == 0


def test_cifar10_keeps_its_fingerprints(cifar_jpeg):
    cifar = load_dataset("cifar10", data_dir=cifar_jpeg)
    assert isinstance(cifar.images, np.memmap)
    assert cifar.data_fingerprint.startswith("34182dbb")
    assert cifar.fingerprint.startswith("b7c3c677")


def test_digits_stay_in_memory(tmp_path, data):
    load_dataset("digits", cache_dir=tmp_path / "cache")
    assert entries(tmp_path / "cache") == []
    one_clear_line(data("prepare", "digits"), "digits", "nothing to prepare")


def test_the_commands(toy, tmp_path, data):
    plugin, folder = toy
    done = data("prepare", "toy", "--from", folder, "--plugin", plugin)
    assert "12 items" in done.stdout
    assert "was there already" in data("prepare", "toy", "--from", folder, "--plugin", plugin).stdout
    (entry,) = entries(tmp_path / "cache")
    manifest = entry.manifest
    assert (manifest["n_items"], manifest["label_range"], manifest["licence"]) == (12, [0, 2], "none")
    assert manifest["from"] == str(folder)
    listed = data("list").stdout.splitlines()
    assert len(listed) == 2
    for word in (entry.folder.name, "12", "toy", str(folder), manifest["date"][:10]):
        assert word in listed[1]
    assert f"{entry.folder.name}: ok" in data("verify", "toy").stdout
    assert f"{entry.folder.name}: ok" in data("verify", entry.folder.name).stdout
    assert f"removed {entry.folder}" in data("remove", entry.folder.name).stdout
    assert entries(tmp_path / "cache") == []
    assert "nothing is prepared" in data("list").stdout
    for command in ("verify", "remove"):
        one_clear_line(data(command, "toy"), "toy is not prepared")
        one_clear_line(data(command, "../photos"), "../photos is not prepared")
    one_clear_line(data("prepare", "toy", "--from", tmp_path / "none", "--plugin", plugin), "--from", "no such")
    assert len(list(folder.iterdir())) == 12


def test_remove_takes_all_entries_of_a_name(toy, tmp_path, data):
    for row in range(2):
        noise(9, 9, row).save(toy[1] / f"a{row}.png")
        assert data("prepare", "toy", "--from", toy[1], "--plugin", toy[0]).returncode == 0
    assert len(entries(tmp_path / "cache")) == 2
    assert len(remove(tmp_path / "cache", "toy")) == 2
    assert [path.name for path in (tmp_path / "cache" / "datasets").iterdir() if path.is_dir()] == []


@pytest.mark.parametrize("file", ["data.bin", "labels.bin", "part-1.bin", "names.json"])
def test_verify_finds_a_flipped_byte(file, toy, tmp_path, data):
    data("prepare", "toy", "--from", toy[1], "--plugin", toy[0])
    (entry,) = entries(tmp_path / "cache")
    content = bytearray((entry.folder / file).read_bytes())
    content[len(content) // 2] ^= 1
    (entry.folder / file).write_bytes(content)
    one_clear_line(data("verify", "toy"), f"{file} has changed", f"hashbench data remove {entry.folder.name}")


def test_a_cut_or_missing_file_is_named(toy, tmp_path, data):
    data("prepare", "toy", "--from", toy[1], "--plugin", toy[0])
    (entry,) = entries(tmp_path / "cache")
    (entry.folder / "data.bin").write_bytes((entry.folder / "data.bin").read_bytes()[:-1])
    with pytest.raises(InputError, match=r"data\.bin is not as it was: .* hashbench data remove"):
        load_toy(toy, tmp_path, data_dir=toy[1])
    (entry.folder / "data.bin").unlink()
    one_clear_line(data("verify", "toy"), "data.bin cannot be read", "No such file")
    manifest = entry.folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"shape"', '"form"'))
    one_clear_line(data("verify", "toy"), "manifest.json is damaged", "hashbench data remove")
    manifest.write_text("{")
    assert len(load_toy(toy, tmp_path, data_dir=toy[1])) == 12


def test_a_changed_file_is_read_again(toy, tmp_path, capsys):
    first = load_toy(toy, tmp_path, data_dir=toy[1])
    (toy[1] / ".hidden").write_text("nothing")
    assert load_toy(toy, tmp_path, data_dir=toy[1]).images.data.filename == first.images.data.filename
    assert "prepared anew" not in capsys.readouterr().err
    noise(40, 40, 99).save(toy[1] / "a00.png")
    second = load_toy(toy, tmp_path, data_dir=toy[1])
    assert second.data_fingerprint != first.data_fingerprint
    assert second.images.sizes[0].tolist() == [40, 40]
    assert "prepared anew" in capsys.readouterr().err
    toy[0].write_text(TOY + "\nEDITED = 1\n")
    third = load_toy(toy, tmp_path, data_dir=toy[1])
    assert third.images.data.filename != second.images.data.filename
    assert third.fingerprint == second.fingerprint


def test_only_the_plugin_s_own_files_are_looked_at(toy, tmp_path):
    toy[0].write_text(TOY.replace('licence = "none"', 'files = ("*.png",)'))
    load_toy(toy, tmp_path, data_dir=toy[1])
    (toy[1] / "notes.txt").write_text("of no concern")
    load_toy(toy, tmp_path, data_dir=toy[1])
    assert len(entries(tmp_path / "cache")) == 1


def test_a_cache_inside_of_the_data_is_not_data(toy, tmp_path):
    toy[0].write_text(TOY.replace('path.suffix != ".txt"', "path.suffix"))
    for _ in range(2):
        load_dataset("toy", plugins=(toy[0],), cache_dir=toy[1] / "cache", data_dir=toy[1])
    assert len(entries(toy[1] / "cache")) == 1


def test_data_that_a_plugin_finds_by_itself(toy, tmp_path, data):
    plugin, folder = toy
    own = TOY.replace("options.data_dir.iterdir()", f"(options.data_dir or Path({str(folder)!r})).iterdir()")
    plugin.write_text(own)
    first = load_toy(toy, tmp_path)
    assert "found by itself" in data("list").stdout
    with pytest.raises(InputError, match=r"toy\.py\): read failed: FileNotFoundError"):
        load_toy(toy, tmp_path, data_dir=tmp_path / "none")
    plugin.write_text(own + "\nEDITED = 1\n")
    assert load_toy(toy, tmp_path).fingerprint == first.fingerprint
    assert len(entries(tmp_path / "cache")) == 2


def test_arrays_that_a_plugin_finds_by_itself_stay_in_memory(tmp_path):
    images = np.zeros((4, 2, 2, 3), np.uint8)
    items = load_items(InMemory(Items(images=images, labels=np.zeros(4, np.int64))), LoadOptions(None, tmp_path))
    assert items.images is images
    assert entries(tmp_path) == []


def test_downloaded_files_are_the_source(toy, tmp_path):
    plugin, folder = toy
    fetch = 'Path(options.cache_dir / "downloads" / "toy")'
    plugin.write_text(
        TOY.replace(
            "        files = sorted",
            f"        if not {fetch}.exists(): shutil.copytree({str(folder)!r}, {fetch})\n        files = sorted",
        )
        .replace("options.data_dir.iterdir()", f"{fetch}.iterdir()")
        .replace("import os\n", "import os\nimport shutil\n")
    )
    first = load_toy(toy, tmp_path, download=True)
    (entry,) = entries(tmp_path / "cache")
    assert entry.manifest["from"] == str(tmp_path / "cache" / "downloads" / "toy")
    assert load_toy(toy, tmp_path, download=True).fingerprint == load_toy(toy, tmp_path).fingerprint
    assert load_toy(toy, tmp_path, data_dir=entry.manifest["from"]).fingerprint == first.fingerprint
    assert len(entries(tmp_path / "cache")) == 1


def test_without_a_directory_the_newest_entry_serves(toy, tmp_path, capsys):
    first = load_toy(toy, tmp_path, data_dir=toy[1])
    noise(40, 40, 99).save(toy[1] / "a00.png")
    second = load_toy(toy, tmp_path, data_dir=toy[1])
    assert load_toy(toy, tmp_path).fingerprint == second.fingerprint != first.fingerprint
    toy[0].write_text(TOY + "\nEDITED = 1\n")
    assert load_toy(toy, tmp_path).fingerprint == second.fingerprint
    assert len(entries(tmp_path / "cache")) == 3
    toy[0].write_text(TOY + "\nEDITED = 2\n")
    toy[1].rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"another version of toy.*give --data-dir, or hashbench data prepare toy"):
        load_toy(toy, tmp_path)


def text(path):
    path.write_text("no image")


def truncated(path):
    noise(64, 64).save(path)
    path.write_bytes(path.read_bytes()[:-200])


def truncated_jpeg(path):
    noise(64, 64).save(path, "JPEG")
    path.write_bytes(path.read_bytes()[:-200])


def empty(path):
    path.write_bytes(b"")


def deep(path):
    Image.fromarray(np.arange(400, dtype=np.uint16).reshape(20, 20)).save(path, "PNG")


def a_folder(path):
    path.mkdir()


def a_pipe(path):
    os.mkfifo(path)


def postscript(path):
    noise(9, 9).save(path, "EPS")


BROKEN = {
    text: "not a readable image",
    truncated: "not a readable image",
    truncated_jpeg: "not a readable image",
    empty: "not a readable image",
    deep: "more than 8 bits a channel (mode I;16)",
    a_folder: "is not a file",
    a_pipe: "is not a file",
    postscript: "not a readable image",
}


@pytest.mark.parametrize(("spoil", "words"), BROKEN.items(), ids=[spoil.__name__ for spoil in BROKEN])
def test_a_broken_image_is_named_or_left_out(spoil, words, toy, tmp_path, data):
    plugin, folder = toy
    spoil(folder / "b01x.jpg")
    whole = dict(zip(names_in(toy), range(13), strict=True))
    arguments = ("prepare", "toy", "--from", folder, "--plugin", plugin)
    one_clear_line(data(*arguments), "b01x.jpg", words)
    assert entries(tmp_path / "cache") == []
    done = data(*arguments, "--skip-broken")
    assert done.returncode == 0
    assert "12 items, 1 broken" in done.stdout
    assert "b01x.jpg" in done.stderr
    (entry,) = entries(tmp_path / "cache")
    assert len(entry.manifest["left_out"]) == 1
    assert entry.manifest["left_out"] == ["b01x.jpg"]
    assert words in entry.manifest["reasons"][0]
    items = entry.open()
    assert len(items) == len(items.labels) == len(items.names) == 12
    assert [ord(name[0]) - ord("a") for name in items.names] == items.labels.tolist()
    assert "b01x.jpg" not in items.names
    place = whole["b01x.jpg"]
    assert items.parts["first"].tolist() == list(range(6 - (place < 6)))
    assert items.parts["second"].tolist() == list(range(6 - (place < 6), 12))
    assert load_toy(toy, tmp_path, data_dir=folder, skip_broken=True).n_left_out == 1
    with pytest.raises(InputError, match=r"b01x\.jpg"):
        load_toy(toy, tmp_path, data_dir=folder)


def names_in(toy):
    return sorted(path.name for path in toy[1].iterdir())


class CountedBytes(bytes):
    """An image file's content that counts how many of its kind are in memory, and the most that ever were."""

    alive = most = 0

    def __init__(self, _content):
        CountedBytes.alive += 1
        CountedBytes.most = max(CountedBytes.most, CountedBytes.alive)

    def __del__(self):
        CountedBytes.alive -= 1


class ReadWhenAsked(Sequence):
    """Encoded images of one size, of which the fourth is broken."""

    def __len__(self):
        return 60

    def __getitem__(self, row):
        return CountedBytes(b"broken" if row == 3 else encoded([noise(7, 6, row)])[0])


def test_leaving_one_out_takes_few_images_into_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(write_images, "LARGE", 1)
    monkeypatch.setattr(write_images, "n_cores", lambda: 1)
    files = ImageFiles(ReadWhenAsked(), [f"row {row}" for row in range(60)])
    images, broken, _ = write_images.write_images(files, tmp_path, "toy", skip_broken=True)
    assert list(broken) == [3]
    assert (np.asarray(images) == [noise(7, 6, row) for row in range(60) if row != 3]).all()
    assert CountedBytes.most < 10


@pytest.mark.parametrize("sizes", [(5, 6), (6, 6)])
def test_what_image_files_say_of_exif_is_recorded(tmp_path, sizes):
    (tmp_path / "data").mkdir()
    sources = encoded([noise(height, 7, height) for height in sizes])
    files = ImageFiles(sources, ["first", "second"], look=Look(exif=True))
    items = load_items(InMemory(Items(images=files)), LoadOptions(tmp_path / "data", tmp_path / "cache"))
    assert items.look == Look(exif=True)


def test_skipping_nothing_is_the_same_data(toy, tmp_path):
    load_toy(toy, tmp_path, data_dir=toy[1])
    assert load_toy(toy, tmp_path, data_dir=toy[1], skip_broken=True).n_left_out == 0
    assert len(entries(tmp_path / "cache")) == 1


def test_data_without_a_sound_image_is_refused(tmp_path):
    files = ImageFiles([b"", b"x"], ["first", "second"])
    (tmp_path / "data").mkdir()
    options = LoadOptions(tmp_path / "data", tmp_path / "cache", skip_broken=True)
    with pytest.raises(InputError, match="2 of 2 images cannot be used: first is not a readable image"):
        load_items(InMemory(Items(images=files, labels=np.zeros(2, np.int64))), options)


def test_images_of_another_size_than_stated_are_refused(tmp_path):
    files = ImageFiles(encoded([noise(5, 6), noise(5, 7)]), ["first", "second"], (5, 6))
    options = LoadOptions(tmp_path, tmp_path / "cache")
    with pytest.raises(InputError, match="second has 7 × 5 pixels, expected 6 × 5"):
        load_items(InMemory(Items(images=files, labels=np.zeros(2, np.int64))), options)


def test_items_that_do_not_fit_together_are_refused(tmp_path):
    options = LoadOptions(tmp_path, tmp_path / "cache")
    pixels, labels = np.zeros((4, 2, 2, 3), np.uint8), np.zeros(4, np.int64)
    for items, words in [
        (Items(images=pixels, labels=labels[:3]), "4 items but 3 labels"),
        (Items(images=pixels, labels=labels, names=["a"]), "4 items but 1 names"),
        (Items(images=pixels, labels=labels, parts={"train": np.array([4])}), "the part train has rows outside"),
    ]:
        with pytest.raises(InputError, match=words):
            load_items(InMemory(items), options)
    broken = ImageFiles([*encoded([noise(5, 6)]), b""], ["first", "second"])
    with pytest.raises(InputError, match="no image can be left out of data with true neighbours: second"):
        load_items(
            InMemory(Items(images=broken, neighbors=np.zeros((1, 1), np.int64))),
            dataclasses.replace(options, skip_broken=True),
        )


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_decompression_bomb_is_refused_by_its_header(kind, monkeypatch):
    (content,) = encoded([noise(40, 50)], kind)
    assert decoding.decode(content, "it").shape == (40, 50, 3)
    for limit in (1999, 900):  # beyond twice the limit Pillow raises by itself
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        with pytest.raises(InputError, match=f"it has more than {limit:,} pixels"):
            decoding.decode(content, "it")


@pytest.mark.filterwarnings("error")
def test_preparing_says_no_more_of_a_bomb_than_that_it_is_one(toy, data, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20 * 30)
    done = data("prepare", "toy", "--from", toy[1], "--plugin", toy[0])
    one_clear_line(done, "a03.png has more than 600 pixels")
    assert len(done.stderr.splitlines()) == 1


def test_a_huge_file_is_refused_unread(tmp_path, monkeypatch):
    (tmp_path / "huge.jpg").write_bytes(b"0" * 1000)
    monkeypatch.setattr(decoding, "MAX_BYTES", 999)
    with pytest.raises(InputError, match="huge has 1,000 bytes"):
        decoding.content(tmp_path / "huge.jpg", "huge")


def test_every_mode_becomes_colour():
    image = noise(6, 7)
    pixels = np.array(image)
    palette = image.quantize(16)
    palette_png = encoded([palette])[0]
    palette.info["transparency"] = bytes([255] * 16)
    for given, expected in [
        (encoded([image.convert("L")])[0], np.repeat(np.array(image.convert("L"))[..., None], 3, 2)),
        (encoded([image.convert("LA")])[0], np.repeat(np.array(image.convert("L"))[..., None], 3, 2)),
        (encoded([image.convert("RGBA")])[0], pixels),
        (encoded([image.convert("CMYK")], "TIFF")[0], pixels),
        (encoded([palette])[0], decoding.decode(palette_png, "it")),
    ]:
        assert (decoding.decode(given, "it") == expected).all()
    (cmyk,) = encoded([image.convert("CMYK")], "JPEG")
    assert decoding.decode(cmyk, "it").shape == (6, 7, 3)


def test_the_exif_orientation_is_not_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    for kind in ("jpg", "png"):
        noise(6, 7).save(tmp_path / f"turned.{kind}", exif=exif)
        assert decoding.decode((tmp_path / f"turned.{kind}").read_bytes(), "it").shape == (6, 7, 3)


def jpegs():
    for seed, size in enumerate([(1, 1), (8, 8), (17, 31), (100, 64)]):
        for image in (noise(*size, seed), noise(*size, seed).convert("L")):
            for options in (
                {},
                {"progressive": True},
                {"subsampling": "4:2:2", "quality": 20},
                {"keep_rgb": True},
                {"restart_marker_blocks": 1},
            ):
                buffer = io.BytesIO()
                image.save(buffer, "JPEG", **options)
                yield buffer.getvalue()


def test_fast_decoding_gives_pillow_s_pixels(monkeypatch):
    fast = [decoding.decode(content, "it") for content in jpegs()]
    monkeypatch.setattr(decoding, "_torchvision_jpeg", lambda: None)
    for content, pixels in zip(jpegs(), fast, strict=True):
        np.testing.assert_array_equal(decoding.decode(content, "it"), pixels, strict=True)


def test_damaged_jpegs_are_images_or_clear_errors():
    rng = np.random.default_rng(0)
    (whole,) = encoded([noise(16, 24)], "JPEG")
    refused = 0
    for _ in range(100):
        damaged = bytearray(whole)
        for place in rng.integers(0, len(whole), 4):
            damaged[place] = rng.integers(256)
        with contextlib.suppress(InputError):  # and nothing else
            assert decoding.decode(bytes(damaged), "it").ndim == 3
            refused -= 1
        refused += 1
    assert 0 < refused < 100


@pytest.mark.parametrize("size", [None, (48, 48)])
def test_damaged_images_that_can_be_read_are_named(size, tmp_path, capfd):
    (whole,) = encoded([noise(48, 48)], "JPEG")
    cut = whole.index(b"\xff\xda") + 200  # inside of the compressed pixels
    damaged = whole[:cut] + b"\xff\xd0\x12\x34" + whole[cut:]
    assert decoding.decode(damaged, "it").shape == (48, 48, 3)
    if not capfd.readouterr().err:
        pytest.skip("the decoder here does not warn")
    files = ImageFiles([whole] * 40 + [damaged] + [whole] * 40, [f"image {row}" for row in range(81)], size)
    items = Items(images=files, labels=np.arange(81) % 2)
    load_items(InMemory(items), LoadOptions(tmp_path, tmp_path / "cache"))
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("in-memory: 1 images are damaged but can be read")
    assert line.endswith("first: image 40")


def test_reading_stays_a_few_blocks_ahead_of_writing():
    class Counted(list):
        asked = 0

        def __getitem__(self, row):
            Counted.asked += 1
            return super().__getitem__(row)

    (content,) = encoded([noise(2, 2)])
    files = ImageFiles(Counted([content] * 20_000), ["it"] * 20_000)
    blocks = write_images._blocks(files)
    first = next(blocks)
    ahead = 2 * n_cores() + 1
    wait_until(lambda: len(first.chunks) * ahead <= Counted.asked, "reading ahead")
    n_read = len(first.chunks)
    for number, block in enumerate(blocks, ahead + 1):
        assert len(first.chunks) * number >= Counted.asked
        n_read += len(block.chunks)
    assert n_read == 20_000


def start(toy, tmp_path, **environment):
    command = [sys.executable, "-m", "hashbench", "data", "prepare", "toy", "--from", str(toy[1])]
    command += ["--plugin", str(toy[0]), "--cache-dir", str(tmp_path / "cache")]
    return subprocess.Popen(
        command,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1]), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_killed_preparation_leaves_nothing_that_is_taken_for_whole(toy, tmp_path):
    process = start(toy, tmp_path, TOY_GATE=str(tmp_path / "never"))
    datasets = tmp_path / "cache" / "datasets"
    wait_until(lambda: list(datasets.glob(".toy-*/data.bin")))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert entries(tmp_path / "cache") == []
    (partial,) = datasets.glob(".toy-*")
    (datasets / ".toy-other-0123456789ab").mkdir()  # another data set's
    assert len(load_toy(toy, tmp_path, data_dir=toy[1])) == 12
    assert not partial.exists()
    assert (datasets / ".toy-other-0123456789ab").exists()
    choose_entries(tmp_path / "cache", "toy")[0].verify()


@pytest.mark.slow
def test_a_second_process_waits_and_uses_what_the_first_made(toy, tmp_path):
    reads, gate = tmp_path / "reads", tmp_path / "gate"
    first = start(toy, tmp_path, TOY_GATE=str(gate), TOY_READS=str(reads))
    wait_until(lambda: list((tmp_path / "cache" / "datasets").glob(".toy-*/data.bin")))
    second = start(toy, tmp_path, TOY_READS=str(reads))
    assert "waiting for another process" in second.stderr.readline()
    gate.touch()
    for process in (first, second):
        process.communicate()
    assert (first.returncode, second.returncode) == (0, 0)
    assert reads.read_text() == "read\n"
    assert len(entries(tmp_path / "cache")) == 1


def test_a_full_disk_is_one_clear_line(toy, tmp_path, data):
    with files_of_at_most(10_000):
        done = data("prepare", "toy", "--from", toy[1], "--plugin", toy[0])
    one_clear_line(done, str(tmp_path / "cache"), "cannot be written", "--cache-dir")
    assert [path.name for path in (tmp_path / "cache" / "datasets").iterdir()] == ["toy.lock"]


def test_an_unwritable_cache_is_one_clear_line(toy, tmp_path, cli):
    (tmp_path / "file").write_text("no folder")
    done = cli("data", "prepare", "toy", "--from", toy[1], "--plugin", toy[0], "--cache-dir", tmp_path / "file")
    one_clear_line(done, "--cache-dir", "cannot be written to")


def test_twins_in_two_places_are_two_entries(toy, tmp_path):
    twin = tmp_path / "twin"
    noise(20, 30, 50).save(toy[1] / "a99.bmp")
    shutil.copytree(toy[1], twin, copy_function=shutil.copy2)
    found = (twin / "a99.bmp").stat()
    noise(20, 30, 51).save(twin / "a99.bmp")
    os.utime(twin / "a99.bmp", ns=(found.st_atime_ns, found.st_mtime_ns))
    assert (twin / "a99.bmp").stat().st_size == found.st_size
    first, second = (load_toy(toy, tmp_path, data_dir=place) for place in (toy[1], twin))
    assert first.data_fingerprint != second.data_fingerprint
    with pytest.raises(InputError, match=r"toy is prepared from 2 places: .*twin.*name one with --data-dir"):
        load_toy(toy, tmp_path)


def test_data_that_lacks_images_must_be_asked_for(toy, tmp_path):
    text(toy[1] / "a99.png")
    text(toy[1] / "b99.png")
    with pytest.raises(InputError, match=r"toy: 2 of \d+ images cannot be used: .*a99.*b99.*--skip-broken leaves"):
        load_toy(toy, tmp_path, data_dir=toy[1])
    kept = load_toy(toy, tmp_path, data_dir=toy[1], skip_broken=True)
    assert kept.n_left_out == 2
    assert load_toy(toy, tmp_path, skip_broken=True).fingerprint == kept.fingerprint
    with pytest.raises(
        InputError, match="read failed: AttributeError"
    ):  # nothing serves, and the toy finds no files by itself
        load_toy(toy, tmp_path)
    names = [path.name for path in sorted(toy[1].iterdir()) if path.suffix != ".txt"]
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "query.txt").write_text("\n".join(["elsewhere/a99.png", f"elsewhere/{names[0]}"]))
    (lists / "train.txt").write_text("\n".join(name for name in names[1:] if name != "a99.png"))
    listed = load_toy(toy, tmp_path, data_dir=toy[1], skip_broken=True, splits=lists)
    assert listed.split.query.tolist() == [0]
    assert len(listed.split.train) == len(listed) - 1


@pytest.mark.parametrize("content", ["junk", '{"format": 1}', "[]"])
def test_a_damaged_manifest_hides_nothing_and_can_be_removed(toy, tmp_path, cli, content):
    load_toy(toy, tmp_path, data_dir=toy[1])
    (entry,) = entries(tmp_path / "cache")
    (entry.folder / "manifest.json").write_text(content)
    cache = ("--cache-dir", tmp_path / "cache")
    assert "nothing is prepared" in cli("data", "list", *cache).stdout
    one_clear_line(cli("data", "verify", "toy", *cache), "toy is not prepared")
    assert cli("data", "remove", "toy", *cache).returncode == 0
    assert not entry.folder.exists()


def test_numbers_of_a_draw_are_finite(tmp_path, cli):
    for value in ("nan", "inf", "-1"):
        done = cli("run", "--dataset", "folder", "--protocol", f"folder/1[query_percent={value}]", "--out", tmp_path)
        one_clear_line(done, "query_percent", "above 0")
