"""The options of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hashbench.data.options import LoadOptions
from hashbench.features.options import BackboneOptions
from hashbench.options import megabytes, option
from hashbench.runs.job import Setting


@dataclass(frozen=True)
class RunOptions(LoadOptions, BackboneOptions):
    """What a run is asked to do: the options of ``hashbench run``, those of data and backbone among them."""

    methods: str = option(
        "cibhash,itq,lsh",
        'Comma-separated, with parameters: "cibhash[beta=0.001,epochs=20],itq". | makes a grid. dims=N, for any '
        "method, keeps the first N dimensions of the vectors. Or a group: unsupervised, supervised, classics, deep, "
        "quick, engineers.",
    )
    dataset: str = option("digits", "One or more, comma-separated; see hashbench list.")
    datasets: Sequence[Setting] = ()
    """Data sets with separate options, in place of ``dataset``; the command line reads them from a file."""
    bits: str | Sequence[int] = option("16,32,64", "Code lengths, comma-separated.")
    distance: str = option("hamming", "How codes are ranked: hamming, asymmetric (real-valued queries), or both.")
    metrics: str = option(
        "",
        "Metrics to add to the protocol's, comma-separated, such as P@100,MRR@10; see hashbench list.",
    )
    seeds: str | Sequence[int] = option("0", "Seeds, comma-separated; deterministic methods run once.")
    out: Path = option(Path("runs/latest"), "Directory of the records and results.csv.")
    plugins: Sequence[Path] = option((), "A plugin file; repeatable.", flag="--plugin")
    fresh: bool = option(False, "Recompute finished records.")
    save_models: bool = option(False, "Save the trained models, for hashbench encode, search and export.")
    retry_failed: bool = option(False, "Retry cells that failed or were skipped before.")
    jobs: int = option(1, "Cells computed at once, each in a separate worker process; they share the cores.", minimum=1)
    scheduler: str | None = option(
        None, "Compute on the workers of this dask scheduler: HOST:PORT or its scheduler file; see docs/cluster.md."
    )
    timeout: float | None = option(None, "Limit for each cell in seconds, from its start to its scores.", minimum=0.001)
    max_memory: float | None = option(
        None,
        "Memory limit of a worker process: MB, or with a unit such as 2GB or 1.5GiB.",
        minimum=1,
        read=megabytes,
    )
    exclusive_timing: bool = option(
        False, "With --jobs: at the end, time cells again that ran at the same time as others."
    )
    in_process: bool = option(False, "Compute in this process, for debugging; a crash then ends the run.")
    command: str = ""
    """The command that records name; the program's own by default."""
