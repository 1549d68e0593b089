"""Images in columns of parquet files, as the Hugging Face hub has them; read row group by row group."""

from __future__ import annotations

import bisect
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hashbench.data.readers.arrays.stored_array import readable
from hashbench.data.readers.labels.cells import LabelColumn, parquet_labels
from hashbench.data.readers.labels.names import label_column, passed_over
from hashbench.errors import InputError

KEPT_BYTES = 2**28
"""Of images in memory; two row groups stay, however large."""


class ParquetImages(Sequence[bytes]):
    """The encoded images of a column, one file after the other; those of a few row groups lie in memory.

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
            The row is empty, or its file damaged.
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
        import pyarrow.parquet as pq

        file, group, _ = self._groups[number]
        with readable(str(file), "parquet file"), pq.ParquetFile(file) as parquet:
            column = parquet.read_row_group(group, columns=[self.column])[self.column]
            return (pc.struct_field(column, "bytes") if _is_struct(column.type) else column).to_pylist()


def _size(images: list[bytes | None]) -> int:
    return sum(len(image) for image in images if image is not None)


@dataclass(frozen=True)
class ImageTable:
    """Labelled images in parquet files, not yet decoded.

    Attributes
    ----------
    images : ParquetImages
    shown_as : list of str
        What a message calls each.
    labels : list of LabelColumn
        Those of each file.
    notes : list of str
        Which columns were read.
    passed_over : list of str
        Which were not.
    """

    images: ParquetImages
    shown_as: list[str] = field(default_factory=list)
    labels: list[LabelColumn] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    passed_over: list[str] = field(default_factory=list)


def read_image_parquet(files: Sequence[Path], image: str | None = None, label: str | None = None) -> ImageTable:
    """Return the images and labels of parquet files with the same columns.

    Parameters
    ----------
    files : sequence of Path
    image, label : str, optional
        The columns' names; by default the only column of images, and one of a usual name.

    Raises
    ------
    InputError
        A file is damaged, or has other columns than the first.
    """
    with _opened(files[0]) as parquet:
        schema = parquet.schema_arrow
    image, label = image or _image_column(schema, files[0]), label or _label_column(schema, files[0])
    for name in (image, label):
        _refuse_missing(schema, name, files[0])
    others = [name for name in schema.names if name not in (image, label)]
    notes = [f"images are the column {image}, labels the column {label}"]
    table = ImageTable(ParquetImages(image), notes=notes, passed_over=passed_over("columns", others))
    for file in files:
        with _opened(file) as parquet:
            _check_columns(parquet.schema_arrow, image, label, file)
            groups = [parquet.metadata.row_group(number).num_rows for number in range(parquet.num_row_groups)]
            if sum(groups):
                table.labels.append(parquet_labels(parquet, label, file))
        table.images.add(file, groups)
        table.shown_as.extend(f"{file}: row {row}" for row in range(sum(groups)))
    if not table.labels:
        raise InputError(f"{files[0]} has no rows")
    return table


def unlabelled_images(file: Path, image: str | None = None) -> ImageTable:
    """Return the images of a parquet file without their labels, which it may lack.

    Parameters
    ----------
    file : Path
    image : str, optional
        The column's name; by default the only column of images.

    Raises
    ------
    InputError
        The file is damaged, or there is no such column, or several.
    """
    with _opened(file) as parquet:
        schema = parquet.schema_arrow
        groups = [parquet.metadata.row_group(number).num_rows for number in range(parquet.num_row_groups)]
    image = image or _image_column(schema, file)
    _refuse_missing(schema, image, file)
    if not holds_images(schema.field(image).type):
        raise InputError(f"{file}: the column {image} is {schema.field(image).type}, expected images as bytes")
    images = ParquetImages(image)
    images.add(file, groups)
    if not len(images):
        raise InputError(f"{file} has no rows")
    return ImageTable(images, [f"{file}: row {row}" for row in range(len(images))])


def columns_of(file: Path) -> tuple[list[str], bool]:
    """Return the names of a parquet file's columns, and whether one can be of images.

    Raises
    ------
    InputError
        The file is damaged.
    """
    with _opened(file) as parquet:
        schema = parquet.schema_arrow
    return list(schema.names), any(holds_images(one.type) for one in schema)


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    import pyarrow.parquet as pq

    with readable(str(file), "parquet file"), pq.ParquetFile(file) as parquet:
        yield parquet


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
