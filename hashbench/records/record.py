"""What is kept of a cell, and how it is read back: through one schema, whatever a file holds."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, TypedDict

from msgspec import Meta

from hashbench.data.protocol import BY_BYTES, UNCODED
from hashbench.files.hashing import canonical_hash
from hashbench.files.paths import is_plugin_name, is_protocol_name
from hashbench.files.schema import Count, Line, Misfit, Prose, Sha256, Text, checked, decoded
from hashbench.records.metric_info import AddedMetric, MetricInfo

FORMAT = 3
"""The newest format that is read; raised when older versions of hashbench could misread a record."""
WITHOUT_ADDED_METRICS = 2
"""The format of records without added metrics, which older versions read too; they know no direction of a metric."""
Status = Literal["ok", "failed", "skipped"]
Origin = Literal["trained", "imported"]
LARGEST = 2**26
"""Bytes of a record that are read."""
OWN = "own"
"""The distance of a quantizer's codes."""
GIVEN = "given"
"""Stands in the place of a backbone where the vectors came with the data."""
SMALL = 1000
"""Different codes of a database up to which they are counted."""


class UnusableRecord(Exception):
    """A file in the place of a record is none that can be used.

    Attributes
    ----------
    newer : bool
        Whether a newer version of hashbench wrote it, so that it must be left as it is.
    """

    def __init__(self, reason: str, newer: bool = False) -> None:
        super().__init__(reason)
        self.newer = newer


@dataclass
class Record:
    """What is kept of a cell.

    Attributes
    ----------
    id : str
        SHA-256 of the canonical configuration.
    config : dict
        Everything that decides the result: data, protocol, features, method, parameters, source, seed.
    status : {"ok", "failed", "skipped"}
    error : str
        Why, where the status is not ``ok``.
    metrics, timings : dict from str to float
    added_metrics : dict from str to dict
        The metrics that a run has added to the protocol's, see `MetricInfo.fields`; they are no part of the ``id``.
    peak_memory_mb : float or None
    peak_gpu_memory_mb : float or None
        The most that tensors held on one GPU; None where the cell's process had none there. (With several devices the
        tensors are those of other processes.)
    training : list of dict
        One entry per epoch where the method logs a curve.
    codes_sha256 : dict
        Checksums of the packed query and database codes.
    uses_labels : bool
    origin : {"trained", "imported"}
        Whether a method was trained here, or codes were given that another program made.
    label : str
        The method as the user wrote it.
    provenance : str
        Whether the data is the publisher's or a copy.
    data_file : str
        Name of the file or folder that ``--data-dir`` gave; empty where it gave none.
    read : list of str
        What was read of the data, in a line or two.
    n_codes : int or None
        How many different codes the database has; None where they are more than `SMALL`, or nobody counted them.
    converged : bool or None
        Whether the method says that its training converged; None where it says nothing.
    portable : bool or None
        Whether the method promises the same codes on every processor; None where nobody asked.
    environment : dict
    started, date : str
        When the cell began and when it ended, ISO 8601, UTC.
    output : str
        The last lines that a cell which did not end well has printed.
    format : int
    """

    id: str
    config: dict[str, Any]
    status: Status
    error: str = ""
    metrics: dict[str, float] = field(default_factory=dict)
    timings: dict[str, float] = field(default_factory=dict)
    added_metrics: dict[str, dict[str, Any]] = field(default_factory=dict)
    peak_memory_mb: float | None = None
    peak_gpu_memory_mb: float | None = None
    training: list[dict[str, float]] = field(default_factory=list)
    codes_sha256: dict[str, str] = field(default_factory=dict)
    uses_labels: bool = False
    origin: Origin = "trained"
    label: str = ""
    provenance: str = ""
    data_file: str = ""
    read: list[str] = field(default_factory=list)
    n_codes: int | None = None
    converged: bool | None = None
    portable: bool | None = None
    environment: dict[str, Any] = field(default_factory=dict)
    started: str = ""
    date: str = ""
    output: str = ""
    format: int = WITHOUT_ADDED_METRICS

    @property
    def backbone(self) -> str:
        """The backbone's name, or `GIVEN`."""
        return self.config["features"]["backbone"] or GIVEN

    @property
    def added(self) -> dict[str, MetricInfo]:
        """The metrics that a run has added to the protocol's, those without a value among them."""
        return {name: MetricInfo.kept(name, fields) for name, fields in self.added_metrics.items()}

    def without_added_metrics(self) -> Record:
        """Return the record with its protocol's metrics alone."""
        kept = {name: value for name, value in self.metrics.items() if name not in self.added_metrics}
        return replace(self, metrics=kept, added_metrics={}, format=WITHOUT_ADDED_METRICS)

    @property
    def finished(self) -> bool:
        """Whether the cell came to its end: it ended well, or the method cannot do what was asked."""
        return self.status in ("ok", "skipped")

    @property
    def timings_are_shared(self) -> bool:
        """Whether other cells were computed beside this one, so that its timings say little about its method."""
        return self.environment.get("jobs", 1) > 1

    @property
    def title(self) -> str:
        """The cell in words."""
        seed = self.config["seed"]
        ranked = " asymmetric" if self.is_asymmetric else ""
        return f"{self.label} {self.config['n_bits']} bits" + ("" if seed is None else f" seed {seed}") + ranked

    @property
    def distance(self) -> str:
        """By what its codes are ranked: ``hamming``, ``asymmetric``, or `OWN`."""
        return self.config.get("distance", "hamming")

    @property
    def tuned(self) -> str:
        """How its parameters were chosen by tuning, in words; empty if they were written by a person."""
        return tuned_in_words(self.config["tuned"]) if "tuned" in self.config else ""

    @property
    def n_bytes(self) -> int:
        """Bytes of a code."""
        return -(-self.config["n_bits"] // 8)

    @property
    def is_asymmetric(self) -> bool:
        """Whether the ranking was by real-valued queries."""
        return self.distance == "asymmetric"

    @property
    def is_by_bytes(self) -> bool:
        """Whether it is of recall for bytes."""
        return self.config["protocol"].endswith(BY_BYTES)

    @property
    def is_uncoded(self) -> bool:
        """Whether it is a quantizer's, scored by labels: no code of bits, but a ceiling of these."""
        return self.config["protocol"].endswith(UNCODED)

    @property
    def is_quantizer(self) -> bool:
        """Whether its codes have a distance of their own; they are not kept then."""
        return self.distance == OWN

    def to_json(self) -> bytes:
        """Return the record's file."""
        version = FORMAT if self.added_metrics else WITHOUT_ADDED_METRICS
        return json.dumps(asdict(self) | {"format": version}, indent=1, sort_keys=True, allow_nan=False).encode()


def tuned_in_words(tuned: TunedBy) -> str:
    """Return how parameters were chosen, such as ``20 trials by mAP@all on digits/1[validation=0.2]``."""
    trials = f"{tuned['trials']} trials" if "trials" in tuned else "trials"
    limits = [f" in {tuned['seconds']:g} s"] if "seconds" in tuned else []
    limits += [f" in {tuned['steps']} training steps"] if "steps" in tuned else []
    labels = "" if tuned["labels"] else ", without labels"
    pruned = ", bad ones stopped early," if tuned.get("pruned") else ""
    return f"{trials}{''.join(limits)}{pruned} by {tuned['metric']} on {tuned['protocol']}{labels}"


def read_record(path: Path) -> Record:
    """Return the record in a file.

    Raises
    ------
    FileNotFoundError
        The file does not exist.
    UnusableRecord
        The file is damaged, not a record, or written by a newer version.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise UnusableRecord(f"it has more than {LARGEST:,} bytes")
        values = decoded(path.read_bytes())
    except FileNotFoundError:
        raise
    except (OSError, Misfit) as error:
        raise UnusableRecord(f"it cannot be read: {error}") from error
    version = values.get("format", 1)
    if isinstance(version, int) and version > FORMAT:
        raise UnusableRecord(f"it has format {version}, this version reads up to {FORMAT}", newer=True)
    try:
        checked(values, Fields)
    except Misfit as error:
        raise UnusableRecord(str(error)) from error
    if values["status"] == "ok" and not values.get("metrics"):
        raise UnusableRecord("it is ok and has no metric")
    for name, value in values.get("metrics", {}).items():
        _refuse_beyond(name, value, values.get("added_metrics", {}).get(name))
    if path.stem != values["id"] or canonical_hash(values["config"]) != values["id"]:
        raise UnusableRecord("its id is not the SHA-256 of its config")
    known = {one.name for one in fields(Record)}
    return Record(**{name: value for name, value in values.items() if name in known})


def _refuse_beyond(name: str, value: float, added: dict[str, Any] | None) -> None:
    """Raise if a metric's value is out of its range: 0 to 1 for the metrics of protocols."""
    info = MetricInfo(name, name, name) if added is None else MetricInfo.kept(name, added)
    beyond = info.beyond(value)
    if beyond:
        raise UnusableRecord(f"{name} is {value:g}: Expected `float` {beyond} - at `metrics[...]`")


class PluginName(Text):
    """The name of a method or data set."""

    expected = "a plugin's name"
    fits = staticmethod(is_plugin_name)


class ProtocolName(Text):
    """The name of a protocol."""

    expected = "a protocol's name"
    fits = staticmethod(is_protocol_name)


Date = Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\d")]


class FeatureKey(TypedDict):
    """What is read of a feature key; all of it stands in the record's id."""

    backbone: Line | None


class TunedBy(TypedDict):
    """How parameters were chosen: by trials on validation queries, the same number for every method.

    ``metric`` is that of the trials, ``protocol`` says on what queries, ``labels`` whether it reads their labels;
    ``trials``, ``seconds`` and training ``steps`` are the budget of each method and code length, ``pruned`` says
    whether bad trials were stopped early.
    """

    metric: Line
    protocol: ProtocolName
    labels: bool
    trials: NotRequired[Annotated[int, Meta(ge=1)]]
    seconds: NotRequired[Annotated[float, Meta(gt=0)]]
    steps: NotRequired[Annotated[int, Meta(ge=1)]]
    pruned: NotRequired[bool]


class Config(TypedDict):
    """A configuration: what decides a result."""

    dataset: PluginName
    data: Sha256
    protocol: ProtocolName
    protocol_hash: Sha256
    features: FeatureKey
    views: dict[str, Any] | None
    method: PluginName
    params: dict[str, Any]
    source: Sha256
    n_bits: Annotated[int, Meta(ge=1, le=2**20)]
    seed: Count | None
    engine: Count
    distance: NotRequired[Literal["asymmetric", "own"]]
    tuned: NotRequired[TunedBy]


class Environment(TypedDict, total=False):
    """Where a cell was computed."""

    cpu: Line
    system: Line
    device: Line
    devices: Count
    gpu: Line | None
    cudnn: Count | None
    tf32: dict[Line, bool]
    deterministic: bool
    driver: Line | None
    blas: Line | None
    commit: Line | None
    dirty: bool
    cores: Count | None
    cores_usable: Count
    memory_mb: Count
    jobs: Count
    thread_pools: dict[Line, float]
    command: Prose
    threads: Count | None
    versions: dict[str, Line]


class Fields(TypedDict):
    """A record's file."""

    id: Sha256
    config: Config
    status: Status
    label: Line
    date: Date
    error: NotRequired[Prose]
    metrics: NotRequired[dict[Line, float]]
    added_metrics: NotRequired[dict[Line, AddedMetric]]
    timings: NotRequired[dict[Line, float]]
    peak_memory_mb: NotRequired[float | None]
    peak_gpu_memory_mb: NotRequired[float | None]
    training: NotRequired[list[dict[Line, float]]]
    codes_sha256: NotRequired[dict[str, Sha256]]
    uses_labels: NotRequired[bool]
    origin: NotRequired[Origin]
    provenance: NotRequired[Line]
    data_file: NotRequired[Line]
    read: NotRequired[list[Prose]]
    n_codes: NotRequired[Count | None]
    converged: NotRequired[bool | None]
    portable: NotRequired[bool | None]
    environment: NotRequired[Environment]
    started: NotRequired[Annotated[str, Meta(pattern=r"^(\Z|\d{4}-\d\d-\d\d)")]]
    output: NotRequired[Prose]
    format: NotRequired[Count]
