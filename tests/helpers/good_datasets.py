"""Data sets that pass every check, and bases for those with one fault."""

from dataclasses import replace

import numpy as np

from hashbench import HashDataset, InputError, Items, LoadOptions, Protocol, Split


def protocol(**changes):
    """Return a protocol over forty rows, with its checksum unless one is given."""
    facts = {
        "name": "good/1",
        "split": "queries: the first ten rows; the others are database and training set",
        "n_query": 10,
        "n_database": 30,
        "n_train": 30,
        "metrics": ("mAP@10", "mAP@all"),
        "draw": {"queries": 10},
        **changes,
    }
    plain = Protocol(**facts)
    return plain if "checksum" in changes else replace(plain, checksum=plain.hash)


class Good(HashDataset):
    """Forty rows in four classes, read from a file."""

    protocols = (protocol(),)
    source = "made here"
    licence = "Apache-2.0"
    needs = "--data-dir DIR with rows.npy"

    def read(self, options: LoadOptions) -> Items:
        if options.data_dir is None or not (options.data_dir / "rows.npy").is_file():
            raise InputError(f"good needs its rows: give {self.needs}")
        return Items(
            features=np.load(options.data_dir / "rows.npy"), labels=np.arange(40) % 4, provenance="made in a test"
        )

    def split(self, items: Items, protocol: Protocol) -> Split:
        query = np.arange(protocol.draw["queries"])
        rest = np.arange(protocol.draw["queries"], 40)
        return Split(rest, query, rest)


class Splits(Good):
    """Changes the split by ``change``."""

    protocols = (protocol(n_query=None, n_database=None, n_train=None),)

    def split(self, items, protocol):
        return self.change(super().split(items, protocol))


class Reads(Good):
    """Changes what was read by ``changes``."""

    def read(self, options):
        items = super().read(options)
        return replace(items, **self.changes(items))


class ForOthers(Good):
    """Has a protocol for labels that are not there, and sizes that the data decides."""

    protocols = (
        protocol(n_query=None, n_database=None, n_train=None),
        protocol(name="good-by-names/1", n_query=None, n_database=None, n_train=None, draw={}),
    )

    def split(self, items, protocol):
        if protocol.name == "good-by-names/1":
            raise InputError("these rows have no names")
        return super().split(items, protocol)


class TrainsApart(Splits):
    """Comes with a training set of its own."""

    def change(self, split):
        return replace(split, train=split.train[20:], database=split.database[:20])
