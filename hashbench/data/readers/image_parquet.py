"""Images in columns of parquet or Arrow files, as the Hugging Face hub has them; read row group by row group."""

from __future__ import annotations

import bisect
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hashbench.data.images import SomeSources
from hashbench.data.readers.arrays.stored_array import readable
from hashbench.data.readers.labelled_images import Listing
from hashbench.data.readers.labels.cells import LabelColumn, parquet_labels
from hashbench.data.readers.labels.find_labels import label_column, passed_over
from hashbench.data.readers.parts import part_column, rows_of_column
from hashbench.errors import InputError

ARROW = ".arrow"
"""Suffix of the files of `datasets.Dataset.save_to_disk`."""
KEPT_BYTES = 2**28
"""Maximum bytes of images in memory; two row groups always stay."""


class ParquetImages(Sequence[bytes]):
    """The encoded images of a column, one file after the other; those of a few row groups are in memory.

    Parameters
    ----------
    column : str
    """

    def __init__(self, column: str) -> None:
        self.column = column
        self._groups: list[tuple[Path, int, int]] = []
        """File, number and first row in it of each row group."""
        self._ends: list[int] = []
        self._kept: OrderedDict[int, list[bytes | None]] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, file: Path, sizes: Sequence[int]) -> None:
        """Append a file whose row groups have these sizes."""
        first = 0
        for number, size in enumerate(sizes):
            self._groups.append((file, number, first))
            self._ends.append(len(self) + size)
            first += size

    def __len__(self) -> int:
        """Return the number of images."""
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, row: Any) -> Any:
        """Return the bytes of an image file.

        Raises
        ------
        InputError
            The cell is empty, or the file is damaged.
        """
        number = bisect.bisect_right(self._ends, row)
        file, _, first = self._groups[number]
        inside = row - (self._ends[number - 1] if number else 0)
        content = self._images(number)[inside]
        if content is None:
            raise InputError(f"{file}: row {first + inside} holds no image in its column {self.column}")
        return content

    def _images(self, number: int) -> list[bytes | None]:
        with self._lock:
            if number not in self._kept:
                self._kept[number] = self._read(number)
                while len(self._kept) > 2 and sum(map(_size, self._kept.values())) > KEPT_BYTES:
                    self._kept.popitem(last=False)
            return self._kept[number]

    def _read(self, number: int) -> list[bytes | None]:
        import pyarrow.compute as pc

        file, group, _ = self._groups[number]
        with _opened(file) as parquet:
            column = parquet.read_row_group(group, columns=[self.column])[self.column]
            return (pc.struct_field(column, "bytes") if _is_struct(column.type) else column).to_pylist()


def _size(images: list[bytes | None]) -> int:
    return sum(len(image) for image in images if image is not None)


def read_image_parquet(
    files: Sequence[Path], image: str | None = None, label: str | None = None, parts: Sequence[str] = ()
) -> Listing:
    """Return the images and labels of parquet files with the same columns.

    Parameters
    ----------
    files : sequence of Path
    image, label : str, optional
        The columns' names; by default the only column of images, and one of a usual name.
    parts : sequence of str
        Of each file; where none are given, a column may name the part of each row.

    Raises
    ------
    InputError
        A file is damaged, its columns differ from the first file's, or a word in its column of parts does not name a
        part.
    """
    with _opened(files[0]) as parquet:
        schema = parquet.schema_arrow
    image, label = image or _image_column(schema, files[0]), label or _label_column(schema, files[0])
    part = part_column((name for name in schema.names if name not in (image, label)), files[0])
    for name in (image, label):
        _refuse_missing(schema, name, files[0])
    others = [name for name in schema.names if name not in (image, label, part)]
    images = ParquetImages(image)
    table = Listing(images, read_as=f"columns {image} and {label}", passed_over=passed_over("columns", others))
    said: list[Any] = []
    for number, file in enumerate(files):
        with _opened(file) as parquet:
            _check_columns(parquet.schema_arrow, image, label, file)
            groups = _group_sizes(parquet)
            if sum(groups):
                table.labels.append(parquet_labels(parquet, label, file))
            said.extend(_words(parquet, part, file) if part and not parts else ())
        images.add(file, groups)
        table.parts.extend([parts[number]] * sum(groups) if parts else ())
        table.shown_as.extend(f"{file}: row {row}" for row in range(sum(groups)))
    if not table.labels:
        raise InputError(f"{files[0]} has no rows")
    return _by_column(table, part, said, files[0]) if part and said else table


def unlabelled_images(file: Path, image: str | None = None) -> Listing:
    """Return the images of a parquet file without their labels, which it may lack.

    Parameters
    ----------
    file : Path
    image : str, optional
        The column's name; by default the only column of images.

    Raises
    ------
    InputError
        The file is damaged, or it has no column of images, or several.
    """
    with _opened(file) as parquet:
        schema = parquet.schema_arrow
        groups = _group_sizes(parquet)
    image = image or _image_column(schema, file)
    _refuse_missing(schema, image, file)
    if not holds_images(schema.field(image).type):
        raise InputError(f"{file}: the column {image} is {schema.field(image).type}, expected images as bytes")
    images = ParquetImages(image)
    images.add(file, groups)
    if not len(images):
        raise InputError(f"{file} has no rows")
    return Listing(images, [f"{file}: row {row}" for row in range(len(images))])


def schema_of(file: Path) -> Any:
    """Return the Arrow schema of a parquet file.

    Raises
    ------
    InputError
        The file is damaged.
    """
    with _opened(file) as parquet:
        return parquet.schema_arrow


def _words(parquet: Any, column: str, file: Path) -> list[Any]:
    """Return the words of a column of parts, in the files' order."""
    import pyarrow as pa

    _refuse_missing(parquet.schema_arrow, column, file)
    words = parquet.read([column])[column]
    return (words.cast(pa.string()) if pa.types.is_dictionary(words.type) else words).to_pylist()


def _by_column(table: Listing, column: str, said: list[Any], file: Path) -> Listing:
    """Return the table with the parts that a column names, and without the rows that are of none that is used."""
    kept, parts, left_out = rows_of_column(said, str(file), first=0)
    if not parts:
        return table
    return replace(
        table,
        sources=SomeSources(table.sources, kept) if left_out else table.sources,
        shown_as=[table.shown_as[row] for row in kept],
        labels=_labels_of(table.labels, np.asarray(kept)),
        parts=parts,
        read_as=f"{table.read_as}, parts by {column},",
        passed_over=[*table.passed_over, *left_out],
    )


def _labels_of(columns: Sequence[LabelColumn], rows: np.ndarray) -> list[LabelColumn]:
    """Return the labels of some rows, given in ascending order, counted through all files."""
    ends = np.cumsum([len(column.cells) for column in columns])
    inside = np.split(rows, np.searchsorted(rows, ends[:-1]))
    starts = (ends - [len(column.cells) for column in columns]).tolist()
    chosen = zip(columns, inside, starts, strict=True)
    return [column.of(own - start) for column, own, start in chosen if len(own)]


class _ArrowFile:
    """A file of record batches, as ``datasets`` saves it on a disk, read like a parquet file with as many row groups.

    Parameters
    ----------
    source : pyarrow.NativeFile
    """

    def __init__(self, source: Any) -> None:
        import pyarrow as pa

        self.table = pa.ipc.open_stream(source).read_all()
        self.batches = self.table.to_batches()
        self.schema_arrow = self.table.schema

    def read(self, columns: list[str]) -> Any:
        """Return columns."""
        return self.table.select(columns)

    def read_row_group(self, number: int, columns: list[str]) -> Any:
        """Return columns of one batch."""
        return self.table.from_batches([self.batches[number]]).select(columns)


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if file.suffix == ARROW:
        with readable(str(file), "Arrow file"), pa.memory_map(str(file)) as source:
            yield _ArrowFile(source)
        return
    with readable(str(file), "parquet file"), pq.ParquetFile(file) as parquet:
        yield parquet


def _group_sizes(opened: Any) -> list[int]:
    """Return how many rows each row group, or batch, has."""
    if isinstance(opened, _ArrowFile):
        return [batch.num_rows for batch in opened.batches]
    return [opened.metadata.row_group(number).num_rows for number in range(opened.num_row_groups)]


def _is_struct(kind: Any) -> bool:
    import pyarrow as pa

    return pa.types.is_struct(kind)


def holds_images(kind: Any) -> bool:
    """Return whether a column's type can be that of encoded images: bytes, or a struct with a field ``bytes``."""
    import pyarrow as pa

    if _is_struct(kind):
        kind = kind.field("bytes").type if kind.get_field_index("bytes") >= 0 else pa.null()
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _image_column(schema: Any, file: Path) -> str:
    names = [one.name for one in schema if holds_images(one.type)]
    if len(names) != 1:
        has = f"the columns {', '.join(names)} of images" if names else f"the columns {', '.join(schema.names)}"
        raise InputError(f"{file} has {has}: name that of the images with --image-column")
    return names[0]


def _label_column(schema: Any, file: Path) -> str:
    name = label_column([one.name for one in schema if not holds_images(one.type)], str(file))
    if name is None:
        raise InputError(
            f"{file} has the columns {', '.join(schema.names)}: name that of the labels with --label-column"
        )
    return name


def _refuse_missing(schema: Any, name: str, file: Path) -> None:
    if name not in schema.names:
        raise InputError(f"{file} has no column {name}; its columns are {', '.join(schema.names)}")


def _check_columns(schema: Any, image: str, label: str, file: Path) -> None:
    """Raise unless a file has both columns, and that of the images can hold some."""
    for name in (image, label):
        _refuse_missing(schema, name, file)
    if not holds_images(schema.field(image).type):
        raise InputError(f"{file}: the column {image} is {schema.field(image).type}, expected images as bytes")
