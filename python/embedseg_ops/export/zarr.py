"""Labels as OME-Zarr 0.5, with a pyramid for viewers."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from embedseg_ops.data.writing import atomic_path
from embedseg_ops.export.arguments import check_pixel_size, label_array
from embedseg_ops.export.tiff import smallest_type
from embedseg_ops.version import __version__

UNITS = {"µm": "micrometer", "um": "micrometer", "nm": "nanometer", "mm": "millimeter"}
CHUNK = {2: 512, 3: 128}  # the largest side
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
    with atomic_path(path) as part:
        group = zarr.create_group(part, attributes={"ome": metadata(levels, sizes, UNITS.get(unit, unit))})
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


def metadata(levels: list[np.ndarray], sizes: Sequence[float] | None, unit: str) -> dict[str, Any]:
    """Return what OME-Zarr 0.5 says of a label image."""
    dims = levels[0].ndim
    axes = [{"name": name, "type": "space", **({"unit": unit} if sizes else {})} for name in "zyx"[-dims:]]
    datasets = []
    for number in range(len(levels)):
        steps = np.array(sizes or [1.0] * dims)
        steps[-2:] *= 2**number
        datasets.append(
            {"path": str(number), "coordinateTransformations": [{"type": "scale", "scale": steps.tolist()}]}
        )
    return {
        "version": "0.5",
        "multiscales": [{"name": "labels", "axes": axes, "datasets": datasets}],
        "image-label": {},
        "creator": f"embedseg-ops {__version__}",
    }
