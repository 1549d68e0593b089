"""Layouts of labelled images as they come: which folders, files and columns are parts, which files are images."""

import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from hashbench import InputError, load_dataset

N = 60
PIXELS = np.random.default_rng(0).integers(0, 256, (N, 8, 8, 3), dtype=np.uint8)
CLASSES = ["cat", "dog", "owl"]
KIND = [CLASSES[row % 3] for row in range(N)]
IS_QUERY = [row % 5 == 0 for row in range(N)]


def save(path, row, kind="PNG"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(PIXELS[row]).save(path, kind)


def by_class(folder, rows=range(N)):
    for row in rows:
        save(folder / KIND[row] / f"{row:03}.png", row)
    return folder


def load(source, tmp_path, name="folder", **options):
    return load_dataset(name, data_dir=source, cache_dir=tmp_path / "cache", **options)


def assert_stated_parts(dataset, n_classes=3):
    assert len(np.unique(dataset.labels)) == n_classes
    found = {dataset.images[row].tobytes() for row in dataset.split.query}
    assert found == {PIXELS[row].tobytes() for row in range(N) if IS_QUERY[row]}
    assert len(dataset.split.database) == N - len(found)


@pytest.mark.parametrize(
    ("database", "query"),
    [
        ("train", "val"),
        ("Train", "Test"),
        ("TRAIN", "TEST"),
        ("training", "testing"),
        ("Training", "Validation"),
        ("gallery", "Queries"),
        ("pets_train", "pets_test"),
        ("training_set", "test_set"),
    ],
)
def test_parts_have_many_names(database, query, tmp_path):
    for part, wanted in ((database, False), (query, True)):
        by_class(tmp_path / "data" / part, [row for row in range(N) if IS_QUERY[row] is wanted])
    (tmp_path / "data" / "annotations").mkdir()
    if "_" in database:
        (tmp_path / "data" / "annotations").rmdir()
    dataset = load(tmp_path / "data", tmp_path)
    assert_stated_parts(dataset)
    assert ("annotations/: no images" in dataset.summary[-1]) == ("_" not in database)


def test_validation_is_left_out_if_there_is_a_test_part(tmp_path):
    for part, rows in (("train", range(20, N)), ("val", range(10, 20)), ("test", range(10))):
        by_class(tmp_path / "data" / part, rows)
    dataset = load(tmp_path / "data", tmp_path)
    assert (len(dataset), len(dataset.split.query)) == (N - 10, 10)
    assert "val/: test/ gives the queries" in " ".join(dataset.summary)


@pytest.mark.parametrize("names", [("set A", "set B"), ("fold1", "fold2"), ("lernen", "prüfen")])
def test_folders_of_the_same_folders_are_no_two_classes(names, tmp_path):
    for number, name in enumerate(names):
        by_class(tmp_path / "data" / name, range(number, N, 2))
    with pytest.raises(InputError, match=f"{names[0]} and {names[1]} hold the same folders, cat, dog, owl: are"):
        load(tmp_path / "data", tmp_path)


def test_folders_within_classes_are_no_parts(tmp_path):
    for row in range(N):
        below = KIND[row] if KIND[row] == "owl" else f"{KIND[row]}/images"
        save(tmp_path / "data" / below / f"{row}.png", row)
    assert len(np.unique(load(tmp_path / "data", tmp_path).labels)) == 3


def test_a_copy_of_the_folder_in_itself_is_no_class(tmp_path):
    by_class(tmp_path / "pets")
    shutil.copytree(tmp_path / "pets", tmp_path / "pets" / "pets")
    with pytest.raises(InputError, match="pets/pets holds cat, dog, owl again, which are beside it"):
        load(tmp_path / "pets", tmp_path)


def test_a_folder_in_a_folder_of_its_name_is_named(tmp_path):
    for part, wanted in (("seg_train", False), ("seg_test", True)):
        by_class(tmp_path / "seg" / part / part, [row for row in range(N) if IS_QUERY[row] is wanted])
    with pytest.raises(InputError, match=r"seg_test holds one folder, seg_test, with cat, dog, owl in it"):
        load(tmp_path / "seg", tmp_path)


# --- tables --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("column", ["path", "file_name", "FileName", "image"])
@pytest.mark.parametrize("parts", ["part", "Split", "set", None])
def test_tables_as_they_come(column, parts, tmp_path):
    said = ["Test" if query else "training" for query in IS_QUERY]
    paths = [f"{'a' if parts else said[row].lower()}/{row}.png" for row in range(N)]
    for row in range(N):
        save(tmp_path / "data" / paths[row], row)
    frame = pd.DataFrame({column: paths, "label": KIND} | ({parts: said} if parts else {}))
    frame.to_csv(tmp_path / "data" / "metadata.csv", index=False)
    assert_stated_parts(load(tmp_path / "data" / "metadata.csv", tmp_path))
    assert_stated_parts(load(tmp_path / "data", tmp_path))


def test_each_part_can_have_a_table(tmp_path):
    for part, wanted in (("train", False), ("test", True)):
        rows = [row for row in range(N) if IS_QUERY[row] is wanted]
        for row in rows:
            save(tmp_path / "data" / part / f"{row}.png", row)
        frame = pd.DataFrame({"file_name": [f"{row}.png" for row in rows], "label": [KIND[row] for row in rows]})
        frame.to_csv(tmp_path / "data" / part / "metadata.csv", index=False)
    assert_stated_parts(load(tmp_path / "data", tmp_path))


def test_a_table_of_absolute_paths_and_of_validation_rows(tmp_path):
    by_class(tmp_path / "data")
    frame = pd.DataFrame({"path": [str(tmp_path / "data" / KIND[row] / f"{row:03}.png") for row in range(N)]})
    frame["label"], frame["split"] = KIND, ["test", "val", "train", "train", "train"] * (N // 5)
    frame.to_csv(tmp_path / "data" / "list.csv", index=False)
    dataset = load(tmp_path / "data" / "list.csv", tmp_path)
    assert (len(dataset), len(dataset.split.query)) == (N - 12, 12)
    assert "12 rows of the part validation" in " ".join(dataset.summary)


# --- which files are images ----------------------------------------------------------------------------------


def test_images_are_known_by_any_of_their_names_or_by_content(tmp_path):
    for row, end in enumerate((".jfif", ".jpe", ".pjpeg", ".JPG", ".apng", "", ".jpg_large", ".webp")):
        kind = {".apng": "PNG", ".webp": "WEBP"}.get(end, "JPEG")
        for one in CLASSES[:2]:
            save(tmp_path / "data" / one / f"{row}{end}", row + (20 if one == "dog" else 0), kind)
    for name in ("@eaDir/1.png", "__MACOSX/1.png", "cat/@eaDir/1.png", ".thumbnails/1.png"):
        save(tmp_path / "data" / name, 50)
    (tmp_path / "data" / "cat" / "notes.txt").write_text("BM is no bitmap")
    (tmp_path / "data" / "dog" / "Thumbs.db").write_bytes(b"\0" * 40)
    dataset = load(tmp_path / "data", tmp_path)
    assert np.bincount(dataset.labels).tolist() == [8, 8]
    said = " ".join(dataset.summary)
    for one in ("2 files in @eaDir/", "1 file in __MACOSX/", "1 file .txt", "1 file .db"):
        assert one in said


def test_encode_says_what_it_passes_over(tmp_path, capsys):
    from hashbench.models.inputs import open_input

    by_class(tmp_path / "data", range(3))
    (tmp_path / "data" / "cat" / "0.heic").write_bytes(b"0000ftypheic")
    save(tmp_path / "data" / "dog" / "1", 1, "JPEG")
    assert len(open_input(tmp_path / "data").names) == 4
    assert "4 images; passed over: 1 file .heic" in capsys.readouterr().err
    assert open_input(tmp_path / "data" / "dog" / "1").names == ["1"]


def test_links_that_double_a_class_are_counted(tmp_path):
    by_class(tmp_path / "data")
    (tmp_path / "data" / "puppy").symlink_to("dog")
    said = " ".join(load(tmp_path / "data", tmp_path).summary)
    assert "20 items equal another one" in said
    assert "20 of them of another class" in said
