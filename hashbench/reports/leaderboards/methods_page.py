"""docs/methods.md, made of the methods' docstrings and a leaderboard: run this module."""

from __future__ import annotations

import inspect
import textwrap
from pathlib import Path

from hashbench.contract.method import HashMethod
from hashbench.contract.search_space import space_in_words
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

All methods by name. `hashbench info NAME` also lists the differences from the authors' code, and all parameters. The
search space is what tuning chooses from; all other parameters keep their defaults. The cost is the time of `fit` in
seconds on CIFAR-10's 5,000 training images at {bits} bits, median over seeds, on the processor that the leaderboard
names. It does not include features and views, which are extracted once for all methods. This page is generated from
the methods and `leaderboards/cifar10.csv`: `python -m hashbench.reports.leaderboards.methods_page > docs/methods.md`.

| method | year | kind | learns from labels | inputs | cost |
| --- | --- | --- | --- | --- | --- |
{table}

{entries}
## Methods that are not implemented

DeepBit, BinGAN, BGAN and HashGAN train a network on images together with a part that generates or rotates images, and
do not work without it. DeepBit compares an image with its rotations in a network that is trained as a whole. BinGAN is
the discriminator of an image generator (in Theano). BGAN reconstructs images from codes along a graph of ResNet
features. HashGAN (Ghasedi Dizaji et al.; the method of the same name and year by Cao et al. reads labels) trains
generator, discriminator and encoder alternately. On frozen features each would be another method under the same name.
DVB could run on features, but we know of no code. Of their scores on CIFAR-10 at 32 bits, two are known. DeepBit's
README states mAP@1000 .254; its author withdrew the comparison there, since it compared @1000 with @all of others.
Users of BGAN's code report .46; the stated score is .531 (issue 5 of its repository). Scores of the five in tables of
other papers could not be traced to a run, and are not repeated here.

### After CIBHash

These came later and have no row either. The repositories that exist state no scores. We could not read the tables of
the papers, so none are repeated here.

**UHSCM** (2023) describes each image by its similarity to the names of 81 concepts, as CLIP sees them, drops rare
concepts, and learns codes whose cosines are those of the descriptions. It needs CLIP's weights, and trains all of
VGG19. In the released code, a variable is used that is never set.

**WCH** (ACCV 2022) is CIBHash's contrast with weights from the similarity of image patches. The weights are made inside
of a vision transformer that is trained as a whole; pooled features have no patches.

**CGHash** (MM 2023) trains a ResNet18 by contrast of views, by neighbours and by its own guesses of classes. On frozen
features, the first of these three steps, which gives it its features, would be gone.

**BRCD** (WWW 2024) teaches a small network the codes of a large one that CIBHash has trained. That is about the size of
backbones: on the same frozen features, teacher and pupil are one.

**FSCH** (TCSVT 2024) learns from parts of images in a vision transformer. Its repository lacks the code of the
training.

**DSCH** (AAAI 2022) finds fine clusters of codes by a Gaussian mixture and coarse ones by k-means, and lets these say
what is alike. The file of its repository that should hold network and loss is empty in every commit, and we could not
read the paper's equations; a row would be our guess.

**CIMON** (IJCAI 2021) guides codes by similarities that are refined by clusters, with confidence weights, on two views
of each image. It could run on frozen features. We know of no code by its authors, and rows here are compared with code.

**UDKH**: we know of no code either.
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
        "Search space": space_in_words(method_class),
    }
    lines = [_filled(f"- {key}: {value}", "  ") for key, value in facts.items()]
    return "\n".join([f"## {name}", "", _filled(what), "", *lines, ""])


def _filled(text: str, indent: str = "") -> str:
    text = text.replace("``", "`")
    return textwrap.fill(text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


if __name__ == "__main__":
    print(methods_page(), end="")
