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
    # no power: torch.compile cannot follow one of a negative number
    weights = [math.exp(-0.5 * (offset / sigma) * (offset / sigma)) for offset in range(-radius, radius + 1)]
    for axis in range(1, images.ndim):
        size = images.shape[axis]
        if size > 0:
            reflected = _reflect(smooth, axis, radius)
            terms = [weight * reflected.narrow(axis, i, size) for i, weight in enumerate(weights)]
            smooth = sum(terms[1:], terms[0]) / sum(weights)
    return smooth


def _reflect(images: Tensor, axis: int, radius: int) -> Tensor:
    """Extend an axis by `radius` mirrored pixels at both ends; past a whole image, by the image's own mirror image."""
    while radius > 0:
        size = images.shape[axis]
        step = min(radius, size)
        before = images.narrow(axis, 0, step).flip(axis)
        after = images.narrow(axis, size - step, step).flip(axis)
        images = torch.cat([before, images, after], axis)
        radius -= step
    return images
