"""Classes that training never sees: drawn once for a protocol, or held out of the seen ones for choosing parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hashbench.data.splits import VALIDATION_SEED, Split, draw_share, share_of
from hashbench.errors import InputError

UNSEEN_SEED = 3
LEAST_SEEN = 2
"""Classes that training has at least: with one, there is nothing to tell apart."""


def draw_unseen(labels: np.ndarray, split: Split, share: float) -> np.ndarray:
    """Draw the classes that training does not see, of all that are in a part.

    A smaller share gives some of the classes of a larger one: they are the first of one permutation of the classes,
    ascending, by ``numpy.random.default_rng(3)``.

    Parameters
    ----------
    labels : ndarray of shape (n,), int64
    split : Split
    share : float
        Of the classes, rounded down.

    Returns
    -------
    ndarray of int64, ascending

    Raises
    ------
    InputError
        Items have several labels or none, or the share leaves no unseen class, or fewer than two others.
    """
    if labels.ndim != 1:
        raise InputError(f"--protocol: unseen={share} needs one class an item, here an item has several labels")
    classes = np.unique(labels[np.concatenate([split.train, split.query, split.database])])
    return _first_of(classes, f"unseen={share}", share, UNSEEN_SEED)


def _first_of(classes: np.ndarray, choice: str, share: float, seed: int) -> np.ndarray:
    n = share_of(len(classes), share)
    if n == 0:
        least = f"{1 / len(classes):.3g}"
        raise InputError(f"--protocol: {choice} of {len(classes)} classes is no class; give {least} or more")
    if len(classes) - n < LEAST_SEEN:
        raise InputError(
            f"--protocol: {choice} of {len(classes)} classes leaves {len(classes) - n} for training, which needs "
            f"{LEAST_SEEN}; give less"
        )
    return np.sort(np.random.default_rng(seed).permutation(classes)[:n])


def train_on_seen(labels: np.ndarray, split: Split, unseen: np.ndarray) -> Split:
    """Return a split whose training set has lost the items of unseen classes.

    Parameters
    ----------
    labels : ndarray of shape (n,), int64
    split : Split
    unseen : ndarray of int64
    """
    return replace(split, train=split.train[~np.isin(labels[split.train], unseen)])


def hold_out_classes(labels: np.ndarray, split: Split, unseen: np.ndarray, share: float) -> tuple[Split, np.ndarray]:
    """Return a split to choose parameters on, and the classes that are unseen in it: some of those seen before.

    Neither a query of the split nor an item of the classes that are unseen in it is in any part of the new one.

    Parameters
    ----------
    labels : ndarray of shape (n,), int64
    split : Split
        From `train_on_seen`.
    unseen : ndarray of int64
    share : float
        How much of the training set's classes is held out, rounded down, by a permutation of them by
        ``numpy.random.default_rng(2)``; and how much of each class's training items becomes queries, at least one, by
        another of the same seed.

    Raises
    ------
    InputError
        The share leaves no held-out class, or fewer than two others.
    """
    held_out = _first_of(np.unique(labels[split.train]), f"validation={share}", share, VALIDATION_SEED)
    query = draw_share(labels, split.train, share, VALIDATION_SEED)
    database = split.database[~np.isin(labels[split.database], unseen) & ~np.isin(split.database, query)]
    train = split.train[~np.isin(split.train, query)]
    return train_on_seen(labels, Split(train, query, database), held_out), held_out


def refuse_unsound_classes(
    labels: np.ndarray | None, split: Split, unseen: np.ndarray, names: Sequence[str], what: str
) -> None:
    """Refuse a split whose training set has items of unseen classes, or that leaves nothing to train on or to score.

    Parameters
    ----------
    labels : ndarray of shape (n,), int64
        Anything else is refused.
    split : Split
    unseen : ndarray of int64
    names : sequence of str
        What the classes are called.
    what : str
        What is split, for the message.

    Raises
    ------
    InputError
        Items have no class, training has items of an unseen class or fewer than two classes, or an unseen class, or
        every seen one, has no query or no item in the database.
    """
    if labels is None or labels.ndim != 1:
        raise InputError(f"{what} has unseen classes, which need one class an item; leave unseen out")
    trained = labels[split.train]
    leaked = split.train[np.isin(trained, unseen)]
    if len(leaked):
        raise InputError(
            f"{what}: {len(leaked):,} training items are of unseen classes, row {leaked[0]} of class "
            f"{_class_name(int(labels[leaked[0]]), names)} the first: take them out of the training set"
        )
    if len(np.unique(trained)) < LEAST_SEEN:
        raise InputError(f"{what}: the training set has one seen class; it needs {LEAST_SEEN}")
    for lacks, present in (("query", labels[split.query]), ("item in the database", labels[split.database])):
        missing = np.setdiff1d(unseen, present)
        if len(missing):
            raise InputError(f"{what}: the unseen class {_class_name(int(missing[0]), names)} has no {lacks}")
        if np.isin(present, unseen).all():
            raise InputError(f"{what}: no seen class has a{'n' * lacks.startswith('i')} {lacks}")


def _class_name(label: int, names: Sequence[str]) -> str:
    return str(names[label]) if 0 <= label < len(names) else str(label)
