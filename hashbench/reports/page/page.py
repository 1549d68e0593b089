"""The page itself: settings as one HTML file that holds all that it needs."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from typing import Any

import jinja2
import vl_convert
from markupsafe import Markup

from hashbench.reports.page.figures.charts import CONFIG
from hashbench.reports.page.figures.figure import Figure, columns_of
from hashbench.reports.page.gallery import Gallery
from hashbench.reports.page.setting import Setting, shown
from hashbench.reports.page.summary import summaries
from hashbench.results.rows import Row

PANELS = (
    {"id": "by_bits", "title": "Score by code length", "choice": "", "wide": False,
     "intro": "Means over queries and seeds; bars are 95% intervals."},
    {"id": "bytes", "title": "Recall for bytes", "choice": "", "wide": True,
     "intro": "Means over queries and seeds; grey steps: the best with as few bytes. Bytes with every stored number."},
    {"id": "pr", "title": "Precision and recall", "choice": "", "wide": False,
     "intro": "Over ranks, expected values within ties, means over queries and seeds."},
    {"id": "precision", "title": "Precision@N", "choice": "", "wide": False,
     "intro": "The share of relevant items among the N nearest, means over queries and seeds."},
    {"id": "classes", "title": "Score by class", "choice": "", "wide": False,
     "intro": "Means over the queries of each class and over seeds; methods in the order of their score."},
    {"id": "cost", "title": "Score against cost", "choice": "", "wide": True,
     "intro": "Each point is a method at one code length. Ringed points are the Pareto front: nothing else is both "
              "as cheap and as good. Times are medians over seeds, without the features, which all methods share."},
    {"id": "map", "title": "A map of the codes", "choice": "Method", "wide": False,
     "intro": "Codes of a sample of the database, lowest seed, in the plane of their two largest principal "
              "components: classical multidimensional scaling of their Hamming distances."},
    {"id": "sensitivity", "title": "Sensitivity to parameters", "choice": "Parameter", "wide": False,
     "intro": "Where rows differ in one parameter of one method; bars are 95% intervals."},
    {"id": "training", "title": "Training", "choice": "Method", "wide": True,
     "intro": "What the method logs each epoch, means over seeds."},
    {"id": "tuning", "title": "Tuning", "choice": "", "wide": False,
     "intro": "The best score of the trials so far, on validation queries with one seed; the first is the default."},
)  # fmt: skip
"""The sections of figures, in order; two that are not wide are side by side where there is room."""
SCORE = ("mean", "std", "low", "high", "verdict")


def render(
    settings: Sequence[Setting],
    figures: Sequence[Sequence[Figure]],
    galleries: Mapping[int, Gallery],
    command: str,
) -> bytes:
    """Return the page.

    Parameters
    ----------
    settings : sequence of Setting
    figures : sequence of sequences of Figure
        Of each setting.
    galleries : mapping from int to Gallery
        By the number of their setting.
    command : str
        What made the page.
    """
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":"), "ensure_ascii": False}
    markup = environment.from_string(_template("report.html"))
    scripts = {"library": _library(), "script": _template("report.js")}
    safe = {name: Markup(text) for name, text in (*scripts.items(), ("css", _template("report.css")))}
    datasets = ", ".join(dict.fromkeys(setting.dataset for setting in settings))
    page = markup.render(
        title=shown(f"hashbench report: {datasets}"),
        payload={
            "config": CONFIG,
            "settings": [
                {**_setting(one, drawn, galleries.get(number)), "name": name}
                for number, (one, drawn, name) in enumerate(zip(settings, figures, _names(settings), strict=True))
            ],
        },
        panels=PANELS,
        version=version("hashbench"),
        command=shown(command),
        script_hashes=Markup(" ".join(map(_csp_hash, scripts.values()))),
        **safe,
    )
    return page.encode()


@cache
def _library() -> str:
    """Return Vega, Vega-Lite and Vega-Embed as one script; putting it together takes seconds."""
    return vl_convert.javascript_bundle()  # type: ignore[call-arg]  # its default is missing in the stub


def _template(name: str) -> str:
    return (files("hashbench.reports.page") / "templates" / name).read_text("utf-8")


def _csp_hash(script: str) -> str:
    """Return a script's name in the page's content security policy: no other script runs."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def _names(settings: Sequence[Setting]) -> list[str]:
    """Return the settings' names in the switch; equal ones get their origin or a number."""
    titles = [setting.title for setting in settings]
    names = [
        title if titles.count(title) == 1 else shown(f"{title} · {setting.origin}")
        for title, setting in zip(titles, settings, strict=True)
    ]
    return [name if names.count(name) == 1 else f"{name} ({names[:n].count(name) + 1})" for n, name in enumerate(names)]


def _setting(setting: Setting, figures: Sequence[Figure], gallery: Gallery | None) -> dict[str, Any]:
    about = {
        name: shown(getattr(setting, name)) for name in ("dataset", "protocol", "backbone", "provenance", "origin")
    }
    commands = {"made by": "\n".join(map(shown, setting.command.split("\n")))} if setting.command else {}
    return {
        **about,
        "facts": {"from": about["origin"], **commands, **setting.facts},
        "notes": setting.notes,
        "labels": setting.labels,
        "bits": setting.bits,
        "metrics": setting.metrics,
        "axes": setting.axes,
        "lower_is_better": setting.lower_is_better,
        "rows": [_row(row) for row in setting.rows],
        "summaries": summaries(setting),
        "figures": [_figure(figure) for figure in figures],
        "evidence": setting.evidence,
        "gallery": None if gallery is None else asdict(gallery),
    }


def _row(row: Row) -> dict[str, Any]:
    return {
        "label": row.label,
        "bits": row.n_bits,
        "bytes": row.n_bytes,
        "n_seeds": row.n_seeds,
        "scores": {name: {part: getattr(score, part) for part in SCORE} for name, score in row.scores.items()},
        "timings": row.timings,
        "uses_labels": row.uses_labels,
        "date": row.date,
    }


def _figure(figure: Figure) -> dict[str, Any]:
    names = ("panel", "title", "alt", "spec", "bits", "metric", "choice")
    return {**{name: getattr(figure, name) for name in names}, "columns": columns_of(figure.data)}
