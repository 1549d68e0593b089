"""MS-COCO: photographs of everyday scenes with 80 kinds of objects, the 2014 or the 2017 release."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from hashbench.data.images import ImageFiles
from hashbench.data.items import Items
from hashbench.data.options import LoadOptions
from hashbench.data.plugin import HashDataset
from hashbench.data.protocol import Protocol
from hashbench.data.readers.match_names import located, refuse_repeated
from hashbench.data.readers.publisher_files import data_directory
from hashbench.data.splits import Split, draw_any
from hashbench.data.view_recipes import PHOTO_VIEWS
from hashbench.errors import InputError
from hashbench.files.paths import is_there

YEARS = ("2014", "2017")
PARTS = ("train", "val")
N_LABELS = 80
N_WHOLE, N_LABELLED = 123_287, 122_218
MAX_BYTES = 2**31
"""Maximum bytes of an annotation file; MS-COCO's largest has 470 million."""
KEPT = ("images", "annotations", "categories", "id", "file_name", "image_id", "category_id", "name")
"""All that is kept of a file: outlines and boxes are dropped while it is read."""


class MSCOCO(HashDataset):
    """MS-COCO, 2014 or 2017: photographs with 80 kinds of objects, those without any left out."""

    protocols: ClassVar[tuple[Protocol, ...]] = (
        Protocol(
            name="mscoco-cibhash/1",
            split="all 122,218 training and validation images of MS-COCO 2014 (or 2017, the same images) that have "
            "an annotation, crowds included, in ascending order of their ids: queries: the first 5,000 of a "
            "permutation by numpy.random.default_rng(0); database: the other 117,218; training set: the first "
            "10,000 of a permutation of the database by numpy.random.default_rng(1); relevant: a shared label",
            n_query=5_000,
            n_database=117_218,
            n_train=10_000,
            metrics=("mAP@5000", "mAP@all", "P@100", "P@1000"),
            seed=0,
            draw={"queries": 5_000, "training": 10_000},
            checksum="a5436383ae8c282a228be20e6e775f9186869e2c59f36713499844733e0e9d85",
        ),
    )
    source = "Lin et al., Microsoft COCO: Common Objects in Context, ECCV 2014; cocodataset.org"
    licence = "annotations: CC BY 4.0; images: Flickr's terms of use, each with a licence of its own"
    views = PHOTO_VIEWS
    image_size = 224
    files = ("annotations", "train20*", "val20*")
    needs = (
        "--data-dir DIR with annotations/instances_{train,val}2014.json and the folders train2014 and val2014, "
        "or the same of 2017"
    )

    def read(self, options: LoadOptions) -> Items:
        """Read both parts of one release; images in ascending order of their ids, which the releases share."""
        directory = data_directory(options, self.name, self.needs)
        year = _release(directory, self.needs)
        images: dict[int, Path] = {}
        pairs: list[tuple[int, int]] = []
        categories: dict[int, str] = {}
        listed: list[list[str]] = []
        for part in PARTS:
            file = directory / "annotations" / f"instances_{part}{year}.json"
            part_images, marks, kinds = _read_part(file, directory / f"{part}{year}")
            listed.append([str(path.relative_to(directory / f"{part}{year}")) for path in part_images.values()])
            twice = images.keys() & part_images.keys()
            if twice:
                raise InputError(f"{file}: image id {min(twice)} is in the other part too")
            if categories and kinds != categories:
                raise InputError(f"{file} has other categories than the other part")
            images, categories = images | part_images, kinds
            pairs += marks
        _refuse_swapped(listed, [directory / f"{part}{year}" for part in PARTS], directory)
        ids = np.array(sorted(images), np.int64)
        columns = np.array(sorted(categories), np.int64)
        labels = np.zeros((len(ids), len(columns)), bool)
        if pairs:
            image, category = np.array(pairs, np.int64).T
            labels[np.searchsorted(ids, image), np.searchsorted(columns, category)] = True
        rows = np.flatnonzero(labels.any(axis=1))
        if len(ids) == N_WHOLE and len(rows) != N_LABELLED:
            raise InputError(
                f"{directory}: {len(rows):,} of all {N_WHOLE:,} images have a label, MS-COCO {year} has "
                f"{N_LABELLED:,}; fetch its annotations again"
            )
        files = [images[int(ids[row])] for row in rows]
        if not files:
            raise InputError(f"{directory} (MS-COCO {year}): no image has a label")
        return Items(
            images=ImageFiles(files, [str(file) for file in files]),
            labels=labels[rows],
            label_names=[categories[int(column)] for column in columns],
            names=[file.name for file in files],
            provenance=f"{year} release, unchecked",
        )

    def split(self, items: Items, protocol: Protocol) -> Split:
        """Draw the queries, and the training set out of the rest."""
        query = draw_any(len(items), int(protocol.draw["queries"]), 0)
        database = np.setdiff1d(np.arange(len(items)), query)
        return Split(draw_any(len(items), int(protocol.draw["training"]), 1, among=database), query, database)


def _release(directory: Path, needs: str) -> str:
    """Return the year of the release that is there with its images, 2014 before 2017."""
    for year in YEARS:
        files = [directory / "annotations" / f"instances_{part}{year}.json" for part in PARTS]
        if all(file.is_file() for file in files) and all((directory / f"{part}{year}").is_dir() for part in PARTS):
            return year
    raise InputError(f"{directory} holds no MS-COCO; give {needs}")


def _refuse_swapped(listed: Sequence[Sequence[str]], folders: Sequence[Path], directory: Path) -> None:
    """Raise if the images of each part are in the other part's folder, and none in the right one."""

    def lie_in(names: Sequence[str], folder: Path) -> bool:
        return any(is_there(folder / name) for name in names)

    own, other = zip(listed, folders, strict=True), zip(listed, reversed(folders), strict=True)
    if not any(lie_in(*pair) for pair in own) and all(lie_in(*pair) for pair in other):
        raise InputError(
            f"{directory / 'annotations'}: the files of train and val seem to be swapped: each lists the images in the "
            "other part's folder; give them their right names"
        )


def _read_part(file: Path, folder: Path) -> tuple[dict[int, Path], list[tuple[int, int]], dict[int, str]]:
    """Return an annotation file's images by id, its (image id, category id) pairs and its categories' names."""
    content = _parse(file)
    images: dict[int, Path] = {}
    for entry in _entries(content, "images", {"id": int, "file_name": str}, file):
        path = located(folder, entry["file_name"], f"{file}: image {entry['id']}")[1]
        if images.setdefault(entry["id"], path) is not path:
            raise InputError(f"{file}: image id {entry['id']} is there twice")
    refuse_repeated([str(image) for image in images.values()], f"{file}: images")
    kinds = _entries(content, "categories", {"id": int, "name": str}, file)
    categories = {entry["id"]: entry["name"] for entry in kinds}
    if len(kinds) != N_LABELS or len(categories) != N_LABELS:
        raise InputError(f"{file} has {len(categories)} categories, MS-COCO has {N_LABELS}")
    pairs = []
    for entry in _entries(content, "annotations", {"image_id": int, "category_id": int}, file):
        image, category = entry["image_id"], entry["category_id"]
        if image not in images:
            raise InputError(f"{file}: an annotation is of image id {image}, which the file does not list")
        if category not in categories:
            raise InputError(f"{file}: an annotation of image {image} has category id {category}, which is none")
        pairs.append((image, category))
    return images, pairs, categories


def _parse(file: Path) -> dict[str, Any]:
    try:
        if file.stat().st_size > MAX_BYTES:
            raise InputError(f"{file} has {file.stat().st_size:,} bytes, more than any of MS-COCO's; fetch it again")
        content = json.loads(file.read_bytes(), object_hook=lambda given: {k: given[k] for k in KEPT if k in given})
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(
            f"{file} is not a readable JSON file ({' '.join(str(error).split())}); fetch it again"
        ) from error
    if not isinstance(content, dict):
        raise InputError(f"{file} holds no object with images, annotations and categories; fetch it again")
    return content


def _entries(content: dict[str, Any], key: str, types: dict[str, type], file: Path) -> list[dict[str, Any]]:
    """Return one of the file's lists, each entry of which has what is read of it; a bool is no number."""
    entries = content.get(key)
    if not isinstance(entries, list):
        raise InputError(f"{file} has no list of {key}; fetch it again")
    for number, entry in enumerate(entries):
        for name, kind in types.items():
            value = entry.get(name) if isinstance(entry, dict) else None
            if type(value) is not kind or (isinstance(value, int) and not 0 <= value < 2**63):
                raise InputError(f"{file}: {key}[{number}] has no usable {name} ({value!r:.40})")
    return entries
