"""NUS-WIDE: the publisher's layout, published split lists, their draws, and files that are not as they should be."""

import io
import shutil

import numpy as np
import pytest
from conftest import one_clear_line
from little_nuswide import CONCEPTS, IMAGES, RARE, SMALL, N, change_line, truth
from PIL import Image

from hashbench import InputError, load_dataset
from hashbench.data.prepared.entries import entries
from hashbench.datasets import nuswide


@pytest.fixture
def copy(official_nuswide, tmp_path):
    return shutil.copytree(official_nuswide, tmp_path / "copy")


def expected():
    """Return rows and labels of the images with a frequent concept, by the definition."""
    _, labels = truth()
    order = sorted(range(25), key=lambda column: (-labels[:, column].sum(), CONCEPTS[column]))[:21]
    chosen = labels[:, order]
    return chosen.any(axis=1).nonzero()[0], chosen


def test_the_most_frequent_concepts_are_kept_and_others_dropped(official_nuswide):
    rows, labels = expected()
    _, everything = truth()
    assert everything[:, 3].sum() == everything[:, 17].sum() == everything[:, 21].sum() == 12
    assert 300 > len(rows) > 200
    dataset = load_dataset("nuswide", data_dir=official_nuswide, protocol=SMALL)
    assert dataset.labels.dtype == bool
    assert (dataset.labels == labels[rows]).all()
    decoded = [np.array(Image.open(io.BytesIO(IMAGES[row % 50]))) for row in rows]
    assert (np.stack(dataset.images[:]) == np.stack(decoded)).all()
    assert dataset.provenance == "unchecked"


def test_equally_frequent_concepts_go_by_name(official_nuswide):
    items = nuswide.NUSWide().read(nuswide.LoadOptions(data_dir=official_nuswide, protocol=SMALL))
    _, labels = truth()
    counts = dict(zip(CONCEPTS, labels.sum(axis=0), strict=True))
    assert set(items.label_names) == set(sorted(counts, key=lambda name: (-counts[name], name))[:21])
    assert items.label_names == sorted(items.label_names, key=lambda name: (-counts[name], name))
    assert "airport" in items.label_names
    assert "tree" not in items.label_names


def test_the_draw_is_what_the_protocol_says(official_nuswide):
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
    dataset = load_dataset("nuswide", data_dir=official_nuswide, protocol=SMALL)
    assert dataset.split.query.tolist() == parts[0]
    assert dataset.split.train.tolist() == parts[1]
    assert dataset.split.database.tolist() == sorted(set(range(len(rows))) - set(parts[0]))
    assert (len(parts[0]), len(parts[1])) == (42, 63)


def test_images_may_lie_in_one_folder(official_nuswide, copy):
    (copy / "images").mkdir()
    for file in sorted((copy / "Flickr").rglob("*.jpg")):
        file.rename(copy / "images" / file.name)
    shutil.rmtree(copy / "Flickr")
    nested = load_dataset("nuswide", data_dir=official_nuswide, protocol=SMALL)
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


def test_the_whole_set_has_the_known_concepts(official_nuswide, monkeypatch):
    rows, _ = expected()
    monkeypatch.setattr(nuswide, "N_WHOLE", N)
    with pytest.raises(InputError, match=r"25 files Labels_<concept>\.txt, expected 81"):
        nuswide.NUSWide().read(nuswide.LoadOptions(data_dir=official_nuswide))
    monkeypatch.setattr(nuswide, "N_CONCEPTS", 25)
    monkeypatch.setattr(nuswide, "N_LABELLED", len(rows))
    with pytest.raises(
        InputError, match=r"the 21 most frequent concepts are airport, animal, .* NUS-WIDE's are animal"
    ):
        nuswide.NUSWide().read(nuswide.LoadOptions(data_dir=official_nuswide))
    monkeypatch.setattr(nuswide, "FREQUENT", nuswide.FREQUENT - {"tree"} | {"airport"})
    assert len(nuswide.NUSWide().read(nuswide.LoadOptions(data_dir=official_nuswide))) == len(rows)
    monkeypatch.setattr(nuswide, "N_LABELLED", len(rows) + 1)
    with pytest.raises(InputError, match=f"on {len(rows)} images; .* on {len(rows) + 1}; fetch it again"):
        nuswide.NUSWide().read(nuswide.LoadOptions(data_dir=official_nuswide))


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


def test_too_few_images_of_a_label_are_refused(official_nuswide, cli, tmp_path):
    result = cli(
        "run", "--dataset", "nuswide", "--data-dir", official_nuswide, "--methods", "lsh", "--out", tmp_path / "out"
    )
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
