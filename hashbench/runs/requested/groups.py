"""Names that ``--methods`` takes for several methods at once."""

from __future__ import annotations

from collections.abc import Callable

from hashbench.plugins.glance import Glance, glance
from hashbench.plugins.registry import Registry
from hashbench.runs.requested.grid import split_names

FIXED = {
    "engineers": (
        "float32,float16,int8,sign,sign[center=False],lsh,itq,rr,sdc,pq,opq,rabitq,"
        "faiss_rabitq[bits=1|2|4,query_bits=4],bbq"
    ),
    "quick": "sign,lsh,pcah,sh,itq",
}
"""``engineers``: the choices for keeping ten million embeddings. ``quick``: classics that take a second."""
BY_GLANCE: dict[str, Callable[[Glance], bool]] = {
    "unsupervised": lambda method: not method.reads_labels,
    "supervised": lambda method: method.reads_labels,
    "classics": lambda method: method.family != "deep" and not method.reads_labels,
    "deep": lambda method: method.family == "deep",
}
"""All methods of a sort; ``classics`` read no labels and train no network."""


def with_groups(text: str, registry: Registry) -> str:
    """Return specifications of methods with each group's name replaced by its members; a plugin's name comes first.

    Raises
    ------
    InputError
        The list is empty, a bracket is not closed, or a plugin that the user names cannot be used.
    """
    named = split_names(text, "--methods")
    plugins = registry.plugins("methods") if {*FIXED, *BY_GLANCE} & {*named} else {}
    return ",".join(name if name in plugins else _members(name, registry) for name in named)


def _members(name: str, registry: Registry) -> str:
    if name not in BY_GLANCE:
        return FIXED.get(name, name)
    belongs = BY_GLANCE[name]
    return ",".join(one for one, plugin in sorted(registry.plugins("methods").items()) if belongs(glance(plugin)))
