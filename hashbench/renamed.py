"""Names that have changed: an old name still works, and a line says what the new one is.

A record or a leaderboard's row that an older version wrote is shown under the new names. Its id and its checksums stay.
A plugin of a user's that has an old name is that plugin.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from hashbench.progress import to_stderr

Kind = Literal["methods", "quantizers", "datasets", "parameters"]


@dataclass(frozen=True)
class Renamed:
    """A name that has changed.

    Attributes
    ----------
    kind : {"methods", "quantizers", "datasets", "parameters"}
    old, new : str
    since : str
        The first version of hashbench that has the new name, such as ``0.3``.
    of : str
        Of a parameter: its method or quantizer, by the present name.
    """

    kind: Kind
    old: str
    new: str
    since: str
    of: str = ""

    def __str__(self) -> str:
        of = f"{self.of}: " if self.of else ""
        return f"{of}{self.old} is called {self.new} since {self.since}"


RENAMED: tuple[Renamed, ...] = ()
"""Add a line here with the change of a name, and leave it: old records stay old."""
ESTIMATORS = ("methods", "quantizers")


def present_name(kinds: Collection[str], name: str, known: Collection[str]) -> str:
    """Return what a plugin is called now, and say once that its name was an old one.

    Parameters
    ----------
    kinds : collection of str
        Kinds of plugins that it may be of.
    name : str
    known : collection of str
        Names of plugins that are here: these are not looked up.
    """
    found = None if name in known else _new(kinds, name)
    return name if found is None else _note_once(found).new


def present_parameters(plugin: str, names: Collection[str], known: Collection[str]) -> dict[str, str]:
    """Return by name what parameters are called now; those in ``known``, the plugin's, are not looked up."""
    found = {name: None if name in known else _new(("parameters",), name, plugin) for name in names}
    return {name: name if one is None else _note_once(one).new for name, one in found.items()}


def present_config(config: Mapping[str, Any], version: str) -> dict[str, Any]:
    """Return a record's configuration under the present names, and say which were old.

    Parameters
    ----------
    config : mapping
        With ``method`` and ``params``, and perhaps ``dataset``.
    version : str
        The version of hashbench that wrote it; an empty text means an old one.
    """
    present = dict(config)
    for key, kinds in (("method", ESTIMATORS), ("dataset", ("datasets",))):
        found = _new(kinds, config[key], version=version) if key in config else None
        present |= {} if found is None else {key: _note_once(found).new}
    renamed = {name: _new(("parameters",), name, present["method"], version) for name in config["params"]}
    names = {name: name if one is None else _note_once(one).new for name, one in renamed.items()}
    return present | {"params": {names[name]: value for name, value in config["params"].items()}}


def present_label(label: str, version: str = "", known: Collection[str] = ()) -> str:
    """Return a method with its parameters, such as ``itq[dims=8]``, under the present names.

    Parameters
    ----------
    label : str
    version : str
        As for `present_config`.
    known : collection of str
        Labels that are there: these are not looked up.
    """
    if label in known or not RENAMED:
        return label
    name, bracket, rest = label.partition("[")
    keys = re.findall(r"(?:^|,)(\w+)(?==)", rest)
    present = present_config({"method": name, "params": dict.fromkeys(keys)}, version)
    for old, new in zip(keys, present["params"], strict=True):
        rest = re.sub(rf"(^|,){old}(?==)", rf"\g<1>{new}", rest)
    return f"{present['method']}{bracket}{rest}"


def _new(kinds: Collection[str], name: str, of: str = "", version: str = "") -> Renamed | None:
    """Return the last of the changes of a name since a version; None where there is none."""
    last = None
    for one in sorted(RENAMED, key=lambda one: _numbers(one.since)):
        is_newer = not version or _numbers(version) < _numbers(one.since)
        if one.kind in kinds and one.of == of and is_newer and one.old == (name if last is None else last.new):
            last = one if last is None else Renamed(one.kind, name, one.new, one.since, of)
    return last


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])


@cache
def _note_once(one: Renamed) -> Renamed:
    """Return a change, and say it the first time."""
    to_stderr(str(one))
    return one
