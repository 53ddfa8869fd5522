"""Checks of what the exports are given."""

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray


def label_array(labels: ArrayLike, axes: Collection[int] = (2, 3)) -> NDArray[np.integer]:
    """Return labels as an array; ignored pixels (−1) are background.

    Raises:
        TypeError: they are not integers.
        ValueError: the number of their axes is none of `axes`.
    """
    array = np.asarray(labels)
    if array.dtype.kind not in "iu":
        raise TypeError(f"labels must be integers, got {array.dtype}")
    if array.ndim not in axes:
        raise ValueError(f"labels must have {' or '.join(map(str, axes))} axes, got shape {list(array.shape)}")
    return np.maximum(array, 0) if array.dtype.kind == "i" else array


def check_pixel_size(pixel_size: Sequence[float] | None, axes: int) -> tuple[float, ...] | None:
    """Return the side lengths of a pixel, one for each axis.

    Raises:
        ValueError: another number of them, or one that is not above 0.
    """
    if pixel_size is None:
        return None
    sizes = tuple(float(size) for size in pixel_size)
    if len(sizes) != axes or not all(0 < size < float("inf") for size in sizes):
        raise ValueError(f"pixel_size must be {axes} lengths above 0, one for each axis, got {sizes}")
    return sizes
