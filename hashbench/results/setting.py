"""Settings: the key that results must share to be compared, used by every table, figure, file and verdict."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from hashbench.data.protocol import NameParts
from hashbench.files.paths import printable
from hashbench.records.record import GIVEN, Origin, Record

BEGIN = 7
"""Characters of a SHA-256 that tell two of them apart for people."""
READ_LABELS = ", methods that read labels"
"""In the name of a setting whose methods have read labels."""
LONGEST = 100
"""Characters of a file's name in a title."""
K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, order=True)
class Setting:
    """What results in one table have in common: the data, how it was measured, and what the methods were given.

    A protocol's name and hash say the split, the role of its queries (validation) and how items are ranked
    (asymmetric, by bytes).

    Attributes
    ----------
    dataset : str
        The data set's plugin.
    protocol : str
    data : str
        SHA-256 of items, relevance and split.
    protocol_hash : str
    features : str
        The feature key as JSON.
    engine : int
        Version of the metrics.
    reads_labels : bool
        Whether the methods have read labels.
    origin : {"trained", "imported"}
        ``imported`` is the setting of a leaderboard's imported rows, which it keeps apart. A run compares imported
        codes with what was trained.
    tuned : str
        How parameters were chosen by tuning, in words; empty for parameters that were written by a person.
    """

    dataset: str
    protocol: str
    data: str
    protocol_hash: str
    features: str
    engine: int
    reads_labels: bool
    origin: Origin = "trained"
    tuned: str = ""


def setting_of(record: Record) -> Setting:
    """Return the setting of a record."""
    config = record.config
    return Setting(
        dataset=config["dataset"],
        protocol=config["protocol"],
        data=config["data"],
        protocol_hash=config["protocol_hash"],
        features=json.dumps(config["features"], sort_keys=True),
        engine=config["engine"],
        reads_labels=record.uses_labels,
        tuned=record.tuned,
    )


def settings_of(records: Sequence[Record], known: Iterable[Record] = ()) -> list[Setting]:
    """Return the setting of each record.

    Of imported codes only the backbone's name is known. They are in the setting of the methods that were trained on its
    features, if all of these have one feature key.

    Parameters
    ----------
    records : sequence of Record
    known : iterable of Record
        Where else there may be trained methods, such as in the run that is compared.
    """
    trained = [record for record in [*records, *known] if record.origin == "trained"]
    features = {key: {one.features for one in same} for key, same in _by_backbone(trained).items()}

    def joined(record: Record) -> Setting:
        setting, keys = setting_of(record), features.get(_backbone_of(record), set())
        return replace(setting, features=min(keys)) if record.origin == "imported" and len(keys) == 1 else setting

    return [joined(record) for record in records]


def _by_backbone(records: Iterable[Record]) -> dict[tuple[object, ...], list[Setting]]:
    found: dict[tuple[object, ...], list[Setting]] = {}
    for record in records:
        found.setdefault(_backbone_of(record), []).append(setting_of(record))
    return found


def _backbone_of(record: Record) -> tuple[object, ...]:
    return (*(record.config[name] for name in ("dataset", "data", "protocol_hash", "engine")), record.backbone)


def grouped(values: Iterable[V], key: Callable[[V], K]) -> dict[K, list[V]]:
    """Return values by their key, keys in the order in which they come first."""
    groups: dict[K, list[V]] = {}
    for value in values:
        groups.setdefault(key(value), []).append(value)
    return groups


def grouped_ascending(values: Iterable[V], key: Callable[[V], Any]) -> dict[Any, list[V]]:
    """Return values by their key, keys ascending."""
    return dict(sorted(grouped(values, key).items()))


def by_setting(records: Iterable[Record]) -> dict[Setting, list[Record]]:
    """Return records by their setting; what did not end well is grouped with what the same method did elsewhere.

    Such a record does not say whether the method reads labels: it was not trained.
    """
    records = list(records)
    readers = {_method_of(record) for record in records if record.status == "ok" and record.uses_labels}
    found: dict[Setting, list[Record]] = {}
    for record, setting in zip(records, settings_of(records), strict=True):
        reads = record.uses_labels or (record.status != "ok" and _method_of(record) in readers)
        found.setdefault(replace(setting, reads_labels=reads), []).append(record)
    return found


def _method_of(record: Record) -> tuple[str, str]:
    return record.config["method"], json.dumps(record.config["params"], sort_keys=True)


@dataclass(frozen=True)
class Named:
    """A setting in words that no other setting of the same report has.

    Attributes
    ----------
    dataset : str
        The data set, and its file where the report has several of one data set.
    protocol : str
        Its name, and what else tells it apart.
    backbone : str
        How the features were made: the backbone, and what else tells it apart.
    """

    dataset: str
    protocol: str
    backbone: str


def named(files: Mapping[Setting, str]) -> dict[Setting, Named]:
    """Return the names of the settings of a report.

    A name is data set, protocol and backbone; of methods that have read labels or were tuned it says so. Files of
    one data set are distinguished by their names, and what would still have one name by the values in which it
    differs, such as ``resnet18 (image_size=32)``.

    Parameters
    ----------
    files : mapping from Setting to str
        From `file_of`, or empty texts where that is not known.
    """
    names = {
        setting: Named(
            setting.dataset + _in_brackets(file if _has_several_files(setting.dataset, files) else ""),
            setting.protocol
            + (READ_LABELS if setting.reads_labels and not _held_out(setting) else "")
            + (f", tuned: {setting.tuned}" if setting.tuned else ""),
            json.loads(setting.features)["backbone"] or GIVEN,
        )
        for setting, file in files.items()
    }
    for tell in (_by_origin, _by_features, _by_engine, _by_protocol, _by_data):
        for same in grouped(names, names.__getitem__).values():
            if len(same) > 1:
                names |= {setting: tell(names[setting], setting, same) for setting in same}
    return names


def _held_out(setting: Setting) -> bool:
    """Return whether the protocol's name says already that labels were read, those of half of the queries."""
    return NameParts.of(setting.protocol).held_out


def file_of(records: Iterable[Record]) -> str:
    """Return the name of the file that a setting's data was last read from; empty where no record says it."""
    saying = [record for record in records if record.data_file]
    return printable(max(saying, key=lambda record: record.date).data_file, LONGEST) if saying else ""


def _has_several_files(dataset: str, files: Mapping[Setting, str]) -> bool:
    return len({file for setting, file in files.items() if setting.dataset == dataset and file}) > 1


def _in_brackets(text: str) -> str:
    return f" ({text})" if text else ""


def _by_features(name: Named, setting: Setting, same: Sequence[Setting]) -> Named:
    keys = [json.loads(one.features) for one in same]
    parts = dict.fromkeys(part for key in keys for part in key)
    differing = [part for part in parts if len({_shown(key.get(part)) for key in keys}) > 1]
    mine = json.loads(setting.features)
    differences = ", ".join(f"{part}={_shown(mine.get(part))}" for part in differing)
    return replace(name, backbone=name.backbone + _in_brackets(differences))


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return text[:BEGIN] if re.fullmatch("[0-9a-f]{64}", text) else printable(text, LONGEST)


def _by_origin(name: Named, setting: Setting, same: Sequence[Setting]) -> Named:
    both = len({one.origin for one in same}) > 1
    return replace(name, protocol=name.protocol + (", imported codes" if both and setting.origin == "imported" else ""))


def _by_engine(name: Named, setting: Setting, same: Sequence[Setting]) -> Named:
    several = len({one.engine for one in same}) > 1
    return replace(name, protocol=name.protocol + (f", metrics of version {setting.engine}" if several else ""))


def _by_protocol(name: Named, setting: Setting, same: Sequence[Setting]) -> Named:
    several = len({one.protocol_hash for one in same}) > 1
    return replace(name, protocol=name.protocol + (f", protocol {setting.protocol_hash[:BEGIN]}" if several else ""))


def _by_data(name: Named, setting: Setting, same: Sequence[Setting]) -> Named:
    return replace(name, dataset=f"{name.dataset} (data {setting.data[:BEGIN]})")
