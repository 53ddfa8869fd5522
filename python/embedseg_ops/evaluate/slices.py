"""A volume as three pictures: its middle planes along every axis, at right angles to each other."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from embedseg_ops.evaluate.figures import Picture, overlay

VIEWS = ("XY", "XZ", "YZ")


def middle_planes(volume: ArrayLike, spacing: Sequence[float] | None = None) -> list[NDArray[Any]]:
    """Return the middle planes of ``[D, H, W]``: ``[H, W]``, ``[D', W]`` and ``[D', H]``.

    Args:
        volume: of any dtype.
        spacing: length of a pixel along each axis; D' is D times the depth over the width, rounded, so that planes are
            seen as far apart as they are. None: alike, D' = D.
    """
    array = np.asarray(volume)
    times = 1 if spacing is None else max(1, round(spacing[0] / spacing[-1]))
    depth, height, width = (size // 2 for size in array.shape)
    return [array[depth], *(np.repeat(plane, times, 0) for plane in (array[:, height], array[:, :, width]))]


def overlays(
    volume: ArrayLike, labels: ArrayLike, spacing: Sequence[float] | None = None, *, scale: int = 1
) -> list[Picture]:
    """Draw the outlines of labels ``[D, H, W]`` onto the middle planes of a volume of the same shape, as `VIEWS`."""
    planes = zip(middle_planes(volume, spacing), middle_planes(labels, spacing), strict=True)
    return [overlay(plane, outlined, scale=scale) for plane, outlined in planes]
