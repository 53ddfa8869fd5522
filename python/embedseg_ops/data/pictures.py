"""PNG, JPEG, BMP, GIF and WebP, read by Pillow; 16-bit colours by imagecodecs, as Pillow cuts them to 8 bits."""

import threading
from pathlib import Path

import numpy as np
from PIL import Image, ImageSequence, UnidentifiedImageError

from embedseg_ops.data.colours import upright
from embedseg_ops.data.errors import DataError, check_memory
from embedseg_ops.data.stored import Stored, native

FORMATS = ("PNG", "JPEG", "BMP", "DIB", "GIF", "WEBP")
ANIMATED = ("GIF", "PNG", "WEBP")
ORIENTATION = 0x0112  # EXIF's tag
LOCK = threading.Lock()


def open_picture(path: Path, as_stored: bool = False) -> Stored:
    """Read a picture; the frames of an animation are its T axis.

    Args:
        path: the file.
        as_stored: indices instead of the colours of a colour table, for label maps.
    """
    with opened(path) as picture:
        check_memory(path, picture.width * picture.height * 4)
        deep = holds_deep_colours(picture)  # asked first, as what EXIF says may come after the pixels
        orientation = picture.getexif().get(ORIENTATION, 1)
        frames: int = getattr(picture, "n_frames", 1)
        check_memory(path, picture.width * picture.height * 4 * (frames if picture.format in ANIMATED else 1))
        notes: tuple[str, ...] = ()
        if frames > 1 and picture.format not in ANIMATED:
            frames, notes = 1, (f"the first of its {frames} pictures is read",)
        if frames > 1 and deep:
            raise DataError(f"{path}: an animation with 16 bits a colour; save its frames as TIFF")
        if frames > 1:
            pixels = stack([array(frame, as_stored) for frame in ImageSequence.Iterator(picture)])
        else:
            pixels = deep_colours(path) if deep else array(picture, as_stored)
    axes = "TYX" if frames > 1 else "YX"
    pixels = upright(native(pixels), orientation, axes.index("Y"), axes.index("X"))
    return Stored(path, pixels, axes + "S" * (pixels.ndim - len(axes)), notes=notes)


def opened(path: Path) -> Image.Image:
    """Open a picture of any size, with none but the decoders that we mean."""
    with LOCK:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(path, formats=FORMATS)
        except UnidentifiedImageError:
            raise DataError(f"{path}: damaged, or of a format that is not read; save it as TIFF or PNG") from None
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def array(picture: Image.Image, as_stored: bool) -> np.ndarray:
    """Return ``[Y, X]`` or ``[Y, X, 3]`` without alpha."""
    mode = picture.mode
    if mode in ("LA", "La") or (mode == "PA" and as_stored):
        return np.asarray(picture.getchannel(0))
    if mode in ("1", "L", "I", "F") or mode.startswith("I;16") or (mode == "P" and as_stored):
        return np.asarray(picture)
    return colours(picture)


def stack(frames: list[np.ndarray]) -> np.ndarray:
    """Return the frames of an animation ``[T, Y, X]``, or ``[T, Y, X, 3]`` if any has colours."""
    if len({frame.ndim for frame in frames}) > 1:
        frames = [frame if frame.ndim == 3 else np.stack([frame] * 3, -1) for frame in frames]
    return np.stack(frames)


def colours(picture: Image.Image) -> np.ndarray:
    """Return red, green and blue ``[Y, X, 3]``."""
    picture.load()
    picture.info.pop("transparency", None)
    return np.asarray(picture.convert("RGB"))


def holds_deep_colours(picture: Image.Image) -> bool:
    """Return whether a PNG holds colours, or grey with alpha, of 16 bits."""
    tiles = getattr(picture, "tile", None)
    raw = str(tiles[0][3]) if picture.format == "PNG" and tiles else ""
    return raw.endswith("16B") and not picture.mode.startswith("I")


def deep_colours(path: Path) -> np.ndarray:
    """Return the 16-bit colours ``[Y, X, 3]``, or the grey ``[Y, X]``, of a PNG without its alpha."""
    import imagecodecs

    pixels = imagecodecs.png_decode(path.read_bytes())
    samples = pixels.reshape(*pixels.shape[:2], -1)
    return samples[..., :3] if samples.shape[-1] > 2 else samples[..., 0]
