"""Runs and leaderboards in, a page and its figures as files out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from pathlib import Path

from hashbench.data.readers.texts.texts import Texts
from hashbench.errors import InputError
from hashbench.files.writing import as_input_error, writable_directory, writable_file, write_atomically
from hashbench.plugins.registry import Registry
from hashbench.progress import to_stderr
from hashbench.reports.page.figures.all_figures import figures_of
from hashbench.reports.page.figures.files import write_figures
from hashbench.reports.page.from_leaderboard import settings_of_leaderboard
from hashbench.reports.page.from_run import settings_of_run
from hashbench.reports.page.gallery import Gallery, make_gallery, ranks_by_codes
from hashbench.reports.page.page import render
from hashbench.reports.page.setting import Setting


def report(
    sources: Sequence[Path],
    out: Path,
    *,
    png: Path | None = None,
    gallery: bool = False,
    plugins: Iterable[str | Path] = (),
    command: str = "",
    log: Callable[[str], object] = to_stderr,
) -> list[Path]:
    """Write a page that shows runs and leaderboards.

    Parameters
    ----------
    sources : sequence of Path
        Output directories of runs, and leaderboards' CSV files; each data set, protocol and kind of features of
        each gets an entry of the page's switch.
    out : Path
        The page, a ``.html`` file; whatever is wrong, an older one stays as it is.
    png : Path, optional
        Folder that each figure is also written to, before the page.
    gallery : bool
        Whether to show what each method finds nearest to some queries, where the data's images are here.
    plugins : iterable of path-like
        Files of data sets that are not installed, for the gallery.
    command : str
        What the page says of how it was made.
    log : callable
        Called with the reason why a gallery is left out.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    InputError
        A source cannot be read or has no result, or a file cannot be written.
    """
    writable_file(out, "--out", ".html", sources)
    settings = list(chain.from_iterable(map(_settings, sources)))
    galleries = _galleries(settings, plugins, log) if gallery else {}
    figures = figures_of(settings)
    content = render(settings, figures, galleries, command)
    pictures = []
    if png is not None:
        writable_directory(png, "--png")
        pictures = write_figures(settings, figures, png, ("png",))
    with as_input_error(out):
        write_atomically(out, content)
    return [out, *pictures]


def _settings(source: Path) -> list[Setting]:
    if source.is_dir():
        return settings_of_run(source)
    if not source.exists():
        raise InputError(f"{source} is not here; name a run's directory or a leaderboard's CSV file")
    return settings_of_leaderboard(source)


def _galleries(
    settings: Sequence[Setting], plugins: Iterable[str | Path], log: Callable[[str], object]
) -> dict[int, Gallery]:
    galleries = {}
    for number, setting in enumerate(settings):
        try:
            galleries[number] = _gallery(setting, plugins)
        except InputError as error:
            log(f"no gallery of {setting.title}: {error}")
    return galleries


def _gallery(setting: Setting, plugins: Iterable[str | Path]) -> Gallery:
    from hashbench.reports.bundles.labels import dataset_of

    if setting.store is None:
        raise InputError(f"{setting.origin} holds no codes; name the run's directory")
    if not any(map(ranks_by_codes, setting.rows)):
        raise InputError("its rankings are not by Hamming distances of codes, which a gallery shows")
    record = setting.rows[0].records[0]
    dataset = dataset_of(record, Registry(plugins))
    if dataset.images is None or isinstance(dataset.images, Texts):
        raise InputError("the data set has no images")
    return make_gallery(setting, dataset)
