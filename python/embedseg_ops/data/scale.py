"""The size of objects and of pixels, and how far an image is resampled so that objects come to a wanted size."""

import math
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

#: No image is enlarged more than this: beyond it, there is little to see, and the cost grows with its square.
LARGEST = 2.5
#: Objects of up to this many times the wanted diameter are seen as well as those of it; only larger ones are shrunk.
FAR = 2.5
EQUAL = 1.02  # pixels whose lengths differ less are equally long


def median_diameter(labels: Tensor) -> float | None:
    """Return the median diameter, in pixels, of the discs (balls) that are as large as the objects; None without any.

    Args:
        labels: integer ``[*spatial]``; objects are above 0.
    """
    return diameter_of(object_sizes(labels), labels.ndim)


def object_sizes(labels: Tensor) -> Tensor:
    """Return how many pixels each object has, int64, of integer labels; objects are above 0."""
    return torch.unique(labels[labels > 0], return_counts=True)[1]  # type: ignore[no-any-return]


def diameter_of(sizes: Tensor, spatial_dims: int) -> float | None:
    """Return the `median_diameter` of objects of these sizes, in pixels."""
    if len(sizes) == 0:
        return None
    size = float(sizes.double().quantile(0.5))
    return math.sqrt(4 * size / math.pi) if spatial_dims == 2 else math.cbrt(6 * size / math.pi)


def enlargement(found: float | None, wanted: float | None) -> float:
    """Return the factor from 1 to `LARGEST` that brings objects of one diameter closest to another.

    Args:
        found: diameter of the objects in the image, in pixels; None: unknown, which is 1.
        wanted: diameter that a model expects; None: any, which is 1.
    """
    return 1.0 if found is None or wanted is None else min(max(wanted / found, 1.0), LARGEST)


def rescaling(found: float | None, wanted: float | None) -> float:
    """Return the factor by which prediction resamples an image: `enlargement`, or what shrinks far too large objects.

    Args:
        found: see `enlargement`; above `FAR` times the wanted diameter, the factor is below 1.
        wanted: see `enlargement`.
    """
    far = found is not None and wanted is not None and found > FAR * wanted
    return wanted / found if far else enlargement(found, wanted)  # type: ignore[operator]


def relative(lengths: Sequence[float]) -> tuple[float, ...]:
    """Return lengths as multiples of the shortest."""
    return tuple(length / min(lengths) for length in lengths)


def common_spacing(sizes: Iterable[tuple[float, ...] | None]) -> tuple[float, ...] | None:
    """Return the median over images of their pixels' lengths along each axis, as multiples of the shortest.

    Args:
        sizes: of a pixel of each image along each axis; None: unknown, which does not count.

    Returns:
        None where no size is known, or where pixels are as long along every axis, up to 2 %.
    """
    known = np.array([relative(size) for size in sizes if size is not None])
    if len(known) == 0 or known.max() < EQUAL:
        return None
    return relative([round(float(length), 2) for length in np.median(known, 0)])
