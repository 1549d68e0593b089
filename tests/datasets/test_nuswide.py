"""NUS-WIDE: the publisher's layout, published split lists, their draws, and files that are not as they should be."""

import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import one_clear_line
from PIL import Image

from hashbench import InputError, load_dataset
from hashbench.data.prepared.entries import entries
from hashbench.datasets import nuswide

SMALL = "nuswide21-cibhash/1[queries_per_label=2,training_per_label=3]"
N = 400
CONCEPTS = [*sorted(nuswide.FREQUENT), "airport", "bear", "zebra", "fox"]
RARE = CONCEPTS[-4:]


def jpeg(seed, side=16):
    buffer = io.BytesIO()
    tint = np.random.default_rng(seed).integers(0, 256, 3, dtype=np.uint8)
    Image.fromarray(np.full((side, side, 3), tint)).save(buffer, "JPEG")
    return buffer.getvalue()


IMAGES = [jpeg(seed) for seed in range(50)]


def truth():
    """Return names and labels, (400, 25), bool; the last two frequent concepts and a rare one have equally many."""
    rng = np.random.default_rng(0)
    labels = rng.random((N, 25)) < 0.05
    labels[:, 21:] = False
    labels[np.arange(12), 21] = True  # airport, as often as the rarest two of the others
    labels[20:24, 22:] = True  # these four have rare concepts only
    labels[20:24, :21] = False
    for column in (3, 17):
        labels[:, column] = False
        labels[100:112, column] = True
    names = [f"{['actor', 'zoo', 'art_deco'][row % 3]}/{row:04}_{10**9 + row}.jpg" for row in range(N)]
    return names, labels


@pytest.fixture(scope="module")
def official(tmp_path_factory):
    """Return a directory in the publisher's layout, with 25 concepts and 400 images."""
    directory = tmp_path_factory.mktemp("official")
    names, labels = truth()
    (directory / "Groundtruth" / "AllLabels").mkdir(parents=True)
    (directory / "ImageList").mkdir()
    (directory / nuswide.IMAGE_LIST).write_text("".join(name.replace("/", "\\") + "\r\n" for name in names))
    for concept, column in zip(CONCEPTS, labels.T, strict=True):
        lines = "".join(f"{value:d}\r\n" for value in column)
        (directory / nuswide.LABELS / f"Labels_{concept}.txt").write_text(lines)
    for row, name in enumerate(names):
        file = directory / "Flickr" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(IMAGES[row % 50])
    return directory


@pytest.fixture
def copy(official, tmp_path):
    return shutil.copytree(official, tmp_path / "copy")


def expected():
    """Return rows and labels of the images with a frequent concept, by the definition."""
    _, labels = truth()
    order = sorted(range(25), key=lambda column: (-labels[:, column].sum(), CONCEPTS[column]))[:21]
    chosen = labels[:, order]
    return chosen.any(axis=1).nonzero()[0], chosen


def test_the_most_frequent_concepts_are_kept_and_others_dropped(official):
    rows, labels = expected()
    _, everything = truth()
    assert everything[:, 3].sum() == everything[:, 17].sum() == everything[:, 21].sum() == 12
    assert 300 > len(rows) > 200
    dataset = load_dataset("nuswide", data_dir=official, protocol=SMALL)
    assert dataset.labels.dtype == bool
    assert (dataset.labels == labels[rows]).all()
    decoded = [np.array(Image.open(io.BytesIO(IMAGES[row % 50]))) for row in rows]
    assert (np.stack(dataset.images[:]) == np.stack(decoded)).all()
    assert dataset.provenance == "unchecked"


def test_equally_frequent_concepts_go_by_name(official):
    items = nuswide.NUSWide().read(nuswide.LoadOptions(data_dir=official, protocol=SMALL))
    _, labels = truth()
    counts = dict(zip(CONCEPTS, labels.sum(axis=0), strict=True))
    assert set(items.label_names) == set(sorted(counts, key=lambda name: (-counts[name], name))[:21])
    assert items.label_names == sorted(items.label_names, key=lambda name: (-counts[name], name))
    assert "airport" in items.label_names
    assert "tree" not in items.label_names


def test_the_draw_is_what_the_protocol_says(official):
    rows, labels = expected()
    labels = labels[rows]
    parts = []
    taken = set()
    for per_label, seed in ((2, 0), (3, 1)):
        rng, part = np.random.default_rng(seed), []
        for column in range(21):
            members = [row for row in range(len(rows)) if labels[row, column] and row not in taken]
            drawn = rng.permutation(members)[:per_label].tolist()
            taken.update(drawn)
            part += drawn
        parts.append(sorted(part))
    dataset = load_dataset("nuswide", data_dir=official, protocol=SMALL)
    assert dataset.split.query.tolist() == parts[0]
    assert dataset.split.train.tolist() == parts[1]
    assert dataset.split.database.tolist() == sorted(set(range(len(rows))) - set(parts[0]))
    assert (len(parts[0]), len(parts[1])) == (42, 63)


def test_images_may_lie_in_one_folder(official, copy):
    (copy / "images").mkdir()
    for file in sorted((copy / "Flickr").rglob("*.jpg")):
        file.rename(copy / "images" / file.name)
    shutil.rmtree(copy / "Flickr")
    nested = load_dataset("nuswide", data_dir=official, protocol=SMALL)
    assert load_dataset("nuswide", data_dir=copy, protocol=SMALL).fingerprint == nested.fingerprint
    names = (copy / nuswide.IMAGE_LIST).read_text().splitlines()
    rows, _ = expected()
    names[rows[1]] = "elsewhere\\" + names[rows[0]].partition("\\")[2]
    (copy / nuswide.IMAGE_LIST).write_text("\n".join(names))
    with pytest.raises(InputError, match="number 2 is number 1 again"):
        load_dataset("nuswide", data_dir=copy, protocol=SMALL)
    shutil.rmtree(copy / "images")
    with pytest.raises(InputError, match="no folder Flickr or images"):
        load_dataset("nuswide", data_dir=copy, protocol=SMALL)


def test_the_protocols_are_the_published_ones():
    for protocol in nuswide.NUSWide.protocols:
        assert protocol.hash == protocol.checksum
    assert nuswide.NUSWide.protocols[0].n_query + nuswide.NUSWide.protocols[0].n_database == nuswide.N_LABELLED
    assert len(nuswide.FREQUENT) == nuswide.N_LABELS


def test_the_whole_set_has_the_known_concepts(official, monkeypatch):
    rows, _ = expected()
    monkeypatch.setattr(nuswide, "N_WHOLE", N)
    with pytest.raises(InputError, match=r"25 files Labels_<concept>\.txt, expected 81"):
        nuswide.NUSWide().read(nuswide.LoadOptions(data_dir=official))
    monkeypatch.setattr(nuswide, "N_CONCEPTS", 25)
    monkeypatch.setattr(nuswide, "N_LABELLED", len(rows))
    with pytest.raises(
        InputError, match=r"the 21 most frequent concepts are airport, animal, .* NUS-WIDE's are animal"
    ):
        nuswide.NUSWide().read(nuswide.LoadOptions(data_dir=official))
    monkeypatch.setattr(nuswide, "FREQUENT", nuswide.FREQUENT - {"tree"} | {"airport"})
    assert len(nuswide.NUSWide().read(nuswide.LoadOptions(data_dir=official))) == len(rows)
    monkeypatch.setattr(nuswide, "N_LABELLED", len(rows) + 1)
    with pytest.raises(InputError, match=f"on {len(rows)} images; .* on {len(rows) + 1}; fetch it again"):
        nuswide.NUSWide().read(nuswide.LoadOptions(data_dir=official))


def change_line(number, text):
    """Return a change to a file's line, from 1; None takes it away."""

    def change(file):
        lines = file.read_text().splitlines()
        lines[number - 1 : number] = [] if text is None else [text]
        file.write_text("\n".join(lines) + "\n")

    return change


SKY = f"{nuswide.LABELS}/Labels_sky.txt"


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        (SKY, change_line(400, None), ["Labels_sky.txt has 399 lines, ImageList/Imagelist.txt has 400"]),
        (
            nuswide.IMAGE_LIST,
            change_line(7, None),
            ["Labels_airport.txt has 400 lines, ImageList/Imagelist.txt has 399"],
        ),
        (SKY, change_line(3, "2"), ["Labels_sky.txt line 3: 2 is no label"]),
        (SKY, change_line(3, "-1130179"), ["Labels_sky.txt line 3: -1130179 is no label"]),
        (SKY, change_line(3, "nan"), ["Labels_sky.txt line 3: nan is no label"]),
        (SKY, change_line(5, ""), ["Labels_sky.txt line 5", "is no label"]),
        (SKY, lambda file: file.write_bytes(b""), ["Labels_sky.txt is empty"]),
        (SKY, lambda file: file.write_bytes(b"\xff\xfe0"), ["Labels_sky.txt cannot be read"]),
        (
            nuswide.IMAGE_LIST,
            change_line(1, "..\\..\\x.jpg"),
            ["Imagelist.txt line 1", "absolute, empty or has '..' in it"],
        ),
        (
            nuswide.IMAGE_LIST,
            change_line(1, "/etc/x.jpg"),
            ["Imagelist.txt line 1", "absolute, empty or has '..' in it"],
        ),
        (
            nuswide.IMAGE_LIST,
            change_line(1, "C:\\x.jpg"),
            ["Imagelist.txt line 1", "absolute, empty or has '..' in it"],
        ),
        (nuswide.IMAGE_LIST, change_line(2, "actor\\0000_1000000000.jpg"), ["number 2 is number 1 again"]),
        (
            nuswide.IMAGE_LIST,
            lambda file: file.unlink(),
            ["has neither ImageList/Imagelist.txt", "test.txt, train.txt"],
        ),
    ],
)
def test_unusable_files_are_named(copy, cli, tmp_path, name, change, words):
    change(copy / name)
    options = ("--dataset", "nuswide", "--data-dir", copy, "--protocol", SMALL, "--methods", "lsh")
    one_clear_line(cli("run", *options, "--out", tmp_path / "out"), *words)
    assert not (tmp_path / "out").exists()


def test_too_few_concepts_are_refused(copy):
    for concept in [*RARE, "sky"]:
        (copy / nuswide.LABELS / f"Labels_{concept}.txt").unlink()
    with pytest.raises(InputError, match=r"20 files Labels_<concept>\.txt, expected 21"):
        load_dataset("nuswide", data_dir=copy, protocol=SMALL)


def test_images_without_any_label_are_refused(copy):
    for file in (copy / nuswide.LABELS).iterdir():
        file.write_text("0\n" * N)
    with pytest.raises(InputError, match=r"\(NUS-WIDE\): no image has a label"):
        load_dataset("nuswide", data_dir=copy, protocol=SMALL)


def test_too_few_images_of_a_label_are_refused(official, cli, tmp_path):
    result = cli("run", "--dataset", "nuswide", "--data-dir", official, "--methods", "lsh", "--out", tmp_path / "out")
    one_clear_line(result, "label 0 has", "that are not taken, 100 are to be drawn")


def test_dead_links_are_counted_and_may_be_left_out(copy, cli, tmp_path, cache_dir):
    names, _ = truth()
    rows, _ = expected()
    gone = [copy / "Flickr" / names[row] for row in rows[[0, 5, 9, 11]]]
    unlabelled = next(row for row in range(N) if row not in rows)
    for file in [*gone, copy / "Flickr" / names[unlabelled]]:
        file.unlink()
    options = ("--dataset", "nuswide", "--data-dir", copy, "--protocol", SMALL, "--methods", "lsh")
    words = [f"4 of {len(rows)} listed images are missing", *map(str, gone[:3]), "--skip-broken"]
    one_clear_line(cli("run", *options, "--out", tmp_path / "out"), *words)
    dataset = load_dataset("nuswide", data_dir=copy, protocol=SMALL, skip_broken=True)
    assert (len(dataset), dataset.n_left_out) == (len(rows) - 4, 4)
    assert dataset.provenance == "unchecked, 4 images left out"
    (entry,) = (entry for entry in entries(cache_dir, "nuswide") if entry.manifest["from"] == str(copy))
    assert entry.manifest["left_out"] == [names[row] for row in rows[[0, 5, 9, 11]]]
    assert [str(file) in reason for file, reason in zip(gone, entry.manifest["reasons"], strict=True)] == [True] * 4


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


def test_lists_of_all_81_concepts_are_read_under_a_protocol_of_their_own(lists, cli, tmp_path):
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
def test_a_protocol_of_the_other_layout_is_refused(lists, official, cli, tmp_path):
    directory, _ = lists
    run = ("run", "--dataset", "nuswide", "--methods", "lsh", "--out", tmp_path / "out", "--data-dir")
    one_clear_line(cli("run", "--dataset", "nuswide", "--out", tmp_path / "out"), "nuswide needs its files", "test.txt")
    one_clear_line(cli(*run, directory, "--protocol", SMALL), SMALL, "needs ImageList/Imagelist.txt", "from test.txt")
    one_clear_line(cli(*run, official, "--protocol", "nuswide21-lists/1"), "needs test.txt", "from ImageList")
    one_clear_line(cli(*run, directory, "--protocol", "nuswide21-lists/1[queries=3]"), "no 'queries' to choose")
    both = shutil.copytree(official, tmp_path / "both")
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
