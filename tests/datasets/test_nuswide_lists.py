"""NUS-WIDE by published split lists: what they say, how their paths are written, and lists that cannot be used."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import one_clear_line
from little_nuswide import IMAGES, SMALL, change_line

from hashbench import InputError, load_dataset


@pytest.fixture
def lists(tmp_path):
    """Return a directory with split lists of a few images, the training set a part of the database."""
    rng = np.random.default_rng(4)
    labels = rng.random((50, 21)) < 0.15
    labels[~labels.any(axis=1), 0] = True
    (tmp_path / "lists" / "images").mkdir(parents=True)
    for row in range(50):
        (tmp_path / "lists" / "images" / f"{row}.jpg").write_bytes(IMAGES[row])

    def write(name, rows):
        lines = [f"images/{row}.jpg {' '.join(str(int(value)) for value in labels[row])}\n" for row in rows]
        (tmp_path / "lists" / name).write_text("".join(lines))

    write("test.txt", range(10))
    write("database.txt", range(49, 9, -1))
    write("train.txt", [30, 12, 44])
    return tmp_path / "lists", labels


def test_lists_are_the_split(lists):
    directory, labels = lists
    dataset = load_dataset("nuswide", data_dir=directory)
    assert dataset.protocol.name == "nuswide21-lists/1"
    split = dataset.split
    assert (dataset.labels[split.query] == labels[:10]).all()
    assert (dataset.labels[split.database] == labels[49:9:-1]).all()
    assert (dataset.labels[split.train] == labels[[30, 12, 44]]).all()
    assert len(dataset) == 50
    (directory / "database.txt").unlink()
    dataset = load_dataset("nuswide", data_dir=directory, protocol="nuswide21-lists/1")
    assert dataset.fingerprint == load_dataset("nuswide", data_dir=directory).fingerprint
    assert (dataset.split.database == dataset.split.train).all()
    assert len(dataset) == 13


def test_paths_of_lists_may_be_written_in_other_ways(lists):
    directory, _ = lists
    plain = load_dataset("nuswide", data_dir=directory).fingerprint
    queries, database = directory / "test.txt", directory / "database.txt"
    queries.write_text("\ufeff" + queries.read_text().replace("images/", "images\\"), encoding="utf-8")
    database.write_text("\r\n" + database.read_text().replace("images/", "./images//").replace("\n", "\r\n") + "\n\n")
    assert load_dataset("nuswide", data_dir=directory).fingerprint == plain
    line = queries.read_text("utf-8-sig").splitlines()[0].replace("images\\", "./images/")
    database.write_text(database.read_text() + line + "\n")
    with pytest.raises(InputError, match=r"database\.txt line 4\d: 'images/0\.jpg' is a query, by test\.txt"):
        load_dataset("nuswide", data_dir=directory)


def test_lists_of_all_81_concepts_are_read_under_a_separate_protocol(lists, cli, tmp_path):
    directory, labels = lists
    more = np.random.default_rng(5).random((50, 60)) < 0.1
    (directory / "images" / "0.jpg").rename(directory / "images" / "night 0 1 sky.jpg")
    for name in ("test.txt", "database.txt", "train.txt"):
        lines = (directory / name).read_text().replace("images/0.jpg", "images/night 0 1 sky.jpg").splitlines()
        rows = range(10) if name == "test.txt" else [int(line.split(".")[0].partition("/")[2]) for line in lines]
        marks = [" ".join(map(str, more[row].astype(int))) for row in rows]
        (directory / name).write_text("".join(f"{one} {two}\n" for one, two in zip(lines, marks, strict=True)))
    dataset = load_dataset("nuswide", data_dir=directory)
    assert dataset.protocol.name == "nuswide81-lists/1"
    assert (dataset.labels[dataset.split.query] == np.hstack([labels, more])[:10]).all()
    run = ("run", "--dataset", "nuswide", "--data-dir", directory, "--methods", "lsh", "--out", tmp_path / "out")
    one_clear_line(cli(*run, "--protocol", "nuswide21-lists/1"), "81 labels a line", "nuswide81-lists/1")
    (directory / "train.txt").write_text(f"images/30.jpg 1 {ZEROS}\n")
    one_clear_line(cli(*run), "train.txt has 21 labels a line, test.txt 81")


@pytest.mark.usefixtures("empty_cache")
def test_a_protocol_of_the_other_layout_is_refused(lists, official_nuswide, cli, tmp_path):
    directory, _ = lists
    run = ("run", "--dataset", "nuswide", "--methods", "lsh", "--out", tmp_path / "out", "--data-dir")
    one_clear_line(cli("run", "--dataset", "nuswide", "--out", tmp_path / "out"), "nuswide needs its files", "test.txt")
    one_clear_line(cli(*run, directory, "--protocol", SMALL), SMALL, "needs ImageList/Imagelist.txt", "from test.txt")
    one_clear_line(cli(*run, official_nuswide, "--protocol", "nuswide21-lists/1"), "needs test.txt", "from ImageList")
    one_clear_line(cli(*run, directory, "--protocol", "nuswide21-lists/1[queries=3]"), "no 'queries' to choose")
    both = shutil.copytree(official_nuswide, tmp_path / "both")
    shutil.copytree(directory, both, dirs_exist_ok=True)
    assert load_dataset("nuswide", data_dir=both, protocol=SMALL).protocol.name == SMALL


ZEROS = " ".join("0" * 20)


@pytest.mark.parametrize(
    ("name", "number", "text", "words"),
    [
        ("test.txt", 1, f"images/0.jpg {ZEROS}", ["test.txt line 1 has 20 labels after a path, expected 21 or 81"]),
        ("test.txt", 2, f"images/1.jpg {ZEROS}", ["line 2 has 20 labels after a path, expected 21 as line 1 has"]),
        ("test.txt", 2, f"images/1.jpg 1 0 {ZEROS}", ["line 2 has 22 labels after a path, expected 21 as line 1"]),
        ("test.txt", 2, f"images/1.jpg 2 {ZEROS}", ["test.txt line 2: 2 is no label"]),
        ("test.txt", 2, f"images/1.jpg inf {ZEROS}", ["test.txt line 2: inf is no label"]),
        ("test.txt", 2, f"images/0.jpg 1 {ZEROS}", ["test.txt: number 2 is number 1 again", "images/0.jpg"]),
        ("test.txt", 2, f"../images/1.jpg 1 {ZEROS}", ["'../images/1.jpg' is absolute, empty or has '..' in it"]),
        ("test.txt", 2, f"/images/1.jpg 1 {ZEROS}", ["'/images/1.jpg' is absolute, empty or has '..' in it"]),
        ("test.txt", 2, f"images/{'1' * 300}.jpg 1 {ZEROS}", ["1 of 50 listed images are missing"]),
        ("train.txt", 2, f"images/1.jpg 1 {ZEROS}", ["train.txt line 2: 'images/1.jpg' is a query, by test.txt"]),
        ("database.txt", 3, f"images/1.jpg 1 {ZEROS}", ["database.txt line 3: 'images/1.jpg' is a query, by test.txt"]),
        (
            "train.txt",
            1,
            f"images/30.jpg 0 {ZEROS}",
            ["train.txt line 1: 'images/30.jpg' has other labels in database"],
        ),
    ],
)
def test_unusable_lists_are_named(lists, cli, tmp_path, name, number, text, words):
    directory, _ = lists
    change_line(number, text)(directory / name)
    options = ("--dataset", "nuswide", "--data-dir", directory, "--methods", "lsh", "--out", tmp_path / "out")
    one_clear_line(cli("run", *options), *words)
    assert not (tmp_path / "out").exists()


def test_images_that_a_list_names_may_be_left_out(lists):
    directory, labels = lists
    for row in (0, 12, 20):
        (directory / "images" / f"{row}.jpg").unlink()
    with pytest.raises(InputError, match="3 of 50 listed images are missing"):
        load_dataset("nuswide", data_dir=directory)
    dataset = load_dataset("nuswide", data_dir=directory, skip_broken=True)
    kept = [row for row in range(49, 9, -1) if row not in (12, 20)]
    assert (dataset.labels[dataset.split.query] == labels[1:10]).all()
    assert (dataset.labels[dataset.split.database] == labels[kept]).all()
    assert (dataset.labels[dataset.split.train] == labels[[30, 44]]).all()
    (directory / "images" / "30.jpg").unlink()
    (directory / "images" / "44.jpg").unlink()
    with pytest.raises(InputError, match="the train part of nuswide21-lists/1 is empty"):
        load_dataset("nuswide", data_dir=directory, skip_broken=True)


@pytest.fixture(scope="module")
def published(nuswide_lists, tmp_path_factory):
    """Return the published lists with an image for each of their lines."""
    directory = tmp_path_factory.mktemp("published")
    (directory / "images").mkdir()
    for name in ("test.txt", "train.txt"):
        text = (nuswide_lists / name).read_text()
        (directory / name).write_text(text)
        for row, line in enumerate(text.splitlines()):
            (directory / line.split()[0]).write_bytes(IMAGES[row % 50])
    return directory


def test_published_lists_are_read_whole(published):
    dataset = load_dataset("nuswide", data_dir=published)
    assert (len(dataset.split.query), len(dataset.split.train)) == (2_100, 10_500)
    assert (dataset.split.database == dataset.split.train).all()
    assert not np.isin(dataset.split.query, dataset.split.database).any()
    for name, part in (("test.txt", dataset.split.query), ("train.txt", dataset.split.train)):
        table = np.loadtxt(published / name, dtype=str)
        assert (dataset.labels[part] == table[:, 1:].astype(int)).all()
        assert [Path(published / file).read_bytes() for file in table[:60, 0]] == [
            IMAGES[row % 50] for row in range(60)
        ]
    assert (dataset.labels[dataset.split.query].sum(axis=0) >= 100).all()
    assert (dataset.labels[dataset.split.train].sum(axis=0) >= 500).all()
