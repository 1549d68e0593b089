"""Runs plugins' checks in a process that may end, and prints how each check went."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path

from hashbench.plugins.plugin import Plugin
from hashbench.progress import to_stderr
from hashbench.runs.workers.worker import Worker, WorkerDied


def check_all(plugins: Iterable[Plugin], data_dir: Path | None, timeout: float | None) -> int:
    """Check plugins one after the other, print a line for each check, and return how many failed.

    Parameters
    ----------
    plugins : iterable of Plugin
    data_dir : Path, optional
        Where a data set's files are.
    timeout : float, optional
        Seconds that one plugin's checks may take, in a worker process; without it they run in this process.
    """
    failed = 0
    with closing(Worker(log=print)) as worker:
        for plugin in plugins:
            print(plugin.name)
            if timeout is None:
                failed += check_one(plugin, data_dir, print)
                continue
            try:
                failed += worker.call(check_one, plugin, data_dir, to_stderr, timeout=timeout)
            except WorkerDied as error:
                print(f"  FAILED   the check that came next: {error}")
                print("".join(f"    {line}\n" for line in error.output.splitlines()[-3:]), end="")
                failed += 1
    return failed


def check_one(plugin: Plugin, data_dir: Path | None, say: Callable[[str], object]) -> int:
    """Run a plugin's suite, say a line for each check, and return how many failed."""
    from hashbench.checks.suite import suite
    from hashbench.files.cache import cache_directory

    failed = 0
    for outcome in suite(plugin.load, data_dir, cache_directory(None)):
        say(f"  {outcome.how:<7}  {outcome.name}  {outcome.reason}".rstrip())
        failed += outcome.failed
    return failed
