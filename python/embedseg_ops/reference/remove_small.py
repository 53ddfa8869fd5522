"""Removal of small objects from a label map, in plain NumPy."""

import numpy as np
import torch
from torch import Tensor


def remove_small(labels: Tensor, min_size: int) -> Tensor:
    """Remove small objects from ``[B, *spatial]``; as :func:`embedseg_ops.ops.remove_small.remove_small`."""
    result = np.minimum(labels.numpy(), 0).astype(np.int32)  # −1 stays
    for image, kept in zip(labels.numpy(), result, strict=True):
        ids, sizes = np.unique(image[image > 0], return_counts=True)
        for new_id, k in enumerate(ids[sizes >= min_size], start=1):
            kept[image == k] = new_id
    return torch.from_numpy(result)
