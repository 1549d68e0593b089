"""A user's image files on their way to a backbone: decoded in batches, broken ones left out or named together."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from hashbench.data.decoding import Decoded, content, decode_seen
from hashbench.data.images import decoding_threads
from hashbench.data.look import Look
from hashbench.errors import InputError
from hashbench.models.inputs import Input, InputOptions

NAMED = 5
"""Broken images that an error names."""


@dataclass
class UserImages:
    """Image files that a user hands over.

    Attributes
    ----------
    given : Input
    look : Look
        How they become pixels.
    n_channels : {1, 3}
    skip_broken : bool
        Leave out what cannot be read, instead of refusing all.
    size : (height, width) or None
        What every image must have, where the model takes the pixels themselves.
    broken : dict from int to str
        What could not be read and why, by place; known once all is read.
    transparent, deep : bool
        Whether an image is transparent somewhere, or has grey of more than 8 bits; known once all is read.
    """

    given: Input
    look: Look
    n_channels: int
    skip_broken: bool = False
    size: tuple[int, int] | None = None
    broken: dict[int, str] = field(default_factory=dict)
    transparent: bool = False
    deep: bool = False

    def __len__(self) -> int:
        """Return the number of files."""
        return len(self.given.files)

    @property
    def names(self) -> list[str]:
        """Names of the images that could be read."""
        return [name for place, name in enumerate(self.given.names) if place not in self.broken]

    @property
    def seen_look(self) -> Look:
        """What of the look made a difference to some image; known once all is read."""
        return self.look.seen(self.transparent, self.deep)

    def batches(self, size: int) -> Iterator[list[np.ndarray]]:
        """Yield the images (h, w, c), uint8, that can be read, ``size`` at a time: as a data set without the others.

        Raises
        ------
        InputError
            An image cannot be read and ``skip_broken`` is off, or no image can be read. After the first broken image
            the others are only decoded, to count the broken ones.
        """
        ready: list[np.ndarray] = []
        for start in range(0, len(self), size):
            ready += self._read(range(start, min(start + size, len(self))))
            if self.broken and not self.skip_broken:
                ready.clear()
            if len(ready) >= size:
                yield ready[:size]
                del ready[:size]
        self._refuse_broken()
        if ready:
            yield ready

    def _read(self, places: range) -> list[np.ndarray]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, of what is refused anyway
            found = list(decoding_threads().map(self._decoded, places))
        self.broken |= {place: one for place, one in zip(places, found, strict=True) if isinstance(one, str)}
        sound = [one for one in found if not isinstance(one, str)]
        self.transparent |= any(one.transparent for one in sound)
        self.deep |= any(one.deep for one in sound)
        return [one.pixels for one in sound]

    def _decoded(self, place: int) -> Decoded | str:
        """Return an image's pixels, or why there are none."""
        shown_as = self.given.shown_as[place]
        try:
            decoded = decode_seen(content(self.given.files[place], shown_as), shown_as, self.n_channels, self.look)
        except InputError as error:
            return str(error)
        if self.size is not None and decoded.pixels.shape[:2] != self.size:
            return wrong_size(shown_as, decoded.pixels.shape, self.size)
        return decoded

    def _refuse_broken(self) -> None:
        if not self.broken or (self.skip_broken and len(self.broken) < len(self)):
            return
        few = list(self.broken.values())[:NAMED]
        if len(self) == 1:
            raise InputError(few[0])
        way_out = "; --skip-broken leaves them out" if len(self.broken) < len(self) else ""
        raise InputError(
            f"{self.given.path}: {len(self.broken):,} of {len(self):,} images cannot be used: {'; '.join(few)}{way_out}"
        )


def wrong_size(shown_as: object, given: Sequence[int], expected: Sequence[int]) -> str:
    """Return in words that an image's height and width are not those of the pixels that a model takes."""
    return (
        f"{shown_as}: {given[1]} × {given[0]} pixels, but the model was trained on the pixels themselves of images of "
        f"{expected[1]} × {expected[0]}"
    )


def look_for(trained: Look, options: InputOptions, model: object) -> Look:
    """Return how images become pixels for a model: as it was trained, or as is asked where that leaves it open.

    Raises
    ------
    InputError
        The background or grey range differs from the one that the model was trained with.
    """
    requested = options.look
    for name in ("background", "grey_range"):
        trained_value, requested_value = getattr(trained, name), getattr(requested, name)
        if trained_value and requested_value and trained_value != requested_value:
            option = f"--{name.replace('_', '-')}"
            raise InputError(
                f"{option} {requested_value}: {model} was trained with {trained_value}; leave {option} out"
            )
    return replace(
        requested,
        exif=requested.exif or trained.exif,
        background=trained.background or requested.background,
        grey_range=trained.grey_range or requested.grey_range,
    )
