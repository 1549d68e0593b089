"""Scores codes: the public entry to the metrics, usable without anything else of hashbench."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

import numpy as np

from hashbench.evaluation.asymmetric import AsymmetricPair, per_query_values
from hashbench.evaluation.counting.codes import CodePair
from hashbench.evaluation.counting.histograms import Histograms
from hashbench.evaluation.counting.spherical import spherical_histograms
from hashbench.evaluation.metrics import Metric, MetricReading, metrics_of, values_of
from hashbench.evaluation.readings import database_rows, query_rows
from hashbench.evaluation.relevance import Relevance, relevance_of
from hashbench.files.compiled import refuse_forked
from hashbench.files.html import html_table
from hashbench.progress import progress

if TYPE_CHECKING:
    import pandas as pd

SHOW_PROGRESS_FROM = 2 * 10**10
"""Query-item pairs from which an evaluation takes long enough to show how far it is."""


@dataclass(frozen=True, repr=False)
class Evaluation(Mapping[str, float]):
    """Metric values by name, each the mean over queries.

    Attributes
    ----------
    values_by_name : dict from str to float
    per_query : dict from str to ndarray of shape (n_queries,), float64
    counted : Histograms or None
        What the values were computed from; None where the ranking was by real-valued scores, or classes were unseen.
    rows : dict from str to ndarray of int64
        Which queries a metric of some of them is of, by its name.
    """

    values_by_name: dict[str, float]
    per_query: dict[str, np.ndarray]
    counted: Histograms | None = None
    rows: dict[str, np.ndarray] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        per_query: dict[str, np.ndarray],
        counted: Histograms | None = None,
        rows: Mapping[str, np.ndarray] = MappingProxyType({}),
    ) -> Evaluation:
        """Return an evaluation with the mean of each metric over the queries."""
        means = {name: float(values.mean()) for name, values in per_query.items()}
        return cls(means, per_query, counted, dict(rows))

    @property
    def histograms(self) -> Histograms:
        """What the values were computed from; more metrics can be had from it.

        Raises
        ------
        ValueError
            The ranking was by real-valued scores, whose histograms would be as long as the database; or seen and unseen
            classes were counted apart.
        """
        if self.counted is None:
            raise ValueError("distance='asymmetric' keeps no histograms, nor do metrics of unseen classes")
        return self.counted

    def __getitem__(self, name: str) -> float:
        return self.values_by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_by_name)

    def __len__(self) -> int:
        return len(self.values_by_name)

    def __repr__(self) -> str:
        values = "".join(f"{name}={value:.4f}, " for name, value in self.items())
        return f"Evaluation({values}n_queries={self._n_queries or 'unknown'})"

    def _repr_html_(self) -> str:
        """Return a table for notebooks."""
        rows = [(name, f"{value:.4f}") for name, value in self.items()]
        return html_table(f"Means over {self._n_queries or 'all'} queries", ("metric", "mean"), rows)

    @property
    def _n_queries(self) -> int | None:
        if self.counted is not None:
            return len(self.counted.total)
        numbers = {len(values) for values in self.per_query.values()}
        return numbers.pop() if len(numbers) == 1 else None

    def to_frame(self) -> pd.DataFrame:
        """Return the values per query: a row for each query, a column for each metric; NaN where it is not scored."""
        import pandas as pd

        columns = {name: pd.Series(values, self.rows.get(name)) for name, values in self.per_query.items()}
        return pd.DataFrame(columns).rename_axis(index="query", columns="metric")


def evaluate(
    query_codes: np.ndarray,
    database_codes: np.ndarray,
    query_labels: np.ndarray | None = None,
    database_labels: np.ndarray | None = None,
    metrics: Sequence[str | Metric] = ("mAP@1000", "mAP@all"),
    *,
    neighbors: np.ndarray | None = None,
    n_bits: int | None = None,
    n_labels: int | None = None,
    distance: Literal["hamming", "spherical", "asymmetric"] = "hamming",
    database_factors: np.ndarray | None = None,
    database_offsets: np.ndarray | None = None,
    unseen: np.ndarray | Sequence[int] | None = None,
    advance: Callable[[int], object] | None = None,
) -> Evaluation:
    """Score codes by exact, tie-aware metrics.

    Parameters
    ----------
    query_codes, database_codes : ndarray of shape (n, width)
        uint8 is packed (`numpy.packbits`), 8 bits a byte; bool and signed types hold one bit an entry, signed
        ones −1 and 1. The database may be a memory-map: it is read in shards. With ``distance="asymmetric"`` the
        queries are real values, float of shape (n_queries, n_bits), such as a method's ``project(X)``.
    query_labels, database_labels : ndarray, optional
        Integers of shape (n,): items of one class are relevant to each other. bool of shape (n, n_labels), or
        uint64 bit masks of shape (n, n_words): items that share a label are.
    metrics : sequence of str or Metric
        Names such as ``mAP@1000``, ``mAP@all``, ``mAP@1000(min(k,R))``, ``mAP@1000(R)``, ``mAP@all(pessimistic)``,
        ``mAP@r2``, ``P@100``, ``R@100``, ``P@r2``, ``R-precision``, ``success@10``, ``MRR@10``, ``nDCG@100``,
        ``nDCG@100(linear)``, ``ACG@100``, ``wmAP@100``, ``recall@10``, ``recall10@100``; docs/protocol.md defines them.
        Or metrics themselves, such as your own; docs/add-a-metric.md says how to write one.
    neighbors : ndarray of shape (n_queries, k), int, optional
        Database rows of each query's true nearest neighbours, nearest first, instead of labels.
    n_bits : int, optional
        Code length, where it is not the full width of packed codes. Bits after it must be 0.
    n_labels : int, optional
        How many labels uint64 masks hold; a bit beyond them is refused.
    distance : {"hamming", "spherical", "asymmetric"}
        By what items are ranked. ``spherical`` is spherical hashing's ``|a ⊕ b|`` / ``|a ∧ b|`` (Heo et al., CVPR 2012,
        section 3.3), for codes of up to 128 bits. ``asymmetric`` is the score factor · ⟨q, b⟩ + offset of real-valued
        queries q and codes b in −1 and 1, the highest first; equal scores are ties. It is exact, see
        `hashbench.evaluation.asymmetric`. Metrics within a Hamming radius go with neither.
    database_factors, database_offsets : ndarray of shape (n_database,), optional
        For ``asymmetric``: real numbers, 1 and 0 by default. Where the squared distance is a_i − c_i ⟨q, b_i⟩, as
        in RaBitQ's estimate, they are c and −a.
    unseen : sequence of int, optional
        The classes that training has not seen. A metric's name may then end in ``seen@seen``, ``seen@all``,
        ``unseen@unseen`` or ``unseen@all``, as in ``mAP@all unseen@all``: queries of these classes only, against
        database items of these classes or of all. Its values per query are those of these queries, in order.
    advance : callable, optional
        Called with the number of database items after each shard, or of queries if the distance is ``asymmetric``. By
        default a long evaluation shows its progress on standard error.

    Returns
    -------
    Evaluation
        A mapping from metric name to its mean over queries, with ``per_query[name]``.

    Raises
    ------
    ValueError
        An argument has an unusable shape, dtype or content; the message names it. A metric of unseen classes is named
        without `unseen`, or there is nothing to score it on.
    ContractError
        A metric of yours returns what cannot be its values.
    InputError
        The process was forked from one that has evaluated before; see docs/api.md.

    Examples
    --------
    >>> import numpy as np
    >>> from hashbench import evaluate
    >>> query = np.array([[1, 1, 1, -1]])
    >>> database = np.array([[1, 1, 1, 1], [1, 1, 1, -1], [-1, -1, 1, 1], [1, -1, 1, -1]])
    >>> result = evaluate(query, database, np.array([7]), np.array([3, 7, 7, 3]), metrics=["mAP@all", "P@2"])
    >>> print({name: round(value, 4) for name, value in result.items()})
    {'mAP@all': 0.75, 'P@2': 0.5}
    >>> result.per_query["mAP@all"].tolist()
    [0.75]
    """
    refuse_forked()
    wanted = metrics_of(metrics)
    if any(isinstance(metric, MetricReading) for metric in wanted):
        labels = _classes(query_labels, "query_labels"), _classes(database_labels, "database_labels")

        def some(queries: np.ndarray, items: np.ndarray, of_reading: list[Metric]) -> Mapping[str, np.ndarray]:
            return evaluate(
                np.asarray(query_codes)[queries],
                np.asarray(database_codes)[items],
                labels[0][queries],
                labels[1][items],
                of_reading,
                database_factors=None if database_factors is None else np.asarray(database_factors)[items],
                database_offsets=None if database_offsets is None else np.asarray(database_offsets)[items],
                n_bits=n_bits,
                distance=distance,
                advance=advance,
            ).per_query

        return by_reading(wanted, *labels, unseen, some)
    if distance == "asymmetric":
        pair = AsymmetricPair.of(query_codes, database_codes, database_factors, database_offsets, n_bits)
        shape = len(pair.queries), len(pair.database)
        relevance = relevance_of(query_labels, database_labels, neighbors, n_labels, *shape)
        with _display(math.prod(shape), shape[0], advance) as notify:
            return Evaluation.of(per_query_values(pair, relevance, wanted, notify))
    if distance not in ("hamming", "spherical"):
        raise ValueError(f"distance={distance!r}: expected 'hamming', 'spherical' or 'asymmetric'")
    if database_factors is not None or database_offsets is not None:
        raise ValueError("database_factors and database_offsets go with distance='asymmetric' alone")
    codes = CodePair.of(query_codes, database_codes, n_bits)
    shape = len(codes.queries), len(codes.database)
    relevance = relevance_of(query_labels, database_labels, neighbors, n_labels, *shape)
    with _display(math.prod(shape), shape[1], advance) as notify:
        if distance == "hamming":
            histograms = relevance.count(codes, wanted, notify)
        else:
            histograms = _spherical(codes, relevance, wanted, notify)
    return score(histograms, metrics)


def by_reading(
    wanted: Sequence[Metric],
    query_labels: np.ndarray,
    database_labels: np.ndarray,
    unseen: np.ndarray | Sequence[int] | None,
    values: Callable[[np.ndarray, np.ndarray, list[Metric]], Mapping[str, np.ndarray]],
) -> Evaluation:
    """Return metrics of seen and unseen classes: each reading is an evaluation of its queries and items.

    Parameters
    ----------
    wanted : sequence of Metric
    query_labels, database_labels : ndarray of shape (n,), int
    unseen : sequence of int or None
        Classes that training has not seen.
    values : callable
        Gets rows of queries, rows of the database and metrics; returns each metric's values by its name.

    Raises
    ------
    ValueError
        There are no unseen classes, or a reading has no query or no item.
    """
    if unseen is None:
        one = next(metric for metric in wanted if _reading_of(metric))
        raise ValueError(f"{one} needs unseen, the classes that training has not seen")
    per_query: dict[str, np.ndarray] = {}
    rows: dict[str, np.ndarray] = {}
    for reading in dict.fromkeys(map(_reading_of, wanted)):
        chosen, kept = np.arange(len(query_labels)), np.arange(len(database_labels))
        if reading:
            chosen = query_rows(reading, query_labels, np.asarray(unseen))
            kept = database_rows(reading, database_labels, np.asarray(unseen))
            if not len(chosen) or not len(kept):
                raise ValueError(f"{reading}: {len(chosen)} queries and {len(kept)} database items are of its classes")
        metrics = [
            one.metric if isinstance(one, MetricReading) else one for one in wanted if _reading_of(one) == reading
        ]
        done = values(chosen, kept, metrics)
        names = {name: f"{name} {reading}".rstrip() for name in done}
        per_query |= {names[name]: of_queries for name, of_queries in done.items()}
        rows |= dict.fromkeys(names.values(), chosen)
    return Evaluation.of({str(one): per_query[str(one)] for one in wanted}, rows=rows)


def _reading_of(metric: Metric) -> str:
    return metric.reading if isinstance(metric, MetricReading) else ""


def _classes(labels: np.ndarray | None, name: str) -> np.ndarray:
    """Return labels that classes can be told from."""
    if labels is None or np.ndim(labels) != 1:
        raise ValueError(f"{name} must be one class an item, integers of shape (n,), where classes are unseen")
    return np.asarray(labels)


@contextmanager
def _display(n_pairs: int, n_steps: int, advance: Callable[[int], object] | None) -> Iterator[Callable[[int], object]]:
    """Yield the callback of each shard: the caller's, a progress bar's, or one that shows nothing."""
    if advance is not None:
        yield advance
    elif n_pairs < SHOW_PROGRESS_FROM:
        yield lambda n: None
    else:
        with progress("scoring", n_steps) as bar:
            yield bar.advance


def _spherical(
    codes: CodePair, relevance: Relevance, wanted: Sequence[Metric], advance: Callable[[int], object]
) -> Histograms:
    """Count by spherical Hamming distance; the database is counted in groups of equally many ones."""
    for metric in wanted:
        if metric.by_radius:
            raise ValueError(f"{metric} is within a Hamming radius: it does not go with distance='spherical'")
    return spherical_histograms(codes, lambda rows: relevance.take(rows).count(codes.take(rows), wanted, advance))


def score(histograms: Histograms, metrics: Sequence[str | Metric]) -> Evaluation:
    """Compute metrics from histograms that are there already."""
    return Evaluation.of({str(one): values_of(one, histograms) for one in metrics_of(metrics)}, histograms)
