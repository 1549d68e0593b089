"""Scores codes that exist, whatever made them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from hashbench.codes.names import CODES, DATABASE, LABELS, QUERY
from hashbench.codes.reading import CodeSet, read_code_set
from hashbench.codes.sources import Source, is_path
from hashbench.data.leaks.labels import label_findings
from hashbench.errors import InputError
from hashbench.evaluation.code_facts import code_lines
from hashbench.evaluation.conventions import CUTOFFS, conventions
from hashbench.evaluation.evaluate import Evaluation, evaluate
from hashbench.evaluation.metrics import MAP, parse
from hashbench.progress import progress

if TYPE_CHECKING:
    import pandas as pd

METRICS = ("mAP@1000", "mAP@5000", "mAP@all", "P@1000")
"""What is computed by default where labels say what is relevant."""
NEIGHBOR_METRICS = ("recall@1", "recall@10", "recall@100")
"""What is computed by default where true neighbours do."""


@dataclass(frozen=True)
class Score(Evaluation):
    """Metric values of codes by name, and what was read.

    Attributes
    ----------
    read_as : str
        What was read from where, in one line.
    notes : list of str
        What was decided where that is not plain, a line each.
    findings : list of str
        What the codes look like, such as constant or equal bits, and what is odd about the labels, a line each.
    conventions : pandas.DataFrame or None
        Mean average precision under every convention, where it was asked for: the columns ``cutoff``, ``divisor``,
        ``ties``, ``without_hit`` and ``mAP``, as `hashbench.evaluation.conventions.conventions` describes them.
    """

    read_as: str = ""
    notes: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    conventions: pd.DataFrame | None = None


def score(
    *sources: str | Path,
    query_codes: Source = None,
    database_codes: Source = None,
    query_labels: Source = None,
    database_labels: Source = None,
    neighbors: Source = None,
    bits: int | None = None,
    metrics: str | Sequence[str] = (),
    audit: bool = False,
) -> Score:
    """Score codes from arrays or files.

    Parameters
    ----------
    *sources : path-like
        Files or folders of which the names of files and arrays say what they hold, such as ``tst_binary.npy`` or a
        checkpoint with ``qB``, ``rB``, ``qL`` and ``rL``.
    query_codes, database_codes : path-like, ndarray, tensor or DataFrame, optional
        A row for each item: packed bytes (uint8), 0 and 1, −1 and 1, bool, or real outputs, whose sign is the bit. A
        text is a path, or ``FILE:NAME`` for one of several arrays in a file.
    query_labels, database_labels : path-like, array, tensor, Series or list, optional
        Classes, names, matrices of 0 and 1, or lists of labels.
    neighbors : path-like or ndarray of shape (n_queries, k), int, optional
        Database rows of each query's true neighbours, the nearest first, in place of labels.
    bits : int, optional
        The code length; needed for packed codes whose length is no multiple of 8.
    metrics : str or sequence of str
        Names such as ``mAP@1000``, comma-separated in a text; `METRICS` or `NEIGHBOR_METRICS` by default.
    audit : bool
        Whether the mean average precision under every convention of the literature is computed, too.

    Returns
    -------
    Score
        A mapping from metric names to means over the queries.

    Raises
    ------
    InputError
        Something is missing, unreadable or does not fit together; the line says what to do.

    Examples
    --------
    >>> import numpy as np
    >>> import hashbench
    >>> result = hashbench.score(
    ...     query_codes=np.array([[1.0, -1.0]]),
    ...     database_codes=np.array([[1, 1], [1, -1], [-1, 1]]),
    ...     query_labels=["cat"],
    ...     database_labels=["cat", "cat", "dog"],
    ...     metrics="mAP@all",
    ... )
    >>> dict(result)
    {'mAP@all': 1.0}
    """
    given = {
        (QUERY, CODES): query_codes,
        (DATABASE, CODES): database_codes,
        (QUERY, LABELS): query_labels,
        (DATABASE, LABELS): database_labels,
    }
    if neighbors is not None and (query_labels is not None or database_labels is not None):
        raise InputError("--neighbors and labels both say what is relevant: give one of them")
    if neighbors is not None and audit:
        raise InputError("--audit is about mean average precision by labels: give labels in place of --neighbors")
    odd = next((one for one in sources if not is_path(one)), None)
    if odd is not None:
        raise InputError(f"{type(odd).__name__} is no path: give arrays by keyword, as query_codes=... and so on")
    names = metrics.split(",") if isinstance(metrics, str) else list(metrics)
    wanted = [_known(name.strip()) for name in names if name.strip()]
    return score_code_set(read_code_set([Path(one) for one in sources], given, neighbors, bits), wanted, audit)


def score_code_set(codes: CodeSet, metrics: Sequence[str] = (), audit: bool = False) -> Score:
    """Score codes that were read.

    Parameters
    ----------
    codes : CodeSet
    metrics : sequence of str
        The default ones where it is empty.
    audit : bool

    Raises
    ------
    InputError
        A metric does not go with what is relevant.
    """
    try:
        done = evaluate(
            codes.query_codes,
            codes.database_codes,
            codes.query_labels,
            codes.database_labels,
            metrics or _usual(codes),
            neighbors=codes.neighbors,
            n_bits=codes.n_bits,
        )
    except ValueError as error:
        raise InputError(str(error)) from error
    read = _conventions(codes, metrics) if audit else None
    return Score(
        done.values_by_name, done.per_query, done.counted, done.rows, codes.read_as, codes.notes, _findings(codes), read
    )


def _findings(codes: CodeSet) -> list[str]:
    findings = code_lines(codes.query_codes, codes.database_codes, codes.n_bits)
    if codes.query_labels is not None and codes.database_labels is not None:
        findings += map(str, label_findings(codes.query_labels, codes.database_labels))
    return findings


def _known(name: str) -> str:
    try:
        parse(name)
    except ValueError as error:
        raise InputError(f"--metrics: {error}") from error
    return name


def _usual(codes: CodeSet) -> list[str]:
    """Return the default metrics whose cut-offs the database, or the number of neighbours, reaches."""
    most = len(codes.database_codes) if codes.neighbors is None else codes.neighbors.shape[1]
    usual = METRICS if codes.neighbors is None else NEIGHBOR_METRICS
    return [name for name in usual if (getattr(parse(name), "k", None) or 0) <= most]


def _conventions(codes: CodeSet, metrics: Sequence[str]) -> pd.DataFrame:
    import pandas as pd

    asked = {metric.k for metric in map(parse, metrics) if isinstance(metric, MAP)}
    cutoffs = sorted({*CUTOFFS, *asked}, key=lambda cutoff: (cutoff is None, cutoff))
    assert codes.query_labels is not None
    assert codes.database_labels is not None
    with progress("conventions", len(codes.query_codes)) as bar:
        rows = conventions(
            codes.query_codes,
            codes.database_codes,
            codes.query_labels,
            codes.database_labels,
            codes.n_bits,
            cutoffs,
            scripts=True,
            advance=bar.advance,
        )
    return pd.DataFrame(rows)
