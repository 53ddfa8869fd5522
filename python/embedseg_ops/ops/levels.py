"""Growth of a few levels with means that are known: what goes on in a part of an image."""

import torch
from torch import Tensor

from embedseg_ops.ops.arguments import check_label_range
from embedseg_ops.ops.direction_sums import direction_sums
from embedseg_ops.ops.images import Array, as_tensor
from embedseg_ops.ops.numbers import check_size
from embedseg_ops.ops.registration import fake_of
from embedseg_ops.ops.vmap import fold_into_batch

ALL_LEVELS = 2**31 - 1


def grow_levels(
    embedding: Tensor, labels: Tensor, means: Tensor, background_mean: Tensor | None, max_cosine_distance: float,
    max_levels: int | None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Grow labels, with the means of :func:`propagate`; return them and which pixels joined in the last level."""
    rows = max(check_label_range(labels, "seeds"), 0)
    if means.shape[1] <= rows:
        raise ValueError(f"means must have more than {rows} rows, one for each label, got {means.shape[1]}")
    vectors = means.to(torch.float64)
    if background_mean is not None:
        vectors = torch.cat([background_mean.to(torch.float64)[:, None], vectors[:, 1:]], 1)
    levels = ALL_LEVELS if max_levels is None else min(check_size(max_levels, "max_levels"), ALL_LEVELS)
    grown, active = torch.ops.embedseg_ops.propagate_levels(
        embedding.detach(), labels.to(torch.int32).contiguous(), vectors.contiguous(), max_cosine_distance,
        background_mean is not None, levels,
    )  # fmt: skip
    return grown, active


def sum_seeds(embedding: Tensor, seeds: Tensor, background: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Return the sums of the seeds' directions, and of the background's where it competes."""
    seeds = seeds.to(torch.int32)
    outside = torch.zeros_like(seeds, dtype=torch.bool) if background is None else background
    sums, _ = direction_sums(embedding, torch.where((seeds == 0) & ~outside, -1, seeds), max(int(seeds.amax()), 0) + 1)
    return sums, None if background is None else sums[:, 0]


def given_means(means: Array, background_mean: Array | None, embedding: Tensor) -> tuple[Tensor, Tensor | None]:
    """Check means and the background's, with or without the batch axis; return both with it."""
    batch, dim = embedding.shape[0], embedding.shape[1]
    vectors: Tensor = as_tensor(means, "means")
    vectors = vectors[None] if vectors.ndim == 2 else vectors
    if vectors.ndim != 3 or vectors.shape[0] != batch or vectors.shape[2] != dim:
        raise ValueError(f"means must be [{batch}, K, {dim}] for this embedding, got shape {list(vectors.shape)}")
    rival: Tensor | None = None if background_mean is None else as_tensor(background_mean, "background_mean")
    rival = rival[None] if rival is not None and rival.ndim == 1 else rival
    if rival is not None and list(rival.shape) != [batch, dim]:
        raise ValueError(f"background_mean must be {[batch, dim]} for this embedding, got shape {list(rival.shape)}")
    for tensor, name in ((vectors, "means"), (rival, "background_mean")):
        if tensor is not None and tensor.device != embedding.device:
            raise ValueError(f"{name} must be on the embedding's device, {embedding.device}, got {tensor.device}")
    return vectors, rival


@fake_of("propagate_levels")
def _(
    embedding: Tensor, labels: Tensor, vectors: Tensor, max_cosine_distance: float, competes: bool, max_levels: int
) -> tuple[Tensor, Tensor]:
    return labels.new_empty(labels.shape), labels.new_empty(labels.shape, dtype=torch.bool)


fold_into_batch("propagate_levels")
