"""Labels as a Cellpose ``_seg.npy``, which its window opens beside the image, to be corrected by hand."""

import os
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike
from skimage.segmentation import find_boundaries

from embedseg_ops.data.writing import atomic_path
from embedseg_ops.export.arguments import label_array
from embedseg_ops.export.tiff import smallest_type


def write_seg(path: str | os.PathLike[str], labels: ArrayLike, image: str | os.PathLike[str] = "") -> None:
    """Write labels as Cellpose does; ids become 1, 2, … in their order, as it wants them.

    Args:
        path: the file; Cellpose finds it beside the image ``NAME.tif`` under the name ``NAME_seg.npy``.
        labels: integer ``[H, W]`` or ``[D, H, W]``.
        image: the image's file, whose name is kept.

    Raises:
        TypeError: `labels` are not integers.
        ValueError: they have other axes.
    """
    array = label_array(labels)
    ids, dense = np.unique(array, return_inverse=True)
    masks = smallest_type(dense.reshape(array.shape) + (1 if ids.size and ids[0] > 0 else 0))
    count = int(masks.max(initial=0))
    planes = masks if masks.ndim == 3 else masks[None]
    edges = np.stack([find_boundaries(plane, mode="inner") for plane in planes]) if len(planes) else planes > 0
    content = {
        "masks": masks,
        "outlines": masks * edges.reshape(masks.shape),
        "chan_choose": [0, 0],
        "ismanual": np.zeros(count, bool),
        "filename": str(Path(image)),
        "flows": [],
        "est_diam": diameter(masks),
    }
    with atomic_path(path) as part:
        np.save(part, np.array(content, dtype=object))


def diameter(masks: np.ndarray) -> float:
    """Return the median diameter of discs of the objects' areas, in pixels; 0 where there is no object."""
    areas = np.bincount(masks.ravel())[1:]
    return float(np.median(2 * np.sqrt(areas / np.pi))) if len(areas) else 0.0
