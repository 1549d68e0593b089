"""Protocols: named, versioned, frozen ways to measure."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, get_args

from hashbench.data.similarity import SIMILARITIES, Similarity
from hashbench.errors import InputError
from hashbench.files.hashing import canonical_hash

LISTS = "+lists:"
"""Precedes the checksum of published lists in a protocol's name."""
HELD_OUT = "+validation"
"""Suffix of a protocol whose method has looked at half of the queries; how it ranks may follow."""
Distance = Literal["hamming", "asymmetric"]
"""How codes are ranked: by Hamming distance, or by real values of the queries."""
DISTANCES: tuple[Distance, ...] = get_args(Distance)
ASYMMETRIC = "+asymmetric"
"""Suffix of a protocol that ranks by real-valued queries."""
BY_BYTES = "+bytes"
"""Suffix of a protocol that measures recall for bytes, of codes of any kind."""
UNCODED = "+uncoded"
"""Suffix of a protocol that scores quantizers by labels: no codes of bits, but their ceiling."""
EXTRA_METRICS = ("mAP@all",)
"""What every protocol reports in addition to its own metrics."""
_STATED = ("name", "split", "n_query", "n_database", "n_train", "metrics", "seed", "ties")
VALIDATION = "validation"
"""The share of the training set that a user may choose as queries in place of the protocol's; every protocol has it."""
UNSEEN = "unseen"
"""The share of the classes that a user may choose to keep out of the training set; every protocol by labels has it."""
DATABASE, WHOLE, WITHOUT_TRAINING = "database", "whole", "without-training"
"""Whether the training set stays in the database, which every protocol lets a user choose, and the two answers."""
SIMILARITY, NEIGHBORS = "similarity", "neighbors"
"""What else a user may choose where a query's nearest vectors are relevant: by what they are near, and how many."""
WORDS: dict[str, Sequence[str]] = {SIMILARITY: SIMILARITIES, DATABASE: (WHOLE, WITHOUT_TRAINING)}
"""Choices that are words, and which."""
Choice = int | float | str
CHOSEN = "; with "
"""Precedes what a user chose in a protocol's description."""
_ON_VALIDATION = re.compile(rf"[\[,]{VALIDATION}=")
_PARTS = re.compile(
    rf"(?P<choice>.*?)({re.escape(LISTS)}(?P<lists>[0-9a-f]+))?(?P<held_out>{re.escape(HELD_OUT)})?"
    rf"(?P<ranking>{re.escape(ASYMMETRIC)}|{re.escape(BY_BYTES)}|{re.escape(UNCODED)})?",
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
    unseen : float
        Share of the classes that training does not see; 0 where it sees all.
    database : {"whole", "without-training"}
        Whether the training set is taken out of the database.
    similarity : {"euclidean", "cosine", "ip"} or None
        By what vectors are near, to each other and in every ranking by them; None where it cannot be chosen.
    neighbors : int
        How many nearest vectors are relevant to a query; 0 where relevance is by labels.
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
    unseen: float = 0.0
    database: str = WHOLE
    similarity: Similarity | None = None
    neighbors: int = 0
    checksum: str = ""
    split_checksum: str = ""

    @property
    def hash(self) -> str:
        """SHA-256 of everything the protocol says."""
        stated = asdict(self)
        return canonical_hash({key: stated[key] for key in _STATED})

    @property
    def choices(self) -> dict[str, Choice]:
        """What a user may choose otherwise, besides what every protocol has, and what it is now."""
        similarity: dict[str, Choice] = {} if self.similarity is None else {SIMILARITY: self.similarity}
        return {**self.draw, **similarity, **({NEIGHBORS: self.neighbors} if self.neighbors else {})}

    def choose(self, choice: Mapping[str, Choice]) -> Protocol:
        """Return the protocol with other values of what may be chosen, under a name that says them.

        Parameters
        ----------
        choice : dict from str to int, float or str
            What is not in it stays as it is, chosen before or not.

        Raises
        ------
        InputError
            The protocol does not let that be chosen, or the value is out of range.
        """
        by_labels: dict[str, Choice] = {} if self.neighbors else {UNSEEN: self.unseen}
        everywhere: dict[str, Choice] = {DATABASE: self.database, VALIDATION: self.validation}
        known: dict[str, Choice] = {**self.choices, **by_labels, **everywhere}
        for key, value in choice.items():
            if key not in known:
                raise InputError(f"--protocol: {self.name} has no {key!r} to choose; it has {', '.join(known)}")
            _check_chosen(key, value, known[key])
        changed = {key: str(value) for key, value in choice.items() if value != known[key]}
        if not changed:
            return self
        base, _, before = self.name.removesuffix("]").partition("[")
        chosen = dict(one.split("=") for one in before.split(",") if one) | changed
        inside = ",".join(f"{key}={chosen[key]}" for key in known if key in chosen)
        metrics = self.metrics
        if choice.get(UNSEEN) and not self.unseen:
            from hashbench.evaluation.readings import with_readings  # see `_by_values`

            metrics = with_readings(metrics)
        split = self.split.rpartition(CHOSEN)[0] if before else self.split
        numbers: dict[str, Any] = {**known, **choice}
        return replace(
            self,
            name=f"{base}[{inside}]",
            split=f"{split}{CHOSEN}{inside}",
            n_query=None,
            n_database=None,
            n_train=None,
            metrics=metrics,
            draw={key: numbers[key] for key in self.draw},
            validation=numbers[VALIDATION],
            unseen=numbers.get(UNSEEN, 0.0),
            database=numbers[DATABASE],
            similarity=numbers.get(SIMILARITY),
            neighbors=numbers.get(NEIGHBORS, 0),
            checksum="",
            split_checksum="",
        )

    def ranked_by(self, distance: str) -> Protocol:
        """Return the protocol itself for Hamming distance, and one with another name for real-valued queries.

        The latter has no metrics within a Hamming radius.

        Parameters
        ----------
        distance : {"hamming", "asymmetric"}
        """
        if distance == "hamming":
            return self
        return self._by_values(ASYMMETRIC, "expectation over all orders of equal scores of real-valued queries")

    def uncoded(self) -> Protocol:
        """Return the protocol for quantizers scored by labels, under a separate name."""
        return self._by_values(UNCODED, "expectation over all orders of equal distances")

    def _by_values(self, suffix: str, ties: str) -> Protocol:
        """Return the protocol without metrics within a Hamming radius."""
        from hashbench.evaluation.metrics import parse  # compiled code, which those who need only a name do without

        metrics = tuple(name for name in self.metrics if not parse(name).by_radius)
        return replace(self, name=f"{self.name}{suffix}", metrics=metrics, ties=ties, checksum="")

    def by_bytes(self) -> Protocol:
        """Return the protocol of recall for bytes, under a separate name, by `bytes_metrics` of true neighbours."""
        return replace(
            self,
            name=f"{self.name}{BY_BYTES}",
            metrics=bytes_metrics(self.neighbors),
            ties="expectation over all orders, or by row for codes with a distance of their own",
            checksum="",
        )


NAMED_IN_PAPERS = {
    "cifar10-1k/1": Protocol(
        name="cifar10-54k/1",
        split="all 60,000 images, training images before test images: queries: 100 per class, classes ascending, each "
        "the first 100 of a permutation of its items by numpy.random.default_rng(0); training set: 500 per class of "
        "the others, drawn likewise by numpy.random.default_rng(1); database: the other 54,000",
        n_query=1_000,
        n_database=54_000,
        n_train=5_000,
        metrics=("mAP@1000", "mAP@all", "P@100", "P@1000"),
        seed=0,
        draw={"queries_per_class": 100, "training_per_class": 500},
        database=WITHOUT_TRAINING,
        checksum="069a0f2a5156865eed5379f5143eddbe4d32c8e23846224526cb38efe8e58445",
    ),
}
"""By a protocol's name, the one that papers have besides it, with the training set out of the database."""


def bytes_metrics(n_neighbors: int) -> tuple[str, ...]:
    """Return what codes are compared by for their bytes: recall of 10 and of 100 true neighbours, or of all there are.

    recall10@20 is also recall@10 after 20 candidates were ranked by their vectors: that puts the true ones first.

    Parameters
    ----------
    n_neighbors : int
        How many there are of each query; 0 where the protocol does not say.
    """
    most = n_neighbors or 100
    return tuple(
        f"recall@{k}" if times == 1 else f"recall{k}@{k * times}"
        for k in sorted({min(10, most), min(100, most)})
        for times in (1, 2, 4, 10)
    )


def _check_chosen(key: str, value: Choice, default: Choice) -> None:
    if key in WORDS:
        if value not in WORDS[key]:
            raise InputError(f"--protocol: {key}={value}: expected one of {', '.join(WORDS[key])}")
        return
    whole, most = isinstance(default, int), 1 if key in (VALIDATION, UNSEEN) else math.inf
    if isinstance(value, str) or not 0 < value < most or (whole and not isinstance(value, int)):
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
        `ASYMMETRIC`, `BY_BYTES`, `UNCODED`, or empty.
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
        if self.ranking == UNCODED:
            return protocol.uncoded()
        return protocol.ranked_by("asymmetric" if self.ranking == ASYMMETRIC else "hamming")


def is_validation(name: str) -> bool:
    """Return whether a protocol of this name scores on queries that were held out of the training set."""
    return _ON_VALIDATION.search(name) is not None


def choose_protocol(protocols: Sequence[Protocol], choice: str | None) -> Protocol:
    """Return the protocol that a user names, such as ``mscoco-cibhash/1[queries=20]``; the first by default.

    Raises
    ------
    InputError
        No protocol has that name, or the choice in brackets cannot be read.
    """
    if choice is None:
        return protocols[0]
    parts = _CHOICE.fullmatch(choice.strip())
    known = {protocol.name: protocol for protocol in protocols}
    if parts is None or parts["name"] not in known:
        raise InputError(f"--protocol {choice}: expected one of {', '.join(known)}")
    return known[parts["name"]].choose(_chosen(parts["draw"] or "", choice))


def chosen_similarity(choice: str | None) -> str | None:
    """Return the similarity that a user's words for a protocol name; None where they name none."""
    parts = None if choice is None else _CHOICE.fullmatch(choice.strip())
    value = None if parts is None else _chosen(parts["draw"] or "", choice or "").get(SIMILARITY)
    return None if value is None else str(value)


def _chosen(assignments: str, choice: str) -> dict[str, Choice]:
    """Return what the brackets behind a protocol's name say."""
    chosen: dict[str, Choice] = {}
    for assignment in filter(None, assignments.split(",")):
        key, _, value = (word.strip() for word in assignment.partition("="))
        if key in chosen:
            raise InputError(f"--protocol {choice}: {key} is given twice; give it once")
        try:
            chosen[key] = value if key in WORDS else int(value) if value.isdecimal() else float(value)
        except ValueError as error:
            raise InputError(f"--protocol {choice}: cannot read {assignment!r}; write name=number") from error
    return chosen
