"""Checks of what loading a data set gives: items, relevance, splits, and nothing left behind."""

from __future__ import annotations

import numpy as np

from hashbench.checks.check import DATASETS, check
from hashbench.checks.dataset_trial import Trial, data_decides
from hashbench.data.images import EncodedImages
from hashbench.data.items import holds_exactly
from hashbench.data.readers.texts.texts import Texts
from hashbench.errors import InputError
from hashbench.guard.state import kept_state


@check(DATASETS)
def check_loads(trial: Trial) -> None:
    """The data loads under every protocol, with the sizes and the split's checksum that it states."""
    known = {protocol.name: protocol for protocol in trial.dataset_class.protocols}
    names = []
    for dataset in trial.loaded:
        names.append(dataset.protocol.name)
        assert dataset.protocol == known.get(names[-1]), f"load returns {names[-1]}, which is not one of the class's"
        assert names.count(names[-1]) == 1, f"load returns {names[-1]} for two names: is options.protocol used?"
        assert dataset.name == trial.dataset_class.name, f"the data calls itself {dataset.name!r}"


@check(DATASETS, after="check_loads")
def check_splits(trial: Trial) -> None:
    """Rows are int64; training is in the database or wholly apart from it.

    That rows are in range and none appears twice, and that no query is elsewhere, is a condition of loading.
    """
    for dataset in trial.loaded:
        where, split = dataset.protocol.name, dataset.split
        for part in ("query", "database", "train"):
            dtype = getattr(split, part).dtype
            assert dtype == np.int64, f"{where}: the {part} part has dtype {dtype}, expected int64"
        outside = np.setdiff1d(split.train, split.database)
        if 0 < len(outside) < len(split.train):  # all outside: vectors often come with a separate training set
            raise AssertionError(f"{where}: {len(outside)} training items are not in the database, as row {outside[0]}")


@check(DATASETS, after="check_loads")
def check_draws(trial: Trial) -> None:
    """Every number of the draw that a user may choose changes the split."""
    for dataset in trial.loaded:
        for key, value in dataset.protocol.draw.items():
            choice = f"{dataset.protocol.name}[{key}={_another(value)}]"
            try:
                other = trial.load(choice)
            except InputError as error:
                if data_decides(dataset.protocol):  # where the data names its parts nothing is drawn
                    continue
                raise AssertionError(f"{choice} cannot be had: {error}") from error
            assert other.split.checksum != dataset.split.checksum, f"{choice} gives the same split: is {key} used?"


def _another(value: float) -> float:
    """Return a smaller number of the same kind."""
    if isinstance(value, int):
        return 1 if value > 1 else 2
    return value / 4


@check(DATASETS, after="check_loads")
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


@check(DATASETS, after="check_loads")
def check_items(trial: Trial) -> None:
    """Images are uint8 in one or three channels, or encoded files that decode; features are finite floats."""
    dataset = trial.loaded[0]
    images, features = dataset.images, dataset.features
    if isinstance(images, Texts):
        ends = images.offsets.shape == (len(images) + 1,) and (np.diff(images.offsets) > 0).all()
        assert ends, "the offsets of texts are not n + 1 rising numbers"
        assert all(text.strip() for text in images[:]), "a text is empty"
    elif isinstance(images, EncodedImages):
        assert images.data.dtype == np.uint8, f"encoded images have dtype {images.data.dtype}, expected uint8"
        ends = images.offsets.shape == (len(images) + 1,) and (np.diff(images.offsets) > 0).all()
        assert ends, "the offsets of encoded images are not n + 1 rising numbers"
        rows = np.unique([0, len(images) // 2, len(images) - 1])
        for row, image in zip(rows, images[rows], strict=True):
            size, stated = image.shape[:2], tuple(images.sizes[row].tolist())
            assert size == stated, f"image {row} has {size} pixels, its size is stated as {stated}"
    elif images is not None:
        assert images.dtype == np.uint8, f"images have dtype {images.dtype}, expected uint8"
        assert images.ndim == 4, f"images have shape {images.shape}, expected (n, h, w, c)"
        assert images.shape[3] in (1, 3), f"images have {images.shape[3]} channels, expected 1 or 3"
    if features is not None:
        narrow = "float32 or a type whose values it holds"
        assert holds_exactly(features.dtype), f"features have dtype {features.dtype}, expected {narrow}"
        assert features.ndim == 2, f"features have shape {features.shape}, expected (n, d)"
        finite = all(np.isfinite(features[start : start + 4096]).all() for start in range(0, len(features), 4096))
        assert finite, "features hold NaN or infinite values"


@check(DATASETS, after="check_loads")
def check_loads_the_same_twice(trial: Trial) -> None:
    """Loading twice gives the same items, relevance and split, wherever numpy's global generator is."""
    with kept_state():
        np.random.random_sample()  # noqa: NPY002 (the generator that a data set must not draw from)
        again = trial.load(trial.loaded[0].protocol.name)
    assert again.fingerprint == trial.loaded[0].fingerprint, "loading twice gives different data or splits"


@check(DATASETS, after="check_loads")
def check_data_dir_is_left_alone(trial: Trial) -> None:
    """Loading neither adds, changes nor removes files in the user's directory."""
    assert not trial.changed, f"load writes to the user's directory: {trial.changed[0]}"
