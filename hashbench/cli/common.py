"""What commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hashbench.errors import InputError

PluginOption = Annotated[
    list[Path], typer.Option("--plugin", help="A plugin file; repeatable.", default_factory=list, show_default=False)
]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda, or one GPU such as cuda:1.")]


def one_of(option: str, value: str, known: tuple[str, ...]) -> None:
    """Raise if an option has none of the values that it may have.

    Raises
    ------
    InputError
        ``value`` is not one of ``known``.
    """
    if value not in known:
        raise InputError(f"{option} {value}: expected one of {', '.join(known)}")
