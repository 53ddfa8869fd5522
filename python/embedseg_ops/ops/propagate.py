"""Growth of seeds over the pixels like them: SPEC, Postprocessing, steps 2 to 4."""

import torch
from torch import Tensor

from embedseg_ops.arguments import (
    Array,
    as_image_batch,
    check_finite,
    check_integer,
    check_label_range,
    check_table_size,
    values_are_known,
)
from embedseg_ops.ops.vmap import fold_into_batch


def propagate(embedding: Array, seeds: Array, max_distance: float = 0.3) -> Array:
    """Grow seeds, level by level, over the pixels whose embedding is close to the seed's mean embedding.

    In a level, every unassigned pixel that touches (3×3, 3×3×3) pixels assigned before joins the closest of their
    objects, of those within `max_distance`; of two as close, the smaller label. The result depends on nothing but the
    inputs. Memory: about 7 bytes a pixel beyond inputs and result.

    Args:
        embedding: float32, float16, bfloat16 or float64 ``[B, D, *spatial]``, 2D or 3D, any strides; or one image
            ``[D, *spatial]``. A pixel that is not finite joins no object.
        seeds: any integer dtype ``[B, *spatial]`` or ``[*spatial]``: 0 unassigned, 1, 2, … seeds, −1 out of bounds:
            never assigned, and −1 in the result.
        max_distance: cosine distance (0 same direction, 1 orthogonal, 2 opposite) below which a pixel joins.

    Returns:
        int32 labels in the shape of `seeds`; NumPy if `seeds` is.

    Raises:
        TypeError: an argument is not an array, `embedding` is not a float, `seeds` is not an integer.
        ValueError: ranks, shapes or devices do not match; a seed is below −1 or too large; `max_distance` is not
            finite.
    """
    embedding, seeds, answer = as_image_batch(embedding, seeds, "seeds")
    check_integer(seeds, "seeds")
    max_distance = check_finite(max_distance, "max_distance")
    if values_are_known(seeds):
        largest = check_label_range(seeds, "seeds")
        check_table_size(embedding, largest + 1, "seeds")
    return answer(grow(embedding, seeds.to(torch.int32).contiguous(), max_distance))


def grow(embedding: Tensor, seeds: Tensor, max_distance: float) -> Tensor:
    """Call the operator: int32 seeds ``[B, *spatial]``, contiguous."""
    return torch.ops.embedseg_ops.propagate(embedding.detach(), seeds, max_distance)


@torch.library.register_fake("embedseg_ops::propagate")
def _(embedding: Tensor, seeds: Tensor, max_distance: float) -> Tensor:
    return seeds.new_empty(seeds.shape)


fold_into_batch("propagate")
