"""Objects cut back to where the distance map has their boundaries."""

import torch
from torch import Tensor

from embedseg_ops.ops.registration import fake_of
from embedseg_ops.ops.vmap import fold_into_batch


def trim(labels: Tensor, distance: Tensor, depth: float, largest: int | None = None) -> Tensor:
    """Turn the pixels that lie less than `depth` deep in their objects into background.

    The depth of a pixel is its normalised distance times the radius of a disc (in 3D, a ball) of as many pixels as its
    object has: an estimate of its distance to the boundary.

    Args:
        labels: int32 ``[B, *spatial]``, 2D or 3D: 0 background, 1..K objects, −1 stays.
        distance: float ``[B, *spatial]``, normalised; NaN is no depth.
        depth: in pixels, positive.
        largest: no label is above it; given, a GPU need not be waited for.

    Returns:
        int32 labels of the same shape, with the same ids.

    Source: ours; the paper leaves a pixel to the embedding alone.
    """
    trimmed: Tensor = torch.ops.embedseg_ops.trim(labels, distance.detach().float(), depth, largest)
    return trimmed


@fake_of("trim")
def _(labels: Tensor, distance: Tensor, depth: float, largest: int | None = None) -> Tensor:
    return labels.new_empty(labels.shape)


fold_into_batch("trim")
