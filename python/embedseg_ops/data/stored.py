"""What a file holds, as it says itself: pixels, the names of their axes, and the size of a pixel."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

UNNAMED = "QI"  # tifffile's letters for axes that a file does not name


class Pixels(Protocol):
    """Anything with a shape, a dtype and slices: an array, a memory map, a Zarr array, a Dask array."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of every axis."""
        ...

    @property
    def dtype(self) -> Any:
        """The type of a pixel."""
        ...

    def __getitem__(self, key: Any) -> Any:
        """Return a part."""
        ...


@dataclass(frozen=True)
class Stored:
    """One image of a file.

    Args:
        path: the file.
        pixels: with one axis for each letter of `axes`.
        axes: T time, Z depth, C channels, Y, X, S colours; where the file does not say, I pages and Q others.
        pixel_size: µm of a pixel along Z, Y and X, where the file says it.
        channel_names: one for each channel, or none.
        samples: how many of the S axis are colours, the rest being alpha; None: all.
        notes: what had to be guessed, or was left out.
    """

    path: Path
    pixels: Pixels
    axes: str
    pixel_size: dict[str, float] = field(default_factory=dict)
    channel_names: tuple[str, ...] = ()
    samples: int | None = None
    notes: tuple[str, ...] = ()

    def length(self, axis: str) -> int:
        """Return how long an axis is; 1 if there is none."""
        return self.pixels.shape[self.axes.index(axis)] if axis in self.axes else 1


def native(pixels: np.ndarray) -> np.ndarray:
    """Return pixels in this machine's byte order, bits as uint8."""
    return pixels.astype(np.uint8 if pixels.dtype == bool else pixels.dtype.newbyteorder("="), copy=False)
