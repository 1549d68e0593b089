"""What data set plugins return, checked; an error is one line: the plugin, its file and what it was asked for."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from hashbench.data.items import Items
from hashbench.data.options import LoadOptions
from hashbench.data.plugin import HashDataset
from hashbench.errors import InputError, shorten
from hashbench.guard.plugin_code import failure_of, plugin_code
from hashbench.guard.state import kept_state

LONGEST = 300
"""Characters of an error that a message repeats."""
Returned = TypeVar("Returned")


@contextmanager
def named(plugin: HashDataset, what: str, passed_on: tuple[type[BaseException], ...] = ()) -> Iterator[None]:
    """Run a plugin's code, see `plugin_code`; whatever it raises becomes one line, and the process stays as it was.

    Parameters
    ----------
    plugin : HashDataset
    what : str
        What it was asked for, such as ``read``.
    passed_on : tuple of exception types
        What somebody else answers for.

    Raises
    ------
    InputError
        The plugin raises an error. Its own InputError passes unchanged; any other is named with its type.
    KeyboardInterrupt
        The user pressed Ctrl-C meanwhile.
    """
    try:
        with kept_state(), plugin_code():
            yield
    except Exception as error:
        if isinstance(error, (InputError, *passed_on)):
            raise
        reason = shorten(failure_of(error), LONGEST)
        raise InputError(f"data set {plugin.name} ({_file(plugin)}): {what} failed: {reason}") from error


def returned(plugin: HashDataset, what: str, value: object, kind: type[Returned]) -> Returned:
    """Return what a plugin's method returned, if it is what it has to be.

    Raises
    ------
    InputError
        ``value`` is not a ``kind``.
    """
    if not isinstance(value, kind):
        raise InputError(
            f"data set {plugin.name} ({_file(plugin)}): {what} returned {type(value).__name__}, expected "
            f"{kind.__name__}"
        )
    return value


def read_items(plugin: HashDataset, options: LoadOptions) -> Items:
    """Return what a plugin reads.

    Raises
    ------
    InputError
        An option is set that the plugin does not read, its code fails, or it returns no items.
    """
    options.refuse_unread(plugin.name, plugin.reads)
    with named(plugin, "read"):
        items = plugin.read(options)
    return returned(plugin, "read", items, Items)


def _file(plugin: HashDataset) -> str:
    try:
        return inspect.getfile(type(plugin))
    except (OSError, TypeError):
        return type(plugin).__module__
