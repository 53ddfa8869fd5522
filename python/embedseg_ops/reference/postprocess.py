"""From a network's output to labels, in plain PyTorch, NumPy and SciPy."""

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from embedseg_ops.reference.connected_components import connected_components
from embedseg_ops.reference.propagate import propagate


def postprocess(
    embedding: Tensor,
    distance: Tensor,
    *,
    seed_threshold: float = 0.7,
    max_distance: float = 0.3,
    seed_smoothing: float = 0.0,
    min_seed_size: int = 1,
    min_object_size: int = 1,
) -> Tensor:
    """Segment ``[B, D, *spatial]`` and ``[B, *spatial]``; as :func:`embedseg_ops.postprocess`."""
    if seed_smoothing > 0:
        distance = torch.stack(
            [torch.from_numpy(ndimage.gaussian_filter(image.numpy(), seed_smoothing)) for image in distance]
        )
    seeds = _remove_small(connected_components(distance > seed_threshold), min_seed_size)
    return _remove_small(propagate(embedding, seeds, max_distance), min_object_size)


def _remove_small(labels: Tensor, min_size: int) -> Tensor:
    """Drop the objects of fewer pixels than `min_size`, and number the rest 1, 2, … in their old order."""
    result = np.zeros(labels.shape, dtype=np.int32)
    for image, objects in zip(result, labels.numpy(), strict=True):
        ids, place, sizes = np.unique(objects, return_inverse=True, return_counts=True)
        kept = (ids > 0) & (sizes >= min_size)
        image[...] = np.where(kept, np.cumsum(kept), 0)[place.reshape(objects.shape)]
    return torch.from_numpy(result)
