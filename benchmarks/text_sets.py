"""Make two labelled sets of texts from packages, each a CSV file with the columns text and label.

    apt-get install wordnet-base                      # WordNet 3.0, or: --wordnet FOLDER with its data.* files
    python benchmarks/text_sets.py glosses --out glosses.csv
    python benchmarks/text_sets.py packages --out packages.csv      # from apt's package lists (apt-get update)
    hashbench run --methods itq,lsh --dataset text --data-dir glosses.csv

glosses: the 117,659 glosses of WordNet, without the words that they explain; the label is the lexicographer's file, one
of 45 such as ``noun.animal``. packages: the descriptions of Debian's packages, as ``apt-cache dumpavail`` prints them
(a line each where apt keeps the long ones apart); the label is the section, without the archive's area:
``contrib/games`` is ``games``. Packages that share their description with an earlier one are left out, and so are
sections of fewer than ``--at-least`` packages.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

PARTS = ("noun", "verb", "adj", "adv")
FILES = (
    "adj.all", "adj.pert", "adv.all", "noun.Tops", "noun.act", "noun.animal", "noun.artifact", "noun.attribute",
    "noun.body", "noun.cognition", "noun.communication", "noun.event", "noun.feeling", "noun.food", "noun.group",
    "noun.location", "noun.motive", "noun.object", "noun.person", "noun.phenomenon", "noun.plant",
    "noun.possession", "noun.process", "noun.quantity", "noun.relation", "noun.shape", "noun.state",
    "noun.substance", "noun.time", "verb.body", "verb.change", "verb.cognition", "verb.communication",
    "verb.competition", "verb.consumption", "verb.contact", "verb.creation", "verb.emotion", "verb.motion",
    "verb.perception", "verb.possession", "verb.social", "verb.stative", "verb.weather", "adj.ppl",
)  # fmt: skip
"""The lexicographer's files by their numbers (lexnames(5WN))."""


def glosses(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the gloss and the class of each synset, in the order of the files (the format is wndb(5WN)'s)."""
    for part in PARTS:
        for line in (folder / f"data.{part}").read_text("utf-8").splitlines():
            if not line.startswith("  "):  # the licence
                head, _, gloss = line.partition(" | ")
                yield gloss.strip(), FILES[int(head.split(" ")[1])]


def packages(available: Iterable[str], at_least: int) -> list[tuple[str, str]]:
    """Return description and section of each package, in the order of the lines of ``apt-cache dumpavail``."""
    found: dict[str, str] = {}
    for section, description in _stanzas(available):
        found.setdefault(description, section)
    n_of = Counter(found.values())
    return [(text, section) for text, section in found.items() if n_of[section] >= at_least]


def _stanzas(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    section, description, inside = "", list[str](), False
    for line in [*lines, ""]:
        if not line.strip():
            if section and description:
                yield section, " ".join(description)
            section, description, inside = "", [], False
        elif line.startswith(" "):
            if inside and line.strip() != ".":
                description.append(line.strip())
        else:
            name, _, value = line.partition(":")
            inside = name in ("Description", "Description-en")
            if inside:
                description = [value.strip()]
            elif name == "Section":
                section = value.strip().rpartition("/")[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("which", choices=("glosses", "packages"))
    parser.add_argument("--wordnet", type=Path, default=Path("/usr/share/wordnet"))
    parser.add_argument("--at-least", type=int, default=20, help="packages of a section")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    if options.which == "glosses":
        if not (options.wordnet / "data.noun").is_file():
            sys.exit(f"{options.wordnet} holds no data.noun; apt-get install wordnet-base, or name --wordnet FOLDER")
        rows = list(glosses(options.wordnet))
    else:
        try:
            done = subprocess.run(["apt-cache", "dumpavail"], capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            sys.exit(f"apt-cache dumpavail fails ({error}): is this Debian, and was apt-get update run?")
        rows = packages(done.stdout.splitlines(), options.at_least)
    if not rows:
        sys.exit("there is nothing: run apt-get update first")
    with options.out.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("text", "label"), *rows])
    print(f"{options.out}: {len(rows):,} texts of {len({label for _, label in rows})} classes")


if __name__ == "__main__":
    main()
