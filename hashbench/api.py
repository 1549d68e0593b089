"""What Python users call; the command line is a thin layer over these and `hashbench.evaluate`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hashbench.contract.method import HashMethod
from hashbench.contract.quantizer import Quantizer
from hashbench.data.dataset import Dataset
from hashbench.data.loading import load
from hashbench.data.options import LoadOptions
from hashbench.files.cache import cache_directory
from hashbench.options import home_expanded, options_of, signature_of
from hashbench.plugins.registry import Registry
from hashbench.runs.requested.grid import split_names
from hashbench.runs.requested.options import RunOptions

if TYPE_CHECKING:
    import pandas as pd

    from hashbench.reports.papers.shown import Tables


def load_method(name: str, plugins: tuple[str | Path, ...] = ()) -> type[HashMethod]:
    """Return the class of a method.

    Parameters
    ----------
    name : str
        Such as ``"itq"``.
    plugins : tuple of path-like
        Plugin files to look in besides the installed ones.

    Raises
    ------
    InputError
        There is no such method, or it cannot be imported.

    Examples
    --------
    >>> import numpy as np
    >>> import hashbench
    >>> X = np.random.default_rng(0).standard_normal((100, 8), dtype=np.float32)
    >>> hashbench.load_method("itq")(n_bits=4, random_state=0).fit(X).encode(X).shape
    (100, 1)
    """
    return Registry(plugins).find("methods", name).load()


def load_quantizer(name: str, plugins: tuple[str | Path, ...] = ()) -> type[Quantizer]:
    """Return the class of a quantizer, whose codes are ranked by a distance that it defines.

    Parameters
    ----------
    name : str
        Such as ``"rabitq"``.
    plugins : tuple of path-like
        Plugin files to look in besides the installed ones.

    Raises
    ------
    InputError
        There is no such quantizer, or it cannot be imported.

    Examples
    --------
    >>> import numpy as np
    >>> import hashbench
    >>> X = np.random.default_rng(0).standard_normal((100, 16), dtype=np.float32)
    >>> quantizer = hashbench.load_quantizer("rabitq")(random_state=0).fit(X)
    >>> codes = quantizer.encode(X)  # two bytes of signs, two numbers of four bytes
    >>> codes.shape
    (100, 10)
    >>> int(quantizer.searcher(codes)(X[:1], 1)[0, 0])
    0
    """
    return Registry(plugins).find("quantizers", name).load()


def load_dataset(name: str, *, plugins: Sequence[str | Path] = (), **options: Any) -> Dataset:
    """Load a data set.

    Parameters
    ----------
    name : str
        Such as ``"digits"``.
    plugins : sequence of path-like
        Plugin files to look in besides the installed ones.
    **options
        The fields of `hashbench.data.options.LoadOptions`, which are options of ``hashbench run``, too:
        ``data_dir="embeddings.npy"``, ``protocol="mscoco-cibhash/1[queries=20]"``, ``download=True`` and so on.

    Raises
    ------
    InputError
        There is no such data set, an option cannot be used, or its files are missing or corrupt.
    """
    loader = Registry(plugins).find("datasets", name).load()()
    load_options = options_of(LoadOptions, options)
    return load(loader, replace(load_options, cache_dir=cache_directory(load_options.cache_dir)))


def run(**options: Any) -> pd.DataFrame:
    """Run a grid of cells and return one row per cell.

    Parameters
    ----------
    **options
        The fields of `hashbench.runs.requested.options.RunOptions`, which are the options of ``hashbench run``:
        ``methods="cibhash,itq"``, ``dataset="digits"``, ``bits=[16, 32]``, ``seeds="0,1"``, ``out="runs/mine"`` and
        so on. What the command line takes is taken here too; where it takes several values, so is a list.

    Returns
    -------
    pandas.DataFrame
        The columns of ``results.csv``.

    Raises
    ------
    InputError
        An option cannot be used.
    """
    from hashbench.records.store import Store
    from hashbench.results.results_csv import results_frame
    from hashbench.results.verdicts import verdicts
    from hashbench.runs.run import run as run_grid

    run_options = options_of(RunOptions, options)
    run_options = replace(run_options, out=run_options.out.absolute())  # a plugin may change the working directory
    records = run_grid(run_options)
    return results_frame(records, verdicts(records, Store(run_options.out)))


def tune(**options: Any) -> pd.DataFrame:
    """Choose the parameters of methods by trials on validation queries, and compare them with the defaults.

    Parameters
    ----------
    **options
        The fields of `hashbench.tuning.options.TuneOptions`, which are the options of ``hashbench tune``:
        ``methods="cibhash,itq"``, ``trials=20``, ``bits=[32]``, ``seeds="0,1,2"`` and the other options of `run`.

    Returns
    -------
    pandas.DataFrame
        The rows of ``tuned.csv``: of each method and code length the scores of default and chosen parameters.

    Raises
    ------
    InputError
        An option cannot be used, Optuna is not installed, or no trial has a score.
    """
    from hashbench.tuning.compared import compared_frame
    from hashbench.tuning.options import TuneOptions
    from hashbench.tuning.tune import tune as tune_methods

    tune_options = options_of(TuneOptions, options)
    tune_options = replace(tune_options, out=tune_options.out.absolute())  # a plugin may change the working directory
    return compared_frame(tune_methods(tune_options), tune_options.out)


def compare(
    first: str | Path,
    second: str | Path | None = None,
    *,
    methods: str | Sequence[str] = "",
    metrics: str | Sequence[str] = "",
) -> pd.DataFrame:
    """Tell which differences between two runs, or two methods of one, are more than chance.

    Values are paired by query; seeds and queries are both sources of variance, and p values are corrected for all rows.

    Parameters
    ----------
    first, second : path-like
        Output directories of runs, A and B; without the second, the first is both.
    methods : str or sequence of str
        Labels, comma-separated in a text: one that both runs have, or A's and B's; all that both have by default.
    metrics : str or sequence of str
        The headline ones by default.

    Returns
    -------
    pandas.DataFrame
        See `hashbench.results.compare_runs.compare_runs`.

    Raises
    ------
    InputError
        A directory holds no records, or the two cannot be compared.
    """
    from hashbench.records.store import open_results
    from hashbench.results.compare_runs import compare_runs

    a, b = open_results(home_expanded(first)), open_results(home_expanded(first if second is None else second))
    return compare_runs(a, b, _names(methods, "methods"), _names(metrics, "metrics"))


def show(
    source: str | Path,
    *,
    methods: str | Sequence[str] = "",
    bits: Sequence[int] = (),
    metrics: str | Sequence[str] = "",
) -> Tables:
    """Return the tables of a run or a leaderboard; a notebook shows them.

    Parameters
    ----------
    source : path-like
        Output directory of a run, or a leaderboard's CSV file.
    methods : str or sequence of str
        Labels, in the order of the rows; all by default.
    bits : sequence of int
        Code lengths; all by default.
    metrics : str or sequence of str
        The headline ones, and those that the run has added, by default.

    Returns
    -------
    Tables
        ``to_frame()`` gives a row for each score.

    Raises
    ------
    InputError
        ``source`` is neither a run nor a leaderboard, or has nothing of what is asked for.
    """
    from hashbench.reports.papers.grid import chosen
    from hashbench.reports.papers.shown import Tables
    from hashbench.reports.papers.sources import grids_of

    path = home_expanded(source)
    grids = chosen(grids_of(path, _names(metrics, "metrics")), _names(methods, "methods"), list(bits))
    return Tables(path, grids)


def _names(given: str | Sequence[str], argument: str) -> Sequence[str]:
    if isinstance(given, str):
        return split_names(given, argument) if given else []
    return given


run.__signature__ = signature_of(RunOptions)  # type: ignore[attr-defined]
load_dataset.__signature__ = signature_of(LoadOptions, load_dataset)  # type: ignore[attr-defined]
