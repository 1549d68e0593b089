"""A bundle as a file: a zip archive of one form, written the same each time, and fully checked when read."""

from __future__ import annotations

import hashlib
import json
import re
import stat
import zipfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypedDict

from hashbench.errors import InputError, shorten
from hashbench.files.schema import Count, Misfit, Sha256, checked, decoded
from hashbench.files.writing import as_input_error, atomic_stream
from hashbench.records.record import LARGEST
from hashbench.reports.bundles.inner_arrays import UNREADABLE, problem_in_npz

FORMAT = 1
"""Increased when older versions of hashbench could misread a bundle."""
MANIFEST = "manifest.json"
MEMBER = re.compile(r"records/[0-9a-f]{64}\.(json|npz)|labels/[0-9a-f]{32}\.npz")
MOST_FILES = 20_000
LARGEST_ARRAYS = 2**29
LARGEST_BUNDLE = 2**31
"""Bytes of one file of arrays, and of all files together, unpacked."""
MOST_SHRUNK, SMALL = 100, 2**26
"""How many times larger than the bundle its files may be, where they have more than `SMALL` bytes together."""
COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
OF_FILE_MANAGERS = (".DS_Store", "Thumbs.db", "desktop.ini")
NO_TIME = (1980, 1, 1, 0, 0, 0)


class Versioned(TypedDict):
    """What a manifest says in every version."""

    format: Count


class FileFacts(TypedDict):
    """What a manifest says of a file."""

    sha256: Sha256


class Manifest(Versioned):
    """What a manifest says."""

    files: dict[str, FileFacts]
    labels: dict[str, dict[str, Any]]


class Refused(Exception):
    """A file is no bundle that can be believed; the text says why."""


def write_bundle(path: Path, files: Mapping[str, bytes], labels: Mapping[str, Mapping[str, Any]]) -> None:
    """Write files and their checksums as a bundle, whole or not at all; equal files give equal bytes.

    Parameters
    ----------
    path : Path
    files : mapping from str to bytes
        By their names in the bundle.
    labels : mapping from str to dict
        By the data's fingerprint what tells its labels: ``dataset``, ``protocol``, ``sha256``.

    Raises
    ------
    InputError
        The bundle cannot be written, or exceeds the limits of a bundle.
    """
    facts = {name: {"bytes": len(content), "sha256": _sha256(content)} for name, content in files.items()}
    manifest = {"format": FORMAT, "hashbench": version("hashbench"), "labels": labels, "files": facts}
    contents = {MANIFEST: json.dumps(manifest, indent=1, sort_keys=True).encode(), **files}
    try:
        _refuse_large({name: len(content) for name, content in contents.items()})
    except Refused as error:
        raise InputError(f"{path}: {error}; bundle fewer records") from error
    with as_input_error(path), atomic_stream(path) as stream, zipfile.ZipFile(stream, "w") as archive:
        for name in sorted(contents):
            member = zipfile.ZipInfo(name, NO_TIME)
            member.create_system, member.external_attr = 3, (stat.S_IFREG | 0o644) << 16
            member.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(member, contents[name], compresslevel=9)


def unpack(bundle: Path, folder: Path) -> dict[str, Any]:
    """Check a bundle, write its files into an empty folder, and return its manifest.

    Nothing is written but files of records and labels, under their own names, in ``records`` and ``labels``.

    Raises
    ------
    InputError
        The file is not a bundle, was changed after it was made, or unpacks to more than a bundle may hold.
    """
    if bundle.is_dir():
        raise InputError(
            f"{bundle} is a directory: of a run, make a bundle with hashbench bundle; of a bundle that was unpacked, "
            "pack again what it holds as a .zip file"
        )
    try:
        contents = _read(bundle)
        manifest = _manifest(contents.pop(MANIFEST, b""))
        _refuse_changed(manifest["files"], contents)
        _refuse_swollen(contents)
    except (Refused, *UNREADABLE) as error:
        reason = (error.strerror or error) if isinstance(error, OSError) else error
        raise InputError(f"{bundle} is no bundle that can be used: {reason}; make it with hashbench bundle") from error
    for name, content in contents.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    return manifest


def _read(bundle: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(bundle) as archive:
        members = {member: _name_of(member) for member in archive.infolist() if not _is_passed_over(member)}
        _refuse_folder(set(members.values()))
        for member, name in members.items():
            _refuse_odd(member, name)
        sizes = {name: member.file_size for member, name in members.items()}
        if len(sizes) < len(members):
            raise Refused("it holds a name twice")
        _refuse_large(sizes)
        if sum(sizes.values()) > max(SMALL, MOST_SHRUNK * bundle.stat().st_size):
            raise Refused(f"it unpacks to more than {MOST_SHRUNK} times its size")
        contents = {name: _content(archive, member) for member, name in members.items()}
    return contents


def _name_of(member: zipfile.ZipInfo) -> str:
    r"""Return a file's name in the archive; some programs write ``\`` between its parts."""
    return member.filename.replace("\\", "/").removeprefix("./")


def _is_passed_over(member: zipfile.ZipInfo) -> bool:
    """Return whether a member is none of a bundle's files: an entry of a folder, or what a file manager has added."""
    *folders, last = _name_of(member).split("/")
    return (not last and not member.file_size) or last in OF_FILE_MANAGERS or "__MACOSX" in folders


def _refuse_folder(names: set[str]) -> None:
    """Raise if all files are in a folder: the folder was packed, and not what it holds."""
    folders = {name.partition("/")[0] for name in names}
    if MANIFEST not in names and len(folders) == 1 and f"{min(folders)}/{MANIFEST}" in names:
        raise Refused(f"all of it is in a folder, {shorten(min(folders))!r}; pack what the folder holds")


def _refuse_odd(member: zipfile.ZipInfo, name: str) -> None:
    if name != MANIFEST and not MEMBER.fullmatch(name):
        raise Refused(f"it holds {shorten(name)!r}")
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        raise Refused(f"{name} is no plain file")
    if member.flag_bits & 1 or member.compress_type not in COMPRESSIONS:
        raise Refused(f"{name} is encrypted, or compressed in a way that bundles are not")


def _refuse_large(sizes: Mapping[str, int]) -> None:
    if len(sizes) > MOST_FILES:
        raise Refused(f"it holds {len(sizes):,} files, at most {MOST_FILES:,} are read")
    for name, size in sizes.items():
        most = LARGEST_ARRAYS if name.endswith(".npz") else LARGEST
        if size > most:
            raise Refused(f"{name} has {size:,} bytes, at most {most:,} are read")
    if sum(sizes.values()) > LARGEST_BUNDLE:
        raise Refused(f"its files have {sum(sizes.values()):,} bytes, at most {LARGEST_BUNDLE:,} are read")


def _content(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """Return a member's content, of which no more is unpacked than it says to have."""
    with archive.open(member) as stream:
        content = stream.read(member.file_size + 1)
    if len(content) != member.file_size:
        raise Refused(f"{member.filename} has not the {member.file_size:,} bytes that it says")
    return content


def _manifest(content: bytes) -> dict[str, Any]:
    try:
        manifest = decoded(content, Versioned)
        if manifest["format"] > FORMAT:
            raise Refused(f"it has format {manifest['format']}, this version reads up to {FORMAT}; update hashbench")
        checked(manifest, Manifest)
    except Misfit as error:
        raise Refused(f"its {MANIFEST} is none of a bundle ({error})") from error
    return manifest


def _refuse_changed(facts: Mapping[str, Any], contents: Mapping[str, bytes]) -> None:
    lacking = sorted(facts.keys() ^ contents.keys())
    if lacking:
        raise Refused(f"{MANIFEST} and files differ: {shorten(lacking[0], 80)!r} is in one of them only")
    for name, content in contents.items():
        if facts[name]["sha256"] != _sha256(content):
            raise Refused(f"{name} is not as it was bundled: its SHA-256 is another")


def _refuse_swollen(contents: Mapping[str, bytes]) -> None:
    for name, content in contents.items():
        problem = problem_in_npz(content) if name.endswith(".npz") else ""
        if problem:
            raise Refused(f"{name} {problem}")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
