"""The command line: thin commands over the library, one clear line for what the user can mend."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hashbench.cli import data as data_cli
from hashbench.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console


app = typer.Typer(
    name="hashbench",
    help="The benchmark suite for learning to hash: many methods, one exact protocol, reproducible leaderboards.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(data_cli.app, name="data")

PluginOption = Annotated[list[Path], typer.Option("--plugin", help="A plugin file; repeatable.", default_factory=list)]
ModelArgument = Annotated[Path, typer.Argument(metavar="MODEL", help="A model that hashbench run --save-models kept.")]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
ModelWeightsOption = Annotated[Path | None, typer.Option(help="State dict of the model's backbone, for images.")]


@app.callback()
def _common(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Name --debug in the help; `main` takes it out of the arguments, wherever it stands."""


@app.command()
def run(
    plugin: PluginOption,
    methods: Annotated[
        str, typer.Option(help='Comma-separated, with parameters: "cibhash[beta=0.001,epochs=20],itq".')
    ] = "cibhash,itq,lsh",
    dataset: Annotated[str, typer.Option(help="See hashbench list.")] = "digits",
    bits: Annotated[str, typer.Option(help="Code lengths, comma-separated.")] = "16,32,64",
    seeds: Annotated[str, typer.Option(help="Seeds, comma-separated; deterministic methods run once.")] = "0",
    backbone: Annotated[str | None, typer.Option(help="A timm model, vgg16, or pixels.")] = None,
    weights: Annotated[Path | None, typer.Option(help="State dict of the backbone.")] = None,
    image_size: Annotated[int | None, typer.Option(help="Side of the backbone's input, pixels.", min=1)] = None,
    device: DeviceOption = "auto",
    devices: Annotated[int, typer.Option(help="Devices that extract features and train.", min=1)] = 1,
    precision: Annotated[str, typer.Option(help="auto, bf16, fp16 or fp32.")] = "auto",
    normalization: Annotated[
        str,
        typer.Option(help="imagenet: as CIBHash's code has it; model: what the backbone was trained with."),
    ] = "imagenet",
    compile: Annotated[
        bool, typer.Option("--compile", help="Compile the backbone: pays off from some 100,000 images and views on.")
    ] = False,
    data_dir: Annotated[Path | None, typer.Option(help="Where the data set's files are.")] = None,
    cache_dir: Annotated[Path | None, typer.Option(help="Cache of data and features \\[env: HASHBENCH_CACHE].")] = None,
    out: Annotated[Path, typer.Option(help="Directory of the records and results.csv.")] = Path("runs/latest"),
    fresh: Annotated[bool, typer.Option("--fresh", help="Recompute finished records.")] = False,
    download: Annotated[bool, typer.Option("--download", help="Fetch missing data from the publisher.")] = False,
    protocol: Annotated[
        str | None,
        typer.Option(help='One of the data set\'s, see hashbench info; "NAME\\[number=value]" changes its draw.'),
    ] = None,
    splits: Annotated[
        Path | None, typer.Option(help="Folder with query.txt, train.txt, database.txt, instead of the draw.")
    ] = None,
    skip_broken: Annotated[bool, typer.Option("--skip-broken", help="Leave broken images out.")] = False,
    save_models: Annotated[
        bool, typer.Option("--save-models", help="Keep the trained methods, for hashbench encode and search.")
    ] = False,
) -> None:
    """Run methods on a data set and print the tables; finished cells are not run again."""
    _one_of("--device", device, ("auto", "cpu", "cuda"))
    _one_of("--precision", precision, ("auto", "bf16", "fp16", "fp32"))
    _one_of("--normalization", normalization, ("imagenet", "model"))
    from hashbench.evaluation.metrics import headline
    from hashbench.reports.tables import print_models, print_tables
    from hashbench.runs.options import RunOptions
    from hashbench.runs.records import Store
    from hashbench.runs.run import run as run_grid

    options = RunOptions(
        methods=methods,
        dataset=dataset,
        bits=bits,
        seeds=seeds,
        backbone=backbone,
        weights=weights,
        image_size=image_size,
        device=device,
        devices=devices,
        precision=precision,
        normalization=normalization,
        compile=compile,
        data_dir=data_dir,
        cache_dir=cache_dir,
        plugins=plugin,
        out=out,
        fresh=fresh,
        download=download,
        protocol=protocol,
        splits=splits,
        skip_broken=skip_broken,
        save_models=save_models,
    )
    records = run_grid(options)
    scored = [record for record in records if record.status == "ok"]
    shown = headline(scored[0].metrics) if scored else []
    console, store = _console(), Store(out)
    print_tables(records, console, shown, store)
    console.print(f"records and results.csv: {out}", markup=False, highlight=False)
    if save_models and scored:
        print_models(records, store, console)
    if all(record.status == "skipped" for record in records):
        raise InputError(f"no cell could run: {records[0].error}")
    if any(record.status in ("failed", "timeout") for record in records):
        raise typer.Exit(1)
    if save_models and not all(store.model_path(record.id).is_file() for record in scored):
        raise typer.Exit(1)


@app.command()
def encode(
    plugin: PluginOption,
    model: ModelArgument,
    source: Annotated[
        Path, typer.Argument(metavar="INPUT", help="A folder of images, an image, or a .npy of vectors or images.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Where the packed codes go, a .npy file.")],
    weights: ModelWeightsOption = None,
    device: DeviceOption = "auto",
) -> None:
    """Encode your own images or vectors with a trained method: packed codes, and the images' names beside them."""
    _one_of("--device", device, ("auto", "cpu", "cuda"))
    from hashbench.files.writing import writable_file
    from hashbench.models.code_files import names_path, write_codes
    from hashbench.models.encode import encode_input
    from hashbench.models.saved import load_model

    saved = load_model(model, plugin, weights=weights, device=device)
    writable_file(out, "--out", ".npy", [model, source])
    encoded = encode_input(saved, source)
    write_codes(out, encoded, saved)
    print(f"{out}: {len(encoded.codes):,} codes of {saved.n_bits} bits, packed, shape {encoded.codes.shape} uint8")
    if encoded.names:
        print(f"{names_path(out)}: the images' names, one a line, in the order of the codes")


@app.command()
def search(
    plugin: PluginOption,
    model: ModelArgument,
    database: Annotated[
        Path, typer.Argument(metavar="DATABASE", help="As encode's INPUT, or a file of codes that encode wrote.")
    ],
    query: Annotated[Path, typer.Argument(metavar="QUERY", help="As DATABASE.")],
    k: Annotated[int, typer.Option("-k", help="How many neighbours of each query.", min=1)] = 10,
    csv: Annotated[Path | None, typer.Option(help="Also write the neighbours of all queries.")] = None,
    weights: ModelWeightsOption = None,
    device: DeviceOption = "auto",
) -> None:
    """Find the nearest items of each query by Hamming distance; ties in the database's order."""
    _one_of("--device", device, ("auto", "cpu", "cuda"))
    from hashbench.cli.neighbours import print_neighbours
    from hashbench.files.writing import writable_file
    from hashbench.models.saved import load_model
    from hashbench.models.search import codes_of, write_csv

    saved = load_model(model, plugin, weights=weights, device=device)
    if csv:
        writable_file(csv, "--csv", ".csv", [model, database, query])
    items, queries = codes_of(saved, database), codes_of(saved, query)
    print_neighbours(saved, queries, items, k, _console())
    if csv:
        write_csv(csv, saved, queries, items, k)
        print(csv)


@app.command("list")
def list_plugins(
    plugin: PluginOption,
    check: Annotated[bool, typer.Option("--check", help="Import each in a process of its own.")] = False,
) -> None:
    """List methods and data sets, without importing them."""
    from hashbench.plugins.registry import KINDS, Registry

    registry = Registry(plugin)
    broken = 0
    for kind in KINDS:
        print(kind)
        plugins = registry.plugins(kind)
        width = max(map(len, plugins), default=0)
        reasons = registry.check(plugins.values()) if check else {}
        for name, found in sorted(plugins.items()):
            reason = reasons.get(name)
            broken += reason is not None
            note = f"BROKEN: {reason}" if reason else found.summary + ("  [ok]" if check else "")
            print(f"  {name:<{width}}  {note}")
    if broken:
        raise typer.Exit(1)


@app.command()
def info(plugin: PluginOption, name: Annotated[str, typer.Argument(help="A method or a data set.")]) -> None:
    """Explain a method (parameters, paper, inputs) or a data set (protocol, sizes, source, licence)."""
    from hashbench.cli.describe import describe
    from hashbench.plugins.registry import Registry

    print(describe(Registry(plugin), name))


@app.command()
def check(
    plugin: PluginOption,
    names: Annotated[list[str], typer.Argument(help="Methods and data sets; or all.")],
    data_dir: Annotated[Path | None, typer.Option(help="Where a data set's files are.")] = None,
) -> None:
    """Run the conformance suites on methods and data sets; checks of data that is not there are skipped."""
    from hashbench.checks import datasets as dataset_checks
    from hashbench.checks import methods as checks
    from hashbench.files.cache import cache_directory
    from hashbench.plugins.registry import Registry

    registry = Registry(plugin)
    methods, datasets = registry.names("methods"), registry.names("datasets")
    if data_dir is not None and (len(names) != 1 or names[0] not in datasets):
        raise InputError("--data-dir: a data set's files; name that one data set")
    failed = 0
    for name in [*methods, *datasets] if names == ["all"] else names:
        if name in datasets:
            ended = dataset_checks.outcomes(registry.find("datasets", name).load(), data_dir, cache_directory(None))
        else:
            ended = checks.outcomes(registry.find("methods", name).load())
        print(name)
        for outcome in ended:
            how = "FAILED" if outcome.failed else "skipped" if outcome.skipped else "ok"
            print(f"  {how:<7}  {outcome.name}  {outcome.reason}".rstrip())
            failed += outcome.failed
    if failed:
        raise typer.Exit(1)


@app.command()
def plot(
    directory: Annotated[Path, typer.Argument(help="Output directory of a run.")],
    to: Annotated[Path | None, typer.Option(help="Where the figures go; DIRECTORY/plots by default.")] = None,
    formats: Annotated[str, typer.Option("--format", help="Comma-separated: png, svg, pdf.")] = "png",
) -> None:
    """Draw PR curves, P@N, mAP against bits and parameters, and training curves; bands: lowest to highest seed."""
    from hashbench.reports.figures import plot as draw
    from hashbench.runs.records import open_results

    for path in draw(open_results(directory), to or directory / "plots", formats.split(",")):
        print(path)


@app.command()
def audit(
    directory: Annotated[Path, typer.Argument(help="Output directory of a run.")],
    csv: Annotated[Path | None, typer.Option(help="Also write a row per record and convention.")] = None,
) -> None:
    """Score a run's codes under every convention of the literature: how far apart the readings lie."""
    from hashbench.progress import progress
    from hashbench.reports.audit import audit as audit_records
    from hashbench.reports.audit import print_audit, write_csv
    from hashbench.runs.records import open_results

    store = open_results(directory)
    with progress("audit", sum(record.status == "ok" for record in store)) as bar:
        scores = audit_records(store, bar.advance)
    print_audit(scores, _console())
    if csv:
        write_csv(scores, csv)
        print(csv)


@app.command()
def publish(
    directory: Annotated[Path, typer.Argument(help="Output directory of a run.")],
    to: Annotated[Path, typer.Option(help="Where the leaderboards are.")] = Path("leaderboards"),
) -> None:
    """Merge a run's records into leaderboards/<dataset>.csv."""
    from hashbench.reports.leaderboard import publish as publish_records
    from hashbench.runs.records import open_results

    for path, rows, notes in publish_records(list(open_results(directory)), to):
        print(f"{path}: {rows} rows")
        for note in notes:
            print(f"  {note}")


@app.command()
def validate(files: Annotated[list[Path], typer.Argument(help="Leaderboard CSV files.")]) -> None:
    """Check leaderboard files: columns, values, order, no row twice."""
    from hashbench.reports.leaderboard import validate as problems_of

    bad = 0
    for file in files:
        problems = problems_of(file)
        bad += bool(problems)
        print(f"{file}: {'ok' if not problems else f'{len(problems)} problems'}")
        for problem in problems:
            print(f"  {problem}")
    if bad:
        raise InputError(f"{bad} of {len(files)} leaderboards are not valid")


def _one_of(option: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise InputError(f"{option} {value}: expected one of {', '.join(known)}")


def _console() -> Console:
    """Return a console that prints plain, unwrapped text where the output is not a terminal."""
    from rich.console import Console

    from hashbench.reports.console import PLAIN_WIDTH

    console = Console()
    return console if console.is_terminal else Console(width=PLAIN_WIDTH, color_system=None)


def main() -> None:
    """Run the command line and leave with its exit code: 0 fine, 1 a cell failed, 2 unusable input."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    debug = len(arguments) < len(sys.argv) - 1
    try:
        code = app(arguments, standalone_mode=False)
    except InputError as error:
        if debug:
            traceback.print_exc()
        code = _complain(str(error))
    except (KeyboardInterrupt, typer.Abort):
        code = _complain("interrupted; nothing is half done, give the same command again", 130)
    except BrokenPipeError:
        sys.stderr.close()
        code = 1
    except Exception as error:
        message = getattr(error, "format_message", None)
        if message is None:
            if debug:
                raise
            code = _complain(f"unexpected {type(error).__name__}: {error} (--debug shows where)", 1)
        elif type(error).__name__ == "NoArgsIsHelpError":
            code = 0
        else:
            code = _complain(f"{message()}; see hashbench --help")
    sys.exit(code if isinstance(code, int) else 0)


def _complain(message: str, code: int = 2) -> int:
    print(f"hashbench: {' '.join(message.split())}", file=sys.stderr)
    return code


if __name__ == "__main__":
    main()
