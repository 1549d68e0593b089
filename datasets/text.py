"""Your own labelled texts: tables, lines, folders of files, or word counts in MATLAB files."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np

from hashbench.data.images import EncodedImages
from hashbench.data.items import Items
from hashbench.data.options import LoadOptions
from hashbench.data.plugin import HashDataset
from hashbench.data.protocol import Protocol
from hashbench.data.readers.texts.reading import read_texts
from hashbench.data.readers.texts.texts import Texts, WordDropout
from hashbench.data.splits import Split, draw_share
from hashbench.errors import InputError

DRAW = {"query_percent": 10.0, "queries_at_most": 1000}


class Text(HashDataset):
    """Your own labelled texts: tables, lines, folders of files, or word counts in MATLAB files."""

    protocols: ClassVar[tuple[Protocol, ...]] = (
        Protocol(
            name="text-semantic/1",
            split="texts in the order of the file, or of their paths; queries: the part query or test where the data "
            "names parts, else 10 % of the texts, at most 1,000; training set: the part train, else all others; "
            "database: the training set, with the part database where the data names one. A share is drawn from every "
            "class of two texts or more alike, rounded down but at least one text: classes ascending, each the first "
            "of a permutation of its texts; from texts with several labels, the first of one permutation of those "
            "that share a label with another. Permutations are by numpy.random.default_rng(0)",
            n_query=None,
            n_database=None,
            n_train=None,
            metrics=("P@100", "mAP@all"),
            seed=0,
            draw=DRAW,
            checksum="e2732848cc04de41b226bb1303c734d4e7ebc648e73707fcc22c27053c794b18",
        ),
    )
    source = "your own texts"
    licence = "your own"
    needs = (
        "--data-dir FILE, a .csv, .jsonl or .parquet with the columns text, label (several with | or ; between them) "
        "and perhaps part (query, database or train), which --text-column and --label-column name otherwise; or a "
        ".txt with a text on each line and its labels before it, as __label__NAME; or a .mat with train, test, "
        "gnd_train and gnd_test; or --data-dir DIR with class folders of .txt files, by themselves, or in train/ and "
        "test/; or with train.csv and test.csv"
    )
    reads = ("text_column", "label_column")
    views = WordDropout("word-dropout/1")
    backbone = "tfidf"

    def read(self, options: LoadOptions) -> Items:
        """Read the texts and their labels."""
        if options.data_dir is None:
            raise InputError(f"{self.name} needs your texts: give {self.needs}")
        return read_texts(
            options.data_dir, options.text_column, options.label_column, options.skip_broken, options.cache_dir
        )

    def settle(self, items: Items, protocol: Protocol, options: LoadOptions) -> tuple[Protocol, Items]:
        """Return prepared texts as texts: they are kept in the form of images of many sizes."""
        if isinstance(items.images, EncodedImages):
            items = replace(items, images=Texts.opened(items.images))
        return protocol, items

    def split(self, items: Items, protocol: Protocol) -> Split:
        """Take the parts that the data names, or draw the queries; all others are database and training set."""
        labels, draw = items.labels, protocol.draw
        assert labels is not None
        if items.parts:
            for name, value in DRAW.items():
                if draw[name] != value:
                    raise InputError(f"{name}={draw[name]} cannot be chosen: the data names its queries")
            query, train = items.parts["query"], items.parts["train"]
            database = np.union1d(items.parts["database"], train)
            return Split(train if len(train) else database, query, database)
        pool = np.flatnonzero(_shared(labels))
        if not len(pool):
            raise InputError("every text has another label: nothing is relevant to anything")
        share = min(draw["query_percent"] / 100, draw["queries_at_most"] / len(labels))
        query = draw_share(labels, pool, share, 0)
        rest = np.setdiff1d(np.arange(len(labels)), query)
        return Split(rest, query, rest)


def _shared(labels: np.ndarray) -> np.ndarray:
    """Return which items share a label with another."""
    if labels.ndim == 1:
        return np.bincount(labels)[labels] > 1
    return np.asarray(labels[:, labels.sum(axis=0) > 1].any(axis=1))
