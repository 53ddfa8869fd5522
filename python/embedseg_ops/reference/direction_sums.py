"""Sums of directions in fixed point, in plain PyTorch."""

import math

import torch
from torch import Tensor

from embedseg_ops.reference.mean_embedding import directions


def direction_sums(
    embedding: Tensor, labels: Tensor, num_objects: int | None = None, pixels: int | None = None
) -> tuple[Tensor, Tensor]:
    """Sum the directions of ``[B, D, *spatial]``; as :func:`embedseg_ops.direction_sums`, up to a unit a pixel."""
    if num_objects is None:
        num_objects = int(labels.max()) + 1 if labels.numel() else 0
    unit = fixed_unit(embedding, pixels or labels.numel())
    fixed = (directions(embedding.double()) / unit).round().long()
    sums = torch.zeros(len(embedding), num_objects, embedding.shape[1], dtype=torch.int64)
    counts = torch.zeros(len(embedding), num_objects, dtype=torch.int64)
    for image, (vectors, objects) in enumerate(zip(fixed, labels, strict=True)):
        inside = objects >= 0
        index = objects[inside].long()
        sums[image].index_add_(0, index, vectors[:, inside].T)
        counts[image] = torch.bincount(index, minlength=num_objects)
    return sums, counts


def fixed_unit(embedding: Tensor, pixels: int) -> float:
    """Return the unit of the sums: 2⁻²², and for float64 what the sum of so many pixels leaves room for in 63 bits."""
    return math.ldexp(1.0, max(pixels.bit_length() - 62, -51)) if embedding.dtype == torch.float64 else 2.0**-22
