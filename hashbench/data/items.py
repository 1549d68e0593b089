"""The items of a data set's files, before any split."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from hashbench.data.images import EncodedImages, ImageFiles
from hashbench.data.look import Look
from hashbench.data.similarity import Similarity


def holds_exactly(dtype: np.dtype) -> bool:
    """Return whether float32 holds every value of a number type, as features may be kept: float16, short integers."""
    return dtype.kind in "fiu" and dtype.isnative and np.can_cast(dtype, np.float32)


def fingerprint_of(items: np.ndarray | EncodedImages) -> str:
    """Return the SHA-256 of images or features: their dtype, shape and content.

    Features of a narrower type are hashed as the float32 values that they are.
    """
    if isinstance(items, EncodedImages):
        look = items.look.key
        look_parts = [name if value is True else f"{name} {value}" for name, value in look.items()]
        digest = hashlib.sha256(" ".join([f"encoded {len(items)}", *look_parts]).encode())
        digest.update(np.ascontiguousarray(items.offsets, dtype=np.int64).data)
        content: np.ndarray = items.data
        dtype = content.dtype
    else:
        dtype = np.dtype(np.float32) if items.ndim == 2 and holds_exactly(items.dtype) else items.dtype
        digest = hashlib.sha256(f"{dtype} {items.shape}".encode())
        content = items
    step = 4096 if content.ndim > 1 else 2**24
    for start in range(0, len(content), step):
        digest.update(np.ascontiguousarray(content[start : start + step], dtype).data)
    return digest.hexdigest()


@dataclass(frozen=True)
class Items:
    """What a data set's files hold, before any split.

    Attributes
    ----------
    images : ndarray of shape (n, h, w, c), uint8, or ImageFiles, or EncodedImages, optional
    features : ndarray of shape (n, d), float32 or a type whose values float32 holds, optional
    labels : ndarray, optional
        int64 of shape (n,), or bool of shape (n, n_labels).
    label_names : sequence of str
        What the classes or labels are called.
    parts : dict from str to ndarray of int64
        Rows of each part that the publisher has named, such as ``train`` and ``test``.
    names : sequence of str, optional
        What published lists call each item.
    neighbors : ndarray of shape (n_query, k), int64, optional
        True nearest neighbours that come with the data.
    similarity : {"euclidean", "cosine", "ip"}
        By what vectors are near.
    centred : bool
        Whether the mean was subtracted from the features before they were rounded to float32.
    provenance : str
        ``official`` where the publisher's checksums held, else what the data is.
    left_out : sequence of str
        What published lists call the images that are missing or broken and were left out: plugins leave it empty.
    sha256 : str
        `fingerprint_of` the images or features, where it is known: plugins leave it empty.
    look : Look
        What of their look made a difference to images that were files; plugins say in `ImageFiles` what is asked for.
    notes : sequence of str
        Where labels are, and what was made of them where that is not plain: a clause each.
    read_as : str
        Which folders, files or columns the items, labels and parts are from, in words.
    passed_over : sequence of str
        What is there and was not taken, and why, in words.
    equal : ndarray of shape (m, 2), int64, optional
        Items that equal an earlier one, and the first that they equal; None where they were not looked for (plugins).
    """

    images: np.ndarray | ImageFiles | EncodedImages | None = None
    features: np.ndarray | None = None
    labels: np.ndarray | None = None
    label_names: Sequence[str] = ()
    parts: Mapping[str, np.ndarray] = field(default_factory=dict)
    names: Sequence[str] | None = None
    neighbors: np.ndarray | None = None
    similarity: Similarity = "euclidean"
    centred: bool = False
    provenance: str = "official"
    left_out: Sequence[str] = ()
    sha256: str = ""
    look: Look = Look()
    notes: Sequence[str] = ()
    read_as: str = ""
    passed_over: Sequence[str] = ()
    equal: np.ndarray | None = None

    def __len__(self) -> int:
        """Return the number of items."""
        items = self.images if self.images is not None else self.features
        return 0 if items is None else len(items)


def raw_items(items: Items) -> np.ndarray | EncodedImages:
    """Return the images or features."""
    raw = items.images if items.images is not None else items.features
    assert raw is not None
    assert not isinstance(raw, ImageFiles)
    return raw
