"""What lies behind transparency and how grey of 16 bits is scaled: as asked, and named by the feature key."""

import base64
import io
import json

import numpy as np
import pytest
from conftest import one_clear_line
from PIL import Image

from hashbench import InputError, load_dataset, load_model
from hashbench.data.decoding import decode, decode_seen
from hashbench.data.look import Look, requested_look
from hashbench.models.encode import encode_input
from hashbench.models.inputs import InputOptions
from hashbench.records.store import Store
from hashbench.reports.page.gallery import _data_uri


def written(image, kind="PNG", **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def cut_out(alpha=0):
    """Return a red square before green of some opacity, in RGBA."""
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[..., 1], pixels[..., 3] = 200, alpha
    pixels[2:6, 2:6] = (250, 0, 0, 255)
    return Image.fromarray(pixels)


def palette(opaque=False):
    """Return a square before a palette's colour 0, which is transparent, or not used."""
    indices = np.full((8, 8), 2 if opaque else 0, np.uint8)
    indices[2:6, 2:6] = 1
    image = Image.fromarray(indices, "P")
    image.putpalette([0, 200, 0, 250, 0, 0, 0, 0, 200])
    return image


TRANSPARENT = {
    "png": written(cut_out()),
    "webp": written(cut_out(), "WEBP", lossless=True),
    "tiff": written(cut_out(), "TIFF"),
    "palette": written(palette(), transparency=0),
    "gif": written(palette(), "GIF", transparency=0),
    "a colour": written(Image.fromarray(np.asarray(cut_out())[..., :3].copy()), transparency=(0, 200, 0)),
}


@pytest.mark.parametrize("encoded", TRANSPARENT.values(), ids=TRANSPARENT)
@pytest.mark.parametrize(
    ("asked", "colour"), [(None, (255, 255, 255)), ("black", (0, 0, 0)), ("#0a1420", (10, 20, 32))]
)
def test_transparent_images_are_laid_over_a_colour(encoded, asked, colour):
    pixels, transparent, deep = decode_seen(encoded, "it", look=requested_look(background=asked))
    assert (transparent, deep) == (True, False)
    assert (pixels[0, 0] == colour).all()
    assert (pixels[3, 3] == (250, 0, 0)).all()


def test_half_opaque_pixels_are_mixed():
    pixels = decode(written(cut_out(alpha=102)), "it")  # 40 % of green 200 before white
    assert np.abs(pixels[0, 0].astype(int) - (153, 233, 153)).max() <= 1
    grey = decode_seen(written(cut_out().convert("LA")), "it", 1, Look(background="#000000"))
    assert grey.transparent
    assert grey.pixels.shape == (8, 8, 1)
    assert grey.pixels[0, 0] == 0
    assert grey.pixels[3, 3] == 75


@pytest.mark.parametrize(
    "image",
    [cut_out(alpha=255), palette(opaque=True), cut_out(alpha=255).convert("LA"), cut_out(alpha=255).convert("L")],
)
def test_opaque_images_do_not_depend_on_the_colour(image):
    encoded = written(image, **({"transparency": 0} if image.mode == "P" else {}))
    white, black = (decode_seen(encoded, "it", look=requested_look(background=colour)) for colour in (None, "black"))
    assert not white.transparent
    assert (white.pixels == black.pixels).all()
    assert (white.pixels == np.asarray(image.convert("RGB"))).all()


DEEP = np.array([[0, 1000], [4095, 65535]], np.uint16)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [("full", [[0, 4], [16, 255]]), ("0,4095", [[0, 62], [255, 255]]), ("1000,2000", [[0, 0], [255, 255]])],
)
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_deep_grey_is_scaled(kind, asked, expected):
    pixels, transparent, deep = decode_seen(
        written(Image.fromarray(DEEP), kind), "it", look=requested_look(grey_range=asked)
    )
    assert (transparent, deep) == (False, True)
    assert (pixels == np.array(expected)[..., None]).all()


def test_deep_grey_without_a_range_names_the_option():
    with pytest.raises(InputError, match=r"more than 8 bits .* --grey-range full or LOW,HIGH"):
        decode(written(Image.fromarray(DEEP)), "it")
    floats = written(Image.fromarray(DEEP.astype(np.float32)), "TIFF")
    with pytest.raises(InputError, match=r"32 bits a pixel .* --grey-range LOW,HIGH"):
        decode(floats, "it", look=requested_look(grey_range="full"))
    assert decode(floats, "it", look=requested_look(grey_range="0,65535"))[1, 0, 0] == 16
    holed = written(Image.fromarray(np.full((2, 2), np.nan, np.float32)), "TIFF")
    with pytest.raises(InputError, match="holds NaN"):
        decode(holed, "it", look=requested_look(grey_range="0,1"))


@pytest.mark.parametrize("asked", ["half", "1", "1,1", "2,1", "nan,1", "0,inf", "0,1,2", ""])
def test_ranges_that_are_none(asked):
    with pytest.raises(InputError, match=r"--grey-range .*expected full, or LOW,HIGH"):
        requested_look(grey_range=asked)


def folder_of(path, images):
    for row, encoded in enumerate(images):
        (path / "ab"[row % 2]).mkdir(exist_ok=True, parents=True)
        (path / "ab"[row % 2] / f"{row:02}.png").write_bytes(encoded)
    return path


def icons(n=20, side=8):
    """Return pictures that differ in their opacity alone."""
    rng = np.random.default_rng(0)
    for _ in range(n):
        pixels = np.zeros((side, side, 4), np.uint8)
        pixels[..., 3] = 255 * (rng.random((side, side)) < 0.5)
        yield written(Image.fromarray(pixels))


@pytest.mark.slow
def test_a_folder_says_what_made_a_difference(tmp_path, empty_cache):
    see_through = folder_of(tmp_path / "icons", icons())
    white, black = (load_dataset("folder", data_dir=see_through, background=one) for one in (None, "black"))
    assert (white.look.key, black.look.key) == ({"background": "#ffffff"}, {"background": "#000000"})
    assert white.fingerprint != black.fingerprint
    assert not black.images.any()
    assert white.images.any()
    many_sizes = folder_of(tmp_path / "sizes", [*icons(10), *icons(10, 12)])
    encoded = load_dataset("folder", data_dir=many_sizes)
    assert encoded.look == encoded.images.look == Look(background="#ffffff")
    assert all(image.any() for image in encoded.images[:])
    opaque = folder_of(tmp_path / "opaque", [written(cut_out(alpha=255))] * 20)
    plain, other = (load_dataset("folder", data_dir=opaque, background=one) for one in (None, "black"))
    assert plain.look.key == other.look.key == {}
    assert plain.fingerprint == other.fingerprint
    deep = folder_of(tmp_path / "deep", [written(Image.fromarray(DEEP + row)) for row in range(20)])
    with pytest.raises(InputError, match=r"20 of 20 images cannot be used: .* --grey-range"):
        load_dataset("folder", data_dir=deep)
    assert load_dataset("folder", data_dir=deep, grey_range="full").look.key == {"grey_range": "full"}


def test_keys_models_and_codes_follow(tmp_path, empty_cache, cli):
    source, models, keys = folder_of(tmp_path / "icons", icons()), {}, {}
    for colour in ("white", "gray"):
        out = tmp_path / colour
        asked = ["--dataset", "folder", "--data-dir", source, "--backbone", "pixels", "--methods", "lsh", "--bits", 8]
        done = cli("run", *asked, "--out", out, "--background", colour, "--save-models")
        assert done.returncode == 0, done.stderr
        (record,) = Store(out)
        keys[colour], models[colour] = record.config["features"], load_model(Store(out).model_path(record))
        stored = Store(out).arrays(record.id)["database_codes"]
        encoded = encode_input(models[colour], source).codes  # laid over the model's colour by itself
        assert {row.tobytes() for row in stored} <= {row.tobytes() for row in encoded}
    assert keys["gray"] == {**keys["white"], "background": "#808080"}
    with pytest.raises(InputError, match=r"--background #000000: .* was trained with #808080; leave --background out"):
        encode_input(models["gray"], source, InputOptions(background="black"))
    np.save(tmp_path / "array.npy", np.zeros((2, 8, 8, 3), np.uint8))
    command = ["encode", models["gray"].path, tmp_path / "array.npy", "-o", tmp_path / "x.npy", "--background", "gray"]
    one_clear_line(cli(*command), "--background", "array.npy is an array", "leave it out")


def test_codes_say_what_their_images_were_laid_over(tmp_path, empty_cache, cli):
    opaque = folder_of(tmp_path / "opaque", [written(noise(row)) for row in range(20)])
    icon, deep = (
        folder_of(tmp_path / "icons", icons()),
        folder_of(tmp_path / "deep", [written(grey(row)) for row in (1, 2)]),
    )
    asked = ["--dataset", "folder", "--data-dir", opaque, "--backbone", "pixels", "--methods", "lsh", "--bits", 8]
    assert cli("run", *asked, "--out", tmp_path / "out", "--save-models").returncode == 0
    model = Store(tmp_path / "out").model_path(next(iter(Store(tmp_path / "out"))))

    def codes(name, source, *options):
        done = cli("encode", model, source, "-o", tmp_path / f"{name}.npy", *options)
        assert done.returncode == 0, done.stderr
        origin = json.loads((tmp_path / f"{name}.model.json").read_text())
        return tmp_path / f"{name}.npy", {name: origin.get(name) for name in ("exif", "background", "grey_range")}

    white, said = codes("white", icon)
    assert said == {"exif": False, "background": "#ffffff", "grey_range": None}
    black, said = codes("black", icon, "--background", "black")
    assert said["background"] == "#000000"
    plain, said = codes("plain", opaque, "--background", "black")
    assert said["background"] is None
    full, said = codes("full", deep, "--grey-range", "full")
    assert said == {"exif": False, "background": None, "grey_range": "full"}
    both = (
        "were encoded with --background #ffffff, the database with --background #000000: their codes cannot be compared"
    )
    for query in (white, icon):
        one_clear_line(cli("search", model, black, query), f"the queries {both}")
    one_clear_line(cli("search", model, black, icon, "--distance", "asymmetric"), f"the queries {both}")
    ranged = ["search", model, full, deep, "--grey-range", "0,4095"]
    one_clear_line(cli(*ranged), "queries were encoded with --grey-range 0,4095, the database with --grey-range full")
    for database, *query in ((black, icon, "--background", "black"), (black, plain), (plain, white), (full, white)):
        done = cli("search", model, database, *query)
        assert done.returncode == 0, done.stderr
    origin = tmp_path / "black.model.json"
    whole = json.loads(origin.read_text())
    for value in (7, "red", "#00000\x1b[1m", "", None):
        origin.write_text(json.dumps(whole | {"background": value}))
        if value != "":
            one_clear_line(cli("search", model, black, icon), str(origin), "how the images were read", "encode again")
    del whole["background"], whole["exif"]
    origin.write_text(json.dumps(whole))  # as older versions wrote it of arrays, and the oldest of all
    assert cli("search", model, black, icon).returncode == 0


def noise(seed):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8))


def grey(seed):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 2**16, (8, 8), np.uint16))


def test_the_gallery_shows_what_was_read(tmp_path, empty_cache):
    dataset = load_dataset("folder", data_dir=folder_of(tmp_path / "icons", icons(side=300)), background="red")
    uri = _data_uri(np.asarray(dataset.images[np.array([0])][0]))
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))))
    assert shown[..., 0].mean() > 90
    assert shown[..., 1:].max() == 0


def test_colours_that_are_none(tmp_path, cli):
    asked = ["run", "--dataset", "folder", "--data-dir", tmp_path, "--out", tmp_path / "o"]
    done = cli(*asked, "--background", "nocolour")
    one_clear_line(done, "--background 'nocolour': expected a colour")
    done = cli("run", "--dataset", "digits", "--methods", "lsh", "--background", "red", "--out", tmp_path / "o")
    one_clear_line(done, "--background: digits has no use for it")
