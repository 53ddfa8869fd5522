"""Gaussian smoothing of a batch of images."""

import torch
from torch import Tensor

from embedseg_ops.ops.registration import fake_of
from embedseg_ops.ops.vmap import fold_into_batch


def gaussian(images: Tensor, sigma: float) -> Tensor:
    """Smooth ``[B, *spatial]`` with a Gaussian of `sigma` pixels, edges reflected (d c b a | a b c d | d c b a).

    The same as ``scipy.ndimage.gaussian_filter(image, sigma)``: cut off at 4 σ. Computes in float32, or in float64.
    """
    smooth = images if images.dtype == torch.float64 else images.float()
    smoothed: Tensor = torch.ops.embedseg_ops.smooth(smooth.detach(), sigma)
    return smoothed


@fake_of("smooth")
def _(images: Tensor, sigma: float) -> Tensor:
    return images.new_empty(images.shape)


fold_into_batch("smooth")
