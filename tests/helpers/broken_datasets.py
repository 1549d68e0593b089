"""Data sets with one fault each, and the check that finds it."""

import os
import threading
import time
from dataclasses import replace

import numpy as np
from broken_protocols import (
    Edited,
    HidesItsNeeds,
    MakesDataUp,
    NoChecksum,
    OneDepth,
    OneProtocolForAll,
    OtherSize,
    TwoOfOneName,
    Unattributed,
    Undocumented,
    UnknownMetric,
    Unversioned,
)
from good_datasets import Good, Reads, Splits, protocol

from hashbench import InputError


class QueriesInDatabase(Splits):
    """Keeps the queries in the database."""

    def change(self, split):
        return replace(split, database=np.arange(40))


class TrainsElsewhere(Splits):
    """Takes one training row out of the database."""

    def change(self, split):
        return replace(split, database=split.database[1:])


class Repeats(Splits):
    """Names a row twice."""

    def change(self, split):
        return replace(split, database=np.append(split.database, split.database[0]))


class BeyondTheEnd(Splits):
    """Counts from 1."""

    def change(self, split):
        return replace(split, train=split.train + 1)


class TrainsOnQueries(Splits):
    """Trains on everything."""

    def change(self, split):
        return replace(split, train=np.arange(40))


class BeforeTheStart(Splits):
    """Counts from the end."""

    def change(self, split):
        return replace(split, train=split.train - 11)


class NotRows(Splits):
    """Marks its queries."""

    def change(self, split):
        return replace(split, query=np.arange(40) < 10)


class ShortIndices(Splits):
    """Uses other integers."""

    def change(self, split):
        return replace(split, query=split.query.astype(np.int32))


class WrongSplitChecksum(Good):
    """Had another split once."""

    protocols = (protocol(split_checksum="0" * 64),)

    def read(self, options):
        return replace(super().read(options), provenance="official")


class IgnoresTheDraw(Good):
    """Has the number in its code."""

    def split(self, items, protocol):
        return super().split(items, replace(protocol, draw={"queries": 10}))


class BreaksWhenDrawnOtherwise(Good):
    """Cannot do what it offers."""

    def split(self, items, protocol):
        if protocol.draw["queries"] != 10:
            raise InputError("cannot do that")
        return super().split(items, protocol)


class FloatLabels(Reads):
    """Labels are no integers."""

    def changes(self, items):
        return {"labels": items.labels.astype(np.float64)}


class NegativeLabels(Reads):
    """Labels begin below 0."""

    def changes(self, items):
        return {"labels": items.labels - 1}


class OneClass(Reads):
    """Everything is relevant."""

    def changes(self, items):
        return {"labels": items.labels * 0}


class NumbersAsMarks(Reads):
    """Label marks are no bools."""

    def changes(self, items):
        return {"labels": np.ones((40, 3), np.uint8)}


class UnlabelledQueries(Reads):
    """Some queries have no label."""

    def changes(self, items):
        return {"labels": np.arange(40)[:, None] % 5 > np.arange(3)}


class ForeignNeighbours(Reads):
    """Neighbours are rows of the data instead of the database."""

    def changes(self, items):
        return {"labels": None, "neighbors": np.full((10, 2), 39)}


class DoubleFeatures(Reads):
    """Features have more bits than is agreed."""

    def changes(self, items):
        return {"features": items.features.astype(np.float64)}


class HoledFeatures(Reads):
    """One value is missing."""

    def changes(self, items):
        return {"features": np.where(np.arange(3) == 1, np.nan, items.features).astype(np.float32)}


class FloatImages(Reads):
    """Images run from 0 to 1."""

    def changes(self, items):
        return {"features": None, "images": np.zeros((40, 8, 8, 3), np.float32)}


class ChannelsFirst(Reads):
    """Images have their channels before their sides."""

    def changes(self, items):
        return {"features": None, "images": np.zeros((40, 3, 8, 8), np.uint8)}


class Unseeded(Splits):
    """Draws anew each time."""

    def change(self, split):
        return replace(split, train=np.random.default_rng().permutation(split.train))


class DrawsFromGlobalState(Splits):
    """Draws from numpy's global generator."""

    def change(self, split):
        return replace(split, train=np.random.permutation(split.train))  # noqa: NPY002 (what the check is about)


class WritesBesideTheData(Good):
    """Keeps an index in the user's directory."""

    def read(self, options):
        items = super().read(options)
        (options.data_dir / "index.json").write_text("{}")
        return items


class LeavesErrorsRaised(Good):
    """Reads with numpy's errors raised, and leaves them so."""

    def read(self, options):
        np.seterr(over="raise")
        return super().read(options)


class LeavesAThread(Splits):
    """Starts a thread that goes on."""

    def change(self, split):
        threading.Thread(target=time.sleep, args=(1,)).start()
        return split


class StaysWithItsFiles(Good):
    """Goes where its files are."""

    def settle(self, items, protocol, options):
        os.chdir(options.data_dir)
        return protocol, items


BROKEN = [
    (Unattributed, "check_facts", "source is empty"),
    (Undocumented, "check_facts", "no docstring"),
    (HidesItsNeeds, "check_facts", "needs is empty, but without files loading says: good needs its rows"),
    (Unversioned, "check_protocol_names", "'good' does not end in a version"),
    (TwoOfOneName, "check_protocol_names", "two protocols are named good/1"),
    (NoChecksum, "check_protocol_checksums", f'add checksum="{protocol().hash}"'),
    (Edited, "check_protocol_checksums", "give it a new version"),
    (UnknownMetric, "check_metrics", "unknown metric 'MAP'"),
    (OneDepth, "check_metrics", "lacks mAP@all"),
    (OtherSize, "check_loads", "the query part has 10 items, good/1 says 11"),
    (OneProtocolForAll, "check_loads", "load returns good/1 for two names"),
    (QueriesInDatabase, "check_loads", "10 queries are in the database part, as row 0"),
    (TrainsOnQueries, "check_loads", "10 queries are in the train part, as row 0"),
    (TrainsElsewhere, "check_splits", "1 training items are not in the database, as row 10"),
    (Repeats, "check_loads", "the database part names a row twice, as row 10"),
    (BeyondTheEnd, "check_loads", "the train part names row 40 of 40"),
    (BeforeTheStart, "check_loads", "the train part names row -1 of 40"),
    (NotRows, "check_loads", "the query part is bool of shape (40,), expected row numbers"),
    (ShortIndices, "check_splits", "dtype int32"),
    (WrongSplitChecksum, "check_loads", "published is 0000"),
    (IgnoresTheDraw, "check_draws", "good/1[queries=1] gives the same split: is queries used?"),
    (BreaksWhenDrawnOtherwise, "check_draws", "good/1[queries=1] cannot be drawn: cannot do that"),
    (FloatLabels, "check_relevance", "labels have dtype float64"),
    (NegativeLabels, "check_relevance", "labels begin at -1"),
    (OneClass, "check_relevance", "all labels are 0"),
    (NumbersAsMarks, "check_relevance", "label marks have dtype uint8"),
    (MakesDataUp, "check_missing_files", "an empty directory is accepted"),
    (UnlabelledQueries, "check_relevance", "queries have no label, as query 0"),
    (ForeignNeighbours, "check_relevance", "neighbors run to 39, the database part has 30"),
    (DoubleFeatures, "check_items", "features have dtype float64"),
    (HoledFeatures, "check_items", "NaN"),
    (FloatImages, "check_items", "images have dtype float32"),
    (ChannelsFirst, "check_items", "images have 8 channels"),
    (Unseeded, "check_loads_the_same_twice", "different data or splits"),
    (DrawsFromGlobalState, "check_loads_the_same_twice", "different data or splits"),
    (DrawsFromGlobalState, "check_global_random_state_is_left_alone", "split moves numpy's global random state"),
    (LeavesErrorsRaised, "check_process_is_left_alone", "read leaves changed behind: numpy's error state"),
    (LeavesAThread, "check_process_is_left_alone", "split leaves changed behind: running threads"),
    (StaysWithItsFiles, "check_process_is_left_alone", "settle leaves changed behind: the working directory"),
    (WritesBesideTheData, "check_data_dir_is_left_alone", "index.json"),
]
