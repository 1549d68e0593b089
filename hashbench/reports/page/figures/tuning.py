"""The figure of tuning: how the best score on validation queries grows with the number of trials."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from hashbench.reports.page.figures import charts
from hashbench.reports.page.figures.figure import Figure
from hashbench.reports.page.figures.looks import Looks
from hashbench.reports.page.setting import Setting, shown
from hashbench.tuning.written import TRIALS_CSV

NEEDED = ("label", "bits", "trial", "metric", "best_so_far", "chosen")


def figures_of_tuning(setting: Setting, looks: Looks) -> Iterator[Figure]:
    """Yield a figure for each code length of a setting whose parameters were chosen by tuning."""
    if setting.store is None or not any(record.tuned for row in setting.rows for record in row.records):
        return
    trials = _trials(setting.store.directory / TRIALS_CSV)
    for n_bits in setting.bits:
        names = {row.records[0].label: row.label for row in setting.rows if row.n_bits == n_bits}
        of_length = trials[(trials["bits"] == n_bits) & trials["chosen"].isin(names) & trials["best_so_far"].notna()]
        if len(of_length):
            yield _figure(of_length, names, n_bits, looks)


def _trials(path: Path) -> pd.DataFrame:
    """Return the trials of a file; none if there is no such file, or it is not what tuning writes."""
    try:
        trials = pd.read_csv(path)
    except (OSError, ValueError):
        return pd.DataFrame(columns=list(NEEDED))
    return trials if set(NEEDED) <= set(trials) else pd.DataFrame(columns=list(NEEDED))


def _figure(trials: pd.DataFrame, names: dict[str, str], n_bits: int, looks: Looks) -> Figure:
    data = pd.DataFrame(
        {
            "name": [names[label] for label in trials["chosen"]],
            "x": trials["trial"].to_numpy() + 1,
            "y": trials["best_so_far"].to_numpy(),
        }
    )
    metric = shown(trials["metric"].iloc[0])
    ends = data.groupby("name", sort=False)["y"].agg(["first", "last"])
    gains = "; ".join(f"{name}: {one['first']:.4g} to {one['last']:.4g}" for name, one in ends.iterrows())
    x = charts.axis("x", "trials", nice=False, axis={"format": "d", "tickMinStep": 1})
    tooltip_fields = charts.tooltip(exact=("x",), name="method", x="trials", y=metric)
    return Figure(
        "tuning",
        f"best {metric} so far on validation queries, {n_bits} bits",
        f"Lines of the best {metric} so far over trials, one a method. From the default to the last: {gains}.",
        charts.lines(data, looks, x, charts.value_axis(metric, data), tooltip_fields, joined=True),
        data,
        bits=n_bits,
    )
