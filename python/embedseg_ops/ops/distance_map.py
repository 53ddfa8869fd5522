"""Normalised distance of every object pixel to the outside: docs/method.md, Distance map and its loss."""

from collections.abc import Sequence

import torch
from torch import Tensor

from embedseg_ops.ops.images import Array, label_batch
from embedseg_ops.ops.numbers import check_spacing
from embedseg_ops.ops.registration import fake_of
from embedseg_ops.ops.vmap import fold_into_batch


def distance_map(labels: Array, spacing: Sequence[float] | None = None, spatial_dims: int | None = None) -> Array:
    """Measure how deep every pixel lies inside its object, from nearly 0 at the rim to 1 at the object's deepest pixel.

    The Euclidean distance to the nearest pixel centre that is not of the same object, divided by the largest such
    distance in the object. Other objects and ignored pixels count as outside; beyond the image border there is
    nothing. An object is all pixels of one id in one image, connected or not.

    Args:
        labels: integer ``[B, *spatial]``, 2D or 3D, or one image ``[H, W]``: 0 background, 1..K objects, −1 ignored;
            gaps in the ids are fine. Three axes are a batch of images, or one volume where `spatial_dims` or `spacing`
            says so.
        spacing: the distance between neighbouring pixels along each spatial axis, in any unit: only their ratios
            matter. None is 1 everywhere.
        spatial_dims: 2 for images, 3 for volumes; None: 3 where there are four axes or three lengths, else 2.

    Returns:
        float32 of the same shape, without unit: above 0 to 1 on objects, 0 on background and ignored pixels, 1 on an
        object that has no pixel outside it in the image.

    Raises:
        TypeError: `labels` is not an array of integers, or `spacing` not of numbers.
        ValueError: `labels` has the wrong number of axes, a label is below −1 or above 2³⁰ − 1, or `spacing` has the
            wrong number of lengths or one that is not above 0 and finite.

    Source: the distance regression of Chen et al., MICCAI 2019; exact, by the separable transform of Felzenszwalb and
    Huttenlocher, 2012.
    """
    batch, answer = label_batch(labels, spacing=spacing, spatial_dims=spatial_dims)
    lengths = check_spacing(spacing, batch.ndim - 1)
    return answer(torch.ops.embedseg_ops.distance_map(batch, lengths))


@fake_of("distance_map")
def _(labels: Tensor, spacing: list[float]) -> Tensor:
    return labels.new_empty(labels.shape, dtype=torch.float32)


fold_into_batch("distance_map")
