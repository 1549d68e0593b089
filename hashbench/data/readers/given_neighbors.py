"""True neighbours that come with vectors: their form, and a test on some queries of whether they are the nearest."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from hashbench.data.neighbors import true_neighbors
from hashbench.data.readers.arrays.stored_array import StoredArray
from hashbench.data.similarity import SAID, SIMILARITIES, Similarity, Space
from hashbench.errors import InputError

TRIED = 32
"""Number of queries whose neighbours are computed, to compare them with those in the file."""
USABLE, TRUE = 0.9, 0.999
"""Shares of correct neighbours: below the first they are refused, from the second on there is no warning."""
ROUNDING = 1e-3
"""Relative difference of distances that can be due to another library's rounding."""
FIRST = 10
ADVICE = "delete it, and hashbench finds them"


def given_neighbors(stored: StoredArray, n_query: int, n_database: int, most: int) -> np.ndarray:
    """Return the first true neighbours of each query, ``most`` of them or as many as there are.

    Returns
    -------
    ndarray of shape (n_query, k), int64

    Raises
    ------
    InputError
        The array does not have a row of neighbours per query, or a row does not name different rows of the database.
    """
    if len(stored.shape) != 2 or stored.dtype.kind not in "iu" or stored.shape[0] != n_query or not stored.shape[1]:
        raise InputError(
            f"{stored.shown_as} is {stored.dtype} of shape {stored.shape}, expected whole numbers ({n_query}, k): "
            f"a row per query; {ADVICE}"
        )
    neighbors = stored.read()[:, :most].astype(np.int64)
    outside = ((neighbors < 0) | (neighbors >= n_database)).any(axis=1)
    if outside.any():
        row = int(np.argmax(outside))
        odd = next(int(item) for item in neighbors[row] if not 0 <= item < n_database)
        from_one = "; it seems to count from 1: subtract 1" if odd == n_database and neighbors.min() > 0 else ""
        raise InputError(
            f"{stored.shown_as}: row {row} names {odd}, the database has rows 0 to {n_database - 1}{from_one}; {ADVICE}"
        )
    ordered = np.sort(neighbors, axis=1)
    twice = (ordered[:, 1:] == ordered[:, :-1]).any(axis=1)
    if twice.any():
        raise InputError(f"{stored.shown_as}: row {np.argmax(twice)} names a neighbour twice; {ADVICE}")
    return neighbors


def share_of_true(
    given: np.ndarray,
    vectors: np.ndarray,
    query: np.ndarray,
    database: np.ndarray,
    similarity: Similarity,
    shown_as: str,
) -> float:
    """Return the share of neighbours in the file that are among the nearest, for a sample of queries.

    Parameters
    ----------
    given : ndarray of shape (n_query, k), int64
        Positions in ``database``.
    vectors : ndarray of shape (n, d)
    query, database : ndarray of int64
        Rows of ``vectors``.
    similarity : {"euclidean", "cosine", "ip"}
    shown_as : str
        What names them in a message.

    Returns
    -------
    float
        From `USABLE` to 1, of the first 10 or of all, whatever is less.

    Raises
    ------
    InputError
        Too few of the given neighbours are the nearest; the message says how they may have been
        computed.
    """
    tried = np.sort(np.random.default_rng(0).permutation(len(query))[:TRIED])
    given, query = given[tried], query[tried]
    trial = _Trial(vectors, query, database)
    share = trial.share(given, similarity)
    if share < USABLE:
        raise InputError(
            f"{shown_as}: {share:.0%} of its neighbours are the nearest by {SAID[similarity]} ({len(tried)} queries "
            f"were tried); {trial.likeness(given, similarity)}; or {ADVICE}"
        )
    return share


class _Trial:
    """A sample of queries, whose neighbours in the file are compared with the nearest."""

    def __init__(self, vectors: np.ndarray, query: np.ndarray, database: np.ndarray) -> None:
        self.vectors, self.query, self.database = vectors, query, database

    def share(self, given: np.ndarray, similarity: Similarity) -> float:
        """Return the share of the first 10 that are among the 10 nearest, or of all k among k, whatever is less.

        Equally near ones count, and so does what rounding may turn.
        """
        k = given.shape[1]
        nearest = true_neighbors(self.vectors, self.query, self.database, k, similarity=similarity)
        far, least = self._far(given, similarity), self._far(nearest, similarity)
        slack = ROUNDING * np.abs(least)
        return min(float((far[:, :n] <= (least + slack)[:, n - 1 : n]).mean()) for n in {min(FIRST, k), k})

    def likeness(self, given: np.ndarray, similarity: Similarity) -> str:
        """Return a guess why neighbours are not the nearest, and what to do."""
        guesses: list[tuple[str, Callable[[], float]]] = [
            ("they count from 1: subtract 1", partial(self.share, np.maximum(given - 1, 0), similarity)),
            ("the nearest stand last: turn their order", partial(self.share, given[:, ::-1], similarity)),
        ]
        for other in SIMILARITIES:
            if other != similarity:
                said = f"they are the nearest by {SAID[other]}: say --similarity {other}"
                guesses.append((said, partial(self.share, given, other)))
        for said, share in guesses:
            try:
                if share() >= USABLE:
                    return said
            except InputError:  # a vector of zeros has no angle
                continue
        some = np.random.default_rng(1).integers(len(self.database), size=given.shape)
        far, usual = self._far(given, similarity), np.quantile(self._far(some, similarity), 0.75, axis=1)
        if (np.median(far, axis=1) > usual).mean() > 0.5:
            return "they look like the farthest"
        return "they are of another order of the database's rows, or of another database"

    def _far(self, items: np.ndarray, similarity: Similarity) -> np.ndarray:
        """Return how far items are from their queries, (n_query, k) float64."""
        space = Space(self.vectors, self.database[:1], similarity)
        pairs = zip(space.exact(self.query), items, strict=True)
        return np.stack([space.between(own, space.exact(self.database[some])) for own, some in pairs])
