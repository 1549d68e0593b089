"""The commands that use trained methods: ``hashbench encode`` and ``hashbench search``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hashbench.cli.common import DeviceOption, PluginOption, one_of

ModelArgument = Annotated[Path, typer.Argument(metavar="MODEL", help="A model that hashbench run --save-models kept.")]
ExifOption = Annotated[bool, typer.Option("--exif", help="Turn photographs as their EXIF orientation says.")]
ModelWeightsOption = Annotated[Path | None, typer.Option(help="State dict of the model's backbone, for images.")]


def encode(
    plugin: PluginOption,
    model: ModelArgument,
    source: Annotated[
        Path, typer.Argument(metavar="INPUT", help="A folder of images, an image, or a .npy of vectors or images.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Where the packed codes go, a .npy file.")],
    exif: ExifOption = False,
    weights: ModelWeightsOption = None,
    device: DeviceOption = "auto",
) -> None:
    """Encode your own images or vectors with a trained method: packed codes, and the images' names beside them."""
    one_of("--device", device, ("auto", "cpu", "cuda"))
    from hashbench.files.writing import writable_file
    from hashbench.models.code_files import names_path, write_codes
    from hashbench.models.encode import encode_input
    from hashbench.models.saved import load_model

    saved = load_model(model, plugin, weights=weights, device=device)
    writable_file(out, "--out", ".npy", [model, source])
    encoded = encode_input(saved, source, exif)
    write_codes(out, encoded, saved)
    print(f"{out}: {len(encoded.codes):,} codes of {saved.n_bits} bits, packed, shape {encoded.codes.shape} uint8")
    if encoded.names:
        print(f"{names_path(out)}: the images' names, one a line, in the order of the codes")


def search(
    plugin: PluginOption,
    model: ModelArgument,
    database: Annotated[
        Path, typer.Argument(metavar="DATABASE", help="As encode's INPUT, or a file of codes that encode wrote.")
    ],
    query: Annotated[Path, typer.Argument(metavar="QUERY", help="As DATABASE.")],
    k: Annotated[int, typer.Option("-k", help="How many neighbours of each query.", min=1)] = 10,
    csv: Annotated[Path | None, typer.Option(help="Also write the neighbours of all queries.")] = None,
    exif: ExifOption = False,
    weights: ModelWeightsOption = None,
    device: DeviceOption = "auto",
) -> None:
    """Find the nearest items of each query by Hamming distance; ties in the database's order."""
    one_of("--device", device, ("auto", "cpu", "cuda"))
    from hashbench.cli.neighbours import print_neighbours
    from hashbench.files.writing import writable_file
    from hashbench.models.saved import load_model
    from hashbench.models.search import codes_of, refuse_other_turning, write_csv
    from hashbench.reports.console import open_console

    saved = load_model(model, plugin, weights=weights, device=device)
    if csv:
        writable_file(csv, "--csv", ".csv", [model, database, query])
    items, queries = codes_of(saved, database, exif), codes_of(saved, query, exif)
    refuse_other_turning(queries, items)
    print_neighbours(saved, queries, items, k, open_console())
    if csv:
        write_csv(csv, saved, queries, items, k)
        print(csv)
