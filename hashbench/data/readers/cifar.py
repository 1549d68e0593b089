"""Reads CIFAR-10 and CIFAR-100 from the publisher's pickled batches, parquet copies or class folders."""

from __future__ import annotations

import hashlib
import io
import pickle
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from hashbench.data.images import ImageFiles
from hashbench.data.items import Items
from hashbench.data.options import LoadOptions
from hashbench.data.readers.publisher_files import are_official, data_directory
from hashbench.errors import InputError

HUB_FOLDERS = ("plain_text", "cifar10", "cifar100")
"""Folders of the parquet files in the hub's copies of the data sets."""
PARTS = ("train", "test")
SIZE = (32, 32)
MAX_BATCH = 256 * 2**20
"""Bytes that a batch may have; the largest, CIFAR-100's training set, has 155 million."""

_RECONSTRUCT = np.empty(0).__reduce__()[0]
ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


class ArraysOnly(pickle.Unpickler):
    """Unpickles the official batches and nothing else: it knows no callable but numpy's array builders."""

    def find_class(self, module: str, name: str) -> object:
        """Return one of the names that numpy's pickles need, under its old or new module."""
        if (module, name) in ALLOWED:
            return ALLOWED[module, name]
        raise pickle.UnpicklingError(f"{module}.{name} is not allowed in a CIFAR batch")


@dataclass(frozen=True)
class CifarFiles:
    """What the files of one CIFAR data set are called, and what they hold.

    Attributes
    ----------
    title : str
        Such as ``CIFAR-10``.
    archive, folder : str
        The publisher's archive, and the folder in it.
    md5 : dict from str to str
        The publisher's MD5 sum of each batch. The last batch is the test part.
    classes : sequence of str
        Their names in the order of their numbers.
    label : str
        The column of labels in parquet copies; batches use the plural.
    sizes : dict from str to int
        How many images the parts ``train`` and ``test`` have.
    """

    title: str
    archive: str
    folder: str
    md5: Mapping[str, str]
    classes: Sequence[str]
    label: str = "label"
    sizes: Mapping[str, int] = field(default_factory=lambda: {"train": 50_000, "test": 10_000})

    @property
    def needs(self) -> str:
        """What the user must bring."""
        return (
            f"--data-dir DIR with {self.archive}, its folder {self.folder}, {{train,test}}-*.parquet (columns img or "
            f"image, and {self.label}) or class folders train/<class>/* and test/<class>/*; or --download"
        )

    def download(self, directory: str) -> None:
        """Fetch the publisher's archive into a directory; torchvision checks its MD5 sum."""
        from torchvision import datasets

        getattr(datasets, self.title.replace("-", ""))(directory, download=True)


def read_cifar(files: CifarFiles, name: str, options: LoadOptions) -> Items:
    """Read whichever layout is in the data directory, the publisher's files before copies.

    Parameters
    ----------
    files : CifarFiles
    name : str
        The data set's.
    options : LoadOptions

    Returns
    -------
    Items
        With the parts ``train`` and ``test``, in this order.

    Raises
    ------
    InputError
        The directory has none of the layouts, or a file in it is missing, damaged or not of this data set.
    """
    directory = data_directory(options, name, files.needs, files.download)
    where, batches = _batches_in(directory, files)
    sums = {batch: hashlib.md5(content, usedforsecurity=False).hexdigest() for batch, content in batches.items()}
    official = bool(batches) and are_official(sums, files.md5, where)
    images, labels = _images_and_labels(where, batches, files)
    train, test = np.split(np.arange(len(images)), [len(images) - len(labels[-1])])
    if not options.skip_broken:
        _check_counts({"train": len(train), "test": len(test)}, files.sizes, directory)
    return Items(
        images=images,
        labels=np.concatenate(labels),
        label_names=files.classes,
        parts={"train": train, "test": test},
        provenance="official" if official else "copy (not the publisher's files)",
    )


def read_cifar_set(files: CifarFiles, name: str, options: LoadOptions) -> Items:
    """Read a data set of two batches as a set: the order of the images does not count, so no file has a checksum.

    Parameters and errors are those of `read_cifar`.

    Returns
    -------
    Items
        With the parts ``train`` and ``test``; `HashDataset.set_sha256` decides whether they are official.

    Raises
    ------
    InputError
        Also where a class has not as many images as every other one.
    """
    directory = data_directory(options, name, files.needs, files.download)
    images, labels = _images_and_labels(*_batches_in(directory, files), files)
    if not options.skip_broken:
        by_part = dict(zip(PARTS, labels, strict=True))
        _check_counts({part: len(numbers) for part, numbers in by_part.items()}, files.sizes, directory)
        _check_classes(by_part, files, directory)
    train, test = np.split(np.arange(len(images)), [len(labels[0])])
    return Items(
        images=images, labels=np.concatenate(labels), label_names=files.classes, parts={"train": train, "test": test}
    )


def _images_and_labels(
    where: Path, batches: Mapping[str, bytes], files: CifarFiles
) -> tuple[np.ndarray | ImageFiles, list[np.ndarray]]:
    """Return all images, and the labels of each batch; without batches, of each part of the copy in a directory."""
    if batches:
        parsed = [_parsed(batches[batch], f"{where}: {batch}", files) for batch in files.md5]
        return np.concatenate([images for images, _ in parsed]), [labels for _, labels in parsed]
    copies = _read_copies(where, files)
    return _joined([images for images, _ in copies]), [labels for _, labels in copies]


def _batches_in(directory: Path, files: CifarFiles) -> tuple[Path, dict[str, bytes]]:
    """Return the publisher's batches and their folder or archive; the directory and no batches if it has neither."""
    folder, archive = directory / files.folder, directory / files.archive
    whole = (path for path in (folder, directory) if all((path / name).is_file() for name in files.md5))
    found = next(whole, None) or (folder if folder.is_dir() else None) or (archive if archive.is_file() else None)
    return (directory, {}) if found is None else (found, _read_batches(found, files))


def _read_batches(where: Path, files: CifarFiles) -> dict[str, bytes]:
    batches = _from_folder(where, files.md5) if where.is_dir() else _from_archive(where, files)
    missing = [name for name in files.md5 if name not in batches]
    if missing:
        raise InputError(f"{where} lacks {', '.join(missing)}; fetch it again")
    return batches


def _from_folder(folder: Path, names: Mapping[str, str]) -> dict[str, bytes]:
    batches = {}
    for file in (folder / name for name in names if (folder / name).is_file()):
        _bound(file.stat().st_size, str(file))
        try:
            batches[file.name] = file.read_bytes()
        except OSError as error:
            raise InputError(f"{file} cannot be read ({error.strerror})") from error
    return batches


def _from_archive(archive: Path, files: CifarFiles) -> dict[str, bytes]:
    """Read batches in memory; nothing is unpacked to disk."""
    batches = {}
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                *above, name = PurePosixPath(member.name).parts or ("",)
                if member.isfile() and name in files.md5 and above[-1:] == [files.folder]:
                    _bound(member.size, f"{archive}: {name}")
                    batches[name] = tar.extractfile(member).read()  # type: ignore[union-attr]
    except (OSError, EOFError, tarfile.TarError) as error:
        raise InputError(f"{archive} is not a readable archive ({error}); fetch it again") from error
    return batches


def _bound(size: int, where: str) -> None:
    if size > MAX_BATCH:
        raise InputError(f"{where} has {size:,} bytes, more than any CIFAR batch; fetch it again")


def _parsed(content: bytes, where: str, files: CifarFiles) -> tuple[np.ndarray, np.ndarray]:
    """Return a batch's images, (n, 32, 32, 3) uint8, and labels, (n,) int64."""
    label_key = f"{files.label}s"
    try:
        batch = ArraysOnly(io.BytesIO(content), encoding="latin1").load()
        images, labels = np.asarray(batch["data"]), np.asarray(batch[label_key])
        if images.dtype != np.uint8 or images.shape != (len(labels), 3 * SIZE[0] * SIZE[1]):
            raise ValueError(f"its data are {images.dtype} of shape {images.shape}, with {len(labels)} labels")
        if labels.dtype.kind not in "iu" or labels.shape != (len(images),):
            raise ValueError(f"its {label_key} are {labels.dtype} of shape {labels.shape}")
    except Exception as error:  # a damaged pickle can raise any error
        reason = f"it has no {error}" if isinstance(error, KeyError) else str(error) or type(error).__name__
        raise InputError(f"{where} is not a CIFAR batch with {label_key} ({reason}); fetch it again") from error
    _check_labels(labels, files, where)
    return images.reshape(-1, 3, *SIZE).transpose(0, 2, 3, 1), labels.astype(np.int64)


def _read_copies(directory: Path, files: CifarFiles) -> list[tuple[ImageFiles, np.ndarray]]:
    """Return images and labels of the parts train and test, of parquet files or class folders, without decoding."""
    folders = (directory, *(directory / name for name in HUB_FOLDERS))
    hub = next((folder for folder in folders if any(folder.glob("train-*.parquet"))), None)
    if hub is not None:
        return [_read_parquet(hub, part, files) for part in PARTS]
    if all((directory / part).is_dir() for part in PARTS):
        return [_read_class_folders(directory / part, files.classes) for part in PARTS]
    raise InputError(f"{directory} holds no {files.title} that hashbench knows; give {files.needs}")


def _read_parquet(directory: Path, part: str, files: CifarFiles) -> tuple[ImageFiles, np.ndarray]:
    """Return images and labels of the files ``<part>-*.parquet``, laid out as the Hugging Face copies are."""
    import pyarrow
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    parquet_files = sorted(directory.glob(f"{part}-*.parquet"))
    if not parquet_files:
        raise InputError(f"{directory} has no {part}-*.parquet beside its other part")
    sources: list[Path | bytes] = []
    shown_as: list[str] = []
    labels = []
    for file in parquet_files:
        try:
            with pq.ParquetFile(file) as parquet:
                names = parquet.schema_arrow.names
                column = next((name for name in ("img", "image") if name in names), None)
                if column is None or files.label not in names:
                    raise InputError(f"{file} has columns {names}, expected img and {files.label}")
                _check_columns(parquet.schema_arrow, column, files.label, file)
                table = parquet.read([column, files.label])
            encoded = pc.struct_field(table[column], "bytes").to_pylist()
            unlabelled = table[files.label].is_null().to_numpy()
            if unlabelled.any():
                raise InputError(f"{file}: row {unlabelled.argmax()} of {files.label} is empty; fetch it again")
            numbers = table[files.label].to_numpy().astype(np.int64)
        except (OSError, ValueError, pyarrow.ArrowException) as error:
            raise InputError(f"{file} is not a readable parquet file ({error}); fetch it again") from error
        if None in encoded:
            raise InputError(f"{file}: row {encoded.index(None)} holds no image; fetch it again")
        _check_labels(numbers, files, str(file))
        sources += encoded
        shown_as += [f"{file}: row {row}" for row in range(len(encoded))]
        labels.append(numbers)
    return ImageFiles(sources, shown_as, SIZE), np.concatenate(labels)


def _check_columns(schema: Any, column: str, label_column: str, file: Path) -> None:
    """Raise unless images are encoded bytes in a struct, and labels whole numbers."""
    import pyarrow as pa

    kind, labels = schema.field(column).type, schema.field(label_column).type
    content = kind.field("bytes").type if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0 else None
    if content is None or not (pa.types.is_binary(content) or pa.types.is_large_binary(content)):
        raise InputError(f"{file}: the column {column} is {kind}, expected a struct whose field bytes is binary")
    if not pa.types.is_integer(labels):
        raise InputError(f"{file}: the column {label_column} is {labels}, expected whole numbers")


def _read_class_folders(folder: Path, classes: Sequence[str]) -> tuple[ImageFiles, np.ndarray]:
    """List ``<class>/<image>`` files: classes in the official order, files in name order, hidden ones passed over."""
    names = {path.name for path in folder.iterdir() if path.is_dir()}
    if names != set(classes):
        lacks, other = sorted(set(classes) - names), sorted(names - set(classes))
        wrong = [*(f"no {name}" for name in lacks[:3]), *(f"an unknown {name}" for name in other[:3])]
        raise InputError(f"{folder} is to have the {len(classes)} class folders and has {', '.join(wrong)}")
    images: list[Path | bytes] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        inside = sorted(path for path in (folder / name).iterdir() if not path.is_dir() and path.name[0] != ".")
        images += inside
        labels += [label] * len(inside)
    return ImageFiles(images, [str(image) for image in images], SIZE), np.asarray(labels, np.int64)


def _joined(parts: Sequence[ImageFiles]) -> ImageFiles:
    """Return the images of several parts, one part after the other."""
    sources, shown_as = ([one for part in parts for one in getattr(part, name)] for name in ("sources", "shown_as"))
    return ImageFiles(sources, shown_as, SIZE)


def _check_counts(counts: Mapping[str, int], expected: Mapping[str, int], where: Path) -> None:
    """Raise if a part has another number of images than the publisher's."""
    wrong = [part for part in expected if counts[part] != expected[part]]
    if not wrong:
        return
    swapped = (counts["train"], counts["test"]) == (expected["test"], expected["train"])
    counted = " and ".join(f"the {part} part {counts[part]:,} images, expected {expected[part]:,}" for part in wrong)
    way_out = "its train and test files seem to be swapped" if swapped else "fetch it again"
    raise InputError(f"{where} is not whole: {counted}; {way_out}")


def _check_classes(by_part: Mapping[str, np.ndarray], files: CifarFiles, where: Path) -> None:
    """Raise if a class of a part has another number of images than the publisher's, which is the same for all."""
    for part, labels in by_part.items():
        expected = files.sizes[part] // len(files.classes)
        counts = np.bincount(labels, minlength=len(files.classes))
        wrong = np.flatnonzero(counts != expected)
        if len(wrong):
            first = files.classes[wrong[0]]
            raise InputError(
                f"{where}: the {part} part has {counts[wrong[0]]} images of {first}, expected {expected}, and "
                f"{len(wrong)} of {len(counts)} classes have another number: images are missing or there twice, or the "
                f"labels are not those of {files.title}; fetch it again"
            )


def _check_labels(labels: np.ndarray, files: CifarFiles, where: str) -> None:
    """Raise if a label is not the number of a class, or there is none."""
    if len(labels) == 0:
        raise InputError(f"{where} holds no images; fetch it again")
    largest = len(files.classes) - 1
    if labels.min() < 0 or labels.max() > largest:
        raise InputError(
            f"{where}: labels run from {labels.min()} to {labels.max()}, expected 0 to {largest}; is it "
            "the right data set?"
        )
