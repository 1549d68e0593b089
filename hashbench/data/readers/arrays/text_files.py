"""Vectors in text: tables of numbers (.csv, .tsv), and words with their vectors, as in GloVe and word2vec.

Numbers are read as float64. A file is read once to count its rows, and again each time its rows are read.
"""

from __future__ import annotations

import csv
import itertools
import json
import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from hashbench.data.readers.arrays.parquet import by_part
from hashbench.data.readers.arrays.stored_array import (
    BLOCK_BYTES,
    Blocks,
    Contents,
    StoredArray,
    readable,
)
from hashbench.data.readers.labels.cells import LabelColumn
from hashbench.data.readers.labels.find_labels import is_label_array, label_column
from hashbench.data.readers.parts import part_column
from hashbench.errors import InputError

FLOAT = np.dtype(np.float64)
NUMBERS_OF_ROWS = ("", "id", "index", "unnamed: 0")
"""Columns of row numbers; pandas writes one without a name."""
DELIMITERS = ",;\t"
LONGEST_LINE = 2**20


def open_table(path: Path, label: str | None = None) -> Contents:
    """Open a .csv or .tsv file: one row per line, one dimension per column, or one column of lists in square brackets.

    If the first line names the columns, columns of labels and parts are read as in a parquet file, and a column ``id``,
    ``index`` or without a name is ignored.

    Parameters
    ----------
    path : Path
    label : str, optional
        The column of labels, if it has an unusual name; ``none`` to read no labels.

    Raises
    ------
    InputError
        The file has no rows, or a value is not a number.
    """
    with readable(str(path), "table of numbers"):
        table = _Table(path, label)
        n_rows, known = table.counted()
    if n_rows == 0:
        raise InputError(f"{path} has no rows")
    members = by_part(known[table.part], path) if table.part else {"vectors": np.arange(n_rows)}
    arrays = {}
    for name, rows in members.items():
        shown_as = str(path) if name == "vectors" else f"{path}: part {name}"
        arrays[name] = StoredArray(shown_as, (len(rows), table.width), FLOAT, partial(table.blocks, rows, n_rows))
    labels = {}
    if table.label:
        column = LabelColumn(
            known[table.label], f"{path}: the column {table.label}", lambda row: f"{path}: row {row} of {table.label}"
        )
        labels = {name: [column.of(rows)] for name, rows in members.items()}
    return Contents("table of text", arrays, {}, labels, table.passed_over)


class _Table:
    """A table of text: its columns, and its rows, which can be read several times."""

    def __init__(self, path: Path, label: str | None) -> None:
        self.path = path
        with path.open(encoding="utf-8-sig", newline="") as stream:
            line = stream.readline(LONGEST_LINE)
            self.delimiter = "\t" if path.suffix.lower() == ".tsv" else max(DELIMITERS, key=line.count)
            first = next(csv.reader([line], delimiter=self.delimiter), [])
            second = next(csv.reader([stream.readline(LONGEST_LINE)], delimiter=self.delimiter), [])
        as_pandas_counts = len(first) > 1 and first == [str(number) for number in range(len(first))]
        self.named = as_pandas_counts or not all(map(is_number_or_list, first))
        names = first if self.named else [str(number) for number in range(len(first))]
        self.columns = [name.strip() for name in names]
        if len(set(self.columns)) < len(self.columns):
            raise InputError(f"{path} names a column twice in its first line")
        self.part = part_column(self.columns, path)
        others = [name for name in self.columns if name != self.part]
        usual = _may_be_labels(others)
        self.label = label_column(others if label else usual, str(path), label)
        values = [name for name in others if name not in (self.label, *usual)]
        if self.named:
            values = [name for name in values if name.lower() not in NUMBERS_OF_ROWS]
        row = dict(zip(self.columns, second if self.named else first, strict=False))
        lists = [name for name in values if row.get(name, "").strip().startswith("[")]
        self.of_lists = bool(lists)
        self.values = lists[:1] if lists else values
        self.width = len(json.loads(row[lists[0]])) if lists else len(self.values)
        if self.width == 0:
            raise InputError(f"{path} has no column of numbers")
        read = (self.part, self.label, *self.values)
        self.passed_over = [name or "a column without a name" for name in self.columns if name not in read]

    def counted(self) -> tuple[int, dict[str, list[str]]]:
        """Return the number of rows, and the cells of the columns of labels and parts."""
        import pyarrow as pa

        batches = list(self._batches([*self._about, self.values[0]]))
        if not batches:
            return 0, {}
        table = pa.Table.from_batches(batches)
        return table.num_rows, {name: table[name].to_pylist() for name in self._about}

    def blocks(self, rows: np.ndarray, n_rows: int) -> Blocks:
        """Yield numbers and values of some of the rows."""
        wanted, start = np.zeros(n_rows, bool), 0
        wanted[rows] = True
        with readable(str(self.path), "table of numbers"):
            for batch in self._batches(self.values):
                numbers = np.arange(start, start + len(batch))
                start += len(batch)
                yield numbers[wanted[numbers]], self._matrix(batch, numbers)[wanted[numbers]]

    def _matrix(self, batch: Any, numbers: np.ndarray) -> np.ndarray:
        if not self.of_lists:
            columns = [batch.column(name).to_numpy(zero_copy_only=False) for name in self.values]
            return np.stack(columns, axis=1) if len(batch) else np.empty((0, self.width))
        lists = [json.loads(text) for text in batch.column(0).to_pylist()]
        for number, one in zip(numbers, lists, strict=True):
            if len(one) != self.width:
                raise InputError(f"{self.path}: row {number} has {len(one)} values, row 0 has {self.width}")
        return np.array(lists, FLOAT).reshape(len(lists), self.width)

    def _batches(self, names: list[str]) -> Iterator[Any]:
        import pyarrow as pa
        from pyarrow import csv as table

        kind = pa.string() if self.of_lists else pa.float64()
        reader = table.open_csv(
            self.path,
            table.ReadOptions(column_names=self.columns, skip_rows=int(self.named), block_size=BLOCK_BYTES),
            table.ParseOptions(delimiter=self.delimiter),
            table.ConvertOptions(
                column_types=dict.fromkeys(self.values, kind) | dict.fromkeys(self._about, pa.string()),
                include_columns=names,
            ),
        )
        yield from reader

    @property
    def _about(self) -> list[str]:
        return [name for name in (self.part, self.label) if name is not None]


def _may_be_labels(names: Sequence[str]) -> list[str]:
    """Return the columns with a usual name of labels; if there is a column x, the column y is a dimension."""
    lower = {name.lower() for name in names}
    return [name for name in names if is_label_array(name, {}) and not (name.lower() == "y" and "x" in lower)]


def is_number_or_list(text: str) -> bool:
    """Return whether a cell holds a number, or a list in square brackets."""
    return text.strip().startswith("[") or _is_number(text)


def _is_number(text: str | bytes) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def open_words(path: Path) -> Contents:
    """Open a file with a word and its vector on each line, separated by spaces; words are ignored.

    The first line can hold the numbers of rows and of dimensions, as in files of word2vec and fastText. A file without
    words, whose first line has only numbers, is a matrix.

    Raises
    ------
    InputError
        A line has more or fewer values than the first, or a value is not a number.
    """
    with readable(str(path), "text of vectors"), path.open("rb") as stream:
        fields = stream.readline(LONGEST_LINE).split()
        counts = len(fields) == 2 and all(field.isdigit() for field in fields)
        n_numbers = sum(1 for _ in itertools.takewhile(_is_number, reversed(fields)))
        has_words = counts or n_numbers < len(fields)
        width = int(fields[1]) if counts else n_numbers
        n_rows = sum(1 for line in stream if line.strip()) + (not counts)
    if width < 1 or n_rows < 1:
        raise InputError(f"{path}: its first line is no word and its vector, nor a row of numbers")
    if counts and n_rows != int(fields[0]):
        raise InputError(f"{path}: its first line says {int(fields[0]):,} rows, it has {n_rows:,}; fetch it again")

    def blocks() -> Blocks:
        first, step = 0, max(1, BLOCK_BYTES // (8 * width))
        with readable(str(path), "text of vectors"), path.open("rb") as stream:
            lines = (line for line in itertools.islice(stream, int(counts), None) if line.strip())
            while some := list(itertools.islice(lines, step)):
                yield np.arange(first, first + len(some)), _values_of(some, width, has_words, first, path)
                first += len(some)

    stored = StoredArray(str(path), (n_rows, width), FLOAT, blocks)
    return Contents("text", {"vectors": stored}, {}, passed_over=["the words"] if has_words else [])


def _values_of(lines: list[bytes], width: int, has_words: bool, first: int, path: Path) -> np.ndarray:
    """Return the values of lines; a word may have spaces in it."""
    tails = lines if not has_words else [line.partition(b" ")[2] for line in lines]
    values = np.empty(0)
    with suppress(ValueError), warnings.catch_warnings():  # the lines are examined below
        warnings.simplefilter("ignore", DeprecationWarning)
        values = np.fromstring(b" ".join(tails), FLOAT, sep=" ")
    if len(values) == len(lines) * width and all(tail.count(b" ") in (width - 1, width) for tail in tails):
        return values.reshape(len(lines), width)
    values = np.empty((len(lines), width))
    for number, line in enumerate(lines):
        fields = line.rsplit(None, width) if has_words else line.split()
        try:
            if len(fields) != width + has_words:
                raise ValueError
            values[number] = fields[-width:]
        except ValueError as error:
            raise InputError(
                f"{path}: row {first + number} is not {'a word and ' * has_words}{width} numbers, as the first one is"
            ) from error
    return values
