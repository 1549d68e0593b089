"""Prepared data: round trips, stamps, locks, kills, and what broken images and files do."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import one_clear_line
from disk_limits import files_of_at_most
from PIL import Image
from toy_images import TOY, InMemory, encoded, load_toy, noise
from waiting import wait_until

from hashbench import InputError, load_dataset
from hashbench.data.dataset import Dataset
from hashbench.data.images import EncodedImages, ImageFiles
from hashbench.data.items import Items, fingerprint_of
from hashbench.data.loading import load, load_items
from hashbench.data.options import LoadOptions
from hashbench.data.prepared import stamp as stamps
from hashbench.data.prepared.entries import choose_entries, entries, remove
from hashbench.data.prepared.prepare import prepare


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


def test_verify_looks_at_the_sources(toy, data_command):
    folder = toy[1]
    assert data_command("prepare", "toy", "--from", folder, "--plugin", toy[0]).returncode == 0
    assert data_command("verify", "toy").returncode == 0
    file = folder / "a00.png"
    found = file.stat()
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(found.st_atime_ns, found.st_mtime_ns))
    one_clear_line(data_command("verify", "toy"), str(folder), "has changed since it was prepared", "data remove toy-")
    shutil.rmtree(folder)  # sources may go
    assert data_command("verify", "toy").returncode == 0


def test_cifar10_keeps_its_fingerprints(cifar_jpeg):
    cifar = load_dataset("cifar10", data_dir=cifar_jpeg)
    assert isinstance(cifar.images, np.memmap)
    assert cifar.data_fingerprint.startswith("34182dbb")
    assert cifar.fingerprint.startswith("b7c3c677")


def test_digits_stay_in_memory(tmp_path, data_command):
    load_dataset("digits", cache_dir=tmp_path / "cache")
    assert entries(tmp_path / "cache") == []
    one_clear_line(data_command("prepare", "digits"), "digits", "nothing to prepare")


def test_the_commands(toy, tmp_path, data_command):
    plugin, folder = toy
    done = data_command("prepare", "toy", "--from", folder, "--plugin", plugin)
    assert "12 items" in done.stdout
    assert "was there already" in data_command("prepare", "toy", "--from", folder, "--plugin", plugin).stdout
    (entry,) = entries(tmp_path / "cache")
    manifest = entry.manifest
    assert (manifest["n_items"], manifest["label_range"], manifest["licence"]) == (12, [0, 2], "none")
    assert manifest["from"] == str(folder)
    listed = data_command("list").stdout.splitlines()
    assert len(listed) == 2
    for word in (entry.folder.name, "12", "toy", str(folder), manifest["date"][:10]):
        assert word in listed[1]
    assert f"{entry.folder.name}: ok" in data_command("verify", "toy").stdout
    assert f"{entry.folder.name}: ok" in data_command("verify", entry.folder.name).stdout
    assert f"removed {entry.folder}" in data_command("remove", entry.folder.name).stdout
    assert entries(tmp_path / "cache") == []
    assert "nothing is prepared" in data_command("list").stdout
    for command in ("verify", "remove"):
        one_clear_line(data_command(command, "toy"), "toy is not prepared")
        one_clear_line(data_command(command, "../photos"), "../photos is not prepared")
    one_clear_line(data_command("prepare", "toy", "--from", tmp_path / "none", "--plugin", plugin), "--from", "no such")
    assert len(list(folder.iterdir())) == 12


def test_remove_takes_all_entries_of_a_name(toy, tmp_path, data_command):
    for row in range(2):
        noise(9, 9, row).save(toy[1] / f"a{row}.png")
        assert data_command("prepare", "toy", "--from", toy[1], "--plugin", toy[0]).returncode == 0
    assert len(entries(tmp_path / "cache")) == 2
    assert len(remove(tmp_path / "cache", "toy")) == 2
    assert [path.name for path in (tmp_path / "cache" / "datasets").iterdir() if path.is_dir()] == []


@pytest.mark.parametrize("file", ["data.bin", "labels.bin", "part-1.bin", "names.json"])
def test_verify_finds_a_flipped_byte(file, toy, tmp_path, data_command):
    data_command("prepare", "toy", "--from", toy[1], "--plugin", toy[0])
    (entry,) = entries(tmp_path / "cache")
    content = bytearray((entry.folder / file).read_bytes())
    content[len(content) // 2] ^= 1
    (entry.folder / file).write_bytes(content)
    one_clear_line(data_command("verify", "toy"), f"{file} has changed", f"hashbench data remove {entry.folder.name}")


def test_a_cut_or_missing_file_is_named(toy, tmp_path, data_command):
    data_command("prepare", "toy", "--from", toy[1], "--plugin", toy[0])
    (entry,) = entries(tmp_path / "cache")
    (entry.folder / "data.bin").write_bytes((entry.folder / "data.bin").read_bytes()[:-1])
    with pytest.raises(InputError, match=r"data\.bin is not as it was: .* hashbench data remove"):
        load_toy(toy, tmp_path, data_dir=toy[1])
    (entry.folder / "data.bin").unlink()
    one_clear_line(data_command("verify", "toy"), "data.bin cannot be read", "No such file")
    manifest = entry.folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"shape"', '"form"'))
    one_clear_line(data_command("verify", "toy"), "manifest.json is damaged", "hashbench data remove")
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


def test_data_that_a_plugin_finds_by_itself(toy, tmp_path, data_command):
    plugin, folder = toy
    own = TOY.replace("options.data_dir.iterdir()", f"(options.data_dir or Path({str(folder)!r})).iterdir()")
    plugin.write_text(own)
    first = load_toy(toy, tmp_path)
    assert "found by itself" in data_command("list").stdout
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


def test_a_full_disk_is_one_clear_line(toy, tmp_path, data_command):
    with files_of_at_most(10_000):
        done = data_command("prepare", "toy", "--from", toy[1], "--plugin", toy[0])
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
    for name in ("a99.png", "b99.png"):
        (toy[1] / name).write_text("no image")
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


def test_a_folder_whose_name_is_not_utf_8_is_prepared_once(toy, tmp_path, cli):
    folder = Path(os.fsdecode(os.fsencode(tmp_path / "photos") + b"\xff"))
    toy[1].rename(folder)
    first = load_toy(toy, tmp_path, data_dir=folder)
    (entry,) = entries(tmp_path / "cache")
    assert entry.manifest["from"] == str(folder)
    assert load_toy(toy, tmp_path, data_dir=folder).fingerprint == first.fingerprint
    run = ("run", "--plugin", toy[0], "--dataset", "toy", "--data-dir", folder, "--backbone", "pixels", "--bits", 8)
    one_clear_line(cli(*run, "--methods", "sign", "--out", tmp_path / "out"), "run.toml cannot hold", "is not UTF-8")
