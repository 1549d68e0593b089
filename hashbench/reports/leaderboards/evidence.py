"""Proof that a record may be published: its metrics are those of its codes, computed by the present code."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hashbench.contract.method import HashMethod
from hashbench.data.protocol import BY_BYTES, UNCODED, NameParts, is_validation
from hashbench.errors import InputError
from hashbench.evaluation import metrics
from hashbench.evaluation.evaluate import evaluate
from hashbench.guard.plugin_code import plugin_code
from hashbench.plugins.registry import Plugin
from hashbench.records.array_schema import CODES, VALUES
from hashbench.records.record import Record
from hashbench.records.store import Store
from hashbench.reports.leaderboards.cell_values import as_json, is_metric, label_of

ROUNDING = 1e-12


@dataclass(frozen=True)
class Evidence:
    """A record with the directory of its codes and labels.

    Attributes
    ----------
    record : Record
    store : Store
    """

    record: Record
    store: Store

    @property
    def path(self) -> Path:
        """The record's file."""
        return self.store.folder / f"{self.record.id}.json"

    def refused(self, reason: object) -> InputError:
        """Return an error that names the record."""
        return InputError(
            f"{self.path} ({self.record.title}) is not published, nor is anything else: {reason}; run it again with "
            "--fresh, or remove it"
        )


@dataclass
class Verifier:
    """Scores records again; the labels that a directory keeps of a data set are read once.

    Attributes
    ----------
    relevance : dict
        What is relevant to what, by data fingerprint and directory.
    """

    relevance: dict[str, dict[Path, dict[str, np.ndarray]]] = field(default_factory=dict)

    def per_query(self, evidence: Evidence) -> dict[str, np.ndarray]:
        """Return a record's values per query, computed again from its codes.

        Returns
        -------
        dict from str to ndarray of shape (n_queries,), float64
            By metric.

        Raises
        ------
        InputError
            Codes, labels, metrics or values per query do not belong together; the message names the record.
        """
        record, arrays = evidence.record, evidence.store.arrays(evidence.record.id)
        odd = next((name for name in record.metrics if not is_metric(name)), None)
        if odd is not None:
            raise evidence.refused(f"{odd!r:.60} is no metric")
        check_codes(evidence, arrays)
        asymmetric = record.is_asymmetric
        try:
            again = evaluate(
                arrays[VALUES if asymmetric else "query_codes"],
                arrays["database_codes"],
                distance="asymmetric" if asymmetric else "hamming",
                metrics=list(record.metrics),
                n_bits=record.config["n_bits"],
                **self._relevance(evidence),  # type: ignore[arg-type]
            )
        except ValueError as error:
            raise evidence.refused(error) from error
        for name, value in again.items():
            if not abs(record.metrics[name] - value) <= ROUNDING:
                raise evidence.refused(f"{name} is {record.metrics[name]:.6g}, its codes give {value:.6g}")
            kept = arrays.get(f"per_query:{name}")
            if kept is None or not _are_equal(kept, again.per_query[name]):
                raise evidence.refused(f"its values of {name} per query are not those of its codes")
        return again.per_query

    def _relevance(self, evidence: Evidence) -> dict[str, np.ndarray]:
        data, store = evidence.record.config["data"], evidence.store
        kept = self.relevance.setdefault(data, {})
        if store.directory not in kept:
            relevance = store.relevance(data)
            for directory, other in kept.items():
                if relevance.keys() != other.keys() or not all(
                    np.array_equal(relevance[name], other[name]) for name in relevance
                ):
                    raise evidence.refused(f"{store.labels_path(data)} is not as in {directory}")
            kept[store.directory] = relevance
        return kept[store.directory]


def check_codes(evidence: Evidence, arrays: Mapping[str, np.ndarray]) -> None:
    """Refuse a record whose arrays are not the codes that it names.

    Raises
    ------
    InputError
        A file of codes is missing, has another width or another SHA-256.
    """
    n_bits = evidence.record.config["n_bits"]
    width = -(-n_bits // 8)
    for name in CODES:
        codes = arrays.get(name)
        if codes is None or codes.shape[1] != width:
            raise evidence.refused(f"it has no {name} of {n_bits} bits")
        if hashlib.sha256(codes.tobytes()).hexdigest() != evidence.record.codes_sha256.get(name):
            raise evidence.refused(f"the SHA-256 of its {name} is another")
    if evidence.record.is_asymmetric and not np.array_equal(np.packbits(arrays[VALUES] > 0, axis=1), arrays[CODES[0]]):
        raise evidence.refused(f"its {VALUES} are not those of its {CODES[0]}")


def _are_equal(kept: np.ndarray, again: np.ndarray) -> bool:
    return kept.shape == again.shape and bool((np.abs(kept - again) <= ROUNDING).all())


def of_present_code(stores: Sequence[Store], plugins: Mapping[str, Plugin]) -> tuple[list[Evidence], dict[str, int]]:
    """Return the records that ended well, each once, and how many are of no method that is here, by reason.

    Parameters
    ----------
    stores : sequence of Store
    plugins : mapping from str to Plugin
        The methods that are here.
    """
    latest: dict[str, Evidence] = {}
    passed_over: dict[str, int] = {}
    for record, store in _newest_last(stores):
        reason = _unpublishable(record, plugins)
        if reason:
            passed_over[reason] = passed_over.get(reason, 0) + 1
        else:
            latest[record.id] = Evidence(record, store)
    return list(latest.values()), passed_over


def _newest_last(stores: Sequence[Store]) -> Iterator[tuple[Record, Store]]:
    each = [(record.without_added_metrics(), store) for store in stores for record in store if record.status == "ok"]
    yield from sorted(each, key=lambda one: one[0].date)


def _unpublishable(record: Record, plugins: Mapping[str, Plugin]) -> str:
    name = record.config["method"]
    reason, trained = why_on_no_leaderboard(record.config["protocol"]), record.origin == "trained"
    if reason:
        return reason
    if trained and name not in plugins:
        return f"{name} is not here; name its file with --plugin"
    if trained and record.config["source"] != plugins[name].source_hash:
        return f"{name} is of other code than is here; run it again"
    if record.config["engine"] != metrics.VERSION:
        return f"{name} has the metrics of engine {record.config['engine']}, here is {metrics.VERSION}; run it again"
    return ""


def why_on_no_leaderboard(protocol: str) -> str:
    """Return why no leaderboard has rows of a protocol of this name; empty where one may have."""
    if NameParts.of(protocol).ranking == BY_BYTES:
        return "it is of recall for bytes, which has no leaderboard"
    if NameParts.of(protocol).ranking == UNCODED:
        return "it is of vectors without codes of bits, which has no leaderboard"
    if is_validation(protocol):
        return "scored on validation queries, which are for choosing parameters"
    return ""


def defaults_of(plugin: Plugin) -> dict[str, object]:
    """Return the defaults of a method's parameters, as JSON has them."""
    with plugin_code():
        method_class: type[HashMethod] = plugin.load()
        parameters = inspect.signature(method_class).parameters.values()
    return {one.name: as_json(one.default) for one in parameters if one.default is not inspect.Parameter.empty}


def label(name: str, params: dict[str, object], plugins: Mapping[str, Plugin]) -> str:
    """Return a method with what differs from its defaults; with all of its parameters where it is not here."""
    return label_of(name, params, defaults_of(plugins[name]) if name in plugins else {})
