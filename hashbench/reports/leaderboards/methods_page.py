"""docs/methods.md, made of the methods' docstrings and a leaderboard: run this module."""

from __future__ import annotations

import inspect
import textwrap
from pathlib import Path

from hashbench.contract.method import HashMethod
from hashbench.plugins.docstrings import fidelity, sections
from hashbench.plugins.glance import glance
from hashbench.plugins.registry import Registry
from hashbench.reports.leaderboards.checks import read_rows
from hashbench.runs.requested.grid import RESERVED

BOARD = Path(__file__).resolve().parents[3] / "leaderboards" / "cifar10.csv"
COST_BITS = "32"
WIDTH = 120
INPUTS = {"features": "features", "views": "features of two views of each image"}
"""What `Glance.needs` means."""
TEXT = """# The methods

What there is, by name. `hashbench info NAME` says more: what differs from the authors' code, and every parameter. This
page is made of the methods' docstrings and of `leaderboards/cifar10.csv`. The cost is the seconds that `fit` took
on CIFAR-10's 5,000 training images at {bits} bits, median over seeds, on the processor that the board names; features
and views are extracted once, for all methods. This writes the page:
`python -m hashbench.reports.leaderboards.methods_page > docs/methods.md`.

| method | year | kind | learns from labels | inputs | cost |
| --- | --- | --- | --- | --- | --- |
{table}

{entries}
## Known, and without a row

DeepBit, BinGAN, BGAN and HashGAN train a network over images together with what makes or turns these images, and are
nothing without it: DeepBit compares an image with its rotations in a network that is trained throughout, BinGAN is the
discriminator of a generator of images (in Theano), BGAN rebuilds images from codes along a graph of ResNet features,
HashGAN (Ghasedi Dizaji et al.; Cao et al.'s of the same name and year reads labels) trains generator, discriminator and
encoder in turn. On frozen features each of them would be another method under its name. DVB could run on features; we
know of no code. What is known of their numbers on CIFAR-10 at 32 bits: DeepBit's README states mAP@1000 .254, and its
author withdrew the comparison there, since it compared @1000 with others' @all; users of BGAN's code report .46 where
.531 is stated (issue 5 of its repository). The figures that other papers' tables give for the five could not be traced
to a run, and are not repeated here.
"""


def methods_page(board: Path = BOARD) -> str:
    """Return the text of docs/methods.md.

    Parameters
    ----------
    board : Path
        The leaderboard that says what methods cost.
    """
    plugins = {name: one for name, one in Registry().plugins("methods").items() if one.entry_point is None}
    costs = {row["method"]: row["fit_s"] for row in read_rows(board) if row["n_bits"] == COST_BITS}
    table, entries = [], []
    for name, plugin in sorted(plugins.items()):
        shown, cost = glance(plugin), f"{float(costs[name]):.3g} s" if costs.get(name) else "not timed yet"
        labels = "yes" if shown.reads_labels else "no"
        columns = [f"[`{name}`](#{name})", shown.year or "–", shown.family, labels, INPUTS[shown.needs], cost]
        table.append(f"| {' | '.join(columns)} |")
        entries.append(_entry(name, plugin.load(), INPUTS[shown.needs], cost))
    return TEXT.format(bits=COST_BITS, table="\n".join(table), entries="\n".join(entries))


def _entry(name: str, method_class: type[HashMethod], inputs: str, cost: str) -> str:
    """Return a method's part: what it is, then its facts."""
    what = " ".join(" ".join(part.split()) for part in sections(method_class)[""].split("\n\n")[:2])
    parameters = inspect.signature(method_class).parameters.values()
    defaults = ", ".join(f"{one.name}={one.default!r}" for one in parameters if one.name not in RESERVED)
    facts = {
        "Paper": method_class.paper,
        "Inputs": inputs,
        "Cost": cost,
        "Fidelity": fidelity(method_class),
        "Defaults": f"`{defaults}`" if defaults else "it has no parameters",
    }
    lines = [_filled(f"- {key}: {value}", "  ") for key, value in facts.items()]
    return "\n".join([f"## {name}", "", _filled(what), "", *lines, ""])


def _filled(text: str, indent: str = "") -> str:
    text = text.replace("``", "`")
    return textwrap.fill(text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


if __name__ == "__main__":
    print(methods_page(), end="")
