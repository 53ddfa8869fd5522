"""Gaussian smoothing of a batch of images, in plain PyTorch."""

import math

import torch
from torch import Tensor


def gaussian(images: Tensor, sigma: float) -> Tensor:
    """Smooth ``[B, *spatial]`` with a Gaussian of `sigma` pixels, edges reflected (d c b a | a b c d | d c b a).

    The same as ``scipy.ndimage.gaussian_filter(image, sigma)``: cut off at 4 σ. Computes in float32, or in float64.
    """
    smooth = images if images.dtype == torch.float64 else images.float()
    radius = int(4 * sigma + 0.5)
    offsets = range(-radius, radius + 1)
    weights = [math.exp(-0.5 * (offset / sigma) ** 2) for offset in offsets]
    for axis in range(1, images.ndim):
        size = images.shape[axis]
        if size > 0:
            terms = (
                weight * smooth.index_select(axis, _reflected(size, offset, images.device))
                for weight, offset in zip(weights, offsets, strict=True)
            )
            smooth = sum(terms) / sum(weights)
    return smooth


def _reflected(size: int, offset: int, device: torch.device) -> Tensor:
    """The positions 0, 1, …, size − 1, moved by `offset` and reflected at the edges."""
    position = (torch.arange(size, device=device) + offset) % (2 * size)
    return torch.minimum(position, 2 * size - 1 - position)
