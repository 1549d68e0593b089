"""Labelled texts of one or several files, before labels are interpreted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from hashbench.data.items import Items
from hashbench.data.readers.labels.cells import LabelColumn
from hashbench.data.readers.labels.reading import read_labels
from hashbench.data.readers.parts import DATABASE, QUERY, TRAIN, Arrangement
from hashbench.data.readers.texts.texts import Texts


@dataclass(frozen=True)
class TextListing:
    """Labelled texts.

    Attributes
    ----------
    texts : list of str
    labels : list of LabelColumn
        The columns of one or several files, in the texts' order.
    parts : list of str
        ``query``, ``database`` or ``train`` for each text; empty if no parts are named.
    names : list of str
        Paths relative to the folder; empty for texts without names.
    read_as : str
        How the texts were found, in words.
    passed_over : list of str
        What was skipped, in words.
    """

    texts: list[str]
    labels: list[LabelColumn]
    parts: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    read_as: str = ""
    passed_over: list[str] = field(default_factory=list)

    def items(self) -> Items:
        """Read the labels.

        Raises
        ------
        InputError
            A label is missing or cannot be used.
        """
        labels, parts = read_labels(self.labels), np.array(self.parts)
        return Items(
            images=Texts.of(self.texts),
            labels=labels.array,
            label_names=labels.names,
            parts={part: np.flatnonzero(parts == part) for part in (QUERY, DATABASE, TRAIN) if self.parts},
            names=self.names or None,
            provenance="the user's own",
            notes=labels.notes,
            read_as=self.read_as,
            passed_over=self.passed_over,
        )


def of_parts(listings: Mapping[str, TextListing], use: Arrangement, not_taken: Sequence[str]) -> TextListing:
    """Return the listings of files or folders that are parts as one.

    Parameters
    ----------
    listings : mapping from str to TextListing
        By the names of the parts in the data.
    use : Arrangement
    not_taken : sequence of str
        What else is there, in words.
    """
    used = ", ".join(f"{name} ({use.part_of[name]})" for name in listings)
    kinds = " and ".join(dict.fromkeys(one.read_as for one in listings.values()))
    joined = TextListing([], [], read_as=f"{kinds} in {used}", passed_over=list(not_taken))
    for name, one in listings.items():
        joined.texts.extend(one.texts)
        joined.labels.extend(one.labels)
        joined.parts.extend(use.part_of[name] for _ in one.texts)
        joined.names.extend(f"{name}/{below}" for below in one.names)
        joined.passed_over.extend(f"{name}: {line}" for line in one.passed_over)
    return joined


def said_of_empty(n_given: int, n_kept: int) -> list[str]:
    """Return in words how many empty texts were left out; nothing where there are none."""
    return [f"{n_given - n_kept:,} empty texts"] if n_kept < n_given else []
