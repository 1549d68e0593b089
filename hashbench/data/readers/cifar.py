"""Reads the files of the CIFAR data sets: the publisher's pickled batches, parquet copies, class folders."""

from __future__ import annotations

import hashlib
import io
import pickle
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from hashbench.data.images import ImageFiles
from hashbench.data.readers.publisher_files import are_official
from hashbench.errors import InputError

HUB_FOLDERS = ("plain_text", "cifar10", "cifar100")
"""Where the hub keeps the parquet files of the data sets' copies."""
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


def read_batches(
    directory: Path, archive: str, folder: str, md5: Mapping[str, str]
) -> tuple[dict[str, bytes], bool, Path] | None:
    """Read the publisher's batches, from their archive in memory or from the folder in it.

    Parameters
    ----------
    directory : Path
        Holds the archive, its folder, or what is in that.
    archive, folder : str
        Their names.
    md5 : dict from str to str
        The publisher's MD5 sum of each batch.

    Returns
    -------
    batches : dict from str to bytes
    official : bool
        Whether all of them have the publisher's MD5 sums; where not, standard error says which differ.
    where : Path
        What was read.
        None in place of the three where the directory holds neither archive nor folder.

    Raises
    ------
    InputError
        A batch is missing or unreasonably large, or the archive is damaged.
    """
    inside = next((path for path in (directory / folder, directory) if all((path / n).is_file() for n in md5)), None)
    if inside is None and (directory / folder).is_dir():
        inside = directory / folder
    if inside is not None:
        where, batches = inside, _from_folder(inside, md5)
    elif (directory / archive).is_file():
        where, batches = directory / archive, _from_archive(directory / archive, folder, md5)
    else:
        return None
    missing = [name for name in md5 if name not in batches]
    if missing:
        raise InputError(f"{where} lacks {', '.join(missing)}; fetch it again")
    sums = {name: hashlib.md5(content, usedforsecurity=False).hexdigest() for name, content in batches.items()}
    return batches, are_official(sums, md5, where), where


def _from_folder(folder: Path, names: Mapping[str, str]) -> dict[str, bytes]:
    batches = {}
    for file in (folder / name for name in names if (folder / name).is_file()):
        _bound(file.stat().st_size, str(file))
        try:
            batches[file.name] = file.read_bytes()
        except OSError as error:
            raise InputError(f"{file} cannot be read ({error.strerror})") from error
    return batches


def _from_archive(archive: Path, folder: str, names: Mapping[str, str]) -> dict[str, bytes]:
    """Read batches in memory; nothing is unpacked to disk."""
    batches = {}
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                *above, name = PurePosixPath(member.name).parts or ("",)
                if member.isfile() and name in names and above[-1:] == [folder]:
                    _bound(member.size, f"{archive}: {name}")
                    batches[name] = tar.extractfile(member).read()  # type: ignore[union-attr]
    except (OSError, EOFError, tarfile.TarError) as error:
        raise InputError(f"{archive} is not a readable archive ({error}); fetch it again") from error
    return batches


def _bound(size: int, where: str) -> None:
    if size > MAX_BATCH:
        raise InputError(f"{where} has {size:,} bytes, more than any CIFAR batch; fetch it again")


def parse_batch(content: bytes, where: str, label_key: str, n_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return what a batch holds.

    Parameters
    ----------
    content : bytes
    where : str
        What a message calls the batch.
    label_key : str
        Such as ``fine_labels``.
    n_classes : int

    Returns
    -------
    images : ndarray of shape (n, 32, 32, 3), uint8
    labels : ndarray of shape (n,), int64

    Raises
    ------
    InputError
        The content is not a CIFAR batch with these labels.
    """
    try:
        batch = ArraysOnly(io.BytesIO(content), encoding="latin1").load()
        images, labels = np.asarray(batch["data"]), np.asarray(batch[label_key])
        if images.dtype != np.uint8 or images.shape != (len(labels), 3 * SIZE[0] * SIZE[1]):
            raise ValueError(f"its data are {images.dtype} of shape {images.shape}, with {len(labels)} labels")
        if labels.dtype.kind not in "iu" or labels.shape != (len(images),):
            raise ValueError(f"its {label_key} are {labels.dtype} of shape {labels.shape}")
    except Exception as error:  # a damaged pickle fails in its own way
        reason = f"it has no {error}" if isinstance(error, KeyError) else str(error) or type(error).__name__
        raise InputError(f"{where} is not a CIFAR batch with {label_key} ({reason}); fetch it again") from error
    check_labels(labels, n_classes, where)
    return images.reshape(-1, 3, *SIZE).transpose(0, 2, 3, 1), labels.astype(np.int64)


def parquet_folder(directory: Path) -> Path | None:
    """Return the folder of the Hugging Face copy's files: the directory, or the folder in it that the hub has."""
    folders = (directory, *(directory / name for name in HUB_FOLDERS))
    return next((folder for folder in folders if any(folder.glob("train-*.parquet"))), None)


def read_parquet(directory: Path, part: str, label_column: str, n_classes: int) -> tuple[ImageFiles, np.ndarray]:
    """Read a part's files in the layout of the Hugging Face copies, ``<part>-*.parquet``, without decoding.

    Parameters
    ----------
    directory : Path
    part : str
    label_column : str
        The images' column is ``img`` or ``image``.
    n_classes : int

    Returns
    -------
    images : ImageFiles
    labels : ndarray of shape (n,), int64

    Raises
    ------
    InputError
        No file matches; or a file cannot be read, its columns have other names or types, or an image or a label is
        missing.
    """
    import pyarrow
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    files = sorted(directory.glob(f"{part}-*.parquet"))
    if not files:
        raise InputError(f"{directory} has no {part}-*.parquet beside its other part")
    sources: list[Path | bytes] = []
    shown_as: list[str] = []
    labels = []
    for file in files:
        try:
            with pq.ParquetFile(file) as parquet:
                names = parquet.schema_arrow.names
                column = next((name for name in ("img", "image") if name in names), None)
                if column is None or label_column not in names:
                    raise InputError(f"{file} has columns {names}, expected img and {label_column}")
                _check_columns(parquet.schema_arrow, column, label_column, file)
                table = parquet.read([column, label_column])
            encoded = pc.struct_field(table[column], "bytes").to_pylist()
            unlabelled = table[label_column].is_null().to_numpy()
            if unlabelled.any():
                raise InputError(f"{file}: row {unlabelled.argmax()} of {label_column} is empty; fetch it again")
            numbers = table[label_column].to_numpy().astype(np.int64)
        except (OSError, ValueError, pyarrow.ArrowException) as error:
            raise InputError(f"{file} is not a readable parquet file ({error}); fetch it again") from error
        if None in encoded:
            raise InputError(f"{file}: row {encoded.index(None)} holds no image; fetch it again")
        check_labels(numbers, n_classes, str(file))
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


def read_class_folders(folder: Path, classes: Sequence[str]) -> tuple[ImageFiles, np.ndarray]:
    """List ``<class>/<image>`` files: classes in the official order, files in name order, hidden ones passed over.

    Returns
    -------
    images : ImageFiles
    labels : ndarray of shape (n,), int64

    Raises
    ------
    InputError
        The class folders are not the expected ones.
    """
    names = {path.name for path in folder.iterdir() if path.is_dir()}
    if names != set(classes):
        lacks, other = sorted(set(classes) - names), sorted(names - set(classes))
        wrong = [*(f"no {name}" for name in lacks[:3]), *(f"an unknown {name}" for name in other[:3])]
        raise InputError(f"{folder} is to have the {len(classes)} class folders and has {', '.join(wrong)}")
    files: list[Path | bytes] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        inside = sorted(path for path in (folder / name).iterdir() if not path.is_dir() and path.name[0] != ".")
        files += inside
        labels += [label] * len(inside)
    return ImageFiles(files, [str(file) for file in files], SIZE), np.asarray(labels, np.int64)


def joined(parts: Sequence[ImageFiles]) -> ImageFiles:
    """Return the images of several parts, one part after the other."""
    sources, shown_as = ([one for part in parts for one in getattr(part, name)] for name in ("sources", "shown_as"))
    return ImageFiles(sources, shown_as, SIZE)


def check_counts(counts: Mapping[str, int], expected: Mapping[str, int], where: Path) -> None:
    """Raise if a part has another number of images than the publisher's.

    Parameters
    ----------
    counts, expected : dict from str to int
        Numbers of images by the parts' names, train and test.
    where : Path
        The data's directory.

    Raises
    ------
    InputError
        A part has too few or too many images.
    """
    wrong = [part for part in expected if counts[part] != expected[part]]
    if not wrong:
        return
    swapped = (counts["train"], counts["test"]) == (expected["test"], expected["train"])
    counted = " and ".join(f"the {part} part {counts[part]:,} images, expected {expected[part]:,}" for part in wrong)
    way_out = "its train and test files seem to be swapped" if swapped else "fetch it again"
    raise InputError(f"{where} is not whole: {counted}; {way_out}")


def check_labels(labels: np.ndarray, n_classes: int, where: str) -> None:
    """Raise if a label is not one of 0..n_classes − 1, or there is none.

    Raises
    ------
    InputError
        ``labels`` is empty, or a label is outside 0..n_classes − 1.
    """
    if len(labels) == 0:
        raise InputError(f"{where} holds no images; fetch it again")
    if labels.min() < 0 or labels.max() >= n_classes:
        raise InputError(
            f"{where}: labels run from {labels.min()} to {labels.max()}, expected 0 to {n_classes - 1}; is it the "
            "right data set?"
        )
