"""The size of objects, and how far an image is enlarged so that they come to a wanted one."""

import math

import torch
from torch import Tensor

#: No image is enlarged more than this: beyond it, there is little to see, and the cost grows with its square.
LARGEST = 2.5


def median_diameter(labels: Tensor) -> float | None:
    """Return the median diameter, in pixels, of the discs (balls) that are as large as the objects; None without any.

    Args:
        labels: integer ``[*spatial]``; objects are above 0.
    """
    sizes = torch.unique(labels[labels > 0], return_counts=True)[1].double()
    if len(sizes) == 0:
        return None
    size = float(sizes.quantile(0.5))
    return math.sqrt(4 * size / math.pi) if labels.ndim == 2 else math.cbrt(6 * size / math.pi)


def enlargement(found: float | None, wanted: float | None) -> float:
    """Return the factor from 1 to `LARGEST` that brings objects of one diameter closest to another.

    Args:
        found: diameter of the objects in the image, in pixels; None: unknown, which is 1.
        wanted: diameter that a model expects; None: any, which is 1.
    """
    return 1.0 if found is None or wanted is None else min(max(wanted / found, 1.0), LARGEST)
