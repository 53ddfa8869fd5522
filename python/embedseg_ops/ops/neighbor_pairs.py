"""Which objects are close to each other: docs/method.md, Neighbours."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from embedseg_ops.ops.images import Array, answer_like, label_batch
from embedseg_ops.ops.numbers import check_positive, check_spacing
from embedseg_ops.ops.registration import fake_of, vmap_of


def neighbor_pairs(
    labels: Array, distance: float = 10.0, background: bool = True, spacing: Sequence[float] | None = None,
    spatial_dims: int | None = None,
) -> Array:  # fmt: skip
    """List the pairs of objects whose shortest Euclidean distance is below `distance`.

    The distance is between pixel centres, exact, and counts through other objects too: touching objects are 1 apart.
    It must be *less* than `distance`: two objects exactly `distance` apart are no neighbours.

    Args:
        labels: integer ``[B, *spatial]``, 2D or 3D, or one image ``[H, W]``. 0 is background, 1, 2, … are objects
            (ids may have gaps), −1 is ignored: it is nobody's neighbour, and in nobody's way. Three axes are a batch
            of images, or one volume where `spatial_dims` or `spacing` says so.
        distance: in pixels, or in the unit of `spacing`; above 0.
        background: whether background, in the images where it occurs, is an object of its own and a neighbour of
            every object however far.
        spacing: the length of a pixel along each spatial axis; None is 1 everywhere.
        spatial_dims: 2 for images, 3 for volumes; None: 3 where there are four axes or three lengths, else 2.

    Returns:
        int64 ``[P, 3]``, an array like `labels`: rows ``(b, k, n)``, object ``k`` of image ``b`` has the neighbour
        ``n``. Each pair is listed in both directions; rows are sorted. One image without batch axis has ``b = 0``.
        The number of rows depends on the pixels, so ``torch.compile(fullgraph=True)`` of code that calls
        ``torch.ops.embedseg_ops.neighbor_pairs`` wants
        ``torch._dynamo.config.capture_dynamic_output_shape_ops = True``, as for `torch.nonzero`.

    Raises:
        TypeError: `labels` is not an array of integers; `distance` or a length of `spacing` is not a number.
        ValueError: `labels` has fewer than 2 or more than 4 axes, or a label below −1 or above 2³⁰ − 1; `distance` is
            not finite or not above 0; `spacing` has not one finite length above 0 for each spatial axis.

    Source: Chen, Strauch, Merhof, MICCAI 2019, section 2.2, where neighbours are the objects that the loss pushes
    apart.
    """
    distance = check_positive(distance, "distance")
    batch, _ = label_batch(labels, spacing=spacing, spatial_dims=spatial_dims)
    lengths = check_spacing(spacing, batch.ndim - 1)
    pairs = torch.ops.embedseg_ops.neighbor_pairs(batch, distance, background, lengths)
    return answer_like(labels, single=False)(pairs)


@fake_of("neighbor_pairs")
def _(labels: Tensor, distance: float, background: bool, spacing: list[float]) -> Tensor:
    rows = torch.library.get_ctx().new_dynamic_size()
    return labels.new_empty((rows, 3), dtype=torch.int64)


@vmap_of("neighbor_pairs")
def _(info: Any, in_dims: Any, labels: Tensor, distance: float, background: bool, spacing: list[float]) -> None:
    raise RuntimeError(
        "neighbor_pairs cannot be vmapped: the number of pairs differs from image to image. "
        "Give it the whole batch [B, *spatial]; the first column of the result is the image"
    )
