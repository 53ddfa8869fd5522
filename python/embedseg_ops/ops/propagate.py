"""Growth of seeds over the pixels like them: docs/method.md, Postprocessing, steps 2 to 4."""

from typing import overload

import torch
from torch import Tensor

from embedseg_ops.ops.arguments import check_integer, check_label_range, check_table_size, values_are_known
from embedseg_ops.ops.images import Array, as_image_batch, as_tensor
from embedseg_ops.ops.levels import given_means, grow_levels, sum_seeds
from embedseg_ops.ops.numbers import check_finite
from embedseg_ops.ops.options import takes_old_names
from embedseg_ops.ops.registration import fake_of
from embedseg_ops.ops.vmap import fold_into_batch


@overload
def propagate(
    embedding: Array, seeds: Array, max_cosine_distance: float = 0.3, background: Array | None = None,
    spatial_dims: int | None = None, *,
    means: Array | None = None, background_mean: Array | None = None, max_levels: None = None,
) -> Array: ...  # fmt: skip


@overload
def propagate(
    embedding: Array, seeds: Array, max_cosine_distance: float = 0.3, background: Array | None = None,
    spatial_dims: int | None = None, *,
    means: Array | None = None, background_mean: Array | None = None, max_levels: int,
) -> tuple[Array, Array]: ...  # fmt: skip


@takes_old_names
def propagate(
    embedding: Array, seeds: Array, max_cosine_distance: float = 0.3, background: Array | None = None,
    spatial_dims: int | None = None, *,
    means: Array | None = None, background_mean: Array | None = None, max_levels: int | None = None,
) -> Array | tuple[Array, Array]:  # fmt: skip
    """Grow seeds, level by level, over the pixels whose embedding is close to the seed's mean embedding.

    In a level, every unassigned pixel that touches (3×3, 3×3×3) pixels assigned before joins the closest of their
    objects, of those within `max_cosine_distance`; of two as close, the smaller label. The result depends on nothing
    but the inputs. Memory: about 7 bytes a pixel beyond inputs and result, 11 with `background`.

    With `background`, the background competes (not in the paper): a pixel joins an object only if it is closer to the
    object's mean embedding than to the mean embedding of the image's background pixels. `max_cosine_distance` may then
    be much larger than the paper's, so that the pixels between join too.

    With `means`, `seeds` may be labels that have grown: levels that are done in several calls are those of one. A
    pixel's label after t levels depends on what lies at most t pixels away, so a part of an image with a margin of t
    pixels grows as the whole image does for t levels, with the means of the whole.

    Args:
        embedding: float32, float16, bfloat16 or float64 ``[B, D, *spatial]``, 2D or 3D, any strides; or one image
            ``[D, *spatial]``. A pixel that is not finite joins no object.
        seeds: any integer dtype ``[B, *spatial]`` or ``[*spatial]``: 0 unassigned, 1, 2, … seeds, −1 out of bounds:
            never assigned, and −1 in the result.
        max_cosine_distance: cosine distance (0 same direction, 1 orthogonal, 2 opposite) below which a pixel joins.
        background: bool, in the shape of `seeds`: pixels that are surely background; seeds among them are not counted.
            An image without any has a background orthogonal to all. None: no competition.
        spatial_dims: 2 for images, 3 for volumes. None: what the shapes say; where they fit a batch of images as well
            as one volume, which has as many planes as channels, it must be given.
        means: ``[B, K, D]`` or for one image ``[K, D]``, any real dtype: for each label below K a vector of any length
            in the direction of its object's mean embedding. The sums of :func:`direction_sums` give every bit as
            without. None: those of the seeds.
        background_mean: ``[B, D]`` or ``[D]``, likewise, where the background competes; only with `means`, instead of
            `background`.
        max_levels: stop after so many levels; None: when a level adds no pixel.

    Returns:
        int32 labels in the shape of `seeds`; NumPy if `seeds` is. With `max_levels` also bool, likewise: which pixels
        joined in the last of so many levels; none if growth stopped before.

    Raises:
        TypeError: an argument is not an array, `embedding` is not a float, `seeds` is not an integer, `background`
            is not bool.
        ValueError: ranks, shapes or devices do not match, or fit both images and a volume; an image has 2³¹ pixels or
            more; a seed is below −1, too large or without a mean; `max_cosine_distance` is not finite; `max_levels` is
            below 1; `background` is given with `means`, or `background_mean` without.
    """
    vectors, labels, answer = as_image_batch(embedding, seeds, "seeds", spatial_dims)
    check_integer(labels, "seeds")
    max_cosine_distance = check_finite(max_cosine_distance, "max_cosine_distance")
    if values_are_known(labels):
        largest = check_label_range(labels, "seeds")
        check_table_size(vectors, largest + 1, "seeds")
    outside = None if background is None else check_background(background, labels)
    if means is None and background_mean is not None:
        raise ValueError("background_mean is given without means: give both, or background")
    if means is None and max_levels is None:
        return answer(grow(vectors, labels.to(torch.int32), max_cosine_distance, outside))
    if means is not None and background is not None:
        raise ValueError("background is given with means: give background_mean, its mean embedding, instead")
    known = sum_seeds(vectors, labels, outside) if means is None else given_means(means, background_mean, vectors)
    grown, active = grow_levels(vectors, labels, *known, max_cosine_distance, max_levels)
    return answer(grown) if max_levels is None else (answer(grown), answer(active))


def check_background(background: Array, seeds: Tensor) -> Tensor:
    """Raise unless `background` is bool and of the seeds' shape and device; return it as a batch, contiguous."""
    mask = as_tensor(background, "background")
    if mask.dtype != torch.bool:
        raise TypeError(f"background must be bool, got {mask.dtype}")
    if mask.shape == seeds.shape[1:] and len(seeds) == 1:
        mask = mask.unsqueeze(0)
    if mask.shape != seeds.shape or mask.device != seeds.device:
        raise ValueError(
            f"background must be like seeds, {list(seeds.shape)} on {seeds.device}, "
            f"got {list(mask.shape)} on {mask.device}"
        )
    return mask.contiguous()


def grow(
    embedding: Tensor,
    seeds: Tensor,
    max_distance: float,
    background: Tensor | None = None,
    largest: int | None = None,
) -> Tensor:
    """Call the operator: int32 seeds, at most `largest`, and bool background ``[B, *spatial]``, contiguous."""
    labels: Tensor = torch.ops.embedseg_ops.propagate(embedding.detach(), seeds, max_distance, background, largest)
    return labels


@fake_of("propagate")
def _(
    embedding: Tensor, seeds: Tensor, max_distance: float, background: Tensor | None, largest: int | None = None
) -> Tensor:
    return seeds.new_empty(seeds.shape)


fold_into_batch("propagate")
