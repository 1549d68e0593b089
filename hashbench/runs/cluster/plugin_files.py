"""Plugin files that travel to another machine, with the SHA-256 of each."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from hashbench.errors import InputError
from hashbench.files.hashing import canonical_hash
from hashbench.files.writing import as_input_error, write_atomically
from hashbench.plugins.named_files import named_plugins

MOST_BYTES = 64 * 2**20
"""Maximum size of a plugin's files: each cell sends them."""


@dataclass(frozen=True)
class PluginFiles:
    """The files of a plugin.

    Attributes
    ----------
    path : str
        Of what the user names, below the folder that it is unpacked into: a ``.py`` file or a folder.
    contents : dict from str to bytes
        By their paths below that folder.
    sha256 : dict from str to str
        The checksums that they were sent with.
    """

    path: str
    contents: dict[str, bytes]
    sha256: dict[str, str]


def pack(path: Path) -> PluginFiles:
    """Read a plugin: a file, or all files of a folder.

    Raises
    ------
    InputError
        The path is not a plugin, cannot be read, or is too large to be sent with every cell.
    """
    (plugin,) = named_plugins([path])
    assert plugin.file is not None
    top = plugin.file.parent if plugin.file.name == "__init__.py" else plugin.file
    files = [top]
    if top.is_dir():
        files = [one for one in sorted(top.rglob("*")) if one.is_file() and "__pycache__" not in one.parts]
    n_bytes = sum(one.stat().st_size for one in files)
    if n_bytes > MOST_BYTES:
        raise InputError(
            f"--plugin {path}: its folder holds {n_bytes / 1e6:,.0f} MB, up to {MOST_BYTES / 1e6:,.0f} MB travel to a "
            "cluster; keep data elsewhere"
        )
    try:
        contents = {one.relative_to(top.parent).as_posix(): one.read_bytes() for one in files}
    except OSError as error:
        raise InputError(f"--plugin {path} cannot be read: {error}") from error
    return PluginFiles(top.name, contents, {name: _sha256(content) for name, content in contents.items()})


def unpack(plugin: PluginFiles, folder: Path) -> Path:
    """Write a plugin's files into a separate folder and return the plugin's path there.

    What is there already is used if it has the right SHA-256, and written again if not.

    Parameters
    ----------
    plugin : PluginFiles
    folder : Path
        Gets a folder for each plugin, named by the files' checksums.

    Raises
    ------
    InputError
        A file's SHA-256 is not the one it was sent with, or the file cannot be written.
    """
    for name, content in plugin.contents.items():
        if _sha256(content) != plugin.sha256.get(name):
            raise InputError(f"plugin {plugin.path}: {name} has another SHA-256 than it was sent with; run again")
    target = folder / canonical_hash(plugin.sha256)[:32]
    for name, content in plugin.contents.items():
        path = target / name
        with as_input_error(path):
            if not path.is_file() or _sha256(path.read_bytes()) != plugin.sha256[name]:
                path.parent.mkdir(parents=True, exist_ok=True)
                write_atomically(path, content)
    return target / plugin.path


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
