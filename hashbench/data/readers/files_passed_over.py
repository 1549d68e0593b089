"""Files that readers pass over: how many of which kind, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from hashbench.files.paths import is_folder, walk

HIDDEN = "hidden"
"""The kind of a file whose name begins with a dot."""
HIDDEN_IMAGE = "hidden image"
UNNAMED_IMAGE = "image without a row"
"""The kind of an image that its folder's table does not name."""
NO_SUFFIX = "no suffix"
_WORDS = {
    HIDDEN: "hidden file{s}",
    HIDDEN_IMAGE: "hidden image{s}",
    UNNAMED_IMAGE: "image{s} without a row",
    NO_SUFFIX: "file{s} with no suffix",
}


def hidden_kind(name: str) -> str:
    """Return the kind of a file that is hidden, or in a hidden folder.

    Parameters
    ----------
    name : str
        The file's path below a folder, of which a part begins with a dot.

    Examples
    --------
    >>> hidden_kind("cat/.DS_Store"), hidden_kind("cat/.thumbnails/large/1.png")
    ('hidden', '.thumbnails/')
    """
    *folders, _ = name.split("/")
    return next((f"{folder}/" for folder in folders if folder.startswith(".")), HIDDEN)


def hidden_in(folder: Path, kind: Callable[[str, Path], str] | None = None) -> Counter[str]:
    """Return the kinds of the hidden files in a folder and in its hidden folders; other folders are not looked into.

    Parameters
    ----------
    folder : Path
    kind : callable, optional
        ``kind(name, file)`` returns a file's kind; `hidden_kind` by default.
    """
    kinds: Counter[str] = Counter()

    def count(name: str, file: Path) -> None:
        kinds[kind(name, file) if kind else hidden_kind(name)] += 1

    for _ in walk(folder, lambda folder, error: None, lambda name, entry: not is_folder(entry), hidden=count):
        pass
    return kinds


def said_of(kinds: Counter[str]) -> str:
    """Return in words how many files of which kind were passed over, the commonest first, then by name.

    Parameters
    ----------
    kinds : Counter of str
        A suffix, a folder's name with a slash at its end, or a kind that this module names.

    Examples
    --------
    >>> said_of(Counter({".txt": 2, "@eaDir/": 1, HIDDEN: 1}))
    '2 files .txt, 1 file in @eaDir/, 1 hidden file'
    """
    commonest = sorted(kinds.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{n:,} {_words(kind, 's' * (n > 1))}" for kind, n in commonest)


def _words(kind: str, s: str) -> str:
    if kind in _WORDS:
        return _WORDS[kind].format(s=s)
    return f"file{s} {'in ' * kind.endswith('/')}{kind}"
