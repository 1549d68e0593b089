"""A plugin of a dozen images, and data sets that return what a test gives them."""

import io

import numpy as np
import pytest
from PIL import Image

from hashbench import load_dataset
from hashbench.data.plugin import HashDataset
from hashbench.data.protocol import Protocol
from hashbench.data.splits import Split

TOY = '''
import os
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hashbench.data.plugin import HashDataset, Items
from hashbench.data.images import ImageFiles
from hashbench.data.protocol import Protocol
from hashbench.data.splits import Split


class Gated(Sequence):
    def __init__(self, files):
        self.files = files

    def __len__(self):
        return len(self.files)

    def __getitem__(self, row):
        while row == 5 and "TOY_GATE" in os.environ and not Path(os.environ["TOY_GATE"]).exists():
            time.sleep(0.01)
        return self.files[row]


class Toy(HashDataset):
    """Images of any size, labelled by their first letter."""

    protocols = (Protocol("toy/1", "rows", None, None, None, ("mAP@all",)),)
    licence = "none"

    def read(self, options):
        if "TOY_READS" in os.environ:
            with Path(os.environ["TOY_READS"]).open("a") as log:
                log.write("read\\n")
        files = sorted(path for path in options.data_dir.iterdir() if path.suffix != ".txt" and path.name[0] != ".")
        n = len(files)
        return Items(
            images=ImageFiles(Gated(files), [str(file) for file in files]),
            labels=np.array([ord(file.name[0]) - ord("a") for file in files]),
            label_names=["a", "b", "c"],
            names=[file.name for file in files],
            parts={"first": np.arange(0, n // 2), "second": np.arange(n // 2, n)},
            provenance="toy",
        )

    def split(self, items, protocol):
        rows = np.arange(len(items))
        return Split(rows[2:], rows[:2], rows[2:])
'''


def noise(height, width, seed=0):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))


def load_toy(toy, tmp_path, **options):
    return load_dataset("toy", plugins=(toy[0],), cache_dir=tmp_path / "cache", **options)


class InMemory(HashDataset):
    """Returns what the test puts into it."""

    name = "in-memory"
    protocols = (Protocol("in-memory/1", "rows", None, None, None, ("mAP@all",)),)

    def __init__(self, items):
        self.given = items

    def read(self, options):
        return self.given

    def split(self, items, protocol):
        rows = np.arange(len(items))
        return Split(rows[3:], rows[:3], rows[3:])


def encoded(images, kind="PNG"):
    contents = []
    for image in images:
        buffer = io.BytesIO()
        image.save(buffer, kind)
        contents.append(buffer.getvalue())
    return contents


@pytest.fixture
def toy(tmp_path):
    """Return a plugin file and a folder of twelve images of two sizes."""
    plugin, folder = tmp_path / "toy.py", tmp_path / "photos"
    plugin.write_text(TOY)
    folder.mkdir()
    for row in range(12):
        noise(20 + row % 2, 30, row).save(folder / f"{'abc'[row % 3]}{row:02}.png")
    return plugin, folder


@pytest.fixture
def data_command(cli, tmp_path):
    """Run ``hashbench data`` with a cache of the test's own."""
    return lambda *arguments: cli("data", *arguments, "--cache-dir", tmp_path / "cache")
