"""Your own vectors: embeddings in any of the file formats that hashbench knows."""

from dataclasses import replace
from typing import ClassVar

import numpy as np

from hashbench.data.items import Items, fingerprint_of
from hashbench.data.neighbors import cached_neighbors
from hashbench.data.options import LoadOptions
from hashbench.data.plugin import HashDataset
from hashbench.data.protocol import NEIGHBORS, SIMILARITY, Protocol
from hashbench.data.readers.arrays.array_formats import SUFFIXES, SUFFIXES_OF_PARTS
from hashbench.data.readers.vectors import read_vectors
from hashbench.data.splits import Split, draw_any, share_of
from hashbench.errors import InputError
from hashbench.progress import to_stderr

N_NEIGHBORS = 100
DRAW = {"queries": 1_000, "query_share": 0.1, "training": 100_000}
SPLIT = (
    "queries and database: the parts that the files name; where they name none, queries: the first "
    f"{DRAW['queries']} of a permutation of the rows by numpy.random.default_rng(0), but at most the share "
    f"{DRAW['query_share']} of all rows, rounded down; database: the others; training set: the part learn, or else "
    f"the database, of which the first {DRAW['training']} of a permutation by numpy.random.default_rng(1) where it "
    "has more rows"
)


class Vectors(HashDataset):
    """Your own vectors, by true nearest neighbours or by labels."""

    protocols: ClassVar[tuple[Protocol, ...]] = (
        Protocol(
            name="vectors/1",
            split=f"{SPLIT}; relevant: a query's {N_NEIGHBORS} nearest vectors of the database, by the files or "
            "exact by Euclidean distance of the vectors as they are (of the vectors divided by their lengths where "
            "an HDF5 file says angular), of equally near ones the first",
            n_query=None,
            n_database=None,
            n_train=None,
            metrics=("recall@10", "recall10@100", "recall10@1000", "recall@100", "mAP@all"),
            seed=0,
            draw=DRAW,
            similarity="euclidean",
            neighbors=N_NEIGHBORS,
            checksum="5f96d205600db7dcc50c298c5d0847bce1134574a31e539e38da8ec92045e22e",
        ),
        Protocol(
            name="vectors-labels/1",
            split=f"{SPLIT}; relevant: items of the same class, or with a label in common",
            n_query=None,
            n_database=None,
            n_train=None,
            metrics=("mAP@1000", "mAP@all", "P@100"),
            seed=0,
            draw=DRAW,
            similarity="euclidean",
            checksum="d69e3c8c064294be236162d89e36142b0d0186b58ef421a0d809b856f8924dd8",
        ),
    )
    source = "your own files"
    licence = "yours"
    needs = (
        "--data-dir FILE or FOLDER: vectors, or database and query, optionally with labels or neighbors; in a folder, "
        f"a file each ({', '.join(SUFFIXES_OF_PARTS)}), else one file ({', '.join(SUFFIXES)}); see docs/datasets.md"
    )

    reads = ("label_column", "similarity")

    def read(self, options: LoadOptions) -> Items:
        """Read the user's files."""
        if options.data_dir is None:
            raise InputError(f"vectors needs your files: give {self.needs}")
        return read_vectors(options.data_dir, N_NEIGHBORS, options.cache_dir, options.label_column, options.similarity)

    def settle(self, items: Items, protocol: Protocol, options: LoadOptions) -> tuple[Protocol, Items]:
        """Measure by labels where there are any, else by true neighbours; or as the user chose."""
        by_neighbors, by_labels = self.protocols
        if options.protocol is None:
            protocol = by_neighbors if items.labels is None else by_labels
        protocol = protocol.choose({SIMILARITY: items.similarity})
        if not protocol.name.startswith("vectors-labels/"):
            return self._of_as_many(items, protocol, options), replace(items, labels=None)
        if items.labels is None:
            raise InputError(f"--protocol {protocol.name}: the files hold no labels; {by_neighbors.name} needs none")
        if not items.parts and options.splits is None:
            _refuse_unlabelled(items.labels, self.split(items, protocol).query, options)
        return protocol, items

    def _of_as_many(self, items: Items, protocol: Protocol, options: LoadOptions) -> Protocol:
        """Return the protocol of as many neighbours as there are, where these are fewer than it says."""
        if protocol.neighbors > N_NEIGHBORS:
            raise InputError(f"--protocol: {NEIGHBORS}={protocol.neighbors}: expected at most {N_NEIGHBORS}")
        known = protocol.neighbors
        if options.splits is None:
            given = N_NEIGHBORS if items.neighbors is None else items.neighbors.shape[1]
            known = min(known, given, len(self.split(items, protocol).database))
        if known < protocol.neighbors:
            protocol = protocol.choose({NEIGHBORS: known})
            to_stderr(f"vectors: {known} neighbours of each query are known, not {N_NEIGHBORS}: {protocol.name}")
        return protocol if known == N_NEIGHBORS else replace(protocol, metrics=_recalls(known))

    def split(self, items: Items, protocol: Protocol) -> Split:
        """Take the parts that the files name, or draw queries; and training rows where there are very many."""
        queries, share, training = (protocol.draw[name] for name in DRAW)
        if items.parts:
            query, database = items.parts["query"], items.parts["database"]
            _refuse_other(protocol, ("queries", "query_share"), "name the queries")
        else:
            query = draw_any(len(items), _n_queries(len(items), int(queries), share), 0)
            database = np.setdiff1d(np.arange(len(items)), query)
        if "learn" in items.parts:
            _refuse_other(protocol, ("training",), "name the training vectors (learn)")
            return Split(items.parts["learn"], query, database)
        train = database if len(database) <= training else draw_any(len(items), int(training), 1, among=database)
        return Split(train, query, database)

    def neighbors(self, items: Items, split: Split, options: LoadOptions) -> np.ndarray:
        """Return the neighbours that come with the files, or find them, once."""
        as_named = all(
            np.array_equal(items.parts[part], getattr(split, part)) for part in items.parts if part != "learn"
        )
        vectors, nearest = items.features, items.neighbors
        assert vectors is not None
        if nearest is None or not as_named:
            key = items.sha256 or fingerprint_of(vectors)
            k = min(N_NEIGHBORS, len(split.database))
            nearest = cached_neighbors(vectors, split, k, items.similarity, key, options.cache_dir)
        return nearest


def _recalls(n_neighbors: int) -> tuple[str, ...]:
    """Return the metrics where fewer neighbours are known than the protocol says."""
    first = min(10, n_neighbors)
    names = [f"recall@{first}", f"recall{first}@100", f"recall{first}@1000", f"recall@{n_neighbors}", "mAP@all"]
    return tuple(dict.fromkeys(names))


def _n_queries(n: int, most: int, share: float) -> int:
    n_queries = min(most, share_of(n, share))
    if not 0 < n_queries < n:
        raise InputError(f"vectors: of {n} rows {n_queries} queries would be drawn; name database and query instead")
    return n_queries


def _refuse_unlabelled(labels: np.ndarray, query: np.ndarray, options: LoadOptions) -> None:
    """Raise if a drawn query has no label."""
    without = query[~labels[query].any(axis=1)] if labels.ndim == 2 else query[:0]
    if len(without):
        raise InputError(
            f"{options.data_dir}: {len(without)} of {len(query)} drawn queries have no label, row {without[0]} the "
            "first: nothing is relevant to them; label or remove them, or name database and query"
        )


def _refuse_other(protocol: Protocol, numbers: tuple[str, ...], why: str) -> None:
    """Raise if a number was chosen that decides nothing here."""
    for name in numbers:
        if protocol.draw[name] != DRAW[name]:
            raise InputError(f"--protocol: {name}={protocol.draw[name]} cannot be chosen: the files {why}")
