"""What a run that was killed while it wrote has left half written: the next run takes it away."""

from __future__ import annotations

import re
from contextlib import suppress

from filelock import Timeout

from hashbench.runs.records.store import SHARED, Store

TEMPORARY = re.compile(
    r"\.((?P<id>[0-9a-f]{64})(\.failed)?|[0-9a-f]{32}|jobs|results|run)\.(json|npz|safetensors|csv|toml)\.\d+"
)
"""Names that `hashbench.files.writing.atomic_stream` gives to what a run writes."""


def remove_leftovers(store: Store) -> None:
    """Remove temporary files that nobody writes any more: those whose lock, a cell's or the shared one, is free."""
    for folder in (store.directory, store.folder, store.models, store.labels):
        for path in folder.glob(".*"):
            name = TEMPORARY.fullmatch(path.name)
            if name is not None:
                with suppress(Timeout), store.lock(name["id"] or SHARED).acquire(timeout=0):
                    path.unlink(missing_ok=True)
