"""What OME-Zarr 0.5 says of a label image, and the chunks that it is stored in."""

from collections.abc import Sequence
from typing import Any

from embedseg_ops.version import __version__

CHUNK = {2: 512, 3: 128}  # the largest side, by the number of spatial axes


def label_metadata(
    dims: int, levels: int, pixel_size: Sequence[float] | None = None, unit: str | None = None
) -> dict[str, Any]:
    """Return the metadata ``ome`` of a label image and its pyramid, each level half as long along y and x.

    Args:
        dims: 2 or 3 spatial axes.
        levels: of the pyramid, made of the nearest pixels.
        pixel_size: length of a pixel along each axis, in `unit`; None: 1, and no unit.
        unit: by OME-Zarr's name, such as micrometer.
    """
    axes = [{"name": name, "type": "space", **({"unit": unit} if pixel_size else {})} for name in "zyx"[-dims:]]
    datasets = []
    for level in range(levels):
        steps = [float(size) for size in pixel_size or [1.0] * dims]
        steps[-2:] = [step * 2**level for step in steps[-2:]]
        datasets.append({"path": str(level), "coordinateTransformations": [{"type": "scale", "scale": steps}]})
    return {
        "version": "0.5",
        "multiscales": [{"name": "labels", "axes": axes, "datasets": datasets, "type": "nearest"}],
        "image-label": {},
        "creator": f"embedseg-ops {__version__}",
    }
