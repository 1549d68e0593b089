"""The labels by which a bundle's codes are scored: their checksum and their source."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np

from hashbench.data.dataset import Dataset, hold_out_validation
from hashbench.data.loading import load
from hashbench.data.options import LoadOptions
from hashbench.data.protocol import ASYMMETRIC, BY_BYTES, NameParts, choose_protocol
from hashbench.errors import InputError
from hashbench.guard.plugin_code import plugin_code
from hashbench.plugins.registry import Registry
from hashbench.records.record import Record


def relevance_sha256(relevance: Mapping[str, np.ndarray]) -> str:
    """Return the SHA-256 of labels, or of true neighbours: of each array's name, type, shape and bytes.

    Parameters
    ----------
    relevance : mapping from str to ndarray
        What `hashbench.data.dataset.Dataset.relevance` returns.
    """
    digest = hashlib.sha256()
    for name, array in sorted(relevance.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def refuse_unknown_protocol(record: Record, registry: Registry) -> None:
    """Raise if a data set that is here has no protocol of the record's name.

    Raises
    ------
    InputError
        The data set is known and has no protocol of that name.
    """
    config = record.config
    if config["dataset"] in registry.names("datasets"):
        with plugin_code():
            protocols = registry.find("datasets", config["dataset"]).load()().protocols
        try:
            choose_protocol(protocols, NameParts.of(config["protocol"]).choice)
        except InputError as error:
            raise InputError(f"{config['dataset']} has no protocol {config['protocol']!r:.80}") from error


def dataset_of(record: Record, registry: Registry) -> Dataset:
    """Return the data that a record was scored on, loaded here; its protocol ranks by Hamming distance.

    Raises
    ------
    InputError
        The data set is unknown, its files are missing or differ, or its split comes from published lists.
    """
    config = record.config
    name = NameParts.of(config["protocol"])
    with plugin_code():
        plugin = registry.find("datasets", config["dataset"]).load()()
        if name.lists:
            raise InputError(f"its split is of published lists, SHA-256 {name.lists:.8}…, which no bundle holds")
        whole = load(plugin, LoadOptions(protocol=name.choice))
    dataset = hold_out_validation(whole)[0] if name.held_out else whole
    if dataset.fingerprint != config["data"]:
        raise InputError(f"{config['dataset']} as it is here has other items, labels or another split")
    return dataset


def problem_with(record: Record, dataset: Dataset) -> str:
    """Return what a record says of its data that the data does not; empty where all agrees.

    Parameters
    ----------
    record : Record
    dataset : Dataset
        From `dataset_of`.
    """
    name = NameParts.of(record.config["protocol"])
    protocol = name.ranked(dataset.protocol)
    if record.config["protocol_hash"] != protocol.hash:
        return f"its protocol_hash is not that of {protocol.name}"
    if name.ranking != BY_BYTES and record.is_asymmetric != (name.ranking == ASYMMETRIC):
        return f"its distance is not that of {protocol.name}"
    if record.provenance != dataset.provenance:
        return f"it says that its data is {record.provenance!r:.80}, which is {dataset.provenance!r}"
    return ""
