"""Configuration files: the options of a run as TOML, read with errors that name the line."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import Field, fields, replace
from pathlib import Path
from typing import Any, get_args, get_type_hints

from hashbench.errors import InputError, did_you_mean, shorten
from hashbench.options import as_kind, flag_of, home_expanded
from hashbench.runs.job import Setting
from hashbench.runs.requested.grid import WORD
from hashbench.runs.requested.options import RunOptions

PER_DATASET = ("protocol", "backbone", "data_dir", "splits")
"""Options that a configuration file may set for each data set."""
FIELDS = {one.name: one for one in fields(RunOptions) if "help" in one.metadata}
HINTS = get_type_hints(RunOptions)


def configured(path: Path, options: RunOptions, given: set[str]) -> RunOptions:
    """Return the options of a file, and in their place those that the command line gives.

    Parameters
    ----------
    path : Path
    options : RunOptions
        Of the command line.
    given : set of str
        The fields that the user gave there.

    Raises
    ------
    InputError
        The file cannot be read, or holds anything that is not an option of a run; the message names the line.
    """
    values = read_config(path)
    datasets: Sequence[Setting] = values.pop("datasets", ())
    if "dataset" in given:
        datasets = ()
    of_each: dict[str, Any] = dict.fromkeys(given & set(PER_DATASET))
    datasets = tuple(replace(one, **of_each) for one in datasets)
    return RunOptions(**values | {name: getattr(options, name) for name in given}, datasets=datasets)


def read_config(path: Path) -> dict[str, Any]:
    """Return the options in a file by their names; paths in it are relative to its folder.

    Raises
    ------
    InputError
        The file cannot be read, or holds anything that is not an option of a run; the message names the line.
    """
    file = _File(path)
    known = {_key(flag_of(one)): one for one in FIELDS.values()} | FIELDS
    values: dict[str, Any] = {}
    for key, value in file.content.items():
        name = _key(key)
        if name == "datasets":
            values[name] = file.datasets(value)
            continue
        if name not in known:
            raise file.error(key, f"unknown key {shorten(key)!r}; {_hint(name, [*known, 'datasets'])}")
        if known[name].name in values:
            raise file.error(key, f"{shorten(key)!r} is given twice")
        values[known[name].name] = file.methods(value) if name == "methods" else file.option(key, value, known[name])
    if "dataset" in values and "datasets" in values:
        raise file.error("dataset", "give dataset or [[datasets]], not both")
    return values


class _File:
    """A file's content, and where in it things are."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_file():
            raise InputError(f"{path}: no such configuration file; write one, or give options (hashbench run --help)")
        try:
            self.text = path.read_text("utf-8-sig")
            self.content = tomllib.loads(self.text)
        except (OSError, ValueError, RecursionError) as error:
            raise InputError(f"{path} cannot be read as TOML: {error or type(error).__name__}") from error

    def error(self, key: str, message: str, table: str = "", number: int = 0) -> InputError:
        """Return an error at a key: of the file, or of the table that is the ``number``-th of its name."""
        headers = list(re.finditer(rf"^[ \t]*\[\[[ \t]*{re.escape(table)}[ \t]*\]\]", self.text, re.MULTILINE))
        start = headers[number].start() if table and number < len(headers) else 0
        line = line_of(self.text, key, start) or line_of(self.text, table, start)
        return InputError(f"{self.path}{f', line {line}' if line else ''}: {message}")

    def option(self, key: str, value: Any, one: Field[Any]) -> Any:
        """Return an option's value as its type."""
        hint = HINTS[one.name]
        if Path in get_args(hint) or hint is Path:
            paths = value if isinstance(value, list) and hint == HINTS["plugins"] else [value]
            if paths and all(isinstance(path, str) for path in paths):
                value = [self._path(path) for path in paths] if hint == HINTS["plugins"] else self._path(value)
        try:
            return as_kind(value, one, hint)
        except ValueError as error:
            raise self.error(key, f"{key} = {shorten(repr(value))}: expected {error}") from None

    def _path(self, text: str) -> Path:
        return (self.path.absolute().parent / home_expanded(text)).resolve()

    def datasets(self, tables: Any) -> tuple[Setting, ...]:
        """Return the data sets that have separate options."""
        if not isinstance(tables, list) or not tables or not all(isinstance(one, dict) for one in tables):
            raise self.error(
                "datasets", 'expected tables: [[datasets]] with name = "..."; names alone: dataset = [...]'
            )
        return tuple(self._dataset(number, table) for number, table in enumerate(tables))

    def _dataset(self, number: int, table: dict[str, Any]) -> Setting:
        values: dict[str, Any] = {}
        for key, value in table.items():
            name = _key(key)
            if name not in ("name", *PER_DATASET):
                known = _hint(name, ["name", *PER_DATASET])
                raise self.error(key, f"unknown key {shorten(key)!r} of a data set; {known}", "datasets", number)
            values[name] = self.option(key, value, FIELDS["dataset" if name == "name" else name])
        if "name" not in values:
            raise self.error("datasets", 'a data set without a name: add name = "..."', "datasets", number)
        return Setting(values.pop("name"), **values)

    def methods(self, value: Any) -> str:
        """Return methods, texts and tables, as one specification."""
        entries = value if isinstance(value, list) else [value]
        return ",".join(self._method(number, entry) for number, entry in enumerate(entries))

    def _method(self, number: int, entry: Any) -> str:
        if isinstance(entry, str):
            return entry
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            raise self.error("methods", 'a method is a text, or a table with name = "..."', "methods", number)
        params = []
        for key, value in entry.items():
            try:
                grid = [literal(one) for one in (value if isinstance(value, list) else [value])]
            except TypeError as error:
                raise self.error(key, f"{key}: {error}", "methods", number) from error
            if not grid:
                raise self.error(key, f"{key} = []: a list is a grid, give it a value", "methods", number)
            params += [f"{key}={'|'.join(grid)}"] if key != "name" else []
        return f"{entry['name']}[{','.join(params)}]" if params else entry["name"]


def _key(name: str) -> str:
    return name.lstrip("-").replace("-", "_")


def _hint(name: str, known: Iterable[str]) -> str:
    return did_you_mean(name, known) or f"known: {', '.join(sorted(known))}"


def literal(value: Any) -> str:
    """Return a value as a method's specification has it."""
    if isinstance(value, list):
        return f"[{','.join(map(literal, value))}]"
    if not isinstance(value, str | int | float):
        raise TypeError(f"{shorten(str(value))} is no number, text, truth value or list")
    if not isinstance(value, str):
        return repr(value)
    try:
        ast.literal_eval(value)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return value if WORD.fullmatch(value) else repr(value)
    return repr(value)


def line_of(text: str, key: str, start: int = 0) -> int:
    """Return the number of the first line that gives a key, or names a word; 0 where none does."""
    word = re.escape(key).replace("_", "[-_]").replace(r"\-", "[-_]")
    for pattern in (rf"(?:^|[{{,])[ \t]*[\"']?{word}[\"']?[ \t]*=", rf"^[^#\n]*(?<![\w-]){word}(?![\w-])"):
        match = re.compile(pattern, re.MULTILINE).search(text, start)
        if match and key:
            return text.count("\n", 0, match.end()) + 1
    return 0


def located(error: InputError, path: Path, given: set[str]) -> InputError:
    """Return an error of a run with the line of its file that holds what the error names, if one does.

    Parameters
    ----------
    error : InputError
    path : Path
        The file of the run.
    given : set of str
        The fields that came from the command line.
    """
    text = path.read_text("utf-8-sig")
    for flag, quoted, assigned in re.findall(r"--([a-z][a-z-]+)|'([\w.-]+)'|(\w+)=", str(error)):
        if flag and _key(flag) in given:
            return error
        line = line_of(text, flag or quoted or assigned)
        if line:
            return InputError(f"{path}, line {line}: {error}")
    return error
