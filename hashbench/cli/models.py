"""The commands that use what is trained: ``hashbench encode``, ``hashbench search`` and ``hashbench export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hashbench.cli.common import DeviceOption, PluginOption, one_of
from hashbench.errors import InputError
from hashbench.features.hardware.devices import refuse_unknown_device

ModelArgument = Annotated[
    Path, typer.Argument(metavar="MODEL", help="A model file that hashbench run --save-models wrote.")
]
ExifOption = Annotated[bool, typer.Option("--exif", help="Rotate photographs by their EXIF orientation.")]
BackgroundOption = Annotated[str | None, typer.Option(help="Colour behind transparent images; white if left out.")]
GreyRangeOption = Annotated[str | None, typer.Option(help="Grey of more than 8 bits: full, or LOW,HIGH.")]
SkipBrokenOption = Annotated[bool, typer.Option("--skip-broken", help="Leave out broken images.")]
ImageColumnOption = Annotated[str | None, typer.Option(help="Column of the images in a parquet file.")]
BatchSizeOption = Annotated[
    int | None, typer.Option(help="Images at once through the backbone; by default as in the run.", min=1)
]
ModelWeightsOption = Annotated[Path | None, typer.Option(help="State dict of the model's backbone, for images.")]


def encode(
    plugin: PluginOption,
    model: ModelArgument,
    source: Annotated[
        Path,
        typer.Argument(
            metavar="INPUT",
            help="Images: a folder, a file, a .csv, .jsonl or .parquet of paths, a .parquet that holds them; vectors "
            "or images in an array: .npy, .npz, .hdf5, .parquet, .fvecs, .fbin and the like; FILE:NAME for one of "
            "several.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The .npy file for the packed codes.")],
    exif: ExifOption = False,
    background: BackgroundOption = None,
    grey_range: GreyRangeOption = None,
    skip_broken: SkipBrokenOption = False,
    image_column: ImageColumnOption = None,
    weights: ModelWeightsOption = None,
    device: DeviceOption = "auto",
    batch_size: BatchSizeOption = None,
) -> None:
    """Encode your images or vectors with a trained model; write packed codes and, for images, their names."""
    refuse_unknown_device(device)
    from hashbench.files.writing import writable_file
    from hashbench.models.code_files import names_path, write_codes
    from hashbench.models.encode import encode_input
    from hashbench.models.inputs import InputOptions
    from hashbench.models.model_files import load_model

    saved = load_model(model, plugin, weights=weights, device=device, batch_size=batch_size)
    writable_file(out, "--out", ".npy", [model, source])
    options = InputOptions(exif, background, grey_range, skip_broken, image_column)
    encoded = encode_input(saved, source, options)
    write_codes(out, encoded, saved)
    print(f"{out}: {len(encoded.codes):,} codes of {saved.length}, packed, shape {encoded.codes.shape} uint8")
    if encoded.names:
        print(f"{names_path(out)}: the images' names, one a line, in the order of the codes")


def search(
    plugin: PluginOption,
    model: ModelArgument,
    database: Annotated[
        Path, typer.Argument(metavar="DATABASE", help="Like encode's INPUT, or a file of codes that encode wrote.")
    ],
    query: Annotated[
        Path, typer.Argument(metavar="QUERY", help="Like DATABASE; vectors where queries keep real values.")
    ],
    k: Annotated[int, typer.Option("-k", help="Number of neighbours per query.", min=1)] = 10,
    csv: Annotated[Path | None, typer.Option(help="Also write the neighbours of all queries to this file.")] = None,
    distance: Annotated[
        str | None,
        typer.Option(help="For hash methods: hamming, or asymmetric for real-valued queries."),
    ] = None,
    rescore: Annotated[
        Path | None,
        typer.Option(metavar="VECTORS", help="The database's vectors: rerank the nearest codes by them."),
    ] = None,
    rescore_factor: Annotated[
        int | None, typer.Option(help="Number of codes to rerank per neighbour; default 4.", min=1)
    ] = None,
    exif: ExifOption = False,
    background: BackgroundOption = None,
    grey_range: GreyRangeOption = None,
    skip_broken: SkipBrokenOption = False,
    image_column: ImageColumnOption = None,
    weights: ModelWeightsOption = None,
    device: DeviceOption = "auto",
    batch_size: BatchSizeOption = None,
) -> None:
    """Find the nearest items of each query; ties of hash codes are in the database's order."""
    refuse_unknown_device(device)
    from hashbench.cli.neighbours import print_neighbours
    from hashbench.data.protocol import DISTANCES
    from hashbench.files.writing import writable_file
    from hashbench.models.inputs import InputOptions
    from hashbench.models.model_files import load_model
    from hashbench.models.search import Rescoring, open_search, write_csv
    from hashbench.reports.console import open_console

    if distance is not None:
        one_of("--distance", distance, DISTANCES)
    if rescore is None and rescore_factor is not None:
        raise InputError("--rescore-factor needs --rescore, the database's vectors")
    saved = load_model(model, plugin, weights=weights, device=device, batch_size=batch_size)
    if csv:
        writable_file(csv, "--csv", ".csv", [model, database, query, *([rescore] if rescore else [])])
    rescoring = Rescoring(rescore, rescore_factor or 4) if rescore else None
    options = InputOptions(exif, background, grey_range, skip_broken, image_column)
    opened = open_search(saved, database, query, distance=distance, rescoring=rescoring, options=options)
    print_neighbours(opened, k, open_console())
    if csv:
        write_csv(csv, opened, k)
        print(csv)


def export(
    plugin: PluginOption,
    model: ModelArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="The .faiss file for the index.")],
    to: Annotated[str, typer.Option("--format", help="faiss: takes vectors; faiss-binary: takes codes.")] = "faiss",
    vectors: Annotated[Path | None, typer.Option(help="The database, like encode's INPUT.")] = None,
    codes: Annotated[Path | None, typer.Option(help="The database, as codes that encode wrote.")] = None,
    weights: ModelWeightsOption = None,
    device: DeviceOption = "auto",
    batch_size: BatchSizeOption = None,
) -> None:
    """Write a faiss index that finds the same neighbours; with the database in it, or empty."""
    refuse_unknown_device(device)
    from hashbench.files.writing import writable_file
    from hashbench.models.export import FORMATS, faiss_binary_index, faiss_index, write_index
    from hashbench.models.model_files import load_model

    one_of("--format", to, FORMATS)
    if vectors and codes:
        raise InputError("--vectors and --codes are both the database; give one of them")
    saved = load_model(model, plugin, weights=weights, device=device, batch_size=batch_size)
    writable_file(out, "--out", ".faiss", [path for path in (model, vectors, codes) if path])
    index = (faiss_index if to == "faiss" else faiss_binary_index)(saved, vectors, codes)
    write_index(out, index)
    takes = f"vectors of {index.d} values" if to == "faiss" else f"codes of {saved.code_width} bytes"
    print(f"{out}: {type(index).__name__} of faiss, takes {takes}, {index.ntotal:,} in it")
