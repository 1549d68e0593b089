"""Labelled images that were found and not yet read, whatever named them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hashbench.data.images import ImageFiles
from hashbench.data.items import Items
from hashbench.data.look import Look
from hashbench.data.readers.labels.cells import LabelColumn
from hashbench.data.readers.labels.reading import read_labels
from hashbench.data.readers.parts import DATABASE, QUERY, TRAIN


@dataclass(frozen=True)
class Listing:
    """Labelled images, not yet read.

    Attributes
    ----------
    sources : sequence of Path or bytes
        Files, or their content.
    shown_as : list of str
        What a message calls each image.
    labels : list of LabelColumn
        The columns of one or several files, in the images' order.
    parts : list of str
        ``query``, ``database`` or ``train`` for each image; empty where nothing names parts.
    names : list of str
        Paths relative to the folder, or to the table's folder; empty for images without names.
    read_as : str
        What the images were found by, in words.
    passed_over : list of str
        What is there and was not taken, in words.
    """

    sources: Sequence[Path | bytes]
    shown_as: list[str] = field(default_factory=list)
    labels: list[LabelColumn] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    read_as: str = ""
    passed_over: list[str] = field(default_factory=list)

    def items(self, look: Look) -> Items:
        """Read the labels; images are decoded later, as the look says.

        Raises
        ------
        InputError
            A label is missing or cannot be used.
        """
        labels, parts = read_labels(self.labels), np.array(self.parts)
        return Items(
            images=ImageFiles(self.sources, self.shown_as, look=look),
            labels=labels.array,
            label_names=labels.names,
            parts={part: np.flatnonzero(parts == part) for part in (QUERY, DATABASE, TRAIN) if self.parts},
            names=self.names or None,
            provenance="the user's own",
            notes=labels.notes,
            read_as=self.read_as,
            passed_over=self.passed_over,
        )
