"""The inputs of a cell on the machine that computes it: prepared there, and the same as the client's."""

from __future__ import annotations

from hashbench.errors import InputError
from hashbench.plugins.registry import Registry
from hashbench.runs.job import Job
from hashbench.runs.requested.options import RunOptions
from hashbench.runs.tasks import make_features
from hashbench.runs.workbench import open_workbench


def prepare_inputs(job: Job, options: RunOptions) -> None:
    """Make the features and views of a cell where they are not cached yet.

    Raises
    ------
    InputError
        Features or views cannot be made; or the data, the features or the method's code differ from what the client
        planned with.
    """
    bench, config = open_workbench(job.setting, options), job.config
    if config["data"] != bench.dataset.fingerprint and config["data"] != bench.held_out[0].fingerprint:
        raise InputError(
            f"{bench.dataset.name} is not the client's data set (fingerprint {bench.dataset.fingerprint[:12]}…, the "
            f"client's {config['data'][:12]}…); bring the same files to both, or name them with --data-dir"
        )
    if bench.source.key != config["features"]:
        key, theirs = bench.source.key, config["features"]
        names = sorted(name for name in {*key, *theirs} if key.get(name) != theirs.get(name))
        shown = "; ".join(f"{name} {key.get(name)}, the client's {theirs.get(name)}" for name in names)
        raise InputError(f"{bench.dataset.name}: its features would differ from the client's: {shown:.300}; give "
                         "--device, --precision and --weights, so that every machine takes the same")  # fmt: skip
    if Registry(options.plugins).find(job.kind, job.method).source_hash != config["source"]:
        raise InputError(f"{job.kind[:-1]} {job.method!r} has other source code than the client's; install the same")
    if not job.skip and not job.broken:
        needs = job.needs
        pools = [(needs.n_views, needs.views_seed)] if needs.n_views and needs.views_seed is not None else []
        make_features(job, pools, options)
