"""Removal of small objects from a label map: the size options of docs/method.md, Postprocessing."""

import operator

import torch
from torch import Tensor

from embedseg_ops.ops.images import Array, label_batch
from embedseg_ops.ops.numbers import LARGEST_SIZE
from embedseg_ops.ops.registration import fake_of
from embedseg_ops.ops.vmap import fold_into_batch


def remove_small(labels: Array, min_size: int, spatial_dims: int | None = None) -> Array:
    """Turn objects of fewer than `min_size` pixels into background and renumber the rest.

    Args:
        labels: integer ``[B, *spatial]``, 2D or 3D, or one image ``[H, W]``: 0 background, 1..K objects, −1 ignored;
            gaps in the ids are fine. Three axes are a batch of images, unless `spatial_dims` is 3.
        min_size: the pixels that an object must have to stay. 1 and less remove nothing, and close gaps in the ids.
        spatial_dims: 2 for images, 3 for volumes; None: 3 where there are four axes, else 2.

    Returns:
        int32 of the same shape: the objects that stay are 1, 2, … in the order of their old ids, image by image; −1
        stays −1.

    Raises:
        TypeError: `labels` is not an array of integers, or `min_size` not an integer.
        ValueError: `labels` has the wrong number of axes, or a label is below −1 or above 2³⁰ − 1.

    Source: ours; the paper keeps objects of all sizes.
    """
    try:
        pixels = operator.index(min_size)
    except TypeError as error:
        raise TypeError(f"min_size must be an integer, got {type(min_size).__name__}") from error
    pixels = max(min(pixels, LARGEST_SIZE), 0)  # no object is larger, none smaller
    batch, answer = label_batch(labels, spatial_dims=spatial_dims)
    return answer(torch.ops.embedseg_ops.remove_small(batch, pixels))


@fake_of("remove_small")
def _(labels: Tensor, min_size: int, largest: int | None = None) -> Tensor:
    return labels.new_empty(labels.shape, dtype=torch.int32)


fold_into_batch("remove_small")
