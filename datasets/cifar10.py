"""CIFAR-10: 60,000 images of 32 × 32 pixels in ten classes."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar

import numpy as np

from hashbench.cifar_files import parse_batch, read_batches
from hashbench.dataset import PHOTO_VIEWS, HashDataset, Items, LoadOptions
from hashbench.errors import InputError
from hashbench.protocol import Protocol
from hashbench.splits import Split, draw_per_class

ARCHIVE = "cifar-10-python.tar.gz"
FOLDER = "cifar-10-batches-py"
# MD5 sums that torchvision states for the publisher's files.
BATCH_MD5 = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}
CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]

Part = tuple[np.ndarray, np.ndarray]


class CIFAR10(HashDataset):
    """CIFAR-10: 60,000 colour images of 32 × 32 pixels in ten classes."""

    protocols: ClassVar[tuple[Protocol, ...]] = (
        Protocol(
            name="cifar10-cibhash/1",
            split="database: the official 50,000 training images; training set: 500 per class of it, classes "
            "ascending, each the first 500 of a permutation of its items by numpy.random.default_rng(0); "
            "queries: the official 10,000 test images",
            n_query=10_000,
            n_database=50_000,
            n_train=5_000,
            metrics=("mAP@1000", "mAP@all", "P@100", "P@1000"),
            seed=0,
            draw={"training_per_class": 500},
            checksum="75d40542d94cec1668b9565d2bca25a8a00fd30703bdbb197b7140f01d794fab",
            split_checksum="0deb39a900f29d4b6e9df7b31a578d3e5cc713ea56a28a0673b4b6c2b921b8e2",
        ),
        Protocol(
            name="cifar10-1k/1",
            split="all 60,000 images, training images before test images: queries: 100 per class, classes ascending, "
            "each the first 100 of a permutation of its items by numpy.random.default_rng(0); database: the other "
            "59,000; training set: 500 per class of the database, drawn likewise by numpy.random.default_rng(1)",
            n_query=1_000,
            n_database=59_000,
            n_train=5_000,
            metrics=("mAP@1000", "mAP@all", "P@100", "P@1000"),
            seed=0,
            draw={"queries_per_class": 100, "training_per_class": 500},
            checksum="abe9fe4d7829c4e750ec7cb388179680bbeee84bfc2d88d2233a09c783a1b710",
            split_checksum="b0ffd68ff1214c7add027b400e123d1b4266a1558c7238701f88aaf1ec1e9f9f",
        ),
    )
    source = "Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009"
    licence = "none stated by the publisher; research use is customary"
    views = PHOTO_VIEWS
    image_size = 128
    needs = (
        f"--data-dir DIR with {ARCHIVE}, its folder {FOLDER}, {{train,test}}-*.parquet (columns img or image, "
        "and label) or class folders train/<class>/* and test/<class>/*; or --download"
    )

    def read(self, options: LoadOptions) -> Items:
        """Read whichever layout lies in the data directory, official files before copies."""
        directory = self._directory(options)
        found = read_batches(directory, ARCHIVE, FOLDER, BATCH_MD5)
        if found is not None:
            batches, official, where = found
            train, test = _arrays(batches, where)
        elif sorted(directory.glob("train-*.parquet")):
            (train, test), official = (_read_parquet(directory, "train"), _read_parquet(directory, "test")), False
        elif (directory / "train").is_dir() and (directory / "test").is_dir():
            (train, test), official = (_read_images(directory / "train"), _read_images(directory / "test")), False
        else:
            raise InputError(f"{directory} holds no CIFAR-10 that hashbench knows; give {self.needs}")
        n_train = len(train[1])
        labels = np.concatenate([train[1], test[1]])
        return Items(
            images=np.concatenate([train[0], test[0]]),
            labels=labels,
            label_names=CLASSES,
            parts={"train": np.arange(n_train), "test": np.arange(n_train, len(labels))},
            provenance="official" if official else "copy (not the publisher's files)",
        )

    def split(self, items: Items, protocol: Protocol) -> Split:
        """Take the official parts, or draw queries out of all images."""
        labels, per_class = items.labels, int(protocol.draw["training_per_class"])
        assert labels is not None
        if "queries_per_class" not in protocol.draw:
            database = items.parts["train"]
            return Split(draw_per_class(labels, per_class, 0, among=database), items.parts["test"], database)
        query = draw_per_class(labels, int(protocol.draw["queries_per_class"]), 0)
        database = np.setdiff1d(np.arange(len(labels)), query)
        return Split(draw_per_class(labels, per_class, 1, among=database), query, database)

    def _directory(self, options: LoadOptions) -> Path:
        """Return the data directory, downloading into it where that is asked for."""
        directory = options.data_dir
        if options.download:
            from torchvision.datasets import CIFAR10 as Download

            directory = directory or (options.cache_dir or Path()) / "downloads" / self.name
            try:
                Download(str(directory), train=True, download=True)
            except (OSError, RuntimeError) as error:
                raise InputError(f"CIFAR-10 cannot be downloaded ({error}); give --data-dir DIR") from error
        if directory is None:
            raise InputError(f"cifar10 needs its files: give {self.needs}")
        if not directory.is_dir():
            raise InputError(f"--data-dir {directory} is not a directory; give {self.needs}")
        return directory


def _arrays(batches: dict[str, bytes], where: Path) -> tuple[Part, Part]:
    """Return the training set, its five batches one after the other, and the test set."""
    parts = {name: parse_batch(batches[name], f"{where}: {name}", "labels", 10) for name in BATCH_MD5}
    test = parts.pop("test_batch")
    return tuple(np.concatenate(column) for column in zip(*parts.values(), strict=True)), test  # type: ignore[return-value]


def _decode(source: bytes | Path, where: str) -> np.ndarray:
    from PIL import Image, UnidentifiedImageError

    try:
        image = Image.open(io.BytesIO(source) if isinstance(source, bytes) else source)
        pixels = np.asarray(image.convert("RGB"))
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise InputError(f"{where} is not a readable image ({error})") from error
    if pixels.shape != (32, 32, 3):
        raise InputError(f"{where} has {pixels.shape[1]} × {pixels.shape[0]} pixels, CIFAR-10's have 32 × 32")
    return pixels


def _decode_all(sources: list, places: list[str]) -> np.ndarray:
    with ThreadPoolExecutor() as pool:
        return np.stack(list(pool.map(_decode, sources, places, chunksize=256)))


def _read_parquet(directory: Path, part: str) -> Part:
    """Read the files of one part in the layout of the Hugging Face copies."""
    import pyarrow
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    files = sorted(directory.glob(f"{part}-*.parquet"))
    if not files:
        raise InputError(f"{directory} has no {part}-*.parquet beside its other part")
    images, labels = [], []
    for file in files:
        try:
            with pq.ParquetFile(file) as parquet:
                column = next((name for name in ("img", "image") if name in parquet.schema_arrow.names), None)
                if column is None or "label" not in parquet.schema_arrow.names:
                    raise InputError(f"{file} has columns {parquet.schema_arrow.names}, expected img and label")
                table = parquet.read([column, "label"])
            encoded = pc.struct_field(table[column], "bytes").to_pylist()
            numbers = table["label"].to_numpy().astype(np.int64)
        except (OSError, ValueError, pyarrow.ArrowException) as error:
            raise InputError(f"{file} is not a readable parquet file ({error}); fetch it again") from error
        if None in encoded:
            raise InputError(f"{file}: row {encoded.index(None)} holds no image; fetch it again")
        images.append(_decode_all(encoded, [f"{file}: row {row}" for row in range(len(encoded))]))
        labels.append(numbers)
    joined = np.concatenate(labels)
    if joined.min() < 0 or joined.max() > 9:
        raise InputError(f"{directory}: {part} labels run from {joined.min()} to {joined.max()}, expected 0 to 9")
    return np.concatenate(images), joined


def _read_images(folder: Path) -> Part:
    """Read ``<class>/<image>`` files; classes are numbered in the official order, files in name order."""
    names = {path.name for path in folder.iterdir() if path.is_dir()}
    if names != set(CLASSES):
        raise InputError(f"{folder} has the class folders {sorted(names)}, expected {sorted(CLASSES)}")
    paths, labels = [], []
    for label, name in enumerate(CLASSES):
        found = sorted(path for path in (folder / name).iterdir() if path.is_file())
        paths += found
        labels += [label] * len(found)
    return _decode_all(paths, [str(path) for path in paths]), np.asarray(labels, np.int64)
