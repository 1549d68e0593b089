"""Fixtures shared by the tests: a cache of their own, the command line, and where optional real data lies."""

from __future__ import annotations

import functools
import io
import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

if "PYTEST_XDIST_WORKER" in os.environ:  # as many processes as cores: one thread each, before numpy is imported
    for library in ("OMP", "OPENBLAS", "MKL", "NUMBA"):
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")

import numpy as np
import pytest
import typer.main
from hypothesis import settings
from PIL import Image

from hashbench import load_dataset
from hashbench.cli.main import main
from hashbench.records.store import Store

pytest.register_assert_rewrite("interrupted", "model_files")
pytest_plugins = (
    "forked",
    "gpu_cells",
    "little_nuswide",
    "mocked_cuda",
    "toy_images",
    "vector_files",
)  # helpers that hold fixtures, too

# The same draws every time, so that a test fails on every machine or on none; new ones: --hypothesis-profile=fresh.
settings.register_profile("fixed", derandomize=True, database=None)
settings.register_profile("fresh", derandomize=False, print_blob=True)
settings.load_profile("fixed")

# Tests that need real data look for it in HASHBENCH_TEST_DATA, by default in shared/data beside the checkout, and are
# skipped where it is not there. The folder may hold cifar10-jpeg (the parquet files of CIFAR-10's copy on the Hugging
# Face hub), tiny-coco (100 images of MS-COCO 2017 with their annotations) and nuswide-21-lists (split lists).
TEST_DATA = Path(os.environ.get("HASHBENCH_TEST_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
CIFAR_JPEG = TEST_DATA / "cifar10-jpeg"
TINY_COCO = TEST_DATA / "tiny-coco"
NUSWIDE_LISTS = TEST_DATA / "nuswide-21-lists"


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory):
    """Return one feature cache for the whole test session; the user's own is never touched."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session", autouse=True)
def _own_cache(cache_dir):
    """Let what is loaded without a cache directory be prepared in the tests' cache too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HASHBENCH_CACHE", str(cache_dir))
        yield


@pytest.fixture(scope="session")
def board_run(tmp_path_factory, cli):
    """Return the directory of a run: ITQ twice, LSH and the deterministic PCAH, 8 and 16 bits, three seeds."""
    out = tmp_path_factory.mktemp("board-run")
    done = cli("run", "--methods", "itq,lsh,itq[n_iter=3],pcah", "--bits", "16,8", "--seeds", "0,1,2", "--out", out)
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture
def empty_cache(tmp_path_factory, monkeypatch):
    """Let a test begin with nothing prepared, and return its cache."""
    cache = tmp_path_factory.mktemp("empty-cache")
    monkeypatch.setenv("HASHBENCH_CACHE", str(cache))
    return cache


@dataclass(frozen=True)
class Finished:
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


ISOLATED = {"--timeout", "--max-memory", "--jobs", "--in-process", "--scheduler", "--dry-run", "--help"}
"""Options of a run that computes in worker processes, or not at all."""


@pytest.fixture(scope="session")
def cli():
    """Run the command line inside this process (importing torch anew for each command takes seconds).

    Runs and checks compute in it too, unless they ask for what only worker processes have. The parsers of all
    commands, which take 40 ms, are made once.
    """
    made_once = functools.cache(typer.main.get_command)

    def run(*arguments):
        arguments = tuple(map(str, arguments))
        if {"run", "tune", "check"} & set(arguments[:2]) and not ISOLATED & set(arguments):
            arguments = (*arguments, "--in-process")
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            patch.setattr(sys, "argv", ["hashbench", *arguments])
            patch.setattr(typer.main, "get_command", made_once)
            try:
                main()
                code = 0
            except SystemExit as end:
                code = end.code or 0
        return Finished(code, out.getvalue(), err.getvalue())

    return run


@pytest.fixture(scope="session")
def cifar_jpeg():
    """Return the directory of the JPEG copy of CIFAR-10, or skip where it is not."""
    if not (CIFAR_JPEG / "train-00000-of-00001.parquet").is_file():
        pytest.skip(f"needs CIFAR-10 as parquet files in {CIFAR_JPEG}")
    return CIFAR_JPEG


@pytest.fixture(scope="session")
def tiny_coco():
    """Return the directory of 100 images of MS-COCO 2017 with their annotations, or skip where it is not."""
    if not (TINY_COCO / "annotations" / "instances_val2017.json").is_file():
        pytest.skip(f"needs 100 images of MS-COCO 2017 with their annotations in {TINY_COCO}")
    return TINY_COCO


@pytest.fixture(scope="session")
def nuswide_lists():
    """Return the directory of NUS-WIDE's published split lists, without images, or skip where it is not."""
    if not (NUSWIDE_LISTS / "test.txt").is_file():
        pytest.skip(f"needs NUS-WIDE's split lists test.txt and train.txt in {NUSWIDE_LISTS}")
    return NUSWIDE_LISTS


@pytest.fixture(scope="session")
def data():
    """Return 1,200 rows of 24 features in six clusters, off the origin and of unequal variance."""
    rng = np.random.default_rng(1)
    centres = 3 * rng.standard_normal((6, 24)) + 2
    X = centres[rng.integers(6, size=1200)] + rng.standard_normal((1200, 24)) * np.linspace(0.5, 2, 24)
    return X.astype(np.float32)


@pytest.fixture(scope="session")
def digits():
    """Return the digits data set."""
    return load_dataset("digits")


@pytest.fixture(scope="session")
def kept(tmp_path_factory, cli):
    """Return a run's directory and how it ended: two methods, 12 bits, models kept."""
    out = tmp_path_factory.mktemp("kept")
    done = cli("run", "--methods", "itq[n_iter=5],lsh", "--bits", 12, "--out", out, "--save-models")
    assert done.returncode == 0, done.stderr
    return out, done


@pytest.fixture(scope="session")
def model(kept):
    """Return the file of the run's ITQ."""
    out, _ = kept
    (record,) = (record for record in Store(out) if record.config["method"] == "itq")
    return Store(out).model_path(record)


@pytest.fixture(scope="session")
def folder(tmp_path_factory, digits):
    """Return a folder of thirty digits as PNG files, some in a folder below it, among files of other kinds."""
    folder = tmp_path_factory.mktemp("digits")
    (folder / "below").mkdir()
    (folder / ".hidden").mkdir()
    for row in range(30):
        place = folder / "below" if row % 3 == 0 else folder
        Image.fromarray(digits.images[row, ..., 0]).save(place / f"{row:02}.PNG")
    (folder / "notes.txt").write_text("not an image")
    (folder / ".hidden" / "thumbnail.png").write_text("not an image either")
    return folder


PHOTOS = """
import numpy as np
from hashbench import HashDataset, Items, Protocol, Split
from hashbench.data.view_recipes import PHOTO_VIEWS
class Photos(HashDataset):
    protocols = (Protocol('photos/1', 'by hand', 10, 60, 60, ('mAP@all',)),)
    views, image_size = PHOTO_VIEWS, 32
    def read(self, options):
        return Items(images=np.load({file!r}), labels=np.arange(70) % 5)
    def split(self, items, protocol):
        return Split(np.arange(10, 70), np.arange(10), np.arange(10, 70))
"""


@pytest.fixture(scope="session")
def photos_plugin(tmp_path_factory):
    """Return the file of a data set of 70 smooth colour images that lie beside it in images.npy."""
    folder = tmp_path_factory.mktemp("photos")
    coarse = np.random.default_rng(0).integers(0, 256, (70, 5, 4, 3), dtype=np.uint8)
    np.save(
        folder / "images.npy",
        np.stack([np.asarray(Image.fromarray(image).resize((32, 40), Image.BICUBIC)) for image in coarse]),
    )
    (folder / "photos.py").write_text(PHOTOS.format(file=str(folder / "images.npy")))
    return folder / "photos.py"


def one_clear_line(process, *words):
    """Assert that a command ended with exit code 2 and one line that holds all the words."""
    assert process.returncode == 2, process.stderr
    lines = [line for line in process.stderr.splitlines() if line.startswith("hashbench: ")]
    assert len(lines) == 1, process.stderr
    assert "Traceback" not in process.stderr
    for word in words:
        assert word in lines[0], lines[0]
