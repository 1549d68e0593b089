"""Fashion-MNIST: the publisher's files, and every way in which an idx file can be wrong."""

import gzip
import struct
from dataclasses import replace

import numpy as np
import pytest
from conftest import one_clear_line

from hashbench import InputError, load_dataset
from hashbench.data.readers.idx import read_idx
from hashbench.datasets import fashion_mnist
from hashbench.features.backbones.opening import open_backbone
from hashbench.features.extracted import ExtractedFeatures

SIZES = {"train": 60, "t10k": 20}


@pytest.fixture(scope="module")
def debian():
    """Return the folder of Debian's package, or skip where it is not installed."""
    if not fashion_mnist.DEBIAN.is_dir():
        pytest.skip(f"needs Debian's package dataset-fashion-mnist in {fashion_mnist.DEBIAN}")
    return fashion_mnist.DEBIAN


@pytest.fixture
def small(monkeypatch, tmp_path):
    """Shrink the data set to 80 random images; return their folder and the files' content by name."""
    whole = fashion_mnist.FashionMNIST.protocols[0]
    draw = {"training_per_class": 2}
    sizes = {"n_query": 20, "n_database": 60, "n_train": 20}
    monkeypatch.setattr(fashion_mnist, "SIZES", SIZES)
    monkeypatch.setattr(fashion_mnist, "DEBIAN", tmp_path / "not installed")
    monkeypatch.setattr(fashion_mnist.FashionMNIST, "protocols", (replace(whole, draw=draw, **sizes),))
    rng, files = np.random.default_rng(0), {}
    for part, n in SIZES.items():
        files[f"{part}-images-idx3-ubyte"] = idx(rng.integers(0, 256, (n, 28, 28)))
        files[f"{part}-labels-idx1-ubyte"] = idx(np.arange(n) % 10)
    folder = tmp_path / "data"
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder, files


def idx(array):
    head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.astype(np.uint8).tobytes()


def test_the_publishers_images_are_found_by_themselves(debian):
    data = load_dataset("fashion_mnist")
    assert data.provenance == "official"
    assert data.images.shape == (70_000, 28, 28, 1)
    assert np.bincount(data.labels[data.split.query]).tolist() == [1000] * 10
    assert np.bincount(data.labels[data.split.database]).tolist() == [6000] * 10
    assert np.bincount(data.labels[data.split.train]).tolist() == [500] * 10
    assert data.split.checksum == data.protocol.split_checksum != ""
    assert load_dataset("fashion_mnist", data_dir=debian).fingerprint == data.fingerprint


def test_the_publishers_files_must_give_the_published_split(debian, monkeypatch, tmp_path, cli):
    (published,) = fashion_mnist.FashionMNIST.protocols
    other = replace(published, split_checksum="0" * 64)
    monkeypatch.setattr(fashion_mnist.FashionMNIST, "protocols", (other,))
    done = cli("run", "--dataset", "fashion_mnist", "--methods", "lsh", "--out", tmp_path)
    one_clear_line(done, "fashion-mnist/1", published.split_checksum[:16], "0" * 16, "numpy")
    chosen = load_dataset("fashion_mnist", protocol="fashion-mnist/1[training_per_class=5]")
    assert len(chosen.split.train) == 50


def test_one_changed_pixel_makes_a_copy(debian, tmp_path, capsys):
    for file in debian.iterdir():
        (tmp_path / file.stem).write_bytes(gzip.decompress(file.read_bytes()))
    assert load_dataset("fashion_mnist", data_dir=tmp_path).provenance == "official"
    file = tmp_path / "t10k-images-idx3-ubyte"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    assert load_dataset("fashion_mnist", data_dir=tmp_path).provenance.startswith("copy")
    assert "differ from the publisher's for t10k-images-idx3-ubyte; the data is" in capsys.readouterr().err


@pytest.mark.parametrize("layout", ["plain", "gzipped", "torchvision"])
def test_layouts(small, layout):
    folder, files = small
    where = folder / "FashionMNIST" / "raw" if layout == "torchvision" else folder
    where.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).unlink()
        if layout == "gzipped":
            (where / f"{name}.gz").write_bytes(gzip.compress(content))
        else:
            (where / name).write_bytes(content)
    data = load_dataset("fashion_mnist", data_dir=folder)
    pixels = b"".join(files[f"{part}-images-idx3-ubyte"][16:] for part in SIZES)
    assert data.images.tobytes() == pixels
    assert data.labels.tolist() == [*(np.arange(60) % 10), *(np.arange(20) % 10)]
    assert data.split.query.tolist() == list(range(60, 80))
    assert data.provenance.startswith("copy")


def swapped(files):
    return {"train-images-idx3-ubyte": files["t10k-images-idx3-ubyte"]}


def relabelled(files):
    return {"t10k-labels-idx1-ubyte": files["t10k-labels-idx1-ubyte"][:-1] + b"\x0a"}


def changed(name, change):
    return lambda files: {name: change(files[name])}


IMAGES, LABELS = "train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (swapped, [IMAGES, "20 × 28 × 28", "60 × 28 × 28", "another part"]),
        (relabelled, [LABELS, "item 19", "label 10", "0 to 9"]),
        (changed(IMAGES, lambda content: b"\x00\x00\x0d\x03" + content[4:]), [IMAGES, "00 00 0d 03", "00 00 08 03"]),
        (changed(IMAGES, lambda content: b""), [IMAGES, "nothing"]),
        (changed(IMAGES, lambda content: content[:9]), [IMAGES, "no values"]),
        (changed(IMAGES, lambda content: content[:-1]), [IMAGES, "cut short", "47,055 bytes of 47,056"]),
        (changed(LABELS, lambda content: content + b"\x00"), [LABELS, "more than the 28 bytes"]),
        (changed(LABELS, lambda content: None), ["lacks", LABELS, "--download"]),
    ],
)
def test_damaged_files_are_named(small, damage, words, tmp_path, cli):
    folder, files = small
    for name, content in damage(files).items():
        (folder / name).unlink()
        if content is not None:
            (folder / name).write_bytes(content)
    command = ("run", "--dataset", "fashion_mnist", "--data-dir", folder, "--methods", "lsh", "--out", tmp_path / "out")
    one_clear_line(cli(*command), *words)
    assert not (tmp_path / "out").exists()


def test_damaged_archives_are_named(small):
    folder, files = small
    (folder / LABELS).unlink()
    for content in (b"no gzip", gzip.compress(files[LABELS])[:-9]):
        (folder / f"{LABELS}.gz").write_bytes(content)
        with pytest.raises(InputError, match=f"{LABELS}.gz cannot be read"):
            load_dataset("fashion_mnist", data_dir=folder)


def test_a_gzip_bomb_is_not_unpacked(tmp_path):
    import tracemalloc

    bomb = tmp_path / "bomb.gz"
    bomb.write_bytes(gzip.compress(idx(np.zeros(20)) + bytes(2**28), compresslevel=1))
    tracemalloc.start()
    with pytest.raises(InputError, match="more than the 28 bytes"):
        read_idx(bomb, (20,))
    assert tracemalloc.get_traced_memory()[1] < 2**22
    tracemalloc.stop()


def test_without_files_the_ways_to_them_are_named(small, tmp_path, cli):
    paths = ("--out", tmp_path / "out", "--cache-dir", tmp_path / "cache")
    command = ("run", "--dataset", "fashion_mnist", "--methods", "lsh", *paths)
    one_clear_line(cli(*command), "--data-dir", "--download", "dataset-fashion-mnist")
    one_clear_line(cli(*command, "--data-dir", tmp_path / "nowhere"), "nowhere is not a directory")


@pytest.mark.parametrize("installed", [False, True])
def test_a_failed_download_is_one_line(small, tmp_path, monkeypatch, cli, installed):
    """Debian's copy does not take the place of a download that was asked for."""
    from torchvision.datasets import FashionMNIST

    def unreachable(*args, **kwargs):
        raise RuntimeError("no network")

    monkeypatch.setattr(FashionMNIST, "download", unreachable)
    if installed:
        monkeypatch.setattr(fashion_mnist, "DEBIAN", small[0])
    paths = ("--out", tmp_path / "out", "--cache-dir", tmp_path / "cache")
    command = ("run", "--dataset", "fashion_mnist", "--download", "--methods", "lsh", *paths)
    one_clear_line(cli(*command), "cannot be downloaded (no network)", "--data-dir")


def test_grey_images_reach_the_network_as_three_equal_channels(small, tmp_path):
    data = load_dataset("fashion_mnist", data_dir=small[0])
    colour = replace(data, images=np.repeat(data.images, 3, axis=3))
    backbone = open_backbone(data.backbone, image_size=64, device="cpu", precision="fp32")
    grey, as_colour = (ExtractedFeatures(one, backbone, tmp_path).features().data for one in (data, colour))
    assert (grey == as_colour).all()
    views = ExtractedFeatures(data, backbone, tmp_path).views(2, 0).data
    assert views.shape == (20, 2, grey.shape[1])
    assert (views[:, 0] != views[:, 1]).any()
