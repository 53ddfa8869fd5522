"""Connected components of a mask: SPEC, Postprocessing, step 1."""

import torch
from torch import Tensor

from embedseg_ops.ops.arguments import Array, answer_like, as_tensor
from embedseg_ops.ops.vmap import fold_into_batch


def connected_components(mask: Array) -> Array:
    """Number the connected components of a mask, with full connectivity (8 in 2D, 26 in 3D).

    Args:
        mask: bool or integer ``[B, *spatial]``, 2D or 3D, or one image ``[H, W]``; a pixel is set where it is not 0.
            Three axes are a batch of images: give one volume as ``mask[None]``.

    Returns:
        int32 of the same shape: 0 outside the mask, and 1, 2, … in the raster order of each component's first pixel.

    Raises:
        TypeError: `mask` is not an array, or its dtype is not bool or an integer.
        ValueError: `mask` has fewer than 2 or more than 4 axes, or an image of more than 2³¹ − 1 pixels.

    Source: step 1 of the postprocessing in Chen et al., MICCAI 2019, where the mask is a thresholded distance map.
    """
    tensor = as_tensor(mask, "mask")
    if tensor.is_floating_point() or tensor.is_complex():
        raise TypeError(f"mask must be bool or an integer, got {tensor.dtype}: compare it with a threshold first")
    if tensor.ndim not in (2, 3, 4):
        raise ValueError(f"mask must be [H, W], [B, H, W] or [B, D, H, W], got shape {list(tensor.shape)}")
    single = tensor.ndim == 2
    batch = tensor.unsqueeze(0) if single else tensor
    if not torch.compiler.is_compiling() and batch.shape[1:].numel() >= 2**31:  # a bound is no guard for an exporter
        raise ValueError(f"mask must have fewer than 2**31 pixels in an image, got shape {list(tensor.shape)}")
    return answer_like(mask, single)(torch.ops.embedseg_ops.connected_components(batch != 0))


@torch.library.register_fake("embedseg_ops::connected_components")
def _(mask: Tensor) -> Tensor:
    return mask.new_empty(mask.shape, dtype=torch.int32)


fold_into_batch("connected_components")
