"""A data set under test: loading it, once or anew, and what that leaves behind."""

from __future__ import annotations

import functools
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from hashbench.checks.check import Skipped
from hashbench.checks.left_behind import Watch
from hashbench.data.dataset import Dataset
from hashbench.data.loading import load
from hashbench.data.options import LoadOptions
from hashbench.data.plugin import HashDataset, read_items
from hashbench.data.protocol import Protocol
from hashbench.errors import InputError


@dataclass(frozen=True)
class Trial:
    """A data set under test, and what loading it gave.

    Parameters
    ----------
    dataset_class : type
        A `HashDataset` subclass.
    data_dir : Path, optional
        Where its files are.
    cache_dir : Path, optional
        Where prepared data is kept; a temporary directory by default.
    """

    dataset_class: type[HashDataset]
    data_dir: Path | None = None
    cache_dir: Path | None = None

    def load(self, protocol: str | None = None, plugin: HashDataset | None = None) -> Dataset:
        """Load the data anew.

        Parameters
        ----------
        protocol : str, optional
        plugin : HashDataset, optional
            An instance of the class; a new one by default.

        Raises
        ------
        Skipped
            The data set needs files, and no directory was named.
        InputError
            Loading fails for any other reason.
        """
        with self._skipped_without_files():
            return load(plugin or self.dataset_class(), self._options(protocol))

    @cached_property
    def left_behind(self) -> dict[str, list[str]]:
        """What each of the plugin's methods leaves changed in the process.

        Loading puts that back, so its methods are watched one by one; ``read``, which prepared data needs no more, is
        called by itself.

        Raises
        ------
        Skipped
            Nothing was left changed, but the files that ``read`` needs are not there.
        """
        watch, plugin = Watch(), self.dataset_class()
        for name in ("read", "settle", "split", "neighbors"):
            setattr(plugin, name, _watched(watch, name, getattr(plugin, name)))
        for dataset in self.loaded:
            self.load(dataset.protocol.name, plugin)
        try:
            if "read" not in watch.changed:
                with self._skipped_without_files():
                    read_items(plugin, self._options())
        except Skipped:
            if not any(watch.changed.values()):
                raise
        return watch.changed

    @property
    def loaded(self) -> list[Dataset]:
        """The data under each protocol, loaded once.

        A protocol that states no sizes is for a user's own data, which need not be such that it applies.
        """
        return self._first[0]

    @property
    def changed(self) -> list[str]:
        """Files in the user's directory that loading has added, changed or removed."""
        return self._first[1]

    def _options(self, protocol: str | None = None) -> LoadOptions:
        return LoadOptions(self.data_dir, self.cache_dir or self._own_cache, protocol=protocol)

    @contextmanager
    def _skipped_without_files(self) -> Iterator[None]:
        try:
            yield
        except InputError as error:
            if self.dataset_class.needs and self.data_dir is None:
                raise Skipped(str(error)) from error
            raise

    @cached_property
    def _own_cache(self) -> Path:
        folder = tempfile.mkdtemp(prefix="hashbench-check-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return Path(folder)

    @cached_property
    def _first(self) -> tuple[list[Dataset], list[str]]:
        before, loaded, refused = _state(self.data_dir), [], None
        for protocol in self.dataset_class.protocols:
            try:
                loaded.append(self.load(protocol.name))
            except InputError as error:
                if not data_decides(protocol):
                    raise
                refused = error
        if not loaded and refused is not None:
            raise refused
        return loaded, sorted({path for path, _ in before ^ _state(self.data_dir)})


def data_decides(protocol: Protocol) -> bool:
    """Return whether a protocol states no sizes, being for data that users bring."""
    return protocol.n_query is None and protocol.n_database is None and protocol.n_train is None


def _watched(watch: Watch, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def watched(*arguments: Any) -> Any:
        with watch(name):
            return method(*arguments)

    return watched


def _state(path: Path | None) -> set[tuple[str, tuple[int, int]]]:
    """Return the files of a directory, or a file, with sizes and times."""
    if path is None:
        return set()
    files = [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path]
    return {(str(file), (file.stat().st_size, file.stat().st_mtime_ns)) for file in files}
