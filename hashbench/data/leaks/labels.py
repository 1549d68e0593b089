"""Labels that make every ranking score alike, or that nothing in the database shares."""

from __future__ import annotations

import numpy as np

from hashbench.data.leaks.finding import Finding


def label_findings(query: np.ndarray, database: np.ndarray) -> list[Finding]:
    """Return what is odd about the labels of queries and database.

    Parameters
    ----------
    query, database : ndarray of shape (n,), int64, or (n, n_labels), bool
        Classes or marks of labels, in both parts by one numbering.

    Examples
    --------
    >>> import numpy as np
    >>> print(*label_findings(np.array([0, 3]), np.array([0, 0, 0])), sep="; ")
    problem: all 3 items of the database have the same labels; \
problem: 1 of 2 queries shares no label with the database (query 1 the first): it scores 0
    """
    findings = []
    for labels, what in ((query, "queries"), (database, "items of the database")):
        if len(labels) > 1 and (labels == labels[0]).all():
            findings.append(Finding(f"all {len(labels):,} {what} have the same labels", is_problem=True))
        bare = ~labels.any(axis=1) if labels.ndim == 2 else np.zeros(0, bool)
        if bare.any():
            findings.append(
                Finding(f"{np.count_nonzero(bare):,} of {len(labels):,} {what} have no label", is_problem=True)
            )
    if query.ndim == 2:
        lonely = query.any(axis=1) & ~(query & database.any(axis=0)).any(axis=1)
    else:
        lonely = ~np.isin(query, database)
    if lonely.any():
        n = np.count_nonzero(lonely)
        findings.append(
            Finding(
                f"{n:,} of {len(query):,} queries {'shares' if n == 1 else 'share'} no label with the database (query "
                f"{np.argmax(lonely)} the first): {'it scores' if n == 1 else 'each scores'} 0",
                is_problem=True,
            )
        )
    return findings


def relabelled(ids: dict[str, np.ndarray], labels: dict[str, np.ndarray]) -> list[Finding]:
    """Return how many items have other labels in one part than in another.

    Parameters
    ----------
    ids : dict from str to ndarray of shape (n,), int64
        As in `hashbench.data.leaks.overlap.overlaps`.
    labels : dict from str to ndarray of shape (n,) or (n, n_labels)
        Of the same parts.
    """
    joined, values = np.concatenate(list(ids.values())), np.concatenate(list(labels.values()))
    _, first, inverse = np.unique(joined, return_index=True, return_inverse=True)
    differ = values != values[first[inverse]]
    differ = (differ.any(axis=1) if differ.ndim == 2 else differ) & (joined >= 0)
    n = len(np.unique(joined[differ]))
    what = "item has" if n == 1 else "items have"
    return [Finding(f"{n:,} {what} other labels in one list than in another", is_problem=True)] if n else []
