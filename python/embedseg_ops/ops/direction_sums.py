"""Sums of directions that add up over the parts of an image: what mean embeddings are made from."""

import torch
from torch import Tensor

from embedseg_ops.ops.arguments import count_objects
from embedseg_ops.ops.registration import fake_of
from embedseg_ops.ops.vmap import fold_into_batch


def direction_sums(
    embedding: Tensor, labels: Tensor, num_objects: int | None = None, pixels: int | None = None
) -> tuple[Tensor, Tensor]:
    """Sum the directions ê = e / ‖e‖ of every object's pixels, in fixed point.

    Sums are integers: those of the parts of an image, in any partition and order, add up to those of the whole image,
    bit for bit. Their direction is that of :func:`mean_embedding`; :func:`propagate` takes them as `means`.

    Args:
        embedding: float32, float16, bfloat16 or float64 ``[B, D, *spatial]``, 2D or 3D, any strides.
        labels: any integer dtype ``[B, *spatial]``: −1 ignored, 0 background, 1, 2, … objects.
        num_objects: the number K of rows, more than the largest label. None takes the largest label + 1.
        pixels: of all the parts together, for a float64 embedding, whose unit follows from it; None: those given.

    Returns:
        sums: int64 ``[B, K, D]``, in units of 2⁻²²; for a float64 embedding finer, as `pixels` leaves room for.
        counts: int64 ``[B, K]``, pixels.

    Raises:
        TypeError: an argument is not a tensor, `embedding` is not a float, `labels` is not an integer.
        ValueError: ranks, shapes or devices do not match; a label is below −1 or not below `num_objects`; fewer
            `pixels` than are given.
    """
    labels, objects = count_objects(embedding, labels, num_objects)
    if pixels is not None and pixels < labels.numel():
        raise ValueError(f"pixels must be at least the {labels.numel()} given, got {pixels}")
    sums, counts = torch.ops.embedseg_ops.direction_sums(embedding.detach(), labels, objects, pixels or 0)
    return sums, counts


@fake_of("direction_sums")
def _(embedding: Tensor, labels: Tensor, num_objects: int, pixels: int) -> tuple[Tensor, Tensor]:
    batch, dim = embedding.shape[:2]
    sums = embedding.new_empty((batch, num_objects, dim), dtype=torch.int64)
    return sums, embedding.new_empty((batch, num_objects), dtype=torch.int64)


fold_into_batch("direction_sums")
