"""The commands ``hashbench data``: data prepared once, verified, listed, removed; protocols exported, lists checked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hashbench.cli.common import one_of
from hashbench.cli.options import takes
from hashbench.data.options import LoadOptions
from hashbench.errors import InputError

if TYPE_CHECKING:
    from hashbench.data.prepared.entries import Entry


app = typer.Typer(
    help="Prepare data sets once; verify, list and remove prepared data; export protocols and check lists.",
    no_args_is_help=True,
)

CacheOption = Annotated[Path | None, typer.Option(help="Directory of the prepared data \\[env: HASHBENCH_CACHE].")]
EntryArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="A data set, or a folder's name in hashbench data list.")
]


@app.command()
@takes(LoadOptions, without=("data_dir", "protocol", "splits"))
def prepare(
    options: LoadOptions,
    name: Annotated[str, typer.Argument(metavar="NAME", help="See hashbench list.")],
    source: Annotated[Path | None, typer.Option("--from", help="Directory of the data set's files.")] = None,
    plugin: Annotated[list[Path] | None, typer.Option("--plugin", help="A plugin file; repeatable.")] = None,
) -> None:
    """Read a data set's files, check every image, and store the data; runs then open it in milliseconds."""
    from hashbench.data.prepared.make_entry import prepare as prepare_data
    from hashbench.files.cache import cache_directory
    from hashbench.plugins.registry import Registry

    if source is not None and not source.exists() and not options.download:
        raise InputError(f"--from {source}: no such file or folder")
    loader = Registry(plugin or ()).find("datasets", name).load()()
    where = None if source is None else source.absolute()
    entry, is_new = prepare_data(loader, replace(options, data_dir=where, cache_dir=cache_directory(options.cache_dir)))
    print(f"{entry.folder}: {_summary(entry)}{'' if is_new else ' (was there already)'}")


@app.command()
def verify(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="A name from hashbench data list; or features, for everything computed."),
    ],
    cache_dir: CacheOption = None,
) -> None:
    """Hash prepared data again and compare it with its manifest; or the features, views and neighbours in the cache."""
    from hashbench.data.prepared.entries import choose_entries
    from hashbench.files.cache import cache_directory, verify_cached

    directory = cache_directory(cache_dir)
    if name == "features":
        problems = verify_cached(directory)
        for problem in problems:
            print(problem)
        if problems:
            raise InputError(f"{len(problems)} entries of {directory} are damaged")
        print(f"{directory}: features, views and neighbours ok")
        return
    newest: dict[tuple[str, str, str | None], Entry] = {}
    for entry in choose_entries(directory, name):  # older ones from the same place are known to be of older files
        facts = entry.manifest
        newest.setdefault((entry.name, facts.get("reading", ""), facts["from"]), entry)
    for entry in newest.values():
        entry.verify()
        print(f"{entry.folder}: ok, {_summary(entry)}")


@app.command("list")
def list_entries(cache_dir: CacheOption = None) -> None:
    """List prepared data, the newest first."""
    from hashbench.data.prepared.entries import entries
    from hashbench.files.cache import cache_directory

    directory = cache_directory(cache_dir)
    rows = [("prepared", "items", "on disk", "date", "provenance", "from")]
    for entry in entries(directory):
        facts = entry.manifest
        left_out = f" (without {len(facts['left_out']):,} broken)" if facts["left_out"] else ""
        where = facts["from"] or "found by itself"
        items = f"{facts['n_items']:,}{left_out}"
        rows.append((entry.folder.name, items, _size(entry.n_bytes), facts["date"][:10], facts["provenance"], where))
    if len(rows) == 1:
        print(f"nothing is prepared in {directory}; see hashbench data prepare --help")
        return
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


@app.command()
def remove(name: EntryArgument, cache_dir: CacheOption = None) -> None:
    """Remove prepared data: one folder, or all of a data set; the source files stay."""
    from hashbench.data.prepared.entries import remove as remove_entries
    from hashbench.files.cache import cache_directory

    for entry in remove_entries(cache_directory(cache_dir), name):
        print(f"removed {entry.folder}")


@app.command()
@takes(LoadOptions)
def export(
    options: LoadOptions,
    name: Annotated[str, typer.Argument(metavar="NAME", help="See hashbench list.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder that is written, whole or not at all.")],
    images: Annotated[
        str | None, typer.Option(help="npy, png, files (as they are) or none. Default: npy where all have one size.")
    ] = None,
    plugin: Annotated[list[Path] | None, typer.Option("--plugin", help="A plugin file; repeatable.")] = None,
) -> None:
    """Write a protocol for your own training code: rows, labels, items and lists, in a fixed order."""
    from hashbench.data.exported.export import FORMS, refuse_occupied
    from hashbench.data.exported.export import export as export_data
    from hashbench.data.loading import load
    from hashbench.data.readers.texts.texts import Texts
    from hashbench.plugins.registry import Registry

    if images is not None:
        one_of("--images", images, FORMS)
    refuse_occupied(out)
    dataset = load(Registry(plugin or ()).find("datasets", name).load()(), options)
    if isinstance(dataset.images, Texts):
        if images not in (None, "none"):
            raise InputError(f"--images {images}: {name} has texts; leave it out")
        images = "none"
    for line in dataset.summary:
        print(line)
    manifest, is_new = export_data(dataset, out, images, options.reading)
    sizes = ", ".join(f"{part} {facts['n']:,}" for part, facts in manifest["parts"].items())
    print(f"{out}: {manifest['protocol']}, {sizes}{'' if is_new else ' (was there already)'}; see README.md there")


@app.command("check-lists")
def check_lists(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of lists: test.txt, train.txt, database.txt.")],
    root: Annotated[Path | None, typer.Option(help="Folder of the listed images, whose content is compared.")] = None,
    query: Annotated[Path | None, typer.Option(help="The list of queries, where it has another name.")] = None,
    train: Annotated[Path | None, typer.Option(help="The list for training, likewise.")] = None,
    database: Annotated[Path | None, typer.Option(help="The list of the database, likewise.")] = None,
    pixels: Annotated[bool, typer.Option("--pixels/--bytes-only", help="Compare pixels, or files alone.")] = True,
) -> None:
    """Look for leaks in published lists: queries in the database or training set, and labels that decide nothing."""
    from hashbench.data.leaks.check import check_lists as check
    from hashbench.data.leaks.finding import problems
    from hashbench.files.paths import printable

    named = {"query": query, "train": train, "database": database}
    findings = check(folder, root, {part: file for part, file in named.items() if file is not None}, pixels)
    for finding in findings:
        print(printable(str(finding), 1000))
    if problems(findings):
        raise typer.Exit(1)


def _summary(entry: Entry) -> str:
    left_out = len(entry.manifest["left_out"])
    broken = f", {left_out:,} broken or missing left out" if left_out else ""
    return f"{entry.manifest['n_items']:,} items{broken}, {_size(entry.n_bytes)}, {entry.manifest['provenance']}"


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:,.1f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:,.1f} MB"
