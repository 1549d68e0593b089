"""A small data set in MS-COCO's layout, with images of many sizes."""

from __future__ import annotations

import json

import numpy as np
from PIL import Image

IDS = [number for number in range(1, 91) if number not in (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)]
"""MS-COCO's 80 category ids."""


def labels_of(n, seed=0):
    """Return which of 80 labels each image has, (n, 80), bool: a few frequent ones, images 3 and 8 without any."""
    labels = np.random.default_rng(seed).random((n, 80)) < np.geomspace(0.4, 0.01, 80)
    labels[~labels.any(axis=1), 0] = True
    labels[[3, 8]] = False
    return labels


def write(directory, year="2017", n=60, n_val=20, first_val=0):
    """Write both parts; the same images in every release, of which ``n_val`` from the first one on are in val.

    Image i has the id 7 i + 5; its pixels depend on its labels.
    """
    labels, rng = labels_of(n), np.random.default_rng(1)
    tints = rng.integers(0, 256, (80, 3))
    (directory / "annotations").mkdir(parents=True, exist_ok=True)
    in_val = range(first_val, first_val + n_val)
    for part, rows in (("val", in_val), ("train", [row for row in range(n) if row not in in_val])):
        (directory / f"{part}{year}").mkdir()
        images, annotations = [], []
        for row in sorted(rows, key=lambda row: -row):
            noise = np.random.default_rng(row)
            height, width = noise.integers(24, 80, 2)
            tint = tints[labels[row]].mean(axis=0) if labels[row].any() else np.zeros(3)
            pixels = np.clip(noise.normal(tint, 20, (height, width, 3)), 0, 255).astype(np.uint8)
            name = f"{7 * row + 5:012}.jpg"
            Image.fromarray(pixels).save(directory / f"{part}{year}" / name)
            images.append({"id": 7 * row + 5, "file_name": name, "height": int(height), "width": int(width)})
            annotations += [  # every label twice, once as a crowd; odd columns as crowds only
                {
                    "id": 200 * row + 2 * column + crowd,
                    "image_id": 7 * row + 5,
                    "category_id": IDS[column],
                    "iscrowd": crowd,
                }
                for column in np.flatnonzero(labels[row]).tolist()
                for crowd in ((1,) if column % 2 else (0, 1))
            ]
        categories = [{"id": number, "name": f"kind {number}"} for number in reversed(IDS)]
        content = {"images": images, "annotations": annotations, "categories": categories}
        (directory / "annotations" / f"instances_{part}{year}.json").write_text(json.dumps(content))
    return labels


def edit(file, change):
    """Change the content of a JSON file in place."""
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))
