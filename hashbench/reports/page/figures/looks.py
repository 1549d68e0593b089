"""Which colour, mark, fill and dashes a name has: the same in all figures of a page or folder."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hashbench.reports.page.setting import Setting
from hashbench.results.rows import ASYMMETRIC

INK, PAPER = "#010101", "#FEFEFE"
"""Text and lines, and the inside of hollow marks. On a page they follow the reader's light or dark mode."""
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", INK)
"""Okabe and Ito's palette, which colour-blind readers can tell apart, without its yellow, too faint on white."""
HOURGLASS = "M-1,-1L1,-1L-1,1L1,1Z"
SHAPES = (
    "circle", "square", "triangle-up", "diamond", "triangle-down", "cross", HOURGLASS,
    "triangle-left", "triangle-right",
)  # fmt: skip
DASHES: tuple[list[float], ...] = ([1, 0], [5, 3], [6, 2, 1.5, 2], [1.5, 2])


@dataclass(frozen=True)
class Look:
    """What a name looks like.

    Attributes
    ----------
    color, shape : str
    dash : list of float
        Lengths of strokes and gaps.
    fill : str
        The colour, or `PAPER` for a hollow mark.
    """

    color: str
    shape: str
    dash: list[float]
    fill: str


Looks = dict[str, Look]


def numbered_looks(names: Iterable[str]) -> Looks:
    """Return the looks of names in their order: no two of the first 252 are alike, nor the marks of the first 18."""
    return {name: _look(number) for number, name in enumerate(names)}


def looks_of(settings: Sequence[Setting]) -> Looks:
    """Return the looks of all methods and code lengths of a page.

    A method's real-valued queries look as its Hamming distances, with hollow marks for filled ones or the reverse.
    """
    labels = sorted({label for setting in settings for label in setting.labels})
    methods = sorted({label.removesuffix(ASYMMETRIC) for label in labels})
    numbers = {method: number for number, method in enumerate(methods)}
    lengths = sorted({n_bits for setting in settings for n_bits in setting.bits})
    return {
        **numbered_looks(f"{n_bits} bits" for n_bits in lengths),
        **{
            label: _look(numbers[label.removesuffix(ASYMMETRIC)], turned=label.endswith(ASYMMETRIC)) for label in labels
        },
    }


def _look(number: int, turned: bool = False) -> Look:
    color = COLORS[number % len(COLORS)]
    hollow = (number // len(SHAPES) + turned) % 2
    return Look(color, SHAPES[number % len(SHAPES)], DASHES[number % len(DASHES)], PAPER if hollow else color)
