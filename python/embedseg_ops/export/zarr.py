"""Labels as OME-Zarr 0.5, with a pyramid for viewers."""

import os
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from embedseg_ops.data.ome_labels import CHUNK, label_metadata
from embedseg_ops.data.writing import atomic_path
from embedseg_ops.export.arguments import check_pixel_size, label_array
from embedseg_ops.export.tiff import smallest_type

UNITS = {"µm": "micrometer", "um": "micrometer", "nm": "nanometer", "mm": "millimeter"}
SMALLEST = 256  # levels are added until both sides of a plane are at most this


def write_zarr(
    path: str | os.PathLike[str], labels: ArrayLike, pixel_size: Sequence[float] | None = None, unit: str = "µm"
) -> None:
    """Write labels as an OME-Zarr label image; each level keeps every second pixel of the last, along y and x.

    Args:
        path: the folder to make.
        labels: integer ``[H, W]`` or ``[D, H, W]``.
        pixel_size: length of a pixel along each axis, in `unit`.
        unit: of `pixel_size`.

    Raises:
        ModuleNotFoundError: zarr is missing: ``pip install "embedseg-ops[export]"``.
        TypeError: `labels` are not integers.
        ValueError: wrong axes or pixel sizes.
    """
    try:
        import zarr
    except ImportError as error:
        raise ModuleNotFoundError('OME-Zarr needs zarr: pip install "embedseg-ops[export]"') from error
    array = smallest_type(label_array(labels))
    sizes = check_pixel_size(pixel_size, array.ndim)
    levels = pyramid(array)
    ome = label_metadata(array.ndim, len(levels), sizes, UNITS.get(unit, unit))
    with atomic_path(path) as part:
        group = zarr.create_group(part, attributes={"ome": ome})
        for number, level in enumerate(levels):
            chunks = tuple(min(max(side, 1), CHUNK[array.ndim]) for side in level.shape)
            names = "zyx"[-array.ndim :]
            stored = group.create_array(str(number), shape=level.shape, dtype=level.dtype, chunks=chunks,
                                        dimension_names=list(names))  # fmt: skip
            stored[...] = level


def pyramid(labels: np.ndarray) -> list[np.ndarray]:
    """Return labels in ever smaller sizes."""
    levels = [labels]
    while max(levels[-1].shape[-2:], default=0) > SMALLEST:
        levels.append(levels[-1][..., ::2, ::2])
    return levels
