"""Encoding one's own images and vectors with a model that a run kept."""

import json
import shutil

import numpy as np
import pytest
import torch
from conftest import one_clear_line
from PIL import Image

from hashbench import InputError, load_method, load_model
from hashbench.data.decoding import content, decode
from hashbench.models.encode import encode_input
from hashbench.records.store import Store


def test_a_folder_gives_codes_and_names(model, folder, digits, tmp_path, cli):
    out = tmp_path / "codes.npy"
    done = cli("encode", model, folder, "-o", out, "--device", "cpu")
    assert (done.returncode, done.stderr) == (0, f"{folder}: 30 images; passed over: 1 file in .hidden/, 1 file .txt\n")
    assert "30 codes of 12 bits" in done.stdout
    assert str(tmp_path / "codes.names.txt") in done.stdout
    names = (tmp_path / "codes.names.txt").read_text().splitlines()
    assert names == sorted(f"below/{row:02}.PNG" if row % 3 == 0 else f"{row:02}.PNG" for row in range(30))
    np.save(tmp_path / "images.npy", digits.images[:30])
    whole = encode_input(load_model(model), tmp_path / "images.npy").codes
    codes = np.load(out)
    assert codes.dtype == np.uint8
    assert codes.shape == (30, 2)
    assert (codes == whole[[int(name[-6:-4]) for name in names]]).all()
    # Codes of an array replace them, and take the names away with them.
    done = cli("encode", model, tmp_path / "images.npy", "-o", out)
    assert (np.load(out) == whole).all()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["codes.model.json", "codes.npy", "images.npy"]


@pytest.fixture
def small_steps(monkeypatch):
    """Let the digits take several steps."""
    monkeypatch.setattr("hashbench.models.encode.FEATURE_STEP", 512)
    monkeypatch.setattr("hashbench.models.encode.VECTOR_STEP", 1024)


def test_every_form_of_array(model, digits, tmp_path, small_steps):
    saved = load_model(model)
    images, vectors = digits.images, digits.images.reshape(1797, 64) / np.float32(255)
    forms = [
        images,
        images[..., 0],
        vectors,
        vectors.astype(np.float64),
        np.asfortranarray(vectors),
        vectors.astype(">f4"),
    ]
    codes = []
    for number, form in enumerate(forms):
        np.save(tmp_path / f"{number}.npy", form)
        codes.append(encode_input(saved, tmp_path / f"{number}.npy").codes)
    assert all((codes[0] == other).all() for other in codes)
    assert (codes[0] == np.packbits(saved.method.project(vectors) > 0, axis=1)).all()


@pytest.fixture(scope="module")
def photos(tmp_path_factory, photos_plugin, cli):
    """Return the photos as array and as files, and a run on them through the bundled network."""
    folder = tmp_path_factory.mktemp("photos")
    shutil.copy(photos_plugin.parent / "images.npy", folder)
    (folder / "files").mkdir()
    for row, image in enumerate(np.load(folder / "images.npy")):
        Image.fromarray(image).save(folder / "files" / f"{row:02}.png")
    arguments = ("--dataset", "photos", "--methods", "itq[n_iter=5]", "--bits", 16, "--device", "cpu")
    arguments += ("--image-size", 128, "--out", folder / "out", "--save-models")
    done = cli("run", "--plugin", photos_plugin, *arguments)
    assert done.returncode == 0, done.stderr
    (record,) = Store(folder / "out")
    return folder, record, Store(folder / "out").model_path(record)


def test_images_go_through_the_backbone_as_in_the_run(photos, tmp_path, cache_dir):
    folder, record, path = photos
    model = load_model(path, device="cpu")
    arrays = Store(folder / "out").arrays(record.id)
    codes = np.concatenate([arrays["query_codes"], arrays["database_codes"]])
    assert (encode_input(model, folder / "images.npy").codes == codes).all()
    assert (encode_input(model, folder / "files").codes == codes).all()
    assert model.backbone.size == 128
    (features,) = (
        file.parent / "data.bin"
        for file in (cache_dir / "features").glob("*/manifest.json")
        if json.loads(file.read_text())["key"] == record.config["features"]
        and (file.parent / "data.bin").stat().st_size == 70 * 1280 * 4
    )
    np.save(tmp_path / "features.npy", np.fromfile(features, np.float32).reshape(70, 1280))
    assert (encode_input(model, tmp_path / "features.npy").codes == codes).all()


def test_files_of_any_size_are_resized_one_by_one(photos, tmp_path):
    _, _, path = photos
    model = load_model(path, device="cpu")
    rng = np.random.default_rng(1)
    sides = [(40, 32), (128, 128), (200, 70)]
    images = [rng.integers(0, 256, (*side, 3), dtype=np.uint8) for side in sides]
    for number, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / f"{number}.png")
    found = encode_input(model, tmp_path)
    resized = torch.cat([model.backbone.resize(model.backbone.prepare(image[None])) for image in images])
    assert (found.codes == model.encode(model.backbone.extract(resized).numpy())).all()
    assert found.names == ["0.png", "1.png", "2.png"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"weights": "0" * 64}, ["weights is", "000000000000…"]),
        ({"pipeline": 0}, ["pipeline is 1, the model's is 0"]),
        ({"interpolation": "bicubic"}, ["interpolation is bilinear, the model's is bicubic"]),
        ({"precision": "16-mixed"}, ["fp16 needs a CUDA device"]),
        ({"precision": "4-mixed"}, ["no usable precision (4-mixed)"]),
        ({"mean": [0.5, 0.5, 0.1]}, ["mean is", "the model's is [0.5, 0.5, 0.1]"]),
        ({"backbone": "tf_efficientnet_light"}, ["unknown backbone"]),
        ({"backbone": "vgg16.nobodys"}, ["unknown backbone 'vgg16.nobodys'"]),
        ({"backbone": "../../weights"}, ["no usable backbone (../../weights)"]),
        ({"backbone": ["vgg16"]}, ["no usable backbone (something else)"]),
        ({"backbone": True}, ["no usable backbone (True)"]),
        ({"image_size": 10**9}, ["no usable image_size (1000000000)"]),
        ({"image_size": "128"}, ["no usable image_size (128)"]),
        ({"precision": {}}, ["no usable precision (something else)"]),
        ({"compiled": "yes"}, ["no usable compiled (yes)"]),
        ({"\x1b[31m": "\u202e"}, [r"\x1b[31m is None, the model's is \u202e"]),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_features_that_cannot_be_made_here(photos, tmp_path, cli, change, words):
    folder, record, path = photos
    model = load_model(path)
    model.method.save(
        tmp_path / "m.safetensors", **{**model.provenance, "features": {**record.config["features"], **change}}
    )
    done = cli("encode", tmp_path / "m.safetensors", folder / "files", "-o", tmp_path / "codes.npy", "--device", "cpu")
    one_clear_line(done, "m.safetensors", *words)
    assert not (tmp_path / "codes.npy").exists()


def test_trained_backbone_weights_of_another_network(photos, tmp_path, cli):
    folder, _, path = photos
    model = load_model(path)
    model.method.backbone_weights_ = np.zeros(5, np.float32)
    model.method.save(tmp_path / "m.safetensors", **model.provenance)
    done = cli("encode", tmp_path / "m.safetensors", folder / "files", "-o", tmp_path / "codes.npy", "--device", "cpu")
    one_clear_line(done, "m.safetensors", "parameters, not 5")


def test_bfloat16_that_a_cuda_device_does_not_have(photos, cuda):
    _, record, path = photos
    cuda.capability = (7, 5)
    model = load_model(path, device="cuda")
    model.provenance["features"] = {**record.config["features"], "precision": "bf16-mixed"}
    with pytest.raises(InputError, match="bf16 is not available on this CUDA device"):
        _ = model.backbone


# --- reading images ----------------------------------------------------------------------------------------


def read(path, n_channels):
    return decode(content(path, str(path)), str(path), n_channels)


def test_images_are_laid_over_white_and_not_turned(tmp_path):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (4, 6, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6  # says that a viewer should turn it
    Image.fromarray(pixels).save(tmp_path / "turned.png", exif=exif)
    assert (read(tmp_path / "turned.png", 3) == pixels).all()
    Image.fromarray(np.dstack([pixels, np.full((4, 6), 9, np.uint8)])).save(tmp_path / "alpha.png")
    over_white = np.rint(pixels * (9 / 255) + (255 - 9))
    assert np.abs(read(tmp_path / "alpha.png", 3) - over_white).max() <= 1
    Image.fromarray(pixels[..., 0]).save(tmp_path / "grey.png")
    assert (read(tmp_path / "grey.png", 3) == pixels[..., :1]).all()
    assert (read(tmp_path / "grey.png", 1) == pixels[..., :1]).all()


def bad_text(path):
    path.write_text("not an image")


def bad_truncated(path):
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(image).save(path)
    path.write_bytes(path.read_bytes()[:3000])


def bad_size(path):
    Image.new("L", (9, 8)).save(path)


def bad_depth(path):
    Image.fromarray(np.full((8, 8), 40_000, np.uint16)).save(path)


@pytest.mark.parametrize(
    ("make", "suffix", "word"),
    [
        (bad_text, ".jpg", "is not a readable image (UnidentifiedImageError)"),
        (bad_truncated, ".png", "is not a readable image"),
        (bad_size, ".png", "9 × 8 pixels"),
        (bad_depth, ".png", "more than 8 bits a channel"),
    ],
)
def test_an_image_that_cannot_be_used_is_named(model, tmp_path, cli, make, suffix, word):
    folder, out = tmp_path / "images", tmp_path / "codes.npy"
    folder.mkdir()
    Image.new("L", (8, 8)).save(folder / "a.png")
    make(folder / f"b{suffix}")
    one_clear_line(cli("encode", model, folder, "-o", out), f"b{suffix}", word)
    assert not out.exists()


@pytest.mark.parametrize("limit", [100, 150])
def test_a_decompression_bomb(model, tmp_path, cli, monkeypatch, limit):
    # Pillow warns above its limit, and raises above twice the limit.
    Image.new("L", (16, 16)).save(tmp_path / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    one_clear_line(cli("encode", model, tmp_path, "-o", tmp_path / "c.npy"), "bomb.png", f"more than {limit} pixels")


# --- bad input ---------------------------------------------------------------------------------------------


def nan_late(shape):
    X = np.zeros(shape, np.float32)
    X[1500, 3] = np.nan
    return X


ARRAYS = [
    (np.zeros((3, 63), np.float32), ["vectors of 63 values", "trained on 64"]),
    (np.zeros((3, 64), np.int64), ["dtype int64", "float vectors (n, 64)"]),
    (np.zeros((3, 2), np.uint8), ["dtype uint8", "float vectors (n, 64)"]),
    (np.zeros((3, 64), complex), ["dtype complex128"]),
    (np.zeros(64, np.float32), ["shape (64,)"]),
    (np.zeros((0, 64), np.float32), ["there is nothing in it"]),
    (nan_late((2000, 64)), ["row 1500 holds NaN"]),
    (np.full((2, 64), 1e300), ["row 0 holds 1e+300, which float32 cannot hold"]),
    (np.zeros((3, 8, 8, 3), np.uint8), ["(n, h, w, 1)"]),
    (np.zeros((3, 8, 8, 1), np.float32), ["dtype float32", "uint8"]),
    (np.zeros((3, 8, 9), np.uint8), ["9 × 8 pixels", "8 × 8"]),
    (np.zeros((1, 3, 8, 8, 1), np.uint8), ["shape (1, 3, 8, 8, 1)"]),
    (np.array([{}], dtype=object), ["not a readable .npy array"]),
]


@pytest.mark.parametrize(("array", "words"), ARRAYS, ids=[words[0] for _, words in ARRAYS])
def test_arrays_that_do_not_fit(model, tmp_path, cli, small_steps, array, words):
    np.save(tmp_path / "input.npy", array)
    (tmp_path / "codes.npy").write_text("as before")
    one_clear_line(cli("encode", model, tmp_path / "input.npy", "-o", tmp_path / "codes.npy"), "input.npy", *words)
    assert (tmp_path / "codes.npy").read_text() == "as before"
    assert len(list(tmp_path.iterdir())) == 2


def test_colour_models_refuse_grey_arrays(photos, tmp_path, cli):
    _, _, path = photos
    np.save(tmp_path / "grey.npy", np.zeros((2, 40, 32), np.uint8))
    one_clear_line(cli("encode", path, tmp_path / "grey.npy", "-o", tmp_path / "c.npy"), "(n, h, w, 3)")


def test_inputs_that_are_not_there_or_of_no_kind(model, tmp_path, cli):
    (tmp_path / "empty").mkdir()
    (tmp_path / "table.xls").write_text("1,2")
    (tmp_path / "cut.npy").write_bytes(b"\x93NUMPY")
    for name, word in [
        ("none.npy", "no such file or folder"),
        ("empty", "holds no images"),
        ("table.xls", "expected a folder of images"),
        ("cut.npy", "not a readable .npy array"),
    ]:
        one_clear_line(cli("encode", model, tmp_path / name, "-o", tmp_path / "c.npy"), name, word)
        one_clear_line(cli("search", model, tmp_path / name, tmp_path / name), name, word)
    assert not (tmp_path / "c.npy").exists()


@pytest.mark.parametrize("name", ["a\nb.png", "a\x1b[1m.png", "a\udcff.png"])
def test_file_names_that_are_no_line(model, tmp_path, cli, name):
    try:
        (tmp_path / name).write_bytes(b"")
    except (OSError, UnicodeError):
        pytest.skip("the file system does not allow the name")
    one_clear_line(cli("encode", model, tmp_path, "-o", tmp_path / "c.npy"), "rename it")


@pytest.mark.parametrize(
    ("out", "word"),
    [
        ("codes.bin", "ends in .npy"),
        ("nowhere/codes.npy", "there is no directory"),
        ("taken.npy", "is a directory"),
        ("v.npy", "is what is read"),
        ("/proc/codes.npy", "cannot be written to"),
    ],
)
def test_outputs_that_cannot_be_written(model, tmp_path, cli, out, word):
    np.save(tmp_path / "v.npy", np.zeros((2, 64), np.float32))
    (tmp_path / "taken.npy").mkdir()
    before = (tmp_path / "v.npy").read_bytes()
    one_clear_line(cli("encode", model, tmp_path / "v.npy", "-o", tmp_path / out), "--out", word)
    assert (tmp_path / "v.npy").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 2


def test_models_trained_on_vectors_refuse_images(tmp_path, folder, cli):
    plugin = tmp_path / "given.py"
    plugin.write_text(
        "import numpy as np\n"
        "from hashbench import HashDataset, Items, Protocol, Split\n"
        "class Given(HashDataset):\n"
        "    protocols = (Protocol('given/1', 'by hand', 2, 8, 8, ('mAP@all',)),)\n"
        "    def read(self, options):\n"
        "        X = np.random.default_rng(0).standard_normal((10, 4)).astype(np.float32)\n"
        "        return Items(features=X, labels=np.zeros(10, np.int64))\n"
        "    def split(self, items, protocol):\n"
        "        return Split(np.arange(8), np.array([8, 9]), np.arange(8))\n"
    )
    arguments = ("--plugin", plugin, "--dataset", "given", "--methods", "lsh", "--bits", 4)
    done = cli("run", *arguments, "--out", tmp_path, "--save-models")
    assert done.returncode == 0, done.stderr
    (path,) = (tmp_path / "models").iterdir()
    np.save(tmp_path / "images.npy", np.zeros((2, 2, 2, 1), np.uint8))
    for source in (folder, tmp_path / "images.npy"):
        done = cli("encode", path, source, "-o", tmp_path / "c.npy")
        one_clear_line(done, "was not trained on images through a backbone", "(n, 4)")
    np.save(tmp_path / "v.npy", np.ones((2, 4), np.float32))
    assert cli("encode", path, tmp_path / "v.npy", "-o", tmp_path / "c.npy").returncode == 0


def test_a_model_saved_by_hand_takes_vectors(tmp_path, data, cli):
    load_method("lsh")(n_bits=20, random_state=0).fit(data).save(tmp_path / "m.safetensors")
    np.save(tmp_path / "v.npy", data)
    done = cli("encode", tmp_path / "m.safetensors", tmp_path / "v.npy", "-o", tmp_path / "c.npy")
    assert done.returncode == 0, done.stderr
    assert (np.load(tmp_path / "c.npy") == load_method("lsh")(n_bits=20, random_state=0).fit(data).encode(data)).all()
