"""Images on their way into prepared data: broken, odd and huge ones, decoded as Pillow does."""

import contextlib
import dataclasses
import io
import os
from collections.abc import Sequence

import numpy as np
import pytest
from conftest import one_clear_line
from PIL import Image
from toy_images import InMemory, encoded, load_toy, noise
from waiting import wait_until

from hashbench import InputError
from hashbench.data import decoding
from hashbench.data.images import ImageFiles
from hashbench.data.items import Items
from hashbench.data.loading import load_items
from hashbench.data.look import Look
from hashbench.data.options import LoadOptions
from hashbench.data.prepared import write_images
from hashbench.data.prepared.entries import entries
from hashbench.files.cores import n_cores


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
def test_a_broken_image_is_named_or_left_out(spoil, words, toy, tmp_path, data_command):
    plugin, folder = toy
    spoil(folder / "b01x.jpg")
    whole = dict(zip(names_in(toy), range(13), strict=True))
    arguments = ("prepare", "toy", "--from", folder, "--plugin", plugin)
    one_clear_line(data_command(*arguments), "b01x.jpg", words)
    assert entries(tmp_path / "cache") == []
    done = data_command(*arguments, "--skip-broken")
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
def test_preparing_says_no_more_of_a_bomb_than_that_it_is_one(toy, data_command, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20 * 30)
    done = data_command("prepare", "toy", "--from", toy[1], "--plugin", toy[0])
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
