"""Connected components of a mask: docs/method.md, Postprocessing, step 1."""

import torch
from torch import Tensor

from embedseg_ops.ops.images import Array, as_tensor, map_batch
from embedseg_ops.ops.registration import fake_of
from embedseg_ops.ops.vmap import fold_into_batch


def connected_components(mask: Array, spatial_dims: int | None = None) -> Array:
    """Number the connected components of a mask, with full connectivity (8 in 2D, 26 in 3D).

    Args:
        mask: bool or integer ``[B, *spatial]``, 2D or 3D, or one image ``[H, W]``; a pixel is set where it is not 0.
            Three axes are a batch of images, unless `spatial_dims` is 3.
        spatial_dims: 2 for images, 3 for volumes; None: 3 where there are four axes, else 2.

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
    batch, answer = map_batch(mask, tensor, "mask", spatial_dims)
    # a comparison takes as long as the labelling
    return answer(torch.ops.embedseg_ops.connected_components(batch if batch.dtype == torch.bool else batch != 0))


@fake_of("connected_components")
def _(mask: Tensor) -> Tensor:
    return mask.new_empty(mask.shape, dtype=torch.int32)


fold_into_batch("connected_components")
