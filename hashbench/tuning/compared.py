"""Default and chosen parameters compared: on validation and test queries, with intervals and verdicts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from hashbench.evaluation.statistics import Comparison
from hashbench.evaluation.variance import Sample
from hashbench.files.writing import as_input_error, csv_safe, table_bytes, write_atomically
from hashbench.records.record import Record
from hashbench.records.store import Store
from hashbench.results.setting import grouped
from hashbench.results.verdicts import compare_methods, group_of, per_query, verdicts
from hashbench.tuning.importance import importances
from hashbench.tuning.study import Study
from hashbench.tuning.tune import Tuned

TUNED_CSV = "tuned.csv"


def compared_frame(tuned: Tuned, directory: Path) -> pd.DataFrame:
    """Return a row per method and code length, and write them as ``tuned.csv``.

    Parameters
    ----------
    tuned : Tuned
    directory : Path
        Of the final run.

    Raises
    ------
    InputError
        A record's arrays cannot be read, or the file cannot be written.
    """
    store, records = Store(directory), tuned.records
    compared = verdicts(records, store)
    of_cell = grouped(records, lambda record: (record.label, record.config["n_bits"], "tuned" in record.config))
    frame = pd.DataFrame([_row(study, tuned, of_cell, compared, store) for study in tuned.studies])
    path = directory / TUNED_CSV
    with as_input_error(path, "--out"):
        write_atomically(path, table_bytes(frame))
    return frame


def _row(
    study: Study,
    tuned: Tuned,
    of_cell: Mapping[tuple[str, int, bool], Sequence[Record]],
    compared: Mapping[tuple[str, str], Comparison],
    store: Store,
) -> dict[str, Any]:
    best, metric = study.best, tuned.metric
    default = _ended_well(of_cell.get((study.default.label, study.bits, False), ()))
    chosen = [] if best is None else _ended_well(of_cell.get((best.label, study.bits, True), ()))
    row = {
        "method": csv_safe(study.subject.label),
        "bits": study.bits,
        "reads_labels": study.default.record.uses_labels,
        "trials": len(study.trials),
        "failed_trials": sum(trial.score is None and not trial.pruned for trial in study.trials),
        "pruned_trials": sum(trial.pruned for trial in study.trials),
        "seconds": round(study.seconds, 3),
        "steps": study.steps,
        "chosen": "" if best is None else csv_safe(best.label),
        "trial": None if best is None else best.number,
        "validation_metric": tuned.plan.metric.name,
        "validation_default": study.default.score,
        "validation_tuned": None if best is None else best.score,
        "metric": metric,
        **dict(_scores("default", default, metric, compared)),
        **dict(_scores("tuned", chosen, metric, compared)),
        **_gain(default, chosen, metric, store),
    }
    return row | _criteria(study, tuned) | {"importances": csv_safe(_in_words(importances(study)))}


def _ended_well(records: Sequence[Record]) -> list[Record]:
    return [record for record in records if record.status == "ok"]


def _scores(
    what: str, seeds: Sequence[Record], metric: str, compared: Mapping[tuple[str, str], Comparison]
) -> Iterator[tuple[str, Any]]:
    """Yield the mean, its interval and the verdict against the best of the same kind."""
    one = compared.get((group_of(seeds[0]), metric)) if seeds else None
    low, high = (None, None) if one is None else one.interval
    yield f"test_{what}", None if one is None else one.mean
    yield f"test_{what}_low", low
    yield f"test_{what}_high", high
    yield f"verdict_{what}", "" if one is None else one.verdict


def _gain(default: Sequence[Record], chosen: Sequence[Record], metric: str, store: Store) -> dict[str, Any]:
    """Return the difference of chosen and default parameters on test queries, and whether it is more than chance."""
    if not default or not chosen:
        return {"gain": None, "gain_verdict": "", "gain_p": None}
    if default[0].config["params"] == chosen[0].config["params"]:
        return {"gain": 0.0, "gain_verdict": "default chosen", "gain_p": None}
    samples = {
        name: {metric: Sample.of(per_query(seeds, [metric], store)[metric])}
        for name, seeds in (("default", default), ("tuned", chosen))
    }
    n_bits = default[0].config["n_bits"]
    of = {name: one[metric] for (_, name), one in compare_methods({n_bits: samples}).items()}
    other = of["tuned"] if of["default"].best else of["default"]
    return {
        "gain": of["tuned"].mean - of["default"].mean,
        "gain_verdict": other.verdict,
        "gain_p": other.p_value,
    }


def _criteria(study: Study, tuned: Tuned) -> dict[str, Any]:
    """Return how well recall of the features' neighbours picks for an unsupervised method, by the protocol's metric."""
    recall, first = tuned.plan.recall, tuned.plan.first_metric
    if recall is None or study.default.record.uses_labels:
        return {}
    scores = [
        (metrics[recall.name], metrics[first])
        for trial in study.trials
        if {recall.name, first} <= (metrics := trial.record.metrics).keys()
    ]
    spearman = regret = None
    if len(scores) > 2:
        from scipy.stats import spearmanr

        by_recall, by_labels = zip(*scores, strict=True)
        if len(set(by_recall)) > 1 and len(set(by_labels)) > 1:
            spearman = float(spearmanr(by_recall, by_labels).statistic)
        regret = max(by_labels) - by_labels[by_recall.index(max(by_recall))]
    return {"label_free_spearman": spearman, "label_free_regret": regret}


def _in_words(shares: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {share:.2f}" for name, share in shares.items())
