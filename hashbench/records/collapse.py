"""Signs that a method has collapsed: few different codes, a training that did not converge."""

from __future__ import annotations

from typing import Any

import numpy as np

from hashbench.records.record import SMALL, Record

FEW = 16
"""Different codes of a database that are worth a note, where there could be four times as many."""


def n_different(codes: np.ndarray) -> int | None:
    """Return how many different codes there are; None where they are more than `SMALL`.

    Counting ends with the code that is one too many: of a million codes that differ, a few thousand are looked at.

    Parameters
    ----------
    codes : ndarray of shape (n, n_bytes), uint8
    """
    rows = np.ascontiguousarray(codes).view(f"V{codes.shape[1]}")[:, 0]
    found: set[bytes] = set()
    for start in range(0, len(rows), SMALL):
        found.update(rows[start : start + SMALL].tolist())
        if len(found) > SMALL:
            return None
    return len(found)


def what_collapsed(method: Any, database_codes: np.ndarray) -> dict[str, Any]:
    """Return what a record says of it: fields of `Record`.

    Parameters
    ----------
    method : HashMethod or Quantizer
        A trained one; where it has an attribute ``converged_``, that says whether its training converged.
    database_codes : ndarray of shape (n, n_bytes), uint8
    """
    converged = getattr(method, "converged_", None)
    return {
        "n_codes": n_different(database_codes),
        "converged": bool(converged) if isinstance(converged, bool | np.bool_) else None,
    }


def notes_of(record: Record) -> list[str]:
    """Return the notes on a record next to its scores; nothing where nothing collapsed."""
    notes = []
    if (
        record.n_codes is not None
        and record.n_codes <= FEW
        and record.n_codes * 4 <= 2 ** min(record.config["n_bits"], 30)
    ):
        notes.append(f"the database has {record.n_codes} different code{'s' * (record.n_codes != 1)}")
    if record.converged is False:
        notes.append("its training did not converge")
    return notes
