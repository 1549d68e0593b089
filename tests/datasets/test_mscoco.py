"""MS-COCO: its labels against pycocotools, both releases, its draw, and files that are not as they should be."""

import json
import shutil

import little_coco
import numpy as np
import pytest
from conftest import one_clear_line

from hashbench import InputError, load_dataset
from hashbench.datasets import mscoco

SMALL = "mscoco-cibhash/1[queries=10,training=20]"
TRAIN, VAL = "annotations/instances_train2017.json", "annotations/instances_val2017.json"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    directory = tmp_path_factory.mktemp("coco")
    return directory, little_coco.write(directory)


@pytest.fixture
def copy(whole, tmp_path):
    return shutil.copytree(whole[0], tmp_path / "coco")


def by_pycocotools(directory):
    """Return file names and labels of the images that have any, in ascending order of ids."""
    from pycocotools.coco import COCO

    found = {}
    for part in ("train", "val"):
        coco = COCO(directory / "annotations" / f"instances_{part}2017.json")
        columns = sorted(coco.getCatIds())
        for image in coco.getImgIds():
            kinds = {annotation["category_id"] for annotation in coco.loadAnns(coco.getAnnIds(imgIds=image))}
            if kinds:
                row = [column in kinds for column in columns]
                found[image] = directory / f"{part}2017" / coco.loadImgs(image)[0]["file_name"], row
    files, rows = zip(*(found[image] for image in sorted(found)), strict=True)
    return files, np.array(rows)


def check_against_pycocotools(dataset, directory):
    files, labels = by_pycocotools(directory)
    assert dataset.labels.dtype == bool
    assert (dataset.labels == labels).all()
    assert [dataset.images.encoded(row) for row in range(len(files))] == [file.read_bytes() for file in files]


def test_labels_are_those_of_pycocotools(tiny_coco):
    dataset = load_dataset("mscoco", data_dir=tiny_coco, protocol="mscoco-cibhash/1[queries=20,training=40]")
    assert dataset.labels.shape == (97, 80)
    check_against_pycocotools(dataset, tiny_coco)


def test_crowds_count_and_images_without_a_label_are_dropped(whole):
    directory, labels = whole
    dataset = load_dataset("mscoco", data_dir=directory, protocol=SMALL)
    assert (dataset.labels == labels[labels.any(axis=1)]).all()
    assert len(dataset) == 58
    assert dataset.provenance == "2017 release, unchecked"
    check_against_pycocotools(dataset, directory)


def test_the_draw_is_what_the_protocol_says(whole):
    dataset = load_dataset("mscoco", data_dir=whole[0], protocol=SMALL)
    query = np.sort(np.random.default_rng(0).permutation(58)[:10])
    database = np.array(sorted(set(range(58)) - set(query.tolist())))
    assert (dataset.split.query == query).all()
    assert (dataset.split.database == database).all()
    assert (dataset.split.train == np.sort(np.random.default_rng(1).permutation(database)[:20])).all()


def test_both_releases_give_the_same_data(whole, tmp_path):
    first = load_dataset("mscoco", data_dir=whole[0], protocol=SMALL)
    little_coco.write(tmp_path, "2014", n_val=31, first_val=17)
    second = load_dataset("mscoco", data_dir=tmp_path, protocol=SMALL)
    assert second.provenance == "2014 release, unchecked"
    assert second.fingerprint == first.fingerprint
    assert second.protocol.hash == first.protocol.hash


def test_published_lists_name_files(whole, tmp_path):
    directory, labels = whole
    rows = {"query": [30, 2, 41], "train": [12, 55], "database": [55, 12, 0, 7]}
    for part, chosen in rows.items():
        lines = [f"{7 * row + 5:012}.jpg {' '.join(map(str, labels[row].astype(int)))}\n" for row in chosen]
        (tmp_path / f"{part}.txt").write_text("".join(lines))
    dataset = load_dataset("mscoco", data_dir=directory, splits=tmp_path)
    assert dataset.protocol.name.startswith("mscoco-cibhash/1+lists:")
    for part, chosen in rows.items():
        assert (dataset.labels[getattr(dataset.split, part)] == labels[chosen]).all()
    (tmp_path / "train.txt").write_text(f"{7 * 3 + 5:012}.jpg\n")  # an image without a label
    with pytest.raises(InputError, match=r"train\.txt line 1: the data has no item '000000000026\.jpg'"):
        load_dataset("mscoco", data_dir=directory, splits=tmp_path)


def test_the_protocol_is_the_published_one():
    (protocol,) = mscoco.MSCOCO.protocols
    assert protocol.hash == protocol.checksum
    assert protocol.n_query + protocol.n_database == mscoco.N_LABELLED == 82_783 + 40_504 - 1_069


def test_sizes_other_than_the_protocol_says_are_refused(whole, cli, tmp_path):
    result = cli("run", "--dataset", "mscoco", "--data-dir", whole[0], "--methods", "lsh", "--out", tmp_path / "out")
    one_clear_line(result, "5000 items are to be drawn of 58")


@pytest.mark.usefixtures("empty_cache")
def test_a_whole_set_with_too_few_labelled_images_is_refused(whole, monkeypatch):
    monkeypatch.setattr(mscoco, "N_WHOLE", 60)
    with pytest.raises(InputError, match="58 of all 60 images have a label, MS-COCO 2017 has 122,218"):
        load_dataset("mscoco", data_dir=whole[0], protocol=SMALL)
    monkeypatch.setattr(mscoco, "N_LABELLED", 58)
    assert len(load_dataset("mscoco", data_dir=whole[0], protocol=SMALL)) == 58


def first(key, **values):
    """Return a change to a list's first entry; None takes a key away."""

    def change(content):
        content[key][0] = {k: v for k, v in {**content[key][0], **values}.items() if v is not None}

    return change


def second_as_first(name):
    def change(content):
        content["images"][1][name] = content["images"][0][name]

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c.pop("annotations"), [VAL, "no list of annotations"]),
        (lambda c: c.update(images={}), [VAL, "no list of images"]),
        (first("images", file_name=None), [VAL, "images[0]", "no usable file_name (None)"]),
        (first("images", file_name=7), ["images[0]", "no usable file_name (7)"]),
        (first("images", id=float("nan")), ["images[0]", "no usable id (nan)"]),
        (first("images", id=float("inf")), ["images[0]", "no usable id (inf)"]),
        (first("images", id=True), ["images[0]", "no usable id (True)"]),
        (first("images", id=10**30), ["images[0]", "no usable id"]),
        (
            first("images", file_name="../train2017/000000000145.jpg"),
            ["../train2017", "absolute, empty or has '..' in it"],
        ),
        (first("images", file_name="/etc/hostname"), ["/etc/hostname", "has '..' in it"]),
        (first("images", file_name="..\\a.jpg"), ["has '..' in it"]),
        (first("images", file_name=""), ["''", "has '..' in it"]),
        (second_as_first("file_name"), [VAL, "number 2 is number 1 again", "000000000138.jpg"]),
        (second_as_first("id"), [VAL, "image id 138 is there twice"]),
        (first("annotations", image_id=4), ["an annotation is of image id 4", "does not list"]),
        (first("annotations", image_id=-1), ["annotations[0]", "no usable image_id (-1)"]),
        (first("annotations", category_id=12), ["category id 12", "which is none"]),
        (first("annotations", category_id="dog"), ["annotations[0]", "no usable category_id ('dog')"]),
        (lambda c: c["categories"].pop(), [VAL, "79 categories, MS-COCO has 80"]),
        (first("categories", id=1), [VAL, "79 categories, MS-COCO has 80"]),
        (first("categories", name="another"), [VAL, "other categories than the other part"]),
        (lambda c: c["annotations"].__setitem__(0, [1]), ["annotations[0]", "no usable image_id"]),
    ],
)
def test_unusable_annotations_are_named(copy, cli, tmp_path, change, words):
    little_coco.edit(copy / VAL, change)
    options = ("--dataset", "mscoco", "--data-dir", copy, "--protocol", SMALL, "--methods", "lsh")
    one_clear_line(cli("run", *options, "--out", tmp_path / "out"), *words)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not a readable JSON file"),
        (b'{"images": [', "not a readable JSON file"),
        (b"[" * 100_000, "not a readable JSON file"),
        (b"\xff\xfe\x00", "not a readable JSON file"),
        (b"[]", "holds no object with images"),
    ],
)
def test_damaged_files_are_named(copy, content, words):
    (copy / TRAIN).write_bytes(content)
    with pytest.raises(InputError, match=words) as error:
        load_dataset("mscoco", data_dir=copy, protocol=SMALL)
    assert TRAIN in str(error.value)


@pytest.mark.usefixtures("empty_cache")
def test_a_file_too_large_to_be_annotations_is_refused(copy, monkeypatch):
    monkeypatch.setattr(mscoco, "MAX_BYTES", 1000)
    with pytest.raises(InputError, match="more than any of MS-COCO's"):
        load_dataset("mscoco", data_dir=copy, protocol=SMALL)


def test_an_image_in_both_parts_is_refused(copy):
    part = json.loads((copy / TRAIN).read_text())
    little_coco.edit(copy / VAL, lambda content: content["images"].append(part["images"][0]))
    with pytest.raises(InputError, match=r"instances_val2017\.json: image id 418 is in the other part too"):
        load_dataset("mscoco", data_dir=copy, protocol=SMALL)


def test_missing_images_are_counted_and_may_be_left_out(copy, cli, tmp_path):
    gone = sorted((copy / "train2017").iterdir())[:2]
    for file in gone:
        file.unlink()
    options = ("--dataset", "mscoco", "--data-dir", copy, "--protocol", SMALL, "--methods", "lsh")
    result = cli("run", *options, "--out", tmp_path / "out")
    one_clear_line(result, "2 of 58 listed images are missing", str(gone[0]), str(gone[1]), "--skip-broken")
    dataset = load_dataset("mscoco", data_dir=copy, protocol=SMALL, skip_broken=True)
    assert len(dataset) == 56
    assert dataset.n_left_out == 2
    assert dataset.provenance == "2017 release, unchecked, 2 images left out"
    for file in copy.rglob("*.jpg"):
        file.unlink()
    with pytest.raises(InputError, match=r"58 of 58 listed images are missing.*give the folder that has them"):
        load_dataset("mscoco", data_dir=copy, protocol=SMALL, skip_broken=True)


def test_swapped_annotation_files_are_named(copy, cli, tmp_path):
    for name, content in ((TRAIN, (copy / VAL).read_bytes()), (VAL, (copy / TRAIN).read_bytes())):
        (copy / name).write_bytes(content)
    options = ("--dataset", "mscoco", "--data-dir", copy, "--protocol", SMALL, "--methods", "lsh")
    for more in ((), ("--skip-broken",)):
        done = cli("run", *options, *more, "--out", tmp_path / "out")
        one_clear_line(done, "annotations: the files of train and val seem to be swapped", "other part's folder")
    for file in (copy / "val2017").iterdir():
        file.rename(copy / "train2017" / file.name)
    little = "40 of 58 listed images are missing"
    with pytest.raises(InputError, match=little.replace("40", r"\d+")):
        load_dataset("mscoco", data_dir=copy, protocol=SMALL)


def test_annotations_without_their_images_are_no_release(copy):
    for part in ("train", "val"):
        shutil.copy(copy / f"annotations/instances_{part}2017.json", copy / f"annotations/instances_{part}2014.json")
    assert load_dataset("mscoco", data_dir=copy, protocol=SMALL).provenance == "2017 release, unchecked"
    shutil.rmtree(copy / "val2017")
    with pytest.raises(InputError, match=r"holds no MS-COCO; give .* the folders train2014 and val2014"):
        load_dataset("mscoco", data_dir=copy, protocol=SMALL)


def test_images_without_any_label_are_refused(copy):
    for name in (TRAIN, VAL):
        little_coco.edit(copy / name, lambda content: content["annotations"].clear())
    with pytest.raises(InputError, match=r"\(MS-COCO 2017\): no image has a label"):
        load_dataset("mscoco", data_dir=copy, protocol=SMALL)


@pytest.mark.usefixtures("empty_cache")
def test_a_directory_without_it_is_refused(cli, tmp_path):
    for options, words in [
        ((), ["mscoco needs its files", "instances_{train,val}2014.json"]),
        (("--data-dir", tmp_path / "none"), ["is not a directory"]),
        (("--data-dir", tmp_path), ["holds no MS-COCO", "instances_{train,val}2014.json"]),
        (("--data-dir", tmp_path, "--download"), ["--download", "does not fetch mscoco"]),
    ]:
        one_clear_line(cli("run", "--dataset", "mscoco", *options, "--out", tmp_path / "out"), *words)
