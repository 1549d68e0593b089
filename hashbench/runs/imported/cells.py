"""Which codes an import reads: one pair of files, or one for each code length and seed that a pattern names."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from hashbench.codes.names import CODES, DATABASE, LABELS, QUERY
from hashbench.errors import InputError
from hashbench.results.rows import NO_SEED
from hashbench.runs.imported.options import ImportOptions
from hashbench.runs.requested.grid import MAX_BITS, MAX_SEED, parse_integers

BITS, SEED = "{bits}", "{seed}"
_PLACE = re.compile(r"(\{bits\}|\{seed\})")


@dataclass(frozen=True)
class Given:
    """The sources of one record's codes.

    Attributes
    ----------
    sources : dict from (part, kind) to str
        As `hashbench.codes.reading.read_code_set` takes them.
    n_bits : int or None
        The code length; None where the codes say it.
    seed : int or None
        None of a deterministic method.
    """

    sources: Mapping[tuple[str, str], str]
    n_bits: int | None
    seed: int | None


def cells_of(options: ImportOptions) -> list[Given]:
    """Return what is to be read for each code length and seed.

    Raises
    ------
    InputError
        The patterns of queries and database differ, lengths or seeds are given that no pattern tells apart, or no file
        fits a pattern.
    """
    patterns = {
        (QUERY, CODES): options.query_codes,
        (DATABASE, CODES): options.database_codes,
        (QUERY, LABELS): options.query_labels,
        (DATABASE, LABELS): options.database_labels,
    }
    places = set(_PLACE.findall(options.query_codes))
    if places != set(_PLACE.findall(options.database_codes)):
        raise InputError(
            f"--query-codes {options.query_codes} and --database-codes {options.database_codes}: {BITS} and {SEED} "
            "must be in both, or in neither"
        )
    bits = _listed(options.bits, "--bits", 1, MAX_BITS)
    seeds = [None] if options.seeds == NO_SEED else _listed(options.seeds, "--seeds", 0, MAX_SEED)
    if seeds == [None] and SEED in places:
        raise InputError(f"--seeds {NO_SEED}: a deterministic method has no {SEED} in its files' names")
    for place, flag, values in ((BITS, "--bits", bits), (SEED, "--seeds", seeds)):
        if place not in places and len(values) > 1:
            raise InputError(f"{flag} has {len(values)} values: write {place} in the files' names in their place")
    pairs: Iterable[tuple[int | None, int | None]] = product(bits or [None], seeds or [0])
    if (BITS in places and not bits) or (SEED in places and not seeds):
        pairs = _found(options.query_codes, bits, seeds)
    return [
        Given(
            {key: text.replace(BITS, str(n_bits)).replace(SEED, str(seed)) for key, text in patterns.items() if text},
            n_bits,
            seed,
        )
        for n_bits, seed in pairs
    ]


def _listed(text: str | Sequence[int], flag: str, low: int, high: int) -> list[int | None]:
    return [*parse_integers(text, flag, low, high)] if text else []


def _found(
    pattern: str, bits: Sequence[int | None], seeds: Sequence[int | None]
) -> list[tuple[int | None, int | None]]:
    """Return code lengths and seeds of the files that fit a pattern, without those that are not listed."""
    found = [
        (n_bits, seed)
        for n_bits, seed in sorted(set(_in_names(pattern)))
        if not (BITS in pattern and bits and n_bits not in bits)
        and not (SEED in pattern and seeds and seed not in seeds)
    ]
    if not found:
        raise InputError(f"--query-codes {pattern}: no file fits; {BITS} and {SEED} stand for whole numbers")
    return [
        (n_bits if BITS in pattern else next(iter(bits), None), seed if SEED in pattern else next(iter(seeds), 0))
        for n_bits, seed in found
    ]


def _in_names(pattern: str) -> Iterator[tuple[int, int]]:
    """Yield the code length and the seed in the name of each file that fits a pattern; 0 for what is not in it."""
    file, colon, name = pattern.rpartition(":")
    if not colon or "/" in name:
        file, name = pattern, ""
    if set(_PLACE.findall(name)) - set(_PLACE.findall(file)):
        raise InputError(f"--query-codes {pattern}: list --bits and --seeds, they are in an array's name")
    path = Path(file)
    pieces, seen, expression = _PLACE.split(str(path)), set[str](), ""
    for piece in pieces:
        key = piece.strip("{}")
        if not _PLACE.fullmatch(piece):
            expression += re.escape(piece)
        else:
            expression += f"(?P={key})" if key in seen else f"(?P<{key}>[0-9]{{1,9}})"
            seen.add(key)
    searched = "".join("*" if _PLACE.fullmatch(piece) else glob.escape(piece) for piece in pieces)
    for found in Path(path.anchor).glob(searched.removeprefix(path.anchor)):
        match = re.fullmatch(expression, str(found))
        if match is not None:
            numbers = match.groupdict()
            yield int(numbers.get("bits", 0)), int(numbers.get("seed", 0))
