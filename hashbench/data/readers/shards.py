"""Data in several files of one kind: which belong together, which are duplicates, and which are missing."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hashbench.data.readers.files_passed_over import hidden_kind, said_of
from hashbench.data.readers.parts import DATABASE, EXPECTED, QUERY, TRAIN, arranged, part_of, word_in
from hashbench.errors import InputError
from hashbench.files.paths import walk

_SHARD = re.compile(r"(?P<name>.+?)[-_.](?P<number>\d{2,5})-of-(?P<count>\d{2,5})(-[0-9a-f]{16})?")
"""Names of a part's files from ``datasets`` and VectorDBBench; ``datasets`` once added a hash."""
_COPY = re.compile(r"(?P<name>.+?)(?: ?\(\d+\)| - Copy(?: ?\(\d+\))?| copy(?: \d+)?)")
"""Names that browsers and desktops give to a second copy of a file."""
_NUMBER = re.compile(r"\d{4,}")
"""Names of files that the Hugging Face hub has converted: 0000.parquet, 0001.parquet."""


@dataclass(frozen=True)
class Shard:
    """The place of a file among others, by its name.

    Attributes
    ----------
    name : str
        The part that all names have in common.
    number, count : int or None
        Its number, and the number of files.
    """

    name: str
    number: int | None = None
    count: int | None = None


def shard_of(file: Path) -> Shard:
    """Return the place of a file among others, by its name.

    Examples
    --------
    >>> shard_of(Path("train-00001-of-00002.parquet"))
    Shard(name='train', number=1, count=2)
    >>> shard_of(Path("0003.parquet"))
    Shard(name='', number=3, count=None)
    >>> shard_of(Path("pets-test.parquet"))
    Shard(name='pets-test', number=None, count=None)
    """
    found = _SHARD.fullmatch(_without_copy_mark(file))
    if found:
        return Shard(found["name"], int(found["number"]), int(found["count"]))
    if _NUMBER.fullmatch(file.stem):
        return Shard("", int(file.stem))
    return Shard(file.stem)


def _without_copy_mark(file: Path) -> str:
    copy = _COPY.fullmatch(file.stem)
    return copy["name"] if copy else file.stem


def refuse_copies(files: Iterable[Path]) -> None:
    """Raise if one of the files is a copy of another, by the names that browsers and desktops give.

    Raises
    ------
    InputError
        Both ``x.parquet`` and ``x (1).parquet`` are in the folder.
    """
    there = sorted(files)
    for file in there:
        first = file.with_name(_without_copy_mark(file) + file.suffix)
        if first != file and first in there:
            raise InputError(f"{file.parent} has {first.name} twice, the second time as {file.name}: remove one")


def refuse_incomplete(files: Sequence[Path]) -> None:
    """Raise if of the numbered files of one part one is missing, or there twice.

    Parameters
    ----------
    files : sequence of Path
        Of one part; files whose names have no number are not looked at.

    Raises
    ------
    InputError
        The numbers are not those from 0 to the count that the names state, each once.
    """
    first: dict[int, Path] = {}
    counts: dict[int | None, Path] = {}
    for file in files:
        shard = shard_of(file)
        if shard.number is None:
            continue
        if shard.number in first:
            other = first[shard.number]
            raise InputError(
                f"{file.parent}: number {shard.number} of {shard.name or 'the files'} is there twice, as {other.name} "
                f"and {file.name}: remove one"
            )
        first[shard.number] = file
        counts[shard.count] = file
    if len(counts) > 1:
        names = " and ".join(file.name for file in list(counts.values())[:2])
        raise InputError(f"{files[0].parent} has {names}, which are of different uploads: keep the files of one")
    if first:
        _refuse_missing(first, next(iter(counts)))


def _refuse_missing(first: dict[int, Path], count: int | None) -> None:
    file = next(iter(first.values()))
    expected = range(max(first) + 1 if count is None else count)
    missing = [number for number in expected if number not in first]
    if not missing:
        return
    if count is None and 0 not in first:  # numbers with another meaning, such as years
        return
    what = f"{shard_of(file).name}-*" if shard_of(file).name else f"*{file.suffix}"
    raise InputError(
        f"{file.parent} has {len(first)} of the {len(expected)} files {what}: fetch it again; number {missing[0]} is "
        "missing"
    )


@dataclass(frozen=True)
class PartFiles:
    """The files of a data set, the parts query, database and train one after the other.

    Attributes
    ----------
    files : list of Path
    parts : list of str
        Of each file; empty if there are no named parts.
    read_as : str
        Description of the place of the files and of what named their parts.
    passed_over : list of str
        Description of what was skipped.
    """

    files: list[Path]
    parts: list[str] = field(default_factory=list)
    read_as: str = ""
    passed_over: list[str] = field(default_factory=list)


def files_of_parts(source: Path, suffixes: Sequence[str]) -> PartFiles:
    """Return the files of a data set and which part each is of, by the file's name, or else by its folder's.

    Those in the folder itself count; where there are none, those below it, if all are of one data set.

    Parameters
    ----------
    source : Path
        A file, or a folder.
    suffixes : sequence of str
        Suffixes of the files.

    Raises
    ------
    InputError
        No file is found, a shard is missing or there twice, some files are of parts and others are not, or the folder
        holds several data sets.
    """
    if source.is_file():
        return PartFiles([source], read_as=source.name)
    below, hidden = _files_below(source, suffixes) if source.is_dir() else ([], [])
    here = [file for file in below if file.parent == source]
    files = sorted(here or below)
    if not files:
        raise InputError(f"--data-dir {source}: expected a .parquet file, or a folder with some")
    refuse_copies(files)
    if not here:
        _refuse_several(source, files)
    deeper = [f"{len(below) - len(here):,} files in folders below {source.name}/"] if here and below != here else []
    words: dict[str, list[Path]] = {}
    for file in files:
        words.setdefault(_word_of(file, source), []).append(file)
    for group in words.values():
        refuse_incomplete(group)
    return _with_parts(words, source, files, [*deeper, *hidden])


def _files_below(source: Path, suffixes: Sequence[str]) -> tuple[list[Path], list[str]]:
    """Return the files below a folder that have one of some suffixes, and in words which hidden files there are."""
    hidden: Counter[str] = Counter()
    found = walk(source, _unreadable, hidden=lambda name, file: hidden.update([hidden_kind(name)]))
    below = [source / name for name, _ in found if name.lower().endswith(tuple(suffixes))]
    return below, [said_of(hidden)] if hidden else []


def _unreadable(folder: str, error: OSError) -> None:
    raise InputError(f"{folder} cannot be read ({error.strerror})") from error


def _word_of(file: Path, source: Path) -> str:
    """Return the word that names a file's part; without such a word, the file's name without its number."""
    name = shard_of(file).name
    names = [name] if file.parent == source else [name, file.parent.name]
    words = (word for one in names if (word := word_in(one)[0]))
    return next(words, name)


def _refuse_several(source: Path, files: Sequence[Path]) -> None:
    """Raise if files below a folder are of several data sets: in folders that are no parts of one."""
    homes = {file.parent.parent if word_in(file.parent.name)[0] else file.parent for file in files}
    if len(homes) > 1:
        names = ", ".join(sorted(str(home.relative_to(source)) for home in homes))
        raise InputError(f"{source} holds several data sets: {names}; give one of these folders")


def _with_parts(words: dict[str, list[Path]], source: Path, files: list[Path], passed_over: list[str]) -> PartFiles:
    named = {word: part for word in words if (part := part_of(word))}
    if not named or len(words) == 1:
        return PartFiles(files, read_as=_counted(files), passed_over=passed_over)
    if len(named) < len(words):
        raise InputError(f"{source} has files of {', '.join(words)}; parts are {EXPECTED}; or give one file")
    used = arranged(named, source)
    query = next(word for word, part in used.part_of.items() if part == QUERY)
    passed_over = passed_over + [f"{_counted(words[one])} ({one}): {query} gives the queries" for one in used.left_out]
    ordered = [word for part in (QUERY, DATABASE, TRAIN) for word, one in used.part_of.items() if one == part]
    said = ", ".join(f"{_counted(words[word])} ({used.part_of[word]})" for word in ordered)
    taken = [(file, used.part_of[word]) for word in ordered for file in words[word]]
    return PartFiles([file for file, _ in taken], [part for _, part in taken], said, passed_over)


def _counted(files: Sequence[Path]) -> str:
    name = f"{files[0].parent.name}/{files[0].name}"
    return name if len(files) == 1 else f"{name} and {len(files) - 1} more"
