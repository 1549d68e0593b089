"""Image files to pixels, the same wherever and however fast it is done: Pillow's."""

from __future__ import annotations

import functools
import io
import stat
import struct
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hashbench.data.look import FULL, Look
from hashbench.errors import InputError

if TYPE_CHECKING:
    from PIL import Image

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "PPM", "WEBP", "TIFF")
"""What is read, commonest first. Pillow knows more, among them some that it hands to other programs."""
DEEP_MODES = ("I", "F")
"""Pillow's modes of more than 8 bits a channel (with their variants): converting them to 8 bits clips them."""
SHORT_MOST = 2**16 - 1
"""The most that grey of 16 bits holds; Pillow scales PNM files to it, too."""
UPRIGHT = 1
"""The EXIF orientation of an image that needs no turning."""
TURNS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
"""What makes an image upright, by its EXIF orientation: names of Pillow's, whose rotations go anticlockwise."""
MAX_BYTES = 2**28
"""Maximum size of an image file: far above any photograph."""
_FRAMES = (0xC0, 0xC1, 0xC2)
_BEFORE_FRAME = {0xC4, 0xDB, 0xDD, 0xFE, *range(0xE0, 0xF0)}


def content(source: Path | bytes, shown_as: str) -> bytes:
    """Return the bytes of an image file.

    Raises
    ------
    InputError
        The file does not exist, cannot be read, or is larger than any image.
    """
    if isinstance(source, bytes):
        return source
    try:
        status = source.stat()
        if not stat.S_ISREG(status.st_mode):
            raise InputError(f"{shown_as} is not a file")
        if status.st_size > MAX_BYTES:
            raise InputError(f"{shown_as} has {status.st_size:,} bytes, more than any image; remove or replace it")
        return source.read_bytes()
    except OSError as error:
        raise InputError(f"{shown_as} cannot be read ({error.strerror})") from error


class Decoded(NamedTuple):
    """An image's pixels, and what of a look they depend on.

    Attributes
    ----------
    pixels : ndarray of shape (height, width, n_channels), uint8
    transparent : bool
        Whether it is transparent somewhere.
    deep : bool
        Whether it has grey of more than 8 bits, which was scaled.
    """

    pixels: np.ndarray
    transparent: bool = False
    deep: bool = False


def decode(encoded: bytes, shown_as: str, n_channels: int = 3, look: Look | None = None) -> np.ndarray:
    """Return the pixels that `decode_seen` gives, (height, width, n_channels) uint8."""
    return decode_seen(encoded, shown_as, n_channels, look).pixels


def decode_seen(encoded: bytes, shown_as: str, n_channels: int = 3, look: Look | None = None) -> Decoded:
    """Return the pixels of an encoded image, in colour or in grey, and what of the look they depend on.

    Transparent images are laid over a colour, grey becomes three equal channels, colours become grey by ITU-R 601's
    weights, CMYK is converted by Pillow's plain formula; of an animation, the first frame is taken. The EXIF
    orientation is applied only where that is asked for, as the loaders of the papers' code do not apply it; one that
    cannot be read counts as none. TIFF files are turned in any case, since Pillow does so as it reads them.

    Parameters
    ----------
    encoded : bytes
    shown_as : str
        What a message calls it.
    n_channels : {1, 3}
    look : Look, optional
        The colour behind transparency (white by default), how grey of more than 8 bits is scaled (refused by default),
        and whether the image is turned as its EXIF orientation says.

    Raises
    ------
    InputError
        The bytes are not a readable image, the image has more pixels than Pillow allows, or it has more than 8 bits a
        channel and no range is given.
    """
    look = look or Look()
    orientation = _orientation(encoded) if look.exif else UPRIGHT
    if orientation != UPRIGHT:
        return _pillow(encoded, shown_as, n_channels, look, orientation)
    frame = _jpeg_frame(encoded)
    fast = _torchvision_jpeg() if frame and frame[2] in (1, 3) and n_channels == 3 else None
    if frame is not None and fast is not None:
        _refuse_bomb(frame[1] * frame[0], shown_as)
        try:
            return Decoded(fast(encoded))
        except RuntimeError:
            pass  # Pillow has the last word
    return _pillow(encoded, shown_as, n_channels, look)


def _orientation(encoded: bytes) -> int:
    """Return the EXIF orientation that an image file states, 1 to 8; 1 where it states none, or Pillow turns it."""
    from PIL import ExifTags, Image

    try:
        with Image.open(io.BytesIO(encoded), formats=FORMATS) as image:
            stated = UPRIGHT if image.format == "TIFF" else image.getexif().get(ExifTags.Base.Orientation)
            return stated if stated in TURNS else UPRIGHT
    except Exception:  # damaged EXIF, or a damaged image, of which decoding says what is wrong
        return UPRIGHT


def _pillow(
    encoded: bytes, shown_as: str, n_channels: int = 3, look: Look | None = None, orientation: int = UPRIGHT
) -> Decoded:
    from PIL import Image

    look = look or Look()
    try:
        with Image.open(io.BytesIO(encoded), formats=FORMATS) as file:
            image: Image.Image = file
            _refuse_bomb(image.width * image.height, shown_as)
            deep = image.mode.startswith(DEEP_MODES)
            if deep and not look.grey_range:
                raise InputError(
                    f"{shown_as} has more than 8 bits a channel (mode {image.mode}); convert it to 8 bits, or scale it "
                    "with --grey-range full or LOW,HIGH"
                )
            image.load()
            transparent = not deep and _is_transparent(image)
            if deep:
                image = Image.fromarray(_scaled(image, file.format, look, shown_as))
            elif transparent:
                image = Image.alpha_composite(Image.new("RGBA", image.size, look.colour), image.convert("RGBA"))
            image.info.pop("transparency", None)  # or Pillow warns that it is dropped
            if orientation != UPRIGHT:  # not by exif_transpose, which fails on other tags that are odd
                image = image.transpose(Image.Transpose[TURNS[orientation]])
            pixels = np.array(image.convert("RGB" if n_channels == 3 else "L"))
            return Decoded(pixels.reshape(*pixels.shape[:2], n_channels), transparent, deep)
    except InputError:
        raise
    except Image.DecompressionBombError as error:
        raise InputError(_bomb(shown_as)) from error
    except Exception as error:  # every image format fails in its own way
        raise InputError(
            f"{shown_as} is not a readable image ({type(error).__name__}); remove or replace it"
        ) from error


def _is_transparent(image: Image.Image) -> bool:
    """Return whether a pixel of an image is not opaque."""
    if image.mode not in ("RGBA", "LA", "PA") and "transparency" not in image.info:
        return False
    return bool(np.asarray(image.convert("RGBA").getchannel("A")).min() < 255)


def _scaled(image: Image.Image, kind: str | None, look: Look, shown_as: str) -> np.ndarray:
    """Return grey of more than 8 bits as uint8, scaled as the look says.

    Raises
    ------
    InputError
        The file has a depth other than 16 bits, so its whole range cannot serve as the range of values.
    """
    values = np.asarray(image).astype(np.float64)
    if look.grey_range == FULL:
        if not image.mode.startswith("I;16") and kind not in ("PNG", "PPM"):
            raise InputError(
                f"{shown_as} has 32 bits a pixel (mode {image.mode}), whose whole range is none of images; give the "
                "values that are black and white: --grey-range LOW,HIGH"
            )
        low, high = 0.0, float(SHORT_MOST)
    else:
        low, high = look.limits
    if not np.isfinite(values).all():
        raise InputError(f"{shown_as} holds NaN or infinite values; remove or replace it")
    return np.rint(np.clip((values - low) / (high - low), 0, 1) * 255).astype(np.uint8)


def _refuse_bomb(n_pixels: int, shown_as: str) -> None:
    from PIL import Image

    if Image.MAX_IMAGE_PIXELS is not None and n_pixels > Image.MAX_IMAGE_PIXELS:
        raise InputError(_bomb(shown_as))


def _bomb(shown_as: str) -> str:
    from PIL import Image

    return f"{shown_as} has more than {Image.MAX_IMAGE_PIXELS:,} pixels, as a decompression bomb has; scale it down"


def _jpeg_frame(encoded: bytes) -> tuple[int, int, int] | None:
    """Return height, width and number of channels that a JPEG file of 8 bits a channel claims; None for all else."""
    if encoded[:2] != b"\xff\xd8":
        return None
    at = 2
    while at + 10 <= len(encoded) and encoded[at] == 0xFF:
        marker = encoded[at + 1]
        if marker in _FRAMES:
            bits, height, width, channels = struct.unpack_from(">BHHB", encoded, at + 4)
            return (height, width, channels) if bits == 8 and height and width else None
        if marker not in _BEFORE_FRAME:
            return None
        at += 2 + (encoded[at + 2] << 8) + encoded[at + 3]
    return None


@functools.cache
def _torchvision_jpeg() -> Callable[[bytes], np.ndarray] | None:
    """Return torchvision's JPEG decoder if its pixels are Pillow's here; None where they are not, or it has none.

    It has less to do around each image, which for small images is most of the time. Both go through libjpeg, but
    each brings its own copy. It is the operator, since its wrapper in Python warns at each call that torchvision will
    give it up one day; Pillow decodes then.
    """
    try:
        import torch
        import torchvision.io  # noqa: F401 - registers the operator
        from PIL import Image

        operator = torch.ops.image.decode_jpeg
    except (ImportError, AttributeError):
        return None

    def decode_one(encoded: bytes) -> np.ndarray:
        data = torch.frombuffer(bytearray(encoded), dtype=torch.uint8)
        return operator(data, 3, False).permute(1, 2, 0).numpy()  # 3 is RGB; no EXIF orientation

    noise = np.random.default_rng(0).integers(0, 256, (37, 51, 3), np.uint8)
    for image in (Image.fromarray(noise), Image.fromarray(noise[..., 0])):
        for options in ({"subsampling": "4:2:0"}, {"subsampling": "4:4:4", "progressive": True}):
            buffer = io.BytesIO()
            image.save(buffer, "JPEG", **options)
            try:
                if not np.array_equal(decode_one(buffer.getvalue()), _pillow(buffer.getvalue(), "noise").pixels):
                    return None
            except RuntimeError:
                return None
    return decode_one
