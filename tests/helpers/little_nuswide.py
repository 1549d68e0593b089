"""NUS-WIDE in small: names, labels and images of the publisher's layout, and a change to a line of a file."""

import io

import numpy as np
import pytest
from PIL import Image

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


def change_line(number, text):
    """Return a change to a file's line, from 1; None takes it away."""

    def change(file):
        lines = file.read_text().splitlines()
        lines[number - 1 : number] = [] if text is None else [text]
        file.write_text("\n".join(lines) + "\n")

    return change


@pytest.fixture(scope="module")
def official_nuswide(tmp_path_factory):
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
