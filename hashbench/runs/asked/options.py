"""What a run is asked to do."""

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
        'Comma-separated, with parameters: "cibhash[beta=0.001,epochs=20],itq"; | makes a grid, and dims=N, for any '
        "method, cuts vectors to their first N dimensions.",
    )
    dataset: str = option("digits", "One or more, comma-separated; see hashbench list.")
    datasets: Sequence[Setting] = ()
    """Data sets with options of their own, in place of ``dataset``; the command line reads them from a file."""
    bits: str | Sequence[int] = option("16,32,64", "Code lengths, comma-separated.")
    distance: str = option("hamming", "How codes are ranked: hamming, asymmetric (queries keep their values), or both.")
    seeds: str | Sequence[int] = option("0", "Seeds, comma-separated; deterministic methods run once.")
    out: Path = option(Path("runs/latest"), "Directory of the records and results.csv.")
    plugins: Sequence[Path] = option((), "A plugin file; repeatable.", flag="--plugin")
    fresh: bool = option(False, "Recompute finished records.")
    save_models: bool = option(False, "Keep what is trained, for hashbench encode, search and export.")
    retry_failed: bool = option(False, "Run cells again that failed or were skipped before.")
    jobs: int = option(1, "Cells at once, each in a worker process of its own; they share the cores.", minimum=1)
    scheduler: str | None = option(
        None, "Compute on the workers of this dask scheduler: HOST:PORT or its scheduler file; see docs/cluster.md."
    )
    timeout: float | None = option(None, "Seconds that a cell may take, from its start to its scores.", minimum=0.001)
    max_memory: float | None = option(
        None,
        "Memory that a worker process may hold: MB, or with a unit such as 2GB or 1.5GiB.",
        minimum=1,
        read=megabytes,
    )
    exclusive_timing: bool = option(
        False, "With --jobs: in the end time again, one by one, the cells that were computed beside others."
    )
    in_process: bool = option(False, "Compute in this process, for debuggers: a crash then ends the run.")
    command: str = ""
    """The command that records name; the program's own by default."""
