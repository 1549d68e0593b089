"""Writes a data set's image files in the form that is kept: each decoded once, in parallel, never all in memory."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hashbench.data.decoding import content, decode, decode_seen
from hashbench.data.images import EncodedImages, ImageFiles, SomeSources, decoding_threads
from hashbench.data.look import Look
from hashbench.data.prepared.libjpeg_warnings import caught_warnings
from hashbench.errors import InputError
from hashbench.files.cores import n_cores
from hashbench.files.paths import is_there
from hashbench.progress import progress, to_stderr

MAX_PIXELS = 2**16
"""Images of one size, though it was not stated, are kept as pixels up to this many each."""
ONE_THREAD_PIXELS = 64 * 64
"""Images up to this size decode faster one after the other."""
LONG = 300
"""Characters of a path that a message repeats."""
NAMED = 5
"""Broken images that an error names."""
SMALL, LARGE = 256, 32
"""Images that a thread takes at once, where a size is stated and where none is."""


def write_images(
    files: ImageFiles, folder: Path, name: str, skip_broken: bool
) -> tuple[np.ndarray | EncodedImages, dict[int, str], Look]:
    """Decode every image and write all that are sound.

    Parameters
    ----------
    files : ImageFiles
    folder : Path
        Receives ``images.bin`` or, where sizes differ, ``data.bin``.
    name : str
        The data set's, for the progress bar.
    skip_broken : bool
        Leave broken images out, instead of refusing the data.

    Returns
    -------
    images : memory-map of shape (n, h, w, 3), uint8, or EncodedImages
        Pixels where all images have one size (and that is stated, or small); else the files' bytes.
    broken : dict from int to str
        Rows that were left out, and why.
    look : Look
        What of the asked look made a difference.

    Raises
    ------
    InputError
        An image is broken and none may be left out, or none is sound.
    """
    _refuse_missing(files, name, skip_broken)
    file = folder / ("data.bin" if files.size is None else "images.bin")
    lengths: list[int] = []
    sizes: list[tuple[int, int]] = []
    broken: dict[int, str] = {}
    suspects: list[int] = []
    transparent = deep = False
    with (
        caught_warnings(folder) as n_caught,
        progress(f"{name}: {len(files):,} images", len(files)) as bar,
        file.open("wb", 2**20) as stream,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")  # Pillow's, of what is refused anyway
        for block in _blocks(files, n_caught):
            for chunk in block.chunks:
                stream.write(chunk)
            lengths += [len(chunk) for chunk in block.chunks]
            sizes += block.sizes
            broken |= block.broken
            suspects += block.suspects
            transparent, deep = transparent or block.transparent, deep or block.deep
            bar.advance(len(block.sizes) + len(block.broken))
        damaged = _damaged(files, suspects, n_caught)
    if not sizes or (broken and not skip_broken):
        few = "; ".join(list(broken.values())[:NAMED])
        way_out = "; --skip-broken leaves them out" if sizes else ""
        raise InputError(f"{name}: {len(broken):,} of {len(files):,} images cannot be used: {few}{way_out}")
    if files.size is None and len(set(sizes)) == 1 and sizes[0][0] * sizes[0][1] <= MAX_PIXELS:
        file.unlink()
        sound = [row for row in range(len(files)) if row not in broken]
        same = replace(
            files,
            sources=SomeSources(files.sources, sound) if broken else files.sources,
            shown_as=[files.shown_as[row] for row in sound],
            size=sizes[0],
        )
        images, _, look = write_images(same, folder, name, skip_broken=False)
        return images, broken, look
    if damaged:
        to_stderr(
            f"{name}: {len(damaged):,} images are damaged but can be read, in part perhaps; they are kept, first: "
            f"{', '.join(damaged[:NAMED])}"
        )
    look = files.look.seen(transparent, deep)
    if files.size is not None:
        return np.memmap(file, np.uint8, "r", shape=(len(sizes), *files.size, 3)), broken, look
    offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    return EncodedImages(np.memmap(file, np.uint8, "r"), offsets, np.array(sizes, np.int32), look), broken, look


def _damaged(files: ImageFiles, suspects: list[int], n_caught: Callable[[], int]) -> list[str]:
    """Decode again, one by one, what was decoded while libjpeg warned of something; return what it warns of."""
    damaged = []
    for row in suspects:
        before = n_caught()
        decode(content(files.sources[row], files.shown_as[row]), files.shown_as[row], look=files.look)
        if n_caught() > before:
            damaged.append(files.shown_as[row])
    return damaged


def _refuse_missing(files: ImageFiles, name: str, skip_broken: bool) -> None:
    """Raise for files that are not there, before the work of decoding the others."""
    if not isinstance(files.sources, list):  # not files but their content, which is read when it is asked for
        return
    gone = [
        shown_as if len(shown_as) <= LONG else f"{shown_as[:LONG]}… ({len(shown_as):,} characters)"
        for source, shown_as in zip(files.sources, files.shown_as, strict=True)
        if isinstance(source, Path) and not is_there(source)
    ]
    if gone and not (skip_broken and len(gone) < len(files)):
        way_out = "leave them out with --skip-broken" if len(gone) < len(files) else "give the folder that has them"
        raise InputError(
            f"{name}: {len(gone):,} of {len(files):,} listed images are missing, first {', '.join(gone[:3])}; fetch "
            f"them, or {way_out}"
        )


@dataclass
class _Block:
    """Some images in order: what is written of each, heights and widths, which are broken, and which may be damaged.

    And whether one is transparent, or has deep grey.
    """

    chunks: list[bytes | memoryview]
    sizes: list[tuple[int, int]]
    broken: dict[int, str]
    suspects: list[int]
    transparent: bool = False
    deep: bool = False


def _blocks(files: ImageFiles, n_caught: Callable[[], int] = lambda: 0) -> Iterator[_Block]:
    """Yield all images in order, a few blocks per thread ahead of the one that is being written.

    Small ones by one thread: most of their time is Python's, and threads would wait for each other's lock.
    """
    step = LARGE if files.size is None else max(1, min(SMALL, 2**24 // (3 * files.size[0] * files.size[1])))
    if files.size is not None and files.size[0] * files.size[1] <= ONE_THREAD_PIXELS:
        for start in range(0, len(files), step):
            yield _read(files, range(start, min(start + step, len(files))), n_caught)
        return
    ahead: deque[Future[_Block]] = deque()
    try:
        for start in range(0, len(files), step):
            rows = range(start, min(start + step, len(files)))
            ahead.append(decoding_threads().submit(_read, files, rows, n_caught))
            if len(ahead) > 2 * n_cores():
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        for block in ahead:
            block.cancel()


def _read(files: ImageFiles, rows: range, n_caught: Callable[[], int]) -> _Block:
    block = _Block([], [], {}, [])
    for row in rows:
        shown_as = files.shown_as[row]
        caught_before = n_caught()
        try:
            encoded = content(files.sources[row], shown_as)
            pixels, transparent, deep = decode_seen(encoded, shown_as, look=files.look)
            height, width = pixels.shape[:2]
            if files.size not in (None, (height, width)):
                raise InputError(
                    f"{shown_as} has {width} × {height} pixels, expected {files.size[1]} × {files.size[0]}"
                )
        except InputError as error:
            block.broken[row] = str(error)
            continue
        if n_caught() > caught_before:
            block.suspects.append(row)
        block.transparent, block.deep = block.transparent or transparent, block.deep or deep
        block.chunks.append(encoded if files.size is None else pixels.data)
        block.sizes.append((height, width))
    return block
