"""Normalised distance of every object pixel to the outside, in plain NumPy and SciPy."""

from collections.abc import Sequence

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor


def distance_map(labels: Tensor, spacing: Sequence[float] | None = None) -> Tensor:
    """Measure depths in ``[B, *spatial]``, one object after the other; as :func:`embedseg_ops.distance_map`."""
    result = np.zeros(labels.shape, np.float32)
    for image, depths in zip(labels.numpy(), result, strict=True):
        for k in np.unique(image[image > 0]):
            inside = image == k
            if inside.all():
                depths[:] = 1
            else:
                distances = ndimage.distance_transform_edt(inside, sampling=spacing)[inside]
                depths[inside] = distances / distances.max()
    return torch.from_numpy(result)
