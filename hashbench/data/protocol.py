"""What a protocol is: a named, versioned, frozen way to measure."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace

from hashbench.errors import InputError
from hashbench.files.hashing import canonical_hash

LISTS = "+lists:"
"""Stands in the name of a protocol before the checksum of published lists."""
HELD_OUT = "+validation"
"""Ends the name of a protocol whose method has looked at half of the queries; how it ranks may follow."""
ASYMMETRIC = "+asymmetric"
"""Ends the name of a protocol that ranks by real-valued queries."""
BY_BYTES = "+bytes"
"""Ends the name of a protocol that measures recall for bytes, of codes of any kind."""
BYTES_METRICS = tuple(
    f"recall@{k}" if times == 1 else f"recall{k}@{k * times}" for k in (10, 100) for times in (1, 2, 4, 10)
)
"""recall10@20 is also recall@10 after 20 candidates were ranked by their vectors: that puts the true ones first."""
EXTRA_METRICS = ("mAP@all",)
"""What every protocol reports beside its own."""
_STATED = ("name", "split", "n_query", "n_database", "n_train", "metrics", "seed", "ties")
VALIDATION = "validation"
"""The share of the training set that a user may choose as queries in place of the protocol's; every protocol has it."""
_ON_VALIDATION = re.compile(rf"[\[,]{VALIDATION}=")
_PARTS = re.compile(
    rf"(?P<choice>.*?)({re.escape(LISTS)}(?P<lists>[0-9a-f]+))?(?P<held_out>{re.escape(HELD_OUT)})?"
    rf"(?P<ranking>{re.escape(ASYMMETRIC)}|{re.escape(BY_BYTES)})?",
    re.DOTALL,
)
_CHOICE = re.compile(r"(?P<name>[^\[\]]+)(\[(?P<draw>[^\[\]]*)\])?")


@dataclass(frozen=True)
class Protocol:
    """A named, versioned, frozen way to measure: change anything and it needs a new version.

    Attributes
    ----------
    name : str
        ``<data set>-<variant>/<version>``, and in brackets what a user chose otherwise.
    split : str
        How queries, database and training set are drawn, in words that another lab can follow.
    n_query, n_database, n_train : int or None
        Sizes that the split must have; None where the data decides.
    metrics : tuple of str
        Names of the metrics, the headline first.
    seed : int or None
        Seed of the draw; None where nothing is drawn.
    ties : str
        How items at the same Hamming distance are ranked.
    draw : dict from str to int or float
        Numbers of the draw that a user may choose otherwise, which makes it another protocol.
    validation : float
        Share of the training set that is held out as queries; 0 where the protocol's own are scored.
    checksum : str
        The hash that the protocol has, kept in the code so that no edit goes unnoticed; empty for protocols that
        were made from a user's choice.
    split_checksum : str
        `Split.checksum` of the publisher's own data under this protocol, which loading compares; empty where it is
        not known, or where every user brings other data.
    """

    name: str
    split: str
    n_query: int | None
    n_database: int | None
    n_train: int | None
    metrics: tuple[str, ...]
    seed: int | None = None
    ties: str = "expectation over all orders"
    draw: dict[str, int | float] = field(default_factory=dict)
    validation: float = 0.0
    checksum: str = ""
    split_checksum: str = ""

    @property
    def hash(self) -> str:
        """SHA-256 of everything the protocol says."""
        stated = asdict(self)
        return canonical_hash({key: stated[key] for key in _STATED})

    def choose(self, draw: dict[str, int | float]) -> Protocol:
        """Return the protocol with other numbers of the draw, under a name that says them.

        Raises
        ------
        InputError
            The protocol has no such number, or the value is out of its range.
        """
        known = {**self.draw, VALIDATION: self.validation}
        for key, value in draw.items():
            if key not in known:
                raise InputError(f"--protocol: {self.name} has no {key!r} to choose; it has {', '.join(known)}")
            _check_chosen(key, value, known[key])
        changed = {key: draw[key] for key in known if draw.get(key, known[key]) != known[key]}
        if not changed:
            return self
        inside = ",".join(f"{key}={value}" for key, value in changed.items())
        return replace(
            self,
            name=f"{self.name}[{inside}]",
            split=f"{self.split}; with {inside}",
            n_query=None,
            n_database=None,
            n_train=None,
            draw={key: draw.get(key, value) for key, value in self.draw.items()},
            validation=draw.get(VALIDATION, self.validation),
            checksum="",
            split_checksum="",
        )

    def ranked_by(self, distance: str) -> Protocol:
        """Return the protocol itself for Hamming's distance, and one of its own name for real-valued queries.

        The latter has no metrics within a Hamming radius.

        Parameters
        ----------
        distance : {"hamming", "asymmetric"}
        """
        if distance == "hamming":
            return self
        from hashbench.evaluation.metrics import parse  # compiled code: whoever needs a name only does without

        return replace(
            self,
            name=f"{self.name}{ASYMMETRIC}",
            metrics=tuple(name for name in self.metrics if not parse(name).by_radius),
            ties="expectation over all orders of equal scores of real-valued queries",
            checksum="",
        )

    def by_bytes(self) -> Protocol:
        """Return the protocol of recall for bytes, under a name of its own: `BYTES_METRICS` by true neighbours."""
        return replace(
            self,
            name=f"{self.name}{BY_BYTES}",
            metrics=BYTES_METRICS,
            ties="expectation over all orders, or by row for codes with a distance of their own",
            checksum="",
        )


def _check_chosen(key: str, value: int | float, default: int | float) -> None:
    whole, most = isinstance(default, int), 1 if key == VALIDATION else math.inf
    if not 0 < value < most or (whole and not isinstance(value, int)):
        kind = "a whole number above 0" if whole else "a number above 0"
        raise InputError(f"--protocol: {key}={value}: expected {kind}{' and below 1' if most == 1 else ''}")


@dataclass(frozen=True)
class NameParts:
    """A protocol's name as records keep it, taken apart.

    Attributes
    ----------
    choice : str
        What `choose_protocol` reads, such as ``mscoco-cibhash/1[queries=20]``.
    lists : str
        Beginning of the SHA-256 of the published lists that took the place of the draw; empty where none did.
    held_out : bool
        Whether the method has looked at half of the queries.
    ranking : str
        `ASYMMETRIC`, `BY_BYTES`, or empty.
    """

    choice: str
    lists: str = ""
    held_out: bool = False
    ranking: str = ""

    @classmethod
    def of(cls, name: str) -> NameParts:
        """Return the parts of any name."""
        parts = _PARTS.fullmatch(name)
        assert parts is not None
        return cls(parts["choice"], parts["lists"] or "", parts["held_out"] is not None, parts["ranking"] or "")

    def ranked(self, protocol: Protocol) -> Protocol:
        """Return a protocol with the ranking that the name says."""
        if self.ranking == BY_BYTES:
            return protocol.by_bytes()
        return protocol.ranked_by("asymmetric" if self.ranking == ASYMMETRIC else "hamming")


def is_validation(name: str) -> bool:
    """Return whether a protocol of this name scores on queries that were held out of the training set."""
    return _ON_VALIDATION.search(name) is not None


def choose_protocol(protocols: Sequence[Protocol], choice: str | None) -> Protocol:
    """Return the protocol that a user names, such as ``mscoco-cibhash/1[queries=20]``; the first by default.

    Raises
    ------
    InputError
        There is no such protocol, or it cannot be read.
    """
    if choice is None:
        return protocols[0]
    parts = _CHOICE.fullmatch(choice.strip())
    known = {protocol.name: protocol for protocol in protocols}
    if parts is None or parts["name"] not in known:
        raise InputError(f"--protocol {choice}: expected one of {', '.join(known)}")
    draw = {}
    for assignment in filter(None, (parts["draw"] or "").split(",")):
        key, _, value = assignment.partition("=")
        try:
            draw[key.strip()] = int(value) if re.fullmatch(r"\s*\d+\s*", value) else float(value)
        except ValueError as error:
            raise InputError(f"--protocol {choice}: cannot read {assignment!r}; write name=number") from error
    return known[parts["name"]].choose(draw)
