"""From a network's output to labels, in plain PyTorch, NumPy and SciPy."""

import torch
from scipy import ndimage
from torch import Tensor

from embedseg_ops.reference.connected_components import connected_components
from embedseg_ops.reference.propagate import propagate
from embedseg_ops.reference.remove_small import remove_small
from embedseg_ops.reference.trim import trim


def postprocess(
    embedding: Tensor,
    distance: Tensor,
    *,
    seed_threshold: float = 0.7,
    max_cosine_distance: float = 0.3,
    seed_smoothing: float = 0.0,
    min_seed_size: int = 1,
    min_object_size: int = 1,
    background_threshold: float | None = None,
    min_depth_pixels: float = 0.0,
    max_objects: int | None = None,
) -> Tensor:
    """Segment ``[B, D, *spatial]`` and ``[B, *spatial]``; as :func:`embedseg_ops.postprocess`."""
    distance = distance if distance.dtype == torch.float64 else distance.float()
    background = None if background_threshold is None else distance <= background_threshold
    smooth = distance
    if seed_smoothing > 0:
        sigmas = (0, *[seed_smoothing] * (distance.ndim - 1))
        smooth = torch.from_numpy(ndimage.gaussian_filter(distance.numpy(), sigmas))
    seeds = connected_components(smooth > seed_threshold)
    if max_objects is not None:
        seeds = torch.where(seeds > max_objects, 0, seeds)
    seeds = remove_small(seeds, min_seed_size)
    labels = propagate(embedding, seeds, max_cosine_distance, background)
    if min_depth_pixels > 0:
        labels = trim(labels, distance, min_depth_pixels)
    return remove_small(labels, min_object_size)
