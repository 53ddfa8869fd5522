"""Objects cut back to where the distance map has their boundaries, in plain NumPy."""

import numpy as np
import torch
from torch import Tensor


def trim(labels: Tensor, distance: Tensor, depth: float) -> Tensor:
    """Trim objects in ``[B, *spatial]``; as :func:`embedseg_ops.ops.trim.trim`."""
    result = labels.numpy().astype(np.int32)
    for image, distances in zip(result, distance.float().double().numpy(), strict=True):
        for k in np.unique(image[image > 0]):
            inside = image == k
            size = np.count_nonzero(inside)
            radius = np.sqrt(size / np.pi) if image.ndim == 2 else np.cbrt(size * 3 / 4 / np.pi)
            image[inside & ~(distances * radius > depth)] = 0
    return torch.from_numpy(result)
