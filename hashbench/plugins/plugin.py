"""One plugin: where it comes from, its identity, and its class once it is imported."""

from __future__ import annotations

import ast
import functools
import importlib
import importlib.metadata
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from hashbench.errors import InputError, describe_error
from hashbench.files.plugin_modules import import_file
from hashbench.files.source import hash_once, hash_source
from hashbench.guard.plugin_code import plugin_code
from hashbench.guard.state import note_users_code


@dataclass(frozen=True)
class Plugin:
    """A plugin whose name is known and that need not be imported.

    Attributes
    ----------
    name : str
    kind : {"methods", "quantizers", "datasets", "metrics"}
    origin : str
        What it comes from, for messages: a file, or a package with its entry point.
    file : Path or None
        The source file, if it is known without importing.
    entry_point : importlib.metadata.EntryPoint or None
    is_extra : bool
        Whether it is a file that the user names.
    """

    name: str
    kind: str
    origin: str
    file: Path | None = None
    entry_point: importlib.metadata.EntryPoint | None = None
    is_extra: bool = False

    @functools.cached_property
    def summary(self) -> str:
        """First line of the plugin's docstring, read from its source without importing it."""
        if self.file is None:
            return f"from {self.origin}"
        try:
            tree = ast.parse(self.file.read_bytes())
        except (OSError, SyntaxError, ValueError) as error:
            return f"cannot be read: {error}"
        return (ast.get_docstring(tree) or "").partition("\n")[0]

    @property
    def source_hash(self) -> str:
        """SHA-256 of the plugin's source: an edited plugin never gets yesterday's number.

        What the plugin imports of hashbench's shared code belongs to it (`hashbench.files.source`); the contracts do
        not. Of a plugin that is imported by its package's name it is the source as it was first seen, like the module.
        """
        if self.is_extra:
            assert self.file is not None
            return hash_source(self.file)
        return hash_once(self.file or Path(sys.modules[self.load().__module__].__file__ or ""))

    def load(self) -> type:
        """Import the plugin and return its class.

        Raises
        ------
        InputError
            The import raises an error, or the module holds no class of the plugin's kind, or several.
        KeyboardInterrupt
            The user pressed Ctrl-C meanwhile; see `hashbench.guard.plugin_code`.
        """
        if self.is_extra or self.entry_point is not None:
            note_users_code(self.name)
        try:
            with plugin_code():
                value = self._import() if self.entry_point is None else self.entry_point.load()
        except Exception as error:
            raise InputError(
                f"{self.kind[:-1]} {self.name!r} ({self.origin}) cannot be imported: {describe_error(error)}"
            ) from error
        return self._class_in(value) if isinstance(value, ModuleType) else self._checked(value)

    def _import(self) -> ModuleType:
        """Import the file; one that the user names, under a name that depends on its content."""
        assert self.file is not None
        if not self.is_extra:
            return importlib.import_module(f"hashbench.{self.kind}.{self.name}")
        return import_file(self.file, self.name)

    @property
    def _base(self) -> type:
        from hashbench.contract.method import HashMethod
        from hashbench.contract.quantizer import Quantizer
        from hashbench.data.plugin import HashDataset
        from hashbench.evaluation.metrics import Metric

        kinds = {"methods": HashMethod, "quantizers": Quantizer, "datasets": HashDataset, "metrics": Metric}
        return kinds[self.kind]

    def _class_in(self, module: ModuleType) -> type:
        known = dict.fromkeys(value for value in vars(module).values() if isinstance(value, type))
        classes = [value for value in known if issubclass(value, self._base) and value.__module__ == module.__name__]
        if len(classes) != 1:
            names = ", ".join(value.__name__ for value in classes) or "none"
            raise InputError(f"{self.origin} must define one {self._base.__name__} subclass, found {names}")
        return classes[0]

    def _checked(self, value: object) -> type:
        if isinstance(value, type) and issubclass(value, self._base):
            return value
        what = f"the class {value.__name__}" if isinstance(value, type) else f"of type {type(value).__name__}"
        raise InputError(
            f"{self.kind[:-1]} {self.name!r} ({self.origin}) is {what}, expected a {self._base.__name__} subclass"
        )
