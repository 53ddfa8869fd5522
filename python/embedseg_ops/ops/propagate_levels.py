"""Growth of a few levels with means that are known: what goes on in a part of an image."""

import torch
from torch import Tensor

from embedseg_ops.ops.arguments import check_embedding, check_integer, check_label_range, check_same_images
from embedseg_ops.ops.numbers import check_finite, check_size
from embedseg_ops.ops.registration import fake_of
from embedseg_ops.ops.vmap import fold_into_batch

ALL_LEVELS = 2**31 - 1


def propagate_levels(
    embedding: Tensor, labels: Tensor, means: Tensor, max_distance: float = 0.3,
    background_mean: Tensor | None = None, max_levels: int | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Grow labels as :func:`propagate` does, with means that are given, and stop after some levels.

    The labels may have grown before: levels that are done in several calls are those of one. A pixel's label after t
    levels depends on what lies at most t pixels away, so a part of an image with a margin of t pixels grows as the
    whole image does for t levels.

    Args:
        embedding: float32, float16, bfloat16 or float64 ``[B, D, *spatial]``, 2D or 3D, any strides.
        labels: any integer dtype ``[B, *spatial]``: 0 unassigned, 1, 2, … objects, −1 out of bounds.
        means: ``[B, K, D]``, any real dtype: a vector of any length for each label below K, in the direction of its
            object's mean embedding. Of :func:`direction_sums`: the sums; then every bit is as in :func:`propagate`.
        max_distance: cosine distance below which a pixel joins.
        background_mean: ``[B, D]``, likewise: the background competes, as :func:`propagate` says. None: it does not.
        max_levels: at least 1; None: until a level adds no pixel.

    Returns:
        labels: int32 ``[B, *spatial]``.
        active: bool, likewise: which pixels joined in the last of `max_levels` levels; none if it stopped before.

    Raises:
        TypeError: an argument is not a tensor, `embedding` is not a float, `labels` is not an integer.
        ValueError: ranks, shapes or devices do not match; a label is below −1 or not below K; `max_levels` is below 1.
    """
    check_embedding(embedding)
    check_integer(labels, "labels")
    check_same_images(embedding, labels, "labels")
    vectors = check_means(means, embedding, check_label_range(labels, "labels"))
    if background_mean is not None:
        if background_mean.shape != (vectors.shape[0], vectors.shape[2]):
            expected = [vectors.shape[0], vectors.shape[2]]
            raise ValueError(f"background_mean must be {expected}, got shape {list(background_mean.shape)}")
        vectors = torch.cat([background_mean.to(torch.float64)[:, None], vectors[:, 1:]], 1)
    levels = ALL_LEVELS if max_levels is None else min(check_size(max_levels, "max_levels"), ALL_LEVELS)
    max_distance = check_finite(max_distance, "max_distance")
    start = labels.to(torch.int32).contiguous()
    grown, active = torch.ops.embedseg_ops.propagate_levels(
        embedding.detach(), start, vectors.contiguous(), max_distance, background_mean is not None, levels
    )
    return grown, active


def check_means(means: Tensor, embedding: Tensor, largest: int) -> Tensor:
    """Raise unless `means` is ``[B, K, D]`` for this embedding with more rows than `largest`; return it as float64."""
    if not isinstance(means, Tensor):
        raise TypeError(f"means must be a torch.Tensor, got {type(means).__name__}")
    batch, dim = embedding.shape[0], embedding.shape[1]
    if means.ndim != 3 or means.shape[0] != batch or means.shape[2] != dim or means.shape[1] <= max(largest, 0):
        rows = f"more than {max(largest, 0)}"
        raise ValueError(f"means must be [{batch}, {rows}, {dim}], got shape {list(means.shape)}")
    if means.device != embedding.device:
        raise ValueError(f"means must be on the embedding's device, {embedding.device}, got {means.device}")
    return means.to(torch.float64)


@fake_of("propagate_levels")
def _(
    embedding: Tensor, labels: Tensor, vectors: Tensor, max_distance: float, competes: bool, max_levels: int
) -> tuple[Tensor, Tensor]:
    return labels.new_empty(labels.shape), labels.new_empty(labels.shape, dtype=torch.bool)


fold_into_batch("propagate_levels")
