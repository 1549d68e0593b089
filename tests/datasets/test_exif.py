"""EXIF orientation: applied where it is asked for, and codes with and without it never meet."""

import io
import struct

import numpy as np
import pytest
from conftest import one_clear_line
from PIL import Image, ImageOps

from hashbench import InputError, load_dataset
from hashbench.data.decoding import decode
from hashbench.data.look import Look
from hashbench.records.store import Store

TAG = 0x0112
TURNED = Look(exif=True)


def photograph(orientation, kind="JPEG", size=(24, 16), seed=0):
    """Return the bytes of a smooth image that states an orientation, or none."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 3, 3), dtype=np.uint8)
    image, exif, stream = Image.fromarray(coarse).resize(size, Image.BICUBIC), Image.Exif(), io.BytesIO()
    if orientation is not None:
        exif[TAG] = orientation
    image.save(stream, kind, exif=exif)
    return stream.getvalue()


@pytest.mark.parametrize("orientation", [None, *range(1, 9)])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_pixels_are_turned_as_pillow_turns_them(orientation, kind):
    encoded = photograph(orientation, kind)
    with Image.open(io.BytesIO(encoded)) as image:
        plain, turned = np.asarray(image), np.asarray(ImageOps.exif_transpose(image))
    assert np.array_equal(decode(encoded, "photograph"), plain)
    assert np.array_equal(decode(encoded, "photograph", look=TURNED), turned)
    assert np.array_equal(plain, turned) == (kind == "TIFF" or orientation in (None, 1))  # TIFF is turned as it is read
    assert (turned.shape[:2] == (24, 16)) == (orientation is not None and orientation > 4)


@pytest.mark.parametrize("value", [0, 9, 77])
def test_an_orientation_that_does_not_exist_is_none(value):
    encoded = photograph(value)
    assert np.array_equal(decode(encoded, "photograph", look=TURNED), decode(encoded, "photograph"))


@pytest.mark.parametrize(
    ("tag", "kind", "value"),
    [(0x011A, 2, b"72\0"), (0x0100, 9, struct.pack("<i", -1)), (0x0132, 12, struct.pack("<d", 1.5))],
    ids=["resolution as text", "negative width", "date as a number"],
)
def test_no_other_tag_is_looked_at(tag, kind, value):
    """A directory of two tags in the order of their numbers, as EXIF stores it, and after it a value that is long."""
    entries = {TAG: (3, 1, struct.pack("<H", 6)), tag: (kind, len(value) if kind == 2 else 1, value)}
    packed = [
        struct.pack("<HHI", tag, kind, n) + (value.ljust(4, b"\0") if len(value) <= 4 else struct.pack("<I", 38))
        for tag, (kind, n, value) in sorted(entries.items())
    ]
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 2) + b"".join(packed) + bytes(4) + value
    stream = io.BytesIO()
    Image.open(io.BytesIO(photograph(None, "PNG"))).save(stream, "PNG", exif=exif)
    plain = decode(stream.getvalue(), "photograph")
    assert np.array_equal(decode(stream.getvalue(), "photograph", look=TURNED), np.rot90(plain, -1))


def test_damaged_exif_is_none():
    encoded = photograph(6)
    at = encoded.index(b"Exif\0\0") + 6
    damaged = encoded[:at] + b"\xff" * 8 + encoded[at + 8 :]
    assert np.array_equal(decode(damaged, "photograph", look=TURNED), decode(damaged, "photograph"))


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """Return a folder of two classes of twelve photographs each, half of them lying on their side."""
    folder = tmp_path_factory.mktemp("photographs")
    for row in range(24):
        (folder / "ab"[row % 2]).mkdir(exist_ok=True)
        content = photograph(6 if row % 4 < 2 else 1, seed=row, size=(24, 16))
        (folder / "ab"[row % 2] / f"{row:02}.jpg").write_bytes(content)
    return folder


def test_a_folder_is_read_both_ways(photographs, empty_cache):
    plain, turned = (load_dataset("folder", data_dir=photographs, exif=exif) for exif in (False, True))
    again = load_dataset("folder", data_dir=photographs)
    assert again.fingerprint == plain.fingerprint != turned.fingerprint
    assert (plain.look.exif, turned.look.exif) == (False, True)
    shapes = [{image.shape[:2] for image in dataset.images[:]} for dataset in (plain, turned)]
    assert shapes == [{(16, 24)}, {(16, 24), (24, 16)}]
    assert load_dataset("folder", exif=True).fingerprint == turned.fingerprint  # without a directory, of its own kind
    assert load_dataset("folder").fingerprint == plain.fingerprint


def test_images_that_keep_their_size_are_turned_too(tmp_path, empty_cache):
    for row in range(20):
        (tmp_path / "ab"[row % 2]).mkdir(exist_ok=True)
        (tmp_path / "ab"[row % 2] / f"{row:02}.jpg").write_bytes(photograph(3, seed=row))
    plain, turned = (load_dataset("folder", data_dir=tmp_path, exif=exif).images for exif in (False, True))
    assert isinstance(plain, np.ndarray)
    assert np.array_equal(turned, plain[:, ::-1, ::-1])


@pytest.mark.slow
def test_records_models_and_codes_keep_apart(photographs, tmp_path, empty_cache, cli):
    keys, models = {}, {}
    for exif in ("", "--exif"):
        out = tmp_path / f"out{exif}"
        asked = ["--dataset", "folder", "--data-dir", photographs, "--methods", "lsh", "--bits", 8, "--image-size", 32]
        done = cli("run", *asked, "--out", out, "--save-models", *([exif] if exif else []))
        assert done.returncode == 0, done.stderr
        (record,) = Store(out)
        keys[exif], models[exif] = record.config["features"], Store(out).model_path(record)
    assert keys["--exif"] == {**keys[""], "exif": True}

    def codes(model, name, *more):
        done = cli("encode", models[model], photographs, "--out", tmp_path / f"{name}.npy", *more)
        assert done.returncode == 0, done.stderr
        return np.load(tmp_path / f"{name}.npy")

    assert (codes("", "plain") != codes("", "turned", "--exif")).any()
    assert np.array_equal(codes("--exif", "own"), codes("--exif", "asked", "--exif"))  # as it was trained
    search = ["search", models[""], tmp_path / "plain.npy"]
    one_clear_line(cli(*search, tmp_path / "turned.npy"), "queries were encoded with --exif, the database without")
    one_clear_line(cli(*search, photographs, "--exif"), "queries were encoded with --exif")
    assert cli(*search, photographs).returncode == 0
    assert cli("search", models[""], tmp_path / "turned.npy", photographs, "--exif").returncode == 0
    np.save(tmp_path / "array.npy", np.zeros((2, 9, 9, 3), np.uint8))
    command = ["encode", models[""], tmp_path / "array.npy", "--out", tmp_path / "x.npy", "--exif"]
    one_clear_line(cli(*command), "--exif", "array.npy is an array", "leave it out")


def test_data_sets_that_do_not_look_at_it_refuse_it(tmp_path, cli):
    done = cli("run", "--dataset", "digits", "--methods", "lsh", "--out", tmp_path / "out", "--exif")
    one_clear_line(done, "--exif: digits has no use for it", "leave it out")
    with pytest.raises(InputError, match="--image-column: folder has no use for it"):
        load_dataset("folder", data_dir=tmp_path, image_column="img")
    one_clear_line(cli("data", "prepare", "folder", "--from", tmp_path, "--label-column", "x"), "--label-column")
