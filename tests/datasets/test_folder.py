"""A user's own images: class folders, parts, tables, and every way in which they can be wrong."""

import numpy as np
import pandas as pd
import pytest
from conftest import one_clear_line
from hashbench.datasets.folder import Folder
from PIL import Image

from hashbench import InputError, load_dataset
from hashbench.checks import check_dataset
from hashbench.data.splits import draw_share
from hashbench.models.inputs import open_input

PIXELS = np.random.default_rng(0).integers(0, 256, (120, 8, 8, 3), dtype=np.uint8)


def image(path, row):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(PIXELS[row]).save(path)


@pytest.fixture
def pets(tmp_path):
    """Return a folder of 60 cats, some of them a folder deeper, and 30 dogs."""
    folder = tmp_path / "pets"
    for row in range(60):
        image(folder / "cat" / ("tabby" if row % 2 else "") / f"{row:03}.png", row)
    for row in range(60, 90):
        image(folder / "dog" / f"{row:03}.PNG", row)
    return folder


@pytest.fixture
def refused(tmp_path, cli):
    """Return a function that asserts one clear line for a source of images, and that nothing was written."""

    def run(source, *words):
        out = tmp_path / "out"
        one_clear_line(
            cli("run", "--dataset", "folder", "--data-dir", source, "--methods", "lsh", "--out", out), *words
        )
        assert not out.exists()

    return run


def table(folder, frame, name="list.csv"):
    path = folder / name
    frame = pd.DataFrame(frame)
    frame.to_csv(path, index=False) if path.suffix == ".csv" else frame.to_parquet(path)
    return path


def test_class_folders(pets):
    (pets / "cat" / ".thumbnails").mkdir()
    (pets / "cat" / ".thumbnails" / "000.png").write_text("hidden")
    (pets / ".cache").mkdir()
    (pets / "cat" / "notes.txt").write_text("not an image")
    data = load_dataset("folder", data_dir=pets)
    deep, flat = range(1, 60, 2), range(0, 60, 2)
    assert (data.images == PIXELS[[*flat, *deep, *range(60, 90)]]).all()
    assert data.labels.tolist() == [0] * 60 + [1] * 30
    assert np.bincount(data.labels[data.split.query]).tolist() == [6, 3]
    assert sorted([*data.split.query, *data.split.database]) == list(range(90))
    assert (data.split.train == data.split.database).all()
    assert data.provenance != "official"
    assert load_dataset("folder", data_dir=pets).fingerprint == data.fingerprint


def test_shares_and_bounds_can_be_chosen(pets):
    def sizes(choice):
        split = load_dataset("folder", data_dir=pets, protocol=f"folder/1[{choice}]").split
        return len(split.query), len(split.database), len(split.train)

    assert sizes("query_percent=20") == (18, 72, 72)
    assert sizes("queries_at_most=3") == (3, 87, 87)
    assert sizes("training_at_most=27") == (9, 81, 27)
    assert sizes("query_percent=0.1") == (2, 88, 88)


def test_shares_are_exact_and_reach_every_class():
    labels = np.repeat([0, 1, 2], [100, 10, 3])
    drawn = draw_share(labels, np.arange(113), 0.29, seed=0)
    assert np.bincount(labels[drawn]).tolist() == [29, 2, 1]
    assert (drawn == draw_share(labels, np.arange(113), 0.29, seed=0)).all()
    assert set(draw_share(labels, drawn, 0.5, seed=1)) < set(drawn)


@pytest.mark.parametrize("names", [("train", "test"), ("train", "query"), ("database", "query")])
def test_parts_above_the_class_folders(tmp_path, names):
    database, query = names
    for row in range(40):
        part = query if row % 4 == 0 else database
        image(tmp_path / part / ("ant" if row < 20 else "bee") / f"{row:03}.png", row)
    data = load_dataset("folder", data_dir=tmp_path)
    found = data.images[data.split.query]
    assert (found == PIXELS[:40:4]).all()
    assert data.labels[data.split.query].tolist() == [0] * 5 + [1] * 5
    assert len(data.split.database) == len(data.split.train) == 30


def test_named_queries_are_not_drawn(pets, tmp_path, cli):
    pets.rename(tmp_path / "database")
    for row in (100, 101):
        image(tmp_path / "query" / ("cat", "dog")[row % 2] / f"{row}.png", row)
    (tmp_path / "own").mkdir()
    for part in ("query", "database"):
        (tmp_path / part).rename(tmp_path / "own" / part)
    command = (
        "run",
        "--dataset",
        "folder",
        "--data-dir",
        tmp_path / "own",
        "--methods",
        "lsh",
        "--out",
        tmp_path / "o",
    )
    for choice in ("query_percent=20", "queries_at_most=5"):
        one_clear_line(cli(*command, "--protocol", f"folder/1[{choice}]"), choice.split("=")[0], "names its queries")
    split = load_dataset("folder", data_dir=tmp_path / "own", protocol="folder/1[training_at_most=30]").split
    assert (len(split.query), len(split.database), len(split.train)) == (2, 90, 30)
    check_dataset(Folder, tmp_path / "own")


def test_a_training_part_is_in_the_database_too(tmp_path):
    for row in range(40):
        part = ("query", "train", "database", "database")[row % 4]
        image(tmp_path / part / ("ant" if row < 20 else "bee") / f"{row:03}.png", row)
    data = load_dataset("folder", data_dir=tmp_path)
    assert (data.images[data.split.train] == PIXELS[1:40:4]).all()
    assert len(data.split.database) == 30
    assert set(data.split.train) < set(data.split.database)


@pytest.mark.parametrize("name", ["list.csv", "list.parquet"])
def test_a_table(tmp_path, name):
    for row in range(40):
        image(tmp_path / "images" / f"{row}.png", row)
    order = list(range(39, -1, -1))
    paths = [f"images/{row}.png" if row % 2 else f"./images\\{row}.png" for row in order]
    labels = ["zebra" if row % 4 == 0 else "ape" for row in order]
    data = load_dataset("folder", data_dir=table(tmp_path, {"path": paths, "label": labels, "more": 1}, name))
    assert (data.images == PIXELS[order]).all()
    assert data.labels.tolist() == [int(row % 4 == 0) for row in order]
    assert np.bincount(data.labels[data.split.query]).tolist() == [3, 1]


def test_numbers_are_labels_too(tmp_path):
    for row in range(20):
        image(tmp_path / f"{row}.png", row)
    frame = {"path": [f"{row}.png" for row in range(20)], "label": [7 if row < 10 else 12 for row in range(20)]}
    for name in ("list.csv", "list.parquet"):
        assert np.bincount(load_dataset("folder", data_dir=table(tmp_path, frame, name)).labels).tolist() == [10, 10]


@pytest.mark.parametrize("form", ["|", ";", "list"])
def test_several_labels(tmp_path, form):
    given = [["sky"], ["sky", "sea"], ["sea"]]
    for row in range(30):
        image(tmp_path / f"{row}.png", row)
    labels = [given[row % 3] if form == "list" else f" {form} ".join(given[row % 3]) for row in range(30)]
    frame = {"path": [f"{row}.png" for row in range(30)], "label": labels}
    data = load_dataset("folder", data_dir=table(tmp_path, frame, "a.parquet" if form == "list" else "a.csv"))
    assert data.labels.dtype == bool
    assert data.labels[:3].tolist() == [[False, True], [True, True], [True, False]]
    assert len(data.split.query) == 3


def test_parts_of_a_table(tmp_path):
    for row in range(12):
        image(tmp_path / f"{row}.png", row)
    parts = ["test", "Train", "database"] * 4
    frame = {"path": [f"{row}.png" for row in range(12)], "label": ["a", "b"] * 6, "part": parts}
    split = load_dataset("folder", data_dir=table(tmp_path, frame)).split
    assert split.query.tolist() == [0, 3, 6, 9]
    assert split.train.tolist() == [1, 4, 7, 10]
    assert split.database.tolist() == [1, 2, 4, 5, 7, 8, 10, 11]


def test_published_lists_name_images_by_their_paths(pets, tmp_path):
    (tmp_path / "query.txt").write_text("cat/000.png\ndog/060.PNG\n")
    (tmp_path / "train.txt").write_text("cat/tabby/001.png\ndog/061.PNG\n")
    data = load_dataset("folder", data_dir=pets, splits=tmp_path)
    assert (data.images[data.split.query] == PIXELS[[0, 60]]).all()
    assert (data.images[data.split.train] == PIXELS[[1, 61]]).all()
    assert len(data.split.database) == 88


def test_a_run_and_its_features(pets, tmp_path, cli):
    command = ("run", "--dataset", "folder", "--data-dir", pets, "--methods", "itq", "--bits", 8, "--image-size", 32)
    done = cli(*command, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "folder/1" in done.stdout
    assert "mAP@100" in done.stdout


def test_images_may_differ_in_size(pets, tmp_path, cli):
    Image.fromarray(PIXELS[0]).resize((13, 17)).save(pets / "cat" / "000.png")
    data = load_dataset("folder", data_dir=pets, cache_dir=tmp_path / "cache")
    assert data.image_shape == (None, None, 3)
    assert data.images.sizes[:2].tolist() == [[17, 13], [8, 8]]
    assert (data.images[np.arange(1, 3)][0] == PIXELS[2]).all()
    command = ("run", "--dataset", "folder", "--data-dir", pets, "--methods", "itq", "--bits", 8, "--image-size", 32)
    assert cli(*command, "--out", tmp_path / "out").returncode == 0


def test_unusable_folders_are_refused(tmp_path, pets, refused):
    empty = tmp_path / "empty"
    empty.mkdir()
    refused(empty, "empty holds no images")
    refused(tmp_path / "nowhere", "nowhere", "expected a folder", ".csv")
    (empty / "cat").mkdir()
    refused(empty, "empty holds no images")
    image(empty / "cat" / "0.png", 0)
    image(empty / "cat" / "1.png", 1)
    refused(empty, "every item has the label cat", "all would be alike")
    (empty / "dog").mkdir()
    refused(empty, "empty/dog holds no images")
    image(empty / "dog" / "2.png", 2)
    refused(empty, "1 of 2 queries have no relevant image", "dog/2.png", "'dog'")
    image(empty / "dog" / "3.png", 3)
    image(empty / "4.png", 4)
    refused(empty, "4.png", "in no class folder")
    (pets / "dog" / "text.jpg").write_text("This is no image.")
    refused(pets, "dog/text.jpg", "image", "UnidentifiedImageError")


def test_folders_next_to_parts_are_refused_if_they_have_images(tmp_path, refused):
    for part in ("train", "extra", "test"):
        for row in range(4):
            image(tmp_path / part / f"class{row % 2}" / f"{row}.png", row)
    refused(tmp_path, "extra, test, train", "nothing beside them", "move extra away")
    (tmp_path / "extra").rename(tmp_path / ".extra")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("no image")
    (tmp_path / "test" / "class1").rename(tmp_path / "test" / "klass1")
    refused(tmp_path, "2 of 4 queries have no relevant image", "test/klass1/1.png", "'klass1'")


def test_one_part_under_two_names_is_refused(tmp_path, refused):
    for part in ("database", "query", "test"):
        image(tmp_path / part / "class" / "1.png", 1)
    refused(tmp_path, "query and test, which are two names of one part")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"path": None}, ["no column path", "label"]),
        ({"label": None}, ["no column label"]),
        ({"path": None, "label": None, "x": "1"}, ["no column path and none label", "x"]),
        ({"path": "../outside.png"}, ["row 3", "'../outside.png'", "'..'"]),
        ({"path": "a/../../outside.png"}, ["row 3", "'..'"]),
        ({"path": "..\\outside.png"}, ["row 3", "'..'"]),
        ({"path": "/etc/hostname"}, ["row 3", "'/etc/hostname'", "absolute"]),
        ({"path": "C:\\images\\3.png"}, ["row 3", "absolute"]),
        ({"path": ""}, ["row 3", "path is empty"]),
        ({"path": "none.png"}, ["row 3: none.png", "1 of 12 listed images are missing", "--skip-broken"]),
        ({"path": "1.png"}, ["row 3", "1.png is in row 2 already"]),
        ({"path": "./1.png"}, ["row 3", "1.png is in row 2 already"]),
        ({"label": ""}, ["row 3", "label is empty"]),
        ({"label": "a||b"}, ["row 3", "label is empty"]),
        ({"label": "a; "}, ["row 3", "label is empty"]),
        ({"part": "foo"}, ["row 1", "'foo'", "train, training", "query, queries, test", "(12 rows)"]),
        ({"part": ""}, ["row 1: the part ''", "(12 rows)"]),
    ],
)
@pytest.mark.parametrize("name", ["list.csv", "list.parquet"])
def test_unusable_tables_are_refused(tmp_path, refused, name, change, words):
    folder = tmp_path / "data"
    image(tmp_path / "outside.png", 0)
    frame = {"path": [f"{row}.png" for row in range(12)], "label": ["a", "b"] * 6}
    for row in range(12):
        image(folder / f"{row}.png", row)
    for column, value in change.items():
        if value is None:
            del frame[column]
        elif column == "part":
            frame[column] = [value] * 12
        else:
            frame.setdefault(column, ["1"] * 12)
            frame[column] = [*frame[column][:2], value, *frame[column][3:]]
    refused(table(folder, frame, name), name, *words)


def test_missing_images_of_a_table_may_be_left_out(tmp_path, refused):
    for row in range(12):
        image(tmp_path / f"{row}.png", row)
    long = "x" * 5000 + ".png"
    frame = {"path": [*(f"{row}.png" for row in range(12)), "gone.png", long], "label": ["a", "b"] * 7}
    path = table(tmp_path, frame)
    refused(path, "2 of 14 listed images are missing", "row 13: gone.png", "(5,0", "--skip-broken")
    data = load_dataset("folder", data_dir=path, skip_broken=True)
    assert (data.images == PIXELS[:12]).all()
    assert data.labels.tolist() == [0, 1] * 6
    assert data.n_left_out == 2
    assert data.provenance.endswith("2 images left out")
    path = table(tmp_path, {"path": ["gone.png", "lost.png"], "label": ["a", "b"]})
    with pytest.raises(InputError, match=r"2 of 2 listed images are missing, first .*row 1: gone\.png"):
        load_dataset("folder", data_dir=path, skip_broken=True)


def test_links_to_folders_and_images_are_followed(pets, tmp_path):
    linked = tmp_path / "linked"
    (linked / "dog").mkdir(parents=True)
    (linked / "cat").symlink_to(pets / "cat")
    for file in (pets / "dog").iterdir():
        (linked / "dog" / file.name).symlink_to(file)
    (linked / "dog" / "again").symlink_to(linked)
    (pets / "cat" / "tabby" / "up").symlink_to(pets / "cat")
    plain, through = (load_dataset("folder", data_dir=folder) for folder in (pets, linked))
    assert len(through) == 90
    assert (through.images == plain.images).all()
    assert (through.labels == plain.labels).all()
    assert open_input(linked).names == open_input(pets).names


def test_damaged_tables_are_refused(tmp_path, refused):
    path = tmp_path / "list.csv"
    image(tmp_path / "0.png", 0)
    for content, words in [
        (b"", ["no column path and none label", "none"]),
        (b"path,label\n", ["no rows"]),
        (b"path;label\n0.png;a\n", ["no column path", "path;label"]),
        (b"path,label\n0.png,a,b\n", ["row 1 has 3 cells", "commas"]),
        (b"path,path,label\n0.png,0.png,b\n", ["two columns of one name"]),
        (b'path,label\n"0.png,a\n', ["cannot be read as a csv file"]),
        (b"path,label\n\xff.png,a\n", ["cannot be read as a csv file"]),
        (b"path,label\n0.png,a\n", ["every item has the label a"]),
    ]:
        path.write_bytes(content)
        refused(path, "list.csv", *words)
    (tmp_path / "list.parquet").write_bytes(b"PAR1 no parquet")
    refused(tmp_path / "list.parquet", "cannot be read as a parquet file")


def test_a_table_is_refused_where_it_lacks_labels(tmp_path, refused):
    for row in range(4):
        image(tmp_path / f"{row}.png", row)
    paths = [f"{row}.png" for row in range(4)]
    for labels in (["a", None, "b", "b"], [["a"], [], ["b"], ["b"]], [["a"], [None], ["b"], ["b"]]):
        refused(table(tmp_path, {"path": paths, "label": labels}, "list.parquet"), "row 2", "label is empty")


def test_without_images_the_ways_are_named(tmp_path, cli):
    paths = ("--out", tmp_path / "out", "--cache-dir", tmp_path / "cache")
    done = cli("run", "--dataset", "folder", "--methods", "lsh", *paths)
    one_clear_line(done, "folder needs your images", "--data-dir FILE")


def test_a_changed_image_of_a_table_is_seen(pets, tmp_path):
    names = sorted(path.relative_to(pets).as_posix() for path in pets.rglob("*") if path.is_file())
    table = pets / "table.csv"
    table.write_text("path,label\n" + "".join(f"{name},{name.split('/')[0]}\n" for name in names))
    before = load_dataset("folder", data_dir=table, cache_dir=tmp_path / "cache")
    Image.fromarray(PIXELS[0] // 2).save(pets / names[-1])
    after = load_dataset("folder", data_dir=table, cache_dir=tmp_path / "cache")
    assert after.data_fingerprint != before.data_fingerprint
