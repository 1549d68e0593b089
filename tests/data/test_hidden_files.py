"""Hidden files are passed over and counted, wherever a folder is read."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from hashbench import InputError, load_dataset
from hashbench.data.readers.files_passed_over import said_of
from hashbench.data.readers.image_folder import find_images
from hashbench.files.paths import walk
from hashbench.models.inputs import open_input

PIXELS = np.random.default_rng(0).integers(0, 256, (60, 8, 8, 3), np.uint8)


def save(path, row, kind="PNG"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(PIXELS[row]).save(path, kind)


def write(path, content=b"\0\5\x16\7 what macOS keeps beside a file"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


@pytest.fixture
def pets(tmp_path):
    """Return a folder of two classes, with hidden files of each kind."""
    folder = tmp_path / "pets"
    for row in range(20):
        save(folder / ("cat", "dog")[row % 2] / f"{row:02}.png", row)
    save(folder / "cat" / ".30.jpg", 30, "JPEG")
    save(folder / "dog" / ".31", 31, "JPEG")
    save(folder / "dog" / "._32.png", 32)
    for name in (".DS_Store", "cat/.DS_Store", "cat/._00.png", "dog/._01.png"):
        write(folder / name)
    for name in (".thumbnails/normal/0.png", ".thumbnails/1.png", "cat/.thumbnails/2.png", ".git/HEAD"):
        write(folder / name)
    (folder / ".all").symlink_to("/")
    return folder


SAID = "5 hidden files, 3 files in .thumbnails/, 3 hidden images, 1 file in .git/"


def load(source, tmp_path, name="folder"):
    return load_dataset(name, data_dir=source, cache_dir=tmp_path / "cache")


def test_class_folders(pets, tmp_path):
    data = load(pets, tmp_path)
    assert len(data) == 20
    assert data.summary[1] == f"folder: left out: {SAID}"
    assert load(pets, tmp_path).summary == data.summary  # prepared by now


def test_encode_says_it_too(pets, capsys):
    assert len(open_input(pets).names) == 20
    assert f"{pets}: 20 images; passed over: {SAID}" in capsys.readouterr().err


def test_parts(pets, tmp_path):
    (tmp_path / "own").mkdir()
    pets.rename(tmp_path / "own" / "train")
    for row in (40, 41):
        save(tmp_path / "own" / "test" / ("cat", "dog")[row % 2] / f"{row}.png", row)
    save(tmp_path / "own" / ".50.png", 50)
    write(tmp_path / "own" / ".test" / "cat" / "0.png")
    assert load(tmp_path / "own", tmp_path).summary[1] == (
        f"folder: left out: 1 file in .test/, 1 hidden image; train/: {SAID}"
    )


def test_a_folder_whose_images_are_all_hidden(tmp_path):
    save(tmp_path / "cat" / ".0.png", 0)
    with pytest.raises(InputError, match=r"holds no images .*; passed over: 1 hidden image$"):
        find_images(tmp_path)


def test_a_hidden_folder_that_may_not_be_entered_is_passed_over(pets, monkeypatch):
    import os

    scandir = os.scandir

    def locked(path="."):
        if str(path).endswith(".git"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", locked)
    assert said_of(find_images(pets).passed_over) == SAID.removesuffix(", 1 file in .git/")


def test_parquet_files(tmp_path):
    for part, rows in (("train", range(30)), ("test", range(30, 40))):
        contents = []
        for row in rows:
            save(tmp_path / "one.png", row)
            contents.append((tmp_path / "one.png").read_bytes())
        (tmp_path / "own" / "data").mkdir(parents=True, exist_ok=True)
        table = pa.table({"image": contents, "label": [row % 2 for row in rows]})
        pq.write_table(table, tmp_path / "own" / "data" / f"{part}-00000-of-00001.parquet")
    write(tmp_path / "own" / "data" / "._train-00000-of-00001.parquet")
    write(tmp_path / "own" / ".cache" / "huggingface" / "x.lock")
    data = load(tmp_path / "own", tmp_path, "image_parquet")
    assert len(data) == 40
    assert data.summary[1] == "image_parquet: left out: 1 file in .cache/, 1 hidden file"


@pytest.mark.parametrize("names", [("my_base.fvecs", "my_query.fvecs"), ("all.npy",)])
def test_vectors(names, tmp_path):
    (tmp_path / "own").mkdir()
    X = np.random.default_rng(0).standard_normal((300, 4)).astype(np.float32)
    for name in names:
        if name.endswith(".npy"):
            np.save(tmp_path / "own" / name, X)
        else:
            rows = X[:20] if "query" in name else X[20:]
            widths = np.full((len(rows), 1), 4, np.int32).view(np.float32)
            np.hstack([widths, rows]).tofile(tmp_path / "own" / name)
        write(tmp_path / "own" / f"._{name}")
    data = load(tmp_path / "own", tmp_path, "vectors")
    assert len(data) == 300
    n = len(names)
    assert data.summary[1] == f"vectors: left out: {n} hidden file{'s' * (n > 1)}"


def test_walk_tells_of_hidden_files_only_where_it_is_asked(pets):
    told = []
    seen = [name for name, _ in walk(pets, print, hidden=lambda name, file: told.append((name, file)))]
    assert sorted(seen) == sorted(name for name, _ in walk(pets, print))
    assert all(file == pets / name for name, file in told)
    assert len(told) == 12
    assert not any(name.startswith(".all/") for name, _ in told)
