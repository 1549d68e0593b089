"""Modules of the plugin files that a user names: imported by path, found again when what they define is unpickled."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from hashbench.errors import InputError
from hashbench.files.source import hash_source

NAMESPACE = "hashbench_plugins"
"""The package that files named by the user are imported into; it exists in memory only."""


def import_file(file: Path, name: str) -> ModuleType:
    """Return the module of a file, or of a folder by its ``__init__.py``, under a name that depends on its content.

    Raises
    ------
    Exception
        The file's code raises.
    """
    identity = hashlib.sha256(f"{file} {hash_source(file)}".encode()).hexdigest()[:16]
    package = _in_memory(f"{NAMESPACE}.{identity}", _in_memory(NAMESPACE))
    qualified = f"{package.__name__}.{name}"
    if qualified not in sys.modules:
        module = _executed(qualified, file)
        setattr(package, name, module)
    return sys.modules[qualified]


def with_file(kind: type, reduced: Any) -> Any:
    """Return what ``__reduce_ex__`` gave of an object, with the file of its class where a user's file defines it.

    Parameters
    ----------
    kind : type
        The object's.
    reduced : tuple
        Of protocol 2 or higher: how it is made, with what, and its state.
    """
    module = sys.modules.get(kind.__module__)
    if not kind.__module__.startswith(f"{NAMESPACE}.") or module is None or not isinstance(reduced, tuple):
        return reduced
    return _empty, (kind.__module__, module.__file__, kind.__qualname__), *reduced[2:]


def _empty(module: str, file: str, qualname: str) -> object:
    """Return an object of a user's class, as unpickling needs it: its state comes afterwards.

    Raises
    ------
    InputError
        The plugin's file has been removed or edited, or cannot be imported.
    """
    name = module.rpartition(".")[2]
    remedy = "or keep methods by save() and hashbench.load_model, which pickles nothing"
    if module not in sys.modules:
        try:
            found = import_file(Path(file), name).__name__
        except FileNotFoundError as error:
            raise InputError(f"{name!r} was pickled with its plugin file {file}: bring that along, {remedy}") from error
        except Exception as error:
            raise InputError(f"plugin file {file} cannot be imported: {type(error).__name__}: {error}") from error
        if found != module:
            raise InputError(f"{file} has been edited since its {name!r} was pickled: fit it again, {remedy}")
    kind: Any = sys.modules[module]
    for part in qualname.split("."):
        kind = getattr(kind, part)
    return kind.__new__(kind)


def _in_memory(qualified: str, parent: ModuleType | None = None) -> ModuleType:
    """Return a package without files; pickle looks for a class's module by way of its parents."""
    if qualified not in sys.modules:
        package = ModuleType(qualified, "Plugin files that the user names.")
        package.__path__ = []
        sys.modules[qualified] = package
        if parent is not None:
            setattr(parent, qualified.rpartition(".")[2], package)
    return sys.modules[qualified]


def _executed(qualified: str, file: Path) -> ModuleType:
    """Import a file, or a folder by its ``__init__.py``, under a name.

    No bytecode is written: Python would take it for that of an edited file of equal size and time in whole seconds.
    """
    spec = importlib.util.spec_from_file_location(qualified, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[qualified] = module
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[qualified]
        raise
    finally:
        sys.dont_write_bytecode = writes
    return module
