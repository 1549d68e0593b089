"""The conformance suite that every data set plugin passes.

As a library call ``check_dataset(Mine)``, as a pytest parametrisation ``@parametrize_with_checks([Mine])``, and on the
command line ``hashbench check NAME [--data-dir DIR]``. Checks of the facts need no files. Where a data set's files are
not there, the checks of the data are skipped, and say so.
"""

from __future__ import annotations

import inspect
import re
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from hashbench.checks.outcome import Outcome
from hashbench.data.dataset import Dataset
from hashbench.data.images import EncodedImages
from hashbench.data.loading import load
from hashbench.data.options import LoadOptions
from hashbench.data.plugin import HashDataset
from hashbench.data.protocol import EXTRA_METRICS, Protocol
from hashbench.errors import InputError
from hashbench.evaluation import metrics

_VERSIONED = re.compile(r"\S+/[1-9]\d*")


class FilesAreMissing(Exception):
    """The data set needs files that are not there."""


@dataclass(frozen=True)
class Trial:
    """A data set under test, and what loading it gave.

    Parameters
    ----------
    dataset_class : type
        A `HashDataset` subclass.
    data_dir : Path, optional
        Where its files are.
    cache_dir : Path, optional
        Where prepared data is kept; a temporary directory by default.
    """

    dataset_class: type[HashDataset]
    data_dir: Path | None = None
    cache_dir: Path | None = None

    def load(self, protocol: str | None = None) -> Dataset:
        """Load the data anew.

        Raises
        ------
        FilesAreMissing
            The data set needs files, and no directory was named.
        InputError
            Whatever else loading says.
        """
        options = LoadOptions(self.data_dir, self.cache_dir or self._own_cache, protocol=protocol)
        try:
            return load(self.dataset_class(), options)
        except InputError as error:
            if self.dataset_class.needs and self.data_dir is None:
                raise FilesAreMissing(str(error)) from error
            raise

    @property
    def loaded(self) -> list[Dataset]:
        """The data under each protocol, loaded once.

        A protocol that states no sizes is for a user's own data, which need not be such that it applies.
        """
        return self._first[0]

    @property
    def changed(self) -> list[str]:
        """Files in the user's directory that loading has added, changed or removed."""
        return self._first[1]

    @cached_property
    def _own_cache(self) -> Path:
        folder = tempfile.mkdtemp(prefix="hashbench-check-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return Path(folder)

    @cached_property
    def _first(self) -> tuple[list[Dataset], list[str]]:
        before, loaded, refused = _state(self.data_dir), [], None
        for protocol in self.dataset_class.protocols:
            try:
                loaded.append(self.load(protocol.name))
            except InputError as error:
                if not _data_decides(protocol):
                    raise
                refused = error
        if not loaded and refused is not None:
            raise refused
        return loaded, sorted({path for path, _ in before ^ _state(self.data_dir)})


Check = Callable[[Trial], None]


def check_dataset(dataset_class: type[HashDataset], data_dir: str | Path | None = None) -> None:
    """Run every check on a data set.

    Parameters
    ----------
    dataset_class : type
        A `HashDataset` subclass.
    data_dir : path-like, optional
        Where its files are; without them, checks of the data are skipped.

    Raises
    ------
    AssertionError
        Some fail; the message lists each with its reason.
    """
    failed = [outcome for outcome in outcomes(dataset_class, data_dir) if outcome.failed]
    if failed:
        raise AssertionError("\n".join(f"{outcome.name}: {outcome.reason}" for outcome in failed))


def outcomes(
    dataset_class: type[HashDataset], data_dir: str | Path | None = None, cache_dir: Path | None = None
) -> Iterator[Outcome]:
    """Run the checks one after the other and yield how each ended."""
    trial, useless = _trial(dataset_class, data_dir, cache_dir), ""
    for check in CHECKS:
        if useless:
            yield Outcome(check.__name__, useless, skipped=True)
            continue
        try:
            check(trial)
            yield Outcome(check.__name__, "")
        except FilesAreMissing as error:
            useless = "its files are not there"
            yield Outcome(check.__name__, str(error), skipped=True)
        except Exception as error:
            reason = str(error) if isinstance(error, AssertionError) else f"{type(error).__name__}: {error}"
            yield Outcome(check.__name__, reason.partition("\n")[0] or type(error).__name__)
            useless = "the data does not load" if check is check_loads else ""


def parametrize_with_checks(dataset_classes: Iterable[type[HashDataset]], data_dir: str | Path | None = None) -> Any:
    """Return a pytest decorator: the test gets ``trial`` and ``check``, once per data set and check.

    Examples
    --------
    ::

        @parametrize_with_checks([Mine], data_dir="tests/data")
        def test_mine(trial, check):
            check(trial)
    """
    import pytest

    trials = [_trial(dataset_class, data_dir) for dataset_class in dataset_classes]
    pairs = [(trial, check) for trial in trials for check in CHECKS]
    ids = [f"{trial.dataset_class.name}-{check.__name__}" for trial, check in pairs]
    return pytest.mark.parametrize(("trial", "check"), pairs, ids=ids)


def _trial(dataset_class: type[HashDataset], data_dir: str | Path | None, cache_dir: Path | None = None) -> Trial:
    return Trial(dataset_class, None if data_dir is None else Path(data_dir), cache_dir)


def check_facts(trial: Trial) -> None:
    """The class says what it is, where the data comes from, under which terms, and what a user must bring."""
    facts = trial.dataset_class
    assert (facts.__doc__ or "").strip(), "the class has no docstring"
    assert inspect.getdoc(facts) != inspect.getdoc(HashDataset), "the class has no docstring"
    assert facts.source, "source is empty: say where the data comes from"
    assert facts.licence, "licence is empty: say the terms, or that none are stated"
    if not facts.needs:
        try:
            replace(trial, data_dir=None).load()
        except InputError as error:
            raise AssertionError(f"needs is empty, but without files loading says: {error}") from error


def check_missing_files(trial: Trial) -> None:
    """Where files are needed, an empty directory is a clear error, and nothing is written to it."""
    if not trial.dataset_class.needs:
        return
    with tempfile.TemporaryDirectory() as folder:
        try:
            replace(trial, data_dir=Path(folder)).load()
        except InputError as error:
            assert str(error), "an empty directory gives an error without a message"
            assert "\n" not in str(error), f"an empty directory gives an error of several lines: {str(error)!r}"
        except Exception as error:
            raise AssertionError(f"an empty directory gives {type(error).__name__} instead of InputError") from error
        else:
            raise AssertionError("an empty directory is accepted")
        assert not any(Path(folder).iterdir()), "loading writes into an empty data directory"


def check_protocol_names(trial: Trial) -> None:
    """There is a protocol, every name ends in a version, and none is used twice; the split is put into words."""
    names = [protocol.name for protocol in trial.dataset_class.protocols]
    assert names, "there is no protocol"
    for protocol in trial.dataset_class.protocols:
        assert _VERSIONED.fullmatch(protocol.name), f"{protocol.name!r} does not end in a version, such as /1"
        assert protocol.split, f"{protocol.name}: split is empty: put it into words that another lab can follow"
    twice = {name for name in names if names.count(name) > 1}
    assert not twice, f"two protocols are named {min(twice)}"


def check_protocol_checksums(trial: Trial) -> None:
    """Every protocol is what it was when its version was given."""
    for protocol in trial.dataset_class.protocols:
        assert protocol.checksum, f'{protocol.name} has no checksum; if it is new, add checksum="{protocol.hash}"'
        assert protocol.checksum == protocol.hash, (
            f"{protocol.name} is not what it was: its checksum is {protocol.checksum}, its hash {protocol.hash}; give "
            "it a new version"
        )


def check_metrics(trial: Trial) -> None:
    """Metrics are known, none is named twice, and those that every protocol reports are among them."""
    for protocol in trial.dataset_class.protocols:
        for name in protocol.metrics:
            try:
                metrics.parse(name)
            except ValueError as error:
                raise AssertionError(f"{protocol.name}: {error}") from error
        missing = [name for name in EXTRA_METRICS if name not in protocol.metrics]
        assert not missing, f"{protocol.name} lacks {missing[0]}, which every protocol reports"
        assert len(set(protocol.metrics)) == len(protocol.metrics), f"{protocol.name} names a metric twice"


def check_loads(trial: Trial) -> None:
    """The data loads under every protocol, with the sizes and the split's checksum that it states."""
    known = {protocol.name: protocol for protocol in trial.dataset_class.protocols}
    found = []
    for dataset in trial.loaded:
        found.append(dataset.protocol.name)
        assert dataset.protocol == known.get(found[-1]), f"load returns {found[-1]}, which is not one of the class's"
        assert found.count(found[-1]) == 1, f"load returns {found[-1]} for two names: is options.protocol used?"
        assert dataset.name == trial.dataset_class.name, f"the data calls itself {dataset.name!r}"


def check_splits(trial: Trial) -> None:
    """The parts are rows of the data, none twice; no query is elsewhere; training is in the database or apart."""
    for dataset in trial.loaded:
        where, split = dataset.protocol.name, dataset.split
        for part in ("query", "database", "train"):
            rows = getattr(split, part)
            what = f"{where}: the {part} part"
            assert isinstance(rows, np.ndarray), f"{what} is {type(rows).__name__}, expected an array"
            assert rows.dtype == np.int64, f"{what} has dtype {rows.dtype}, expected int64"
            assert rows.ndim == 1, f"{what} has shape {rows.shape}, expected one dimension"
            assert rows.min() >= 0, f"{what} names row {rows.min()}"
            assert rows.max() < len(dataset), f"{what} names row {rows.max()} of {len(dataset)}"
            assert len(np.unique(rows)) == len(rows), f"{what} names a row twice"
        for part in ("database", "train"):
            both = np.intersect1d(split.query, getattr(split, part))
            assert not len(both), f"{where}: {len(both)} queries are in the {part} part, as row {both[0]}"
        outside = np.setdiff1d(split.train, split.database)
        if 0 < len(outside) < len(split.train):  # all outside: vectors often come with a training set of their own
            raise AssertionError(f"{where}: {len(outside)} training items are not in the database, as row {outside[0]}")


def check_draws(trial: Trial) -> None:
    """Every number of the draw that a user may choose changes the split."""
    for dataset in trial.loaded:
        for key, value in dataset.protocol.draw.items():
            choice = f"{dataset.protocol.name}[{key}={_another(value)}]"
            try:
                other = trial.load(choice)
            except InputError as error:
                if _data_decides(dataset.protocol):  # where the data names its parts nothing is drawn
                    continue
                raise AssertionError(f"{choice} cannot be had: {error}") from error
            assert other.split.checksum != dataset.split.checksum, f"{choice} gives the same split: is {key} used?"


def _data_decides(protocol: Protocol) -> bool:
    """Return whether a protocol states no sizes, being for data that users bring."""
    return protocol.n_query is None and protocol.n_database is None and protocol.n_train is None


def _another(value: float) -> float:
    """Return a smaller number of the same kind."""
    if isinstance(value, int):
        return 1 if value > 1 else 2
    return value / 4


def check_relevance(trial: Trial) -> None:
    """Labels are classes from 0 or a matrix of marks; neighbours are rows of the database part."""
    for dataset in trial.loaded:
        where, labels, neighbors = dataset.protocol.name, dataset.labels, dataset.neighbors
        if labels is not None and labels.ndim == 1:
            assert labels.dtype == np.int64, f"{where}: labels have dtype {labels.dtype}, expected int64"
            assert labels.min() >= 0, f"{where}: labels begin at {labels.min()}, expected 0 or more"
            assert labels.min() < labels.max(), f"{where}: all labels are {labels.max()}"
        elif labels is not None:
            assert labels.ndim == 2, f"{where}: labels have shape {labels.shape}, expected (n,) or (n, n_labels)"
            assert labels.dtype == bool, f"{where}: label marks have dtype {labels.dtype}, expected bool"
            unmarked = np.flatnonzero(~labels[dataset.split.query].any(axis=1))
            assert not len(unmarked), f"{where}: {len(unmarked)} queries have no label, as query {unmarked[0]}"
        if neighbors is not None:
            assert neighbors.dtype == np.int64, f"{where}: neighbors have dtype {neighbors.dtype}, expected int64"
            assert neighbors.ndim == 2, f"{where}: neighbors have shape {neighbors.shape}, expected (n_query, k)"
            n = len(dataset.split.database)
            inside = neighbors.min() >= 0 and neighbors.max() < n
            assert inside, f"{where}: neighbors run to {neighbors.max()}, the database part has {n} items"


def check_items(trial: Trial) -> None:
    """Images are uint8 in one or three channels, or encoded files that decode; features are finite floats."""
    dataset = trial.loaded[0]
    images, features = dataset.images, dataset.features
    if isinstance(images, EncodedImages):
        assert images.data.dtype == np.uint8, f"encoded images have dtype {images.data.dtype}, expected uint8"
        ends = images.offsets.shape == (len(images) + 1,) and (np.diff(images.offsets) > 0).all()
        assert ends, "the offsets of encoded images are not n + 1 rising numbers"
        rows = np.unique([0, len(images) // 2, len(images) - 1])
        for row, image in zip(rows, images[rows], strict=True):
            found, stated = image.shape[:2], tuple(images.sizes[row].tolist())
            assert found == stated, f"image {row} has {found} pixels, its size is stated as {stated}"
    elif images is not None:
        assert images.dtype == np.uint8, f"images have dtype {images.dtype}, expected uint8"
        assert images.ndim == 4, f"images have shape {images.shape}, expected (n, h, w, c)"
        assert images.shape[3] in (1, 3), f"images have {images.shape[3]} channels, expected 1 or 3"
    if features is not None:
        assert features.dtype == np.float32, f"features have dtype {features.dtype}, expected float32"
        assert features.ndim == 2, f"features have shape {features.shape}, expected (n, d)"
        finite = all(np.isfinite(features[start : start + 4096]).all() for start in range(0, len(features), 4096))
        assert finite, "features hold NaN or infinite values"


def check_loads_the_same_twice(trial: Trial) -> None:
    """Loading twice gives the same items, relevance and split, and leaves numpy's global generator alone."""
    before = str(np.random.get_state())  # noqa: NPY002 (the legacy state is what is looked at)
    again = trial.load(trial.loaded[0].protocol.name)
    assert str(np.random.get_state()) == before, "load moves numpy's global random state"  # noqa: NPY002
    assert again.fingerprint == trial.loaded[0].fingerprint, "loading twice gives different data or splits"


def check_data_dir_is_left_alone(trial: Trial) -> None:
    """Loading neither adds, changes nor removes files in the user's directory."""
    assert not trial.changed, f"load writes to the user's directory: {trial.changed[0]}"


def _state(place: Path | None) -> set[tuple[str, tuple[int, int]]]:
    """Return the files of a directory, or a file, with sizes and times."""
    if place is None:
        return set()
    files = [file for file in place.rglob("*") if file.is_file()] if place.is_dir() else [place]
    return {(str(file), (file.stat().st_size, file.stat().st_mtime_ns)) for file in files}


CHECKS: tuple[Check, ...] = (
    check_facts,
    check_missing_files,
    check_protocol_names,
    check_protocol_checksums,
    check_metrics,
    check_loads,
    check_splits,
    check_draws,
    check_relevance,
    check_items,
    check_loads_the_same_twice,
    check_data_dir_is_left_alone,
)
