"""What an import is asked to do, checked before anything is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hashbench.data.options import LoadOptions
from hashbench.errors import InputError
from hashbench.files.paths import is_plugin_name
from hashbench.options import option
from hashbench.renamed import ESTIMATORS

LONGEST = 500
"""Characters of the words on what made the codes."""


@dataclass(frozen=True)
class ImportOptions(LoadOptions):
    """What an import is asked to do: the options of ``hashbench import``, those of data among them."""

    name: str = option("", "What the method is called.", flag="--as")
    query_codes: str = option(
        "", "A file, or FILE:NAME; {bits} and {seed} stand for code lengths and seeds, as in q_{bits}_{seed}.npy."
    )
    database_codes: str = option("", "The same for the database.")
    query_labels: str = option("", "Labels that were saved with the codes: they show whether the order is kept.")
    database_labels: str = option("", "The same for the database.")
    export: Path | None = option(None, "Folder from hashbench data export: its protocol and order are compared.")
    bits: str | Sequence[int] = option(
        "", "Code lengths, comma-separated; needed for packed codes of no whole number of bytes."
    )
    seeds: str | Sequence[int] = option(
        "", "Seeds, comma-separated; none: the method is deterministic. Default: what {seed} stands for, or 0."
    )
    about: str = option("", "What made the codes, in your words.")
    training: str = option("", "What it was trained on, in your words.")
    backbone: str = option(
        "", "What turned images into features, by hashbench's name where it has one. Default, for vectors: given."
    )
    labels_used: bool | None = option(None, "Whether training, or the choice of a model, has read labels.")
    dataset: str = option("digits", "See hashbench list.")
    out: Path = option(Path("runs/latest"), "Directory of the records and results.csv; it may be a run's.")
    plugins: Sequence[Path] = option((), "A plugin file of the data set; repeatable.", flag="--plugin")
    replace: bool = option(False, "Replace codes that were imported under the name before.")
    command: str = ""
    """The command that records name."""


def refuse_incomplete(options: ImportOptions) -> None:
    """Raise unless the options say what is needed.

    Raises
    ------
    InputError
        Something is missing, or is no line of text, or the name cannot be that of imported codes.
    """
    needed = {
        "--as": (options.name, "what the method is to be called"),
        "--query-codes": (options.query_codes, "the file of the queries' codes"),
        "--database-codes": (options.database_codes, "the file of the database's codes"),
        "--about": (options.about, "what made the codes, in your words"),
        "--training": (options.training, "what the method was trained on, in your words"),
    }
    for flag, (text, what) in needed.items():
        if not text.strip():
            raise InputError(f"{flag} is missing: {what}")
    for flag, text in (
        ("--about", options.about),
        ("--training", options.training),
        ("--backbone", options.backbone),
    ):
        if not text.isprintable() or len(text) > LONGEST:
            raise InputError(f"{flag}: expected one line of up to {LONGEST} printable characters")
    if bool(options.query_labels) != bool(options.database_labels):
        raise InputError("--query-labels and --database-labels are compared together: give both, or none")
    if options.labels_used is None:
        raise InputError(
            "did training, or the choice of a model, read labels? Say --labels-used or --no-labels-used: methods are "
            "compared with methods that have read as much"
        )
    _refuse_name(options)


def _refuse_name(options: ImportOptions) -> None:
    if not is_plugin_name(options.name):
        raise InputError(f"--as {options.name}: expected up to 100 letters, digits, _ and -")
    from hashbench.plugins.registry import Registry  # the command line needs the options alone

    registry = Registry(options.plugins)
    present = registry.present_name(options.name, ESTIMATORS)
    if any(present in registry.plugins(kind) for kind in ESTIMATORS):
        raise InputError(
            f"--as {options.name} is a method that hashbench trains: take another name, such as {options.name}-theirs"
        )
