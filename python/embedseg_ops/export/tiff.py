"""Labels as an OME-TIFF, which Fiji, QuPath and napari open with their axes and pixel size."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import tifffile
from numpy.typing import ArrayLike, NDArray

from embedseg_ops.data.writing import atomic_path
from embedseg_ops.export.arguments import check_pixel_size, label_array

AXES = {2: "YX", 3: "ZYX"}
PER_CENTIMETER = {"µm": 1e4, "um": 1e4, "nm": 1e7, "mm": 10.0, "cm": 1.0}  # of each unit, one centimetre has so many


def write_labels(
    path: str | os.PathLike[str], labels: ArrayLike, pixel_size: Sequence[float] | None = None, unit: str = "µm",
    axes: str | None = None,
) -> None:  # fmt: skip
    """Write labels as a compressed OME-TIFF, uint16 where they fit and uint32 where not; every plane is grey.

    Args:
        path: the file.
        labels: integer, ``[H, W]`` or ``[D, H, W]``, or with the axes that `axes` names.
        pixel_size: length of a pixel along each of the last two or three axes (z, y, x), in `unit`; None: not known.
        unit: of `pixel_size`, as OME spells it.
        axes: a letter for each axis, of T, Z, Y and X, the last two YX; None: YX or ZYX.

    Raises:
        TypeError: `labels` are not integers.
        ValueError: wrong axes, pixel sizes or ids.
    """
    array = smallest_type(label_array(labels, (2, 3) if axes is None else (len(axes),)))
    axes = axes or AXES[array.ndim]
    sizes = check_pixel_size(pixel_size, 3 if "Z" in axes else 2)
    metadata: dict[str, Any] = {"axes": axes}
    resolution: dict[str, Any] = {}
    if sizes:
        for name, size in zip("ZYX"[-len(sizes) :], sizes, strict=True):
            metadata |= {f"PhysicalSize{name}": size, f"PhysicalSize{name}Unit": unit}
        if unit in PER_CENTIMETER:
            a_cm = PER_CENTIMETER[unit]
            resolution = {"resolution": (a_cm / sizes[-1], a_cm / sizes[-2]), "resolutionunit": "CENTIMETER"}
    with atomic_path(path) as part:
        tifffile.imwrite(
            part, array, ome=True, photometric="minisblack", compression="zlib", metadata=metadata,
            software="embedseg-ops", **resolution,
        )  # fmt: skip


def smallest_type(labels: NDArray[np.integer]) -> NDArray[np.unsignedinteger]:
    """Return labels as uint16 where they fit and as uint32 where not.

    Raises:
        ValueError: an id does not fit uint32.
    """
    largest = int(labels.max(initial=0))
    if largest >= 2**32:
        raise ValueError(f"labels go up to {largest}; ids must be below 2³²")
    return labels.astype(np.uint16 if largest < 2**16 else np.uint32)
