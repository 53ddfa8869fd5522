"""What of a layer's data a network sees: planes or volumes with channels, read when they are sliced."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from embedseg_ops.data.choice import arrange
from embedseg_ops.data.stored import Stored
from embedseg_ops.data.views import View
from embedseg_ops.model.settings import Settings

Place = tuple[int, ...]  # of a plane (volume) along the axes before the spatial ones
LEADING = {2: "TZ", 3: "T"}  # axes whose planes (volumes) are segmented one by one


def name_axes(shape: tuple[int, ...], rgb: bool, settings: Settings) -> str:
    """Return a letter for each axis of a layer's data: ``TZYX`` for a stack of a model of planes.

    The axis before the spatial ones is the channels', where the model wants several and it is as long.

    Raises:
        ValueError: the layer has too few or too many axes for the model.
    """
    dims = settings.spatial_dims
    before = len(shape) - rgb - dims
    channels = not rgb and settings.channels > 1 and before > 0 and shape[before - 1] == settings.channels
    leading = before - channels
    if not 0 <= leading <= len(LEADING[dims]):
        kind, most = ("planes", "2 to 4") if dims == 2 else ("volumes", "3 or 4")
        raise ValueError(f"this model takes {kind}, in a layer with {most} axes; this layer's are {list(shape)}")
    return LEADING[dims][len(LEADING[dims]) - leading :] + "C" * channels + "ZYX"[-dims:] + "S" * rgb


def see(data: Any, rgb: bool, settings: Settings, name: str = "image") -> View:
    """Return a layer's data as ``[planes, C, *spatial]`` with the model's channels; nothing is read yet.

    Args:
        data: an array of any kind that has a shape, a dtype and slices: NumPy, dask, Zarr.
        rgb: whether the last axis is red, green, blue and perhaps alpha, which is left out.
        settings: of the model.
        name: for errors.

    Raises:
        ValueError: the axes or channels are not the model's.
    """
    shape = tuple(data.shape)
    stored = Stored(Path(name), data, name_axes(shape, rgb, settings), samples=3 if rgb else None)
    return arrange(stored, settings.spatial_dims, settings.channels, None, {"T": "all", "Z": every(settings)})[0]


def every(settings: Settings) -> Any:
    """Return which planes along Z are taken: of a model of volumes, none alone."""
    return "all" if settings.spatial_dims == 2 else None


def places(view: View) -> Iterator[Place]:
    """Yield the place of every plane (volume) of a view."""
    return np.ndindex(view.shape[: view.channel])


@dataclass(frozen=True)
class Part:
    """One plane (volume) of an array with axes before the spatial ones; it is read, and written, when it is sliced.

    Args:
        array: has a shape, a dtype and slices.
        place: along its first axes.
    """

    array: Any
    place: Place

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of every axis."""
        return tuple(self.array.shape[len(self.place) :])

    @property
    def dtype(self) -> Any:
        """The type of a pixel."""
        return self.array.dtype

    @property
    def size(self) -> int:
        """The number of values."""
        return math.prod(self.shape)

    def __getitem__(self, key: Any) -> Any:
        """Return a part."""
        return self.array[(*self.place, *(key if isinstance(key, tuple) else (key,)))]

    def __setitem__(self, key: Any, values: Any) -> None:
        """Replace a part."""
        self.array[(*self.place, *(key if isinstance(key, tuple) else (key,)))] = values
