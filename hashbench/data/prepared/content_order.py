"""The order of a set whose copies have none in common: by content, so that every copy gives the same items."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np

from hashbench.data.images import EncodedImages, ImageFiles
from hashbench.data.items import Items
from hashbench.errors import InputError

DIGEST_BYTES = 32


def in_content_order(items: Items) -> tuple[Items, str]:
    """Return items sorted by content within their parts, and a checksum that no order of theirs changes.

    Parameters
    ----------
    items : Items
        Images of one size as pixels, with one label each; every item is in one part.

    Returns
    -------
    items : Items
        The parts one after the other. In each, images ascend by the SHA-256 of their pixels (rows, columns, channels),
        equal images by label.
    checksum : str
        SHA-256 over the parts in their order: name, number of images (8 bytes, little-endian), the images' SHA-256 one
        after the other, and their labels (8 bytes each, little-endian).

    Raises
    ------
    InputError
        The items are not images of one size with one label each.
    """
    images, labels = items.images, items.labels
    if images is None or isinstance(images, EncodedImages | ImageFiles) or labels is None or labels.ndim != 1:
        raise InputError("only images of one size with one label each have an order by content")
    digests = np.empty((len(images), DIGEST_BYTES), np.uint8)
    for row, image in enumerate(images):
        digests[row] = np.frombuffer(hashlib.sha256(np.ascontiguousarray(image).data).digest(), np.uint8)
    words = digests.view(">u8").T
    part_of = np.empty(len(images), np.int64)
    for number, rows in enumerate(items.parts.values()):
        part_of[rows] = number
    order = np.lexsort((labels, *words[::-1], part_of))
    ends = np.cumsum([len(rows) for rows in items.parts.values()])
    parts = dict(zip(items.parts, np.split(np.arange(len(images)), ends[:-1]), strict=True))
    checksum = hashlib.sha256()
    for name, rows in parts.items():
        checksum.update(name.encode() + len(rows).to_bytes(8, "little"))
        checksum.update(digests[order[rows]].tobytes() + labels[order[rows]].astype("<i8").tobytes())
    names = None if items.names is None else [items.names[row] for row in order.tolist()]
    return replace(items, images=images[order], labels=labels[order], parts=parts, names=names), checksum.hexdigest()
