"""Images per second of preparing data: the ways to decode, the whole of it, and opening what was prepared.

Run with ``python benchmarks/prepare.py CIFAR PHOTOS``: a folder with CIFAR-10 as parquet files, and one with photos
(JPEG files in it or below it). Rates are given by the clock, best and median of several rounds in turns, and by
processor time, which other work on the machine disturbs less.
"""

import io
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from PIL import Image

from hashbench import load_dataset
from hashbench.data import decoding
from hashbench.data.decoding import decode
from hashbench.data.images import EncodedImages
from hashbench.data.options import LoadOptions
from hashbench.data.prepared.entries import remove
from hashbench.data.prepared.make_entry import prepare
from hashbench.files.cores import n_cores
from hashbench.plugins.registry import Registry

ROUNDS = 5
BLOCK = 256


def pillow(content):
    """Decode as the papers' loaders do."""
    with Image.open(io.BytesIO(content)) as image:
        return np.array(image.convert("RGB"))


def decode_with_pillow(contents):
    """Decode a block by Pillow."""
    return [pillow(content) for content in contents]


def decode_as_prepared(contents):
    """Decode a block as hashbench does: torchvision where its pixels are Pillow's, after a look at the header."""
    return [decode(content, "") for content in contents]


def report(name, jobs, n):
    """Run jobs in turns and print their rates."""
    for job in jobs.values():
        job()
    clock, processor = ({label: [] for label in jobs} for _ in range(2))
    for _ in range(ROUNDS):
        for label, job in jobs.items():
            started = time.perf_counter(), time.process_time()
            job()
            clock[label].append(n / (time.perf_counter() - started[0]))
            processor[label].append(n / (time.process_time() - started[1]))
    for label in jobs:
        best, median, own = max(clock[label]), np.median(clock[label]), np.median(processor[label])
        print(f"{name:8} {label:32} best {best:9,.0f}/s  median {median:9,.0f}/s  by processor time {own:9,.0f}/s")


def compare_decoders(name, contents, block):
    """Time the ways to decode the same images, and count the images of which the pixels are Pillow's."""
    blocks = [contents[start : start + block] for start in range(0, len(contents), block)]
    same = sum(np.array_equal(decode(content, ""), pillow(content)) for content in contents)
    torchvision = decoding._torchvision_jpeg() is not None
    print(f"{name:8} {same:,} of {len(contents):,} images as Pillow gives them; torchvision is used: {torchvision}")
    threads = ThreadPoolExecutor(n_cores())
    with threads, ProcessPoolExecutor(n_cores(), get_context("forkserver")) as processes:
        jobs = {
            "Pillow, one thread": lambda: [decode_with_pillow(some) for some in blocks],
            "Pillow, threads": lambda: list(threads.map(decode_with_pillow, blocks)),
            "Pillow, processes (pixels sent)": lambda: list(processes.map(decode_with_pillow, blocks)),
            "hashbench, one thread": lambda: [decode_as_prepared(some) for some in blocks],
            "hashbench, threads": lambda: list(threads.map(decode_as_prepared, blocks)),
        }
        report(name, jobs, len(contents))


def prepare_cifar(directory):
    """Time reading, decoding, writing and hashing of CIFAR-10, and opening it."""
    loader = Registry().find("datasets", "cifar10").load()()
    with tempfile.TemporaryDirectory() as folder:
        options = LoadOptions(directory, Path(folder))

        def make():
            if (Path(folder) / "datasets").is_dir():
                remove(Path(folder), "cifar10")
            prepare(loader, options)

        report("cifar10", {"prepare, all of it": make}, 60_000)
        load = {"load_dataset": lambda: load_dataset("cifar10", data_dir=directory, cache_dir=folder)}
        report("cifar10", load, 1)


def main():
    """Print a line per way."""
    import pyarrow.parquet as pq

    cifar, photos = map(Path, sys.argv[1:3])
    table = pq.read_table(next(cifar.glob("train-*.parquet")), columns=["img"])
    compare_decoders("cifar10", [row["bytes"] for row in table["img"].slice(0, 20_000).to_pylist()], BLOCK)
    contents = [file.read_bytes() for file in sorted(photos.rglob("*.jpg"))]
    compare_decoders("photos", contents, 4)
    offsets = np.concatenate([[0], np.cumsum([len(content) for content in contents])])
    kept = EncodedImages(np.frombuffer(b"".join(contents), np.uint8), offsets, np.zeros((len(contents), 2), np.int32))
    rows = np.arange(len(contents))
    report("photos", {"EncodedImages, 32 at once": lambda: [kept[rows[at : at + 32]] for at in rows[::32]]}, len(rows))
    prepare_cifar(cifar)


if __name__ == "__main__":
    main()
