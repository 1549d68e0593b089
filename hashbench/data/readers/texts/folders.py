"""Texts in folders: a folder of files for each class, perhaps in folders of parts, or a table for each part."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from hashbench.data.readers.files_passed_over import NO_SUFFIX, hidden_kind, said_of
from hashbench.data.readers.image_folder import line_name
from hashbench.data.readers.labels.cells import LabelColumn
from hashbench.data.readers.parts import EXPECTED, arranged, part_of, parts_in
from hashbench.data.readers.texts.files import FILES, list_file
from hashbench.data.readers.texts.listing import TextListing, of_parts, said_of_empty
from hashbench.data.readers.texts.texts import LONGEST, not_utf8, too_long, usable_rows
from hashbench.errors import InputError
from hashbench.files.paths import walk

SUFFIXES = (".txt", "")
"""Suffixes of the files in a class folder; those of 20 Newsgroups have none."""


def list_folder(folder: Path, column: str | None, label: str | None, skip_empty: bool) -> TextListing:
    """List the texts of a folder: class folders, with or without folders of parts above them, or tables of parts.

    Parameters
    ----------
    folder : Path
    column, label : str, optional
        Columns of tables that have unusual names.
    skip_empty : bool
        Whether empty texts are left out, instead of refused.

    Raises
    ------
    InputError
        The folder cannot be read, or something in it cannot be used.
    """
    try:
        visible = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise InputError(f"{folder} cannot be read ({error.strerror})") from error
    below = [path.name for path in visible if path.is_dir()]
    files = {path.stem: path for path in visible if path.suffix.lower() in FILES and path.is_file()}
    if not below and _named_parts(list(files)):
        return _list_tables(folder, files, column, label, skip_empty)
    for option, name in (("--text-column", column), ("--label-column", label)):
        if name is not None:
            raise InputError(f"{option} {name}: {folder} holds class folders and no table; leave it out")
    named = _named_parts(below)
    if not named:
        return _list_classes(folder, skip_empty)
    others = sorted({path.name for path in visible} - set(named))
    if others:
        raise InputError(
            f"{folder} holds {', '.join(named)}, which are parts, and {others[0]} beside them; expected {EXPECTED} "
            "alone: move it away"
        )
    use = arranged(named, folder)
    if not use.part_of:
        return _list_classes(folder, skip_empty)
    listings = {name: _list_classes(folder / name, skip_empty) for name in use.part_of}
    return of_parts(listings, use, [f"{name}: other folders give the queries" for name in use.left_out])


def _named_parts(names: list[str]) -> dict[str, str]:
    """Return which part each name names, in folders or files of parts; empty where fewer than two do."""
    named = {name: part for name in names if (part := part_of(name))}
    return named if len(named) > 1 else parts_in(names)


def _list_tables(
    folder: Path, files: dict[str, Path], column: str | None, label: str | None, skip_empty: bool
) -> TextListing:
    """List the texts of a file for each part."""
    named = _named_parts(list(files))
    use = arranged(named, folder)
    listings = {name: list_file(files[name], column, label, skip_empty) for name in use.part_of}
    with_parts = [name for name, one in listings.items() if one.parts]
    if with_parts:
        raise InputError(f"{files[with_parts[0]]} has a column of parts, and its name is one: give it as --data-dir")
    not_taken = [f"{files[name].name}: another file gives the queries" for name in use.left_out]
    not_taken += [file.name for name, file in files.items() if name not in named]
    return of_parts(listings, use, not_taken)


def _list_classes(folder: Path, skip_empty: bool) -> TextListing:
    """List the texts of class folders; folders within a class belong to it."""
    found: dict[str, Path] = {}
    kinds: Counter[str] = Counter()

    def unreadable(where: str, error: OSError) -> None:
        raise InputError(f"{where} cannot be read ({error.strerror})") from error

    def hidden(name: str, file: Path) -> None:
        kinds[hidden_kind(name)] += 1

    for name, entry in walk(folder, unreadable, hidden=hidden):
        if Path(name).suffix.lower() in SUFFIXES or Path(name).name.isdecimal():
            found[line_name(name, folder)] = Path(entry.path)
        else:
            kinds[Path(name).suffix.lower() or NO_SUFFIX] += 1
    names = sorted(found)
    loose = [name for name in names if "/" not in name]
    if not names:
        seen = f"; passed over: {said_of(kinds)}" if kinds else ""
        raise InputError(f"{folder} holds no texts: expected class folders of .txt files{seen}")
    if loose:
        raise InputError(
            f"{folder}: {loose[0]} and {len(loose) - 1:,} more texts are in no class folder, so they have no labels: "
            "make a folder of each class, or a table with the columns text and label"
        )
    texts = [_text_of(found[name]) for name in names]
    kept = usable_rows(texts, lambda row: str(found[names[row]]), skip_empty)
    names = [names[row] for row in kept]
    classes = LabelColumn(
        [name.partition("/")[0] for name in names], str(folder), lambda row: str(found[names[row]]), are_names=True
    )
    not_taken = [said_of(kinds)] if kinds else []
    return TextListing(
        [texts[row] for row in kept],
        [classes],
        [],
        names,
        "class folders",
        [*not_taken, *said_of_empty(len(texts), len(kept))],
    )


def _text_of(file: Path) -> str:
    try:
        if not file.is_file():
            raise InputError(f"{file} is not a file")
        if file.stat().st_size > LONGEST:
            raise too_long(str(file), file.stat().st_size)
        return file.read_bytes().removeprefix(b"\xef\xbb\xbf").decode()
    except UnicodeDecodeError as error:
        raise not_utf8(str(file), error) from error
    except OSError as error:
        raise InputError(f"{file} cannot be read ({error.strerror})") from error
