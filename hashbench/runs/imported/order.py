"""Whether codes have the number and the order of a protocol's items, as far as what is given with them can tell."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hashbench.codes.names import DATABASE, QUERY
from hashbench.codes.reading import CodeSet
from hashbench.data.dataset import Dataset
from hashbench.data.exported.content import LISTS
from hashbench.data.exported.manifest import MANIFEST, read_manifest
from hashbench.errors import InputError
from hashbench.files.hashing import sha256

PARTS = (QUERY, DATABASE)


def refuse_other_numbers(codes: CodeSet, dataset: Dataset) -> None:
    """Raise unless there is a code for each query and each item of the database.

    Raises
    ------
    InputError
        There are more or fewer.
    """
    rows = {part: len(getattr(dataset.split, part)) for part in PARTS}
    given = {QUERY: len(codes.query_codes), DATABASE: len(codes.database_codes)}
    for part in PARTS:
        if given[part] != rows[part]:
            swapped = given[QUERY] == rows[DATABASE] and given[DATABASE] == rows[QUERY]
            hint = "; they seem to be exchanged" if swapped else ""
            if not hint and given[part] < rows[part]:
                hint = "; does the loader drop its last batch?"
            elif given[DATABASE] == len(np.union1d(dataset.split.train, dataset.split.database)):
                hint = "; the training set seems to be in it"
            raise InputError(
                f"{codes.read_as}: {dataset.protocol.name} has {rows[QUERY]:,} queries and {rows[DATABASE]:,} items in "
                f"the database{hint}"
            )


def refuse_other_labels(codes: CodeSet, dataset: Dataset) -> None:
    """Raise if the labels that were saved with codes are not the protocol's, in its order.

    Classes may be numbered or called otherwise: each stands for the class of most of its items.

    Parameters
    ----------
    codes : CodeSet
        With labels of as many items as ``dataset`` has.
    dataset : Dataset

    Raises
    ------
    InputError
        Labels differ; the message says of how many items.
    """
    name, given = dataset.protocol.name, (codes.query_labels, codes.database_labels)
    if dataset.labels is None:
        raise InputError(f"--query-labels: {name} has true neighbours and no labels; leave them out")
    own = np.concatenate([labels for labels in given if labels is not None])
    true = np.concatenate([dataset.labels[getattr(dataset.split, part)] for part in PARTS])
    if own.shape[1:] != true.shape[1:]:
        kinds = [f"{labels.shape[1]} labels" if labels.ndim == 2 else "a class" for labels in (own, true)]
        raise InputError(f"--query-labels: they are {kinds[0]} an item, {name} has {kinds[1]} an item")
    differ = (own != true).any(axis=1) if own.ndim == 2 else _other_classes(own, true)
    if differ.any():
        at, n_query = int(np.argmax(differ)), len(codes.query_codes)
        first = f"query {at}" if at < n_query else f"database item {at - n_query}"
        raise InputError(
            f"{np.count_nonzero(differ):,} of {len(differ):,} labels are not those of {name} in its order, {first} the "
            "first: encode queries and database in the order of hashbench data export, without shuffling"
        )


def _other_classes(own: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Return which items are not of the class that most items of their own class have."""
    _, one = np.unique(own, return_inverse=True)
    _, other = np.unique(true, return_inverse=True)
    together = np.zeros((one.max() + 1, other.max() + 1), np.int64)
    np.add.at(together, (one, other), 1)
    return together.argmax(axis=1)[one] != other


def refuse_other_export(folder: Path, dataset: Dataset) -> None:
    """Raise if an exported folder is of another protocol, or its files have been brought into another order.

    Raises
    ------
    InputError
        It is, or the folder is none or damaged.
    """
    manifest, name = read_manifest(folder), dataset.protocol.name
    of = {"dataset": dataset.name, "protocol_sha256": dataset.protocol.hash, "data_sha256": dataset.fingerprint}
    other = [key for key, value in of.items() if manifest[key] != value]  # type: ignore[literal-required]
    if other:
        raise InputError(
            f"--export {folder} is of {manifest['protocol']} of {manifest['dataset']}, and not of {name} as it is here "
            f"(it differs in {', '.join(other)})"
        )
    for part in PARTS:
        _refuse_moved_rows(folder / f"{part}.npy", getattr(dataset.split, part), name)
        path = folder / LISTS[part]
        if path.name in manifest["files"] and path.is_file() and sha256(path) != manifest["files"][path.name]:
            raise InputError(f"{path} is not as it was exported ({MANIFEST}), so codes may be in another order")


def _refuse_moved_rows(path: Path, rows: np.ndarray, name: str) -> None:
    if not path.is_file():
        return
    try:
        there = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path} cannot be read ({error}); export the protocol again") from error
    if there.shape != rows.shape:
        raise InputError(f"{path} has shape {there.shape}, {name} has {len(rows):,} rows in it; export it again")
    moved = there != rows
    if moved.any():
        raise InputError(
            f"{path}: {np.count_nonzero(moved):,} of {len(rows):,} rows are in other places than in {name}, position "
            f"{np.argmax(moved)} the first: codes in this order are codes of other items"
        )
