"""Word counts in MATLAB files, as the literature of semantic hashing has them: train, test, gnd_train, gnd_test."""

from __future__ import annotations

import struct
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hashbench.data.items import Items
from hashbench.data.readers.arrays.mat_elements import NUMBERS, SPARSE, Variable, matrix_of, numbers_at, variables
from hashbench.data.readers.arrays.stored_array import refuse_too_large
from hashbench.data.readers.labels.cells import LabelColumn
from hashbench.data.readers.labels.find_labels import listed
from hashbench.data.readers.labels.reading import read_labels
from hashbench.data.readers.parts import DATABASE, QUERY, TRAIN
from hashbench.errors import InputError
from hashbench.files.writing import as_input_error, refuse_full_disk
from hashbench.progress import progress

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

NEEDED = ("train", "test", "gnd_train", "gnd_test")
EXPECTED = f"expected the matrices {', '.join(NEEDED)}"
SHORT = (np.uint8, np.uint16)
"""Types of whole counts, the narrowest first."""
BLOCK_ROWS = 2048


def read_word_counts(file: Path, scratch: Path | None = None) -> Items:
    """Read the rows and labels of a file; ``cv`` and ``gnd_cv``, by which authors choose parameters, are not used.

    Rows are kept as they are: in the narrowest type that holds them all, uint8 or uint16 for counts, else float32.

    Parameters
    ----------
    file : Path
        Of version 5 to 7.2; ``train`` and ``test`` are sparse or dense, of shape (n, n_words).
    scratch : Path, optional
        Folder of the dense copy; the system's by default.

    Returns
    -------
    Items
        With the rows of ``train``, then those of ``test``.

    Raises
    ------
    InputError
        The file is damaged, lacks a matrix, or its matrices do not fit together.
    """
    found = _found(file)
    rows = {name: _rows(found[name], file, name) for name in ("train", "test")}
    widths = {name: one.shape[1] for name, one in rows.items()}
    if len(set(widths.values())) > 1:
        raise InputError(f"{file}: train has {widths['train']:,} words, test {widths['test']:,}: expected the same")
    columns = [_labels(found[f"gnd_{name}"], file, f"gnd_{name}", one.shape[0]) for name, one in rows.items()]
    labels = read_labels(columns)
    n_train, n = rows["train"].shape[0], sum(one.shape[0] for one in rows.values())
    others = sorted(set(found) - set(NEEDED))
    return Items(
        features=_dense(list(rows.values()), file, scratch),
        labels=labels.array,
        label_names=labels.names,
        parts={QUERY: np.arange(n_train, n), DATABASE: np.arange(0), TRAIN: np.arange(n_train)},
        provenance="the user's own",
        notes=labels.notes,
        read_as=f"train (train) and test (query) of {file.name}",
        passed_over=[f"matrices: {listed(others)}"] if others else [],
    )


def _found(file: Path) -> dict[str, Variable]:
    """Return a file's matrices by their names."""
    try:
        found = {one.matrix.name: one for one in variables(file)}
    except (OSError, ValueError, KeyError, struct.error, zlib.error) as error:
        raise InputError(f"{file} is not a readable MATLAB file ({error}): save it again with -v7") from error
    missing = [name for name in NEEDED if name not in found]
    if missing:
        raise InputError(f"{file} has no {missing[0]}, but {listed(sorted(found))}; {EXPECTED}")
    return found


def _rows(variable: Variable, file: Path, name: str) -> csr_matrix:
    """Return a matrix of counts or weights of words.

    Raises
    ------
    InputError
        It has no rows or no words, or a value is negative, NaN or infinite.
    """
    matrix = _matrix(variable, file, name)
    if 0 in matrix.shape:
        raise InputError(f"{file}: {name} is {_times(matrix.shape)}, expected texts × words")
    bad = ~np.isfinite(matrix.data) | (matrix.data < 0)
    if bad.any():
        raise InputError(
            f"{file}: {name} holds {matrix.data[np.argmax(bad)]:g}; expected counts or weights of words, from 0 on"
        )
    return matrix


def _labels(variable: Variable, file: Path, name: str, n_rows: int) -> LabelColumn:
    """Return the labels of a part: a class each, or marks."""
    cells = _matrix(variable, file, name).toarray()
    if n_rows not in cells.shape:
        raise InputError(f"{file}: {name} is {_times(cells.shape)}, {name.removeprefix('gnd_')} has {n_rows:,} rows")
    if 1 in cells.shape:
        cells = cells.ravel()
    elif cells.shape[0] != n_rows:
        raise InputError(f"{file}: {name} is {_times(cells.shape)}, expected {n_rows:,} × labels: transpose it")
    return LabelColumn(cells, f"{file}: {name}", lambda row: f"{file}: row {row} of {name}")


def _matrix(variable: Variable, file: Path, name: str) -> csr_matrix:
    """Return a matrix of numbers, sparse or not."""
    from scipy import sparse

    kind, shape = variable.matrix.kind, variable.matrix.shape
    if kind not in (*NUMBERS, SPARSE) or len(shape) != 2:
        raise InputError(f"{file}: {name} is no matrix of real numbers; {EXPECTED}")
    refuse_too_large(f"{file}: {name}", (variable.size,), np.dtype(np.uint8))
    try:
        content, order = variable.content(), variable.order
        at = matrix_of(content, order).at
        if kind != SPARSE:
            values, _ = numbers_at(content, at, order)
            return sparse.csr_matrix(values.reshape(shape, order="F").astype(np.float64))
        row_of, at = numbers_at(content, at, order)
        starts, at = numbers_at(content, at, order)
        values, _ = numbers_at(content, at, order)
        n = int(starts[-1])
        rises = len(starts) == shape[1] + 1 and starts[0] == 0 and (np.diff(starts) >= 0).all()
        row_of, values = row_of[:n], values[:n]  # MATLAB may keep room for more
        inside = n == 0 or 0 <= row_of.min() <= row_of.max() < shape[0]
        if not (rises and inside and len(row_of) == len(values) == n):
            raise ValueError("the rows of a sparse matrix are not in it")
        return sparse.csc_matrix((values.astype(np.float64), row_of, starts), shape=shape).tocsr()
    except (ValueError, KeyError, IndexError, struct.error, zlib.error) as error:
        raise InputError(f"{file}: {name} is damaged ({error}): save it again with -v7") from error


def _times(shape: tuple[int, ...]) -> str:
    return " × ".join(f"{length:,}" for length in shape)


def _dense(parts: list[csr_matrix], file: Path, scratch: Path | None) -> np.ndarray:
    """Return the rows as the memory-map of an unnamed file, which disappears when it is no longer used."""
    values = [one.data for one in parts]
    whole = all((one == np.floor(one)).all() for one in values)
    most = max((float(one.max()) for one in values if len(one)), default=0.0)
    fitting = [dtype for dtype in SHORT if whole and most <= np.iinfo(dtype).max]
    dtype = np.dtype(fitting[0] if fitting else np.float32)
    shape = (sum(one.shape[0] for one in parts), parts[0].shape[1])
    folder = Path(tempfile.gettempdir()) if scratch is None else scratch
    n_bytes = 2 * shape[0] * shape[1] * dtype.itemsize
    refuse_full_disk(folder, n_bytes, f"{file}: {_times(shape)} values, which are copied twice,")
    with as_input_error(folder), tempfile.TemporaryFile(dir=folder) as stream:
        for block in _blocks(parts, shape[0]):
            stream.write(np.ascontiguousarray(block, dtype).data)
        stream.flush()
        return np.memmap(stream, dtype, "r", shape=shape)


def _blocks(parts: list[csr_matrix], n_rows: int) -> Iterator[np.ndarray]:
    with progress(f"reading {n_rows:,} texts", n_rows) as bar:
        for part in parts:
            for start in range(0, part.shape[0], BLOCK_ROWS):
                block = part[start : start + BLOCK_ROWS].toarray()
                yield block
                bar.advance(len(block))
