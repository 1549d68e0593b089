"""Groups of methods that ``--methods`` takes by one name."""

from __future__ import annotations

from hashbench.runs.asked.grid import split_names

GROUPS = {
    "engineers": (
        "float32,float16,int8,sign,sign[center=False],lsh,itq,rr,sdc,pq,opq,rabitq,"
        "faiss_rabitq[bits=1|2|4,query_bits=4],bbq"
    )
}
"""``engineers``: what stands to choose for whoever has to keep ten million embeddings."""


def with_groups(text: str) -> str:
    """Return specifications of methods with each group's name replaced by its members.

    Raises
    ------
    InputError
        The text names no method, or a bracket is not closed.
    """
    return ",".join(GROUPS.get(name, name) for name in split_names(text, "--methods"))
