"""Checks whole splits: published lists in a folder, and loaded data sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from hashbench.data.dataset import Dataset
from hashbench.data.leaks.content import content_ids, file_contents
from hashbench.data.leaks.finding import Finding
from hashbench.data.leaks.labels import label_findings, relabelled
from hashbench.data.leaks.lists import PartList, find_lists, read_part
from hashbench.data.leaks.near import near_findings
from hashbench.data.leaks.overlap import overlaps, where_training_lies
from hashbench.data.leaks.paths import alike_endings, path_ids
from hashbench.data.readers.match_names import normal
from hashbench.errors import InputError
from hashbench.files.paths import is_there

TITLES = {"query": "queries", "train": "training items", "database": "items of the database"}


def check_lists(
    folder: Path, root: Path | None = None, lists: Mapping[str, Path] | None = None, pixels: bool = True
) -> list[Finding]:
    """Return what is to be said of published lists, problems and facts.

    Parameters
    ----------
    folder : Path
        Where the lists are, see `hashbench.data.leaks.lists.find_lists`.
    root : Path, optional
        Where the listed images are, whose content is compared then; the folder itself where it has them.
    lists : mapping from {"query", "train", "database"} to Path, optional
        Lists that have other names.
    pixels : bool
        Whether images are decoded, so that copies in another format are found.

    Raises
    ------
    InputError
        Lists are missing or cannot be read, or no listed image is below ``root``.
    """
    found, others = find_lists(folder)
    found |= {part: [file] for part, file in (lists or {}).items()}
    if "query" not in found or not {"train", "database"} & set(found):
        raise InputError(
            f"{folder} has no list of queries (test.txt or query.txt) with one of the database (database.txt) or for "
            "training (train.txt); name them with --query, --database and --train"
        )
    if len({file.suffix == ".npy" for files in found.values() for file in files}) > 1:
        raise InputError(f"{folder}: some lists hold row numbers (.npy), others paths: give one kind")
    parts = {part: read_part(found[part]) for part in TITLES if part in found}
    findings = [Finding(_read_as(parts))]
    if others:
        findings.append(Finding(f"passed over: {', '.join(others[:6])}{' and others' if len(others) > 6 else ''}"))
    if "database" not in parts:
        findings.append(Finding("no database list: the training list is taken for the database"))
        parts["database"] = parts.pop("train")
    findings += _by_labels(parts)
    paths = {part: one.paths for part, one in parts.items()}
    ids = path_ids(paths)
    by = "row" if found["query"][0].suffix == ".npy" else "path"
    findings += _compared(ids, by, parts, None)
    if by == "row":
        return findings
    first = normal(parts["query"].paths[0])
    if root is None and not is_there(folder / first.lstrip("/")):
        return [*findings, *alike_endings(paths), Finding("content is not compared: --root names the images' folder")]
    return findings + _by_content(parts, ids, folder if root is None else root, pixels)


def check_dataset(dataset: Dataset) -> list[Finding]:
    """Return what is to be said of a loaded data set's split, problems and facts.

    Where vectors come with the data, queries that nearly equal one of the database are a hint.
    """
    split, labels = dataset.split, dataset.labels
    rows = {part: getattr(split, part) for part in TITLES}
    raw = dataset.images if dataset.images is not None else dataset.features
    assert raw is not None
    ids = content_ids(raw)

    def shown(part: str, at: int) -> str:
        row = int(rows[part][at])
        return f"row {row}" if dataset.names is None else str(dataset.names[row])

    findings = where_training_lies(split.train, split.database, "row")
    findings += overlaps({part: ids[numbers] for part, numbers in rows.items()}, "content", shown, known=rows)
    if labels is not None:
        findings += label_findings(labels[split.query], labels[split.database])
    if dataset.features is not None:
        known = dataset.neighbors if dataset.protocol.similarity == "euclidean" else None
        nearest = None if known is None else known[:, 0]
        findings += near_findings(dataset.features, split.query, split.database, nearest)
    return findings


def _read_as(parts: Mapping[str, PartList]) -> str:
    said = []
    for part, one in parts.items():
        files = one.files[0] if len(one.files) == 1 else f"{one.files[0]} to {one.files[-1]}"
        said.append(f"{len(one.paths):,} {TITLES[part]} ({files})")
    labels = parts["query"].labels
    kind = "no labels" if labels is None else "a class each" if labels.ndim == 1 else f"{labels.shape[1]} labels a line"
    return f"{', '.join(said)}; {kind}"


def _by_labels(parts: Mapping[str, PartList]) -> list[Finding]:
    labels = {part: one.labels for part, one in parts.items()}
    given = {part: values for part, values in labels.items() if values is not None}
    widths = {part: 0 if values is None else values[:1].size for part, values in labels.items()}
    if len(set(widths.values())) > 1:
        said = ", ".join(f"{width} in that of the {TITLES[part]}" for part, width in widths.items())
        return [Finding(f"lists differ in the number of labels a line: {said}", is_problem=True)]
    if not given:
        return []
    return label_findings(given["query"], given["database"]) + relabelled(
        path_ids({part: one.paths for part, one in parts.items()}), given
    )


def _compared(
    ids: Mapping[str, np.ndarray], by: str, parts: Mapping[str, PartList], known: Mapping[str, np.ndarray] | None
) -> list[Finding]:
    findings = overlaps(ids, by, lambda part, at: parts[part].shown(at), known)
    if "train" not in ids:
        return findings
    before = None if known is None else (known["train"], known["database"])
    return findings + where_training_lies(ids["train"], ids["database"], by, before)


def _by_content(
    parts: Mapping[str, PartList], ids: Mapping[str, np.ndarray], root: Path, pixels: bool
) -> list[Finding]:
    """Return what files of the lists hold the same; ids number the different paths as they come."""
    if not root.is_dir():
        raise InputError(f"--root {root}: no such folder")
    different: dict[int, str] = {}
    for part, one in parts.items():
        for number, path in zip(ids[part].tolist(), one.paths, strict=True):
            different.setdefault(number, path)
    paths = list(different.values())
    contents = file_contents(_located(paths, root), pixels)
    findings = []
    if len(contents.missing) == len(paths):
        raise InputError(f"--root {root}: none of {len(paths):,} listed files is below, {paths[0]:.100} the first")
    for rows, what in ((contents.missing, "are not below --root"), (contents.broken, "are no readable images")):
        if rows:
            text = f"{len(rows):,} of {len(paths):,} listed files {what}, {paths[rows[0]]:.100} the first"
            findings.append(Finding(text, is_problem=True))
    by_bytes, by_pixels = (
        {part: numbers[rows] for part, rows in ids.items()} for numbers in (contents.by_bytes, contents.by_pixels)
    )
    findings += _compared(by_bytes, "bytes", parts, ids)
    return findings + (_compared(by_pixels, "pixels", parts, by_bytes) if pixels else [])


def _located(paths: Sequence[str], root: Path) -> list[Path | None]:
    """Return the file of each path below a folder, whatever folders the list has before it."""
    files: list[Path | None] = []
    skipped = 0
    for path in paths:
        names = [name for name in PurePosixPath(normal(path)).parts if name != "/"]
        starts = [start for start in (skipped, *range(len(names))) if start < len(names)]
        tried = [] if ".." in names else [(start, root.joinpath(*names[start:])) for start in starts]
        skipped, file = next(((start, file) for start, file in tried if is_there(file)), (skipped, None))
        files.append(file)
    return files
