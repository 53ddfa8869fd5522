"""Images of any format as ``[C, *spatial]``: `read` takes them into memory, `open_image` reads what is sliced."""

import warnings
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from embedseg_ops.data.axes import name_axes
from embedseg_ops.data.choice import Plane, arrange
from embedseg_ops.data.errors import DataWarning, reading
from embedseg_ops.data.formats import open_stored
from embedseg_ops.data.stored import Pixels


@dataclass(frozen=True)
class ImageFile:
    """An image as a network takes it, and what its file says about it.

    Args:
        path: the file.
        pixels: one axis for each letter of `axes`: an array (`read`), or something to slice (`open_image`).
        axes: T and Z first, where planes are taken one by one, then C and the spatial axes: CYX, CZYX, TCYX, ….
        pixel_size: µm of a pixel along Z, Y and X, where the file says it.
        channel_names: one for each channel that the file names.
        notes: what had to be guessed, or was left out.
    """

    path: Path
    pixels: Pixels
    axes: str
    pixel_size: dict[str, float] = field(default_factory=dict)
    channel_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def size_of(self, axes: str) -> tuple[float, ...] | None:
        """Return µm of a pixel along these axes; None if the file does not say all of them."""
        return tuple(self.pixel_size[axis] for axis in axes) if set(axes) <= set(self.pixel_size) else None


def open_image(
    path: str | Path, spatial_dims: int = 2, *, channels: int | None = None, channel: int | str | None = None,
    z: Plane = None, time: Plane = None, series: int | None = None, level: int = 0, axes: str | None = None,
    windows: bool = False,
) -> ImageFile:  # fmt: skip
    """Open an image whose pixels are read when they are sliced, where the file allows it (TIFF, Zarr).

    An alpha channel is left out. Where one channel is wanted, colours become grey (their luminance, float32); where
    three are, grey becomes three equal ones; anything else has to be as many channels as are wanted.

    Args:
        path: a file, or a folder with Zarr's metadata.
        spatial_dims: 2 for planes, 3 for volumes.
        channels: how many are wanted; None: as many as there are.
        channel: take this one, by its number (from 0) or its name.
        z: which plane (from 0) of a volume a 2D image is; "all": each, one by one, as a leading axis.
        time: which time point, likewise.
        series: which of several images of a file (from 0).
        level: of a pyramid; 0 is the largest.
        axes: names for the axes, one letter each of T, Z, C, Y, X, S; they overrule the file's.
        windows: small parts will be read, again and again: what can be read in parts stays in the file.

    Raises:
        DataError: unreadable, or it does not hold what is wanted; the message says what it holds.
    """
    path = Path(path)
    with reading(path):
        stored = open_stored(path, series, level, windows=windows)
        asked = {"Z": spatial_dims == 3 or z is not None, "T": time is not None, "C": channel is not None}
        stored = name_axes(stored, "".join(name for name, wanted in asked.items() if wanted), channels, axes)
        view, names = arrange(stored, spatial_dims, channels, channel, {"T": time, "Z": z})
    return ImageFile(path, view, names, stored.pixel_size, stored.channel_names, stored.notes)


def read(path: str | Path, spatial_dims: int = 2, **choice: Any) -> ImageFile:
    """Read an image into memory, in the file's own dtype; arguments and errors as of `open_image`."""
    image = open_image(path, spatial_dims, **choice)
    with reading(image.path):
        return replace(image, pixels=image.pixels[...])


def read_image(path: str | Path, spatial_dims: int = 2, **choice: Any) -> np.ndarray:
    """Return the pixels of `read` as ``[C, *spatial]``; what had to be guessed is a `DataWarning`."""
    image = read(path, spatial_dims, **choice)
    warn_of_notes(image)
    return np.asarray(image.pixels)


def warn_of_notes(image: ImageFile) -> None:
    """Tell the caller's caller what had to be guessed, as a `DataWarning`."""
    for note in image.notes:
        warnings.warn(f"{image.path}: {note}", DataWarning, stacklevel=3)
