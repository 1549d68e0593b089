"""Loads a data set: its items, prepared once, split as its protocol says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from hashbench.data.dataset import Dataset
from hashbench.data.images import ImageFiles
from hashbench.data.items import Items, raw_items
from hashbench.data.options import LoadOptions
from hashbench.data.plugin import HashDataset, read_items
from hashbench.data.prepared.entries import Entry, entries
from hashbench.data.prepared.equal_items import equal_items
from hashbench.data.prepared.make_entry import prepare
from hashbench.data.protocol import (
    LISTS,
    NEIGHBORS,
    WITHOUT_TRAINING,
    Protocol,
    choose_protocol,
    chosen_similarity,
)
from hashbench.data.readers.published_lists import read_lists
from hashbench.data.seen_classes import (
    UNSEEN_SEED,
    draw_unseen,
    hold_out_classes,
    refuse_unsound_classes,
    train_on_seen,
)
from hashbench.data.splits import VALIDATION_SEED, Split, hold_out_queries
from hashbench.data.summary import what_was_read
from hashbench.errors import InputError
from hashbench.files.cache import cache_directory
from hashbench.files.source import hash_class
from hashbench.guard.plugin_code import asking, returned
from hashbench.progress import to_stderr


def load(plugin: HashDataset, options: LoadOptions) -> Dataset:
    """Return a data set, split as the protocol says.

    Parameters
    ----------
    plugin : HashDataset
    options : LoadOptions

    Raises
    ------
    InputError
        The data is missing, incomplete or corrupt, or has too few items for the protocol.
    """
    protocol = choose_protocol(plugin.protocols, options.protocol)
    options = replace(options, similarity=_agreed_similarity(options))
    items = load_items(plugin, options)
    with asking(plugin, "settle"):
        protocol, items = plugin.settle(items, protocol, options)
    if options.splits is None:
        split = _drawn(plugin, items, protocol)
    else:
        split, checksum = read_lists(options.splits, items.names, len(items), items.left_out)
        protocol = replace(
            protocol,
            name=f"{protocol.name}{LISTS}{checksum[:8]}",
            split=f"published lists with the SHA-256 {checksum}",
            n_query=len(split.query),
            n_database=len(split.database),
            n_train=len(split.train),
            checksum="",
            split_checksum="",
        )
    if items.provenance == "official" and not items.left_out:
        _refuse_another_split(split, protocol)
    split, protocol, unseen = _as_chosen(split, protocol, items, options.splits is not None)
    assert not isinstance(items.images, ImageFiles)
    dataset = Dataset(
        name=plugin.name,
        protocol=protocol,
        split=split,
        labels=items.labels,
        images=items.images,
        features=items.features,
        neighbors=_neighbors(plugin, items, split, protocol, options) if items.labels is None else None,
        views=plugin.views if items.images is not None else None,
        backbone=plugin.backbone,
        image_size=plugin.image_size,
        provenance=items.provenance + (f", {len(items.left_out):,} images left out" if items.left_out else ""),
        n_left_out=len(items.left_out),
        items_sha256=items.sha256,
        look=items.look,
        centred=items.centred,
        names=items.names,
        label_names=items.label_names,
        unseen=unseen,
    )
    _refuse_irrelevant(dataset)
    with asking(plugin, "what read returned cannot be used: looking through it"):
        equal = equal_items(raw_items(items)) if items.equal is None else items.equal  # found when it was prepared
        return replace(dataset, summary=what_was_read(plugin.name, items, split, equal, unseen))


def _agreed_similarity(options: LoadOptions) -> str | None:
    """Return the similarity that a user chose, as an option or with the protocol."""
    stated = chosen_similarity(options.protocol)
    if None not in (stated, options.similarity) and stated != options.similarity:
        raise InputError(
            f"--similarity {options.similarity} and --protocol {options.protocol} differ: give one of them"
        )
    return stated or options.similarity


def _drawn(plugin: HashDataset, items: Items, protocol: Protocol) -> Split:
    """Return the split that the plugin draws."""
    try:
        with asking(plugin, "split"):
            split = plugin.split(items, protocol)
    except InputError as error:
        raise InputError(f"{plugin.name}: {protocol.name} cannot be drawn: {error}") from error
    return returned(plugin, "split", split, Split)


def _as_chosen(
    split: Split, protocol: Protocol, items: Items, is_published: bool
) -> tuple[Split, Protocol, np.ndarray | None]:
    """Return the split with what a user may choose of any protocol, what says so, and the classes that are unseen.

    A published training set stays as it is; `Dataset` refuses it if it has items of unseen classes.
    """
    labels = items.labels
    if is_published and (protocol.unseen or protocol.database == WITHOUT_TRAINING):
        protocol = replace(protocol, n_query=None, n_database=None, n_train=None)  # they were the lists'
    if protocol.database == WITHOUT_TRAINING:
        split = replace(split, database=split.database[~np.isin(split.database, split.train)])
    if not protocol.unseen:
        return (*(_on_validation(split, protocol, labels) if protocol.validation else (split, protocol)), None)
    if labels is None:
        raise InputError(f"{protocol.name} has unseen classes, and the data no labels; leave unseen out")
    unseen = draw_unseen(labels, split, protocol.unseen)
    if not is_published:
        split = train_on_seen(labels, split, unseen)
    protocol = replace(protocol, split=f"{protocol.split}; {_unseen_in_words(protocol.unseen, unseen)}")
    if protocol.validation:
        refuse_unsound_classes(labels, split, unseen, items.label_names, protocol.name)
        split, unseen = hold_out_classes(labels, split, unseen, protocol.validation)
        protocol = replace(protocol, split=f"{protocol.split}; {_held_out_in_words(protocol.validation, unseen)}")
    return split, protocol, unseen


def _unseen_in_words(share: float, unseen: np.ndarray) -> str:
    return (
        f"unseen are the classes {_listed(unseen)}: the first of a permutation of all classes, ascending, by "
        f"numpy.random.default_rng({UNSEEN_SEED}), the share {share}, rounded down; their items are taken out of the "
        "training set; queries of seen and of unseen classes are scored apart, each against database items of the same "
        "kind of classes and of all"
    )


def _held_out_in_words(share: float, held_out: np.ndarray) -> str:
    return (
        f"these classes and the queries above are left out; in their place, unseen are {_listed(held_out)}: the share "
        f"{share}, drawn likewise from the seen classes with seed {VALIDATION_SEED}; queries: the share {share}, at "
        "least one, of each seen class's training items, classes ascending, by permutations with that seed, and they "
        "are in no other part"
    )


def _listed(classes: np.ndarray) -> str:
    return ", ".join(map(str, classes))


def _on_validation(split: Split, protocol: Protocol, labels: np.ndarray | None) -> tuple[Split, Protocol]:
    """Return the split with queries of the training set in place of the protocol's own, and what says so."""
    whose = "of each class of the training set" if labels is not None and labels.ndim == 1 else "of the training set"
    split_words = (
        f"{protocol.split}; {whose}, the share {protocol.validation}, rounded down, of a permutation by "
        f"numpy.random.default_rng({VALIDATION_SEED}) are the queries, and in no other part; the queries above are "
        "left out"
    )
    other = replace(protocol, split=split_words, n_query=None, n_database=None, n_train=None)
    return hold_out_queries(split, protocol.validation, labels), other


def _neighbors(
    plugin: HashDataset, items: Items, split: Split, protocol: Protocol, options: LoadOptions
) -> np.ndarray | None:
    """Return true neighbours of the queries; those that come with the files are not of queries held out for choice."""
    with asking(plugin, "neighbors"):
        neighbors = plugin.neighbors(items, split, options)
    is_other = protocol.validation or protocol.database == WITHOUT_TRAINING
    if is_other and neighbors is not None and neighbors is items.neighbors:
        raise InputError(f"{protocol.name}: {plugin.name} knows true neighbours of its own queries only")
    if neighbors is None or not protocol.neighbors:
        return neighbors
    if neighbors.shape[1] < protocol.neighbors:
        raise InputError(
            f"{protocol.name} looks for {protocol.neighbors} neighbours of each query, there are {neighbors.shape[1]}: "
            f'choose fewer with --protocol "NAME[{NEIGHBORS}={neighbors.shape[1]}]"'
        )
    return neighbors[:, : protocol.neighbors]


def _refuse_irrelevant(dataset: Dataset) -> None:
    """Raise if nothing is relevant to any query, and say so if that is true of some."""
    name, labels, split = dataset.name, dataset.labels, dataset.split
    if labels is None:
        return
    query, database = labels[split.query], labels[split.database]
    shared = (query & database.any(axis=0)).any(axis=1) if labels.ndim == 2 else np.isin(query, database)
    lonely = ~shared
    if lonely.all():
        raise InputError(
            f"{name}: no query shares a label with anything in the database, so that every score would be 0; give "
            "labels that several items have, or no labels"
        )
    if lonely.any():
        to_stderr(
            f"{name}: warning: {lonely.sum():,} of {len(lonely):,} queries share no label with anything in the "
            f"database, row {split.query[np.argmax(lonely)]} the first; each of them scores 0"
        )


def _refuse_another_split(split: Split, protocol: Protocol) -> None:
    """Raise if the publisher's own data gives another split than the one that the protocol was published with."""
    if protocol.split_checksum and split.checksum != protocol.split_checksum:
        raise InputError(
            f"{protocol.name}: the split has the SHA-256 {split.checksum[:16]}…, published is "
            f"{protocol.split_checksum[:16]}…, though the files are the publisher's: does this version of numpy "
            f"({np.__version__}) draw otherwise?"
        )


def load_items(plugin: HashDataset, options: LoadOptions) -> Items:
    """Return what a plugin reads, prepared, preparing it first where that was not done.

    With a data directory, an entry serves whose stamp its files still have. Without one, the newest entry of that
    name serves, wherever its files were, if all entries came from one place and, unless broken images may be left out,
    it lacks none; where there is none, the plugin looks for its files itself, and arrays that it returns are used as
    they are.

    Raises
    ------
    InputError
        The data is missing, incomplete or corrupt, or the cache cannot be written; or it was prepared from several
        places and none is named.
    """
    if plugin.embedded:
        if options.data_dir is not None:
            raise InputError(f"--data-dir {options.data_dir}: {plugin.name} brings its data along and reads no files")
        return read_items(plugin, options)
    cache_dir = cache_directory(options.cache_dir)
    options = replace(options, cache_dir=cache_dir)
    if options.data_dir is None:
        newest = _newest(cache_dir, plugin.name, options)
        if newest is not None and newest.manifest["plugin"] == hash_class(type(plugin)):
            facts = newest.manifest
            where = facts["from"] or "where it was found"
            lacks = f", {len(facts['left_out']):,} images left out" if facts["left_out"] else ""
            what = f"{facts['n_items']:,} items{lacks}"
            to_stderr(f"{plugin.name}: {what}, prepared on {facts['date'][:10]} from {where}")
            return newest.open()
        if newest is not None:
            skip_broken = options.skip_broken or newest.manifest["skip_broken"]
            options = replace(options, data_dir=_origin(newest), skip_broken=skip_broken)
        elif not options.download:
            items = read_items(plugin, options)
            if not isinstance(items.images, ImageFiles) and not plugin.set_sha256:
                return items
    return prepare(plugin, options)[0].open()


def _newest(cache_dir: Path, name: str, options: LoadOptions) -> Entry | None:
    """Return the entry that serves where no directory is named."""
    alike = [entry for entry in entries(cache_dir, name) if entry.manifest.get("reading", "") == options.reading]
    usable = [entry for entry in alike if options.skip_broken or not entry.manifest["left_out"]]
    origins = sorted({str(entry.manifest["from"]) for entry in usable})
    if len(origins) > 1:
        raise InputError(
            f"{name} is prepared from {len(origins)} places: {', '.join(origins)}; name one with --data-dir"
        )
    return usable[0] if usable else None


def _origin(entry: Entry) -> Path | None:
    """Return where an entry came from, for data that must be read again."""
    origin = entry.manifest["from"]
    if origin is not None and not Path(origin).exists():
        raise InputError(
            f"{entry.folder} was prepared by another version of {entry.name}, and its files are no longer in "
            f"{origin}: give --data-dir, or hashbench data prepare {entry.name} --from DIR"
        )
    return None if origin is None else Path(origin)
