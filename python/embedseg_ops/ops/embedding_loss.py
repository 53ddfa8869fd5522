"""The embedding loss with local constraints: docs/method.md, Embedding loss; the paper's equations 1 to 3."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from embedseg_ops.ops.arguments import (
    check_pairs,
    check_table_size,
    check_weights,
    count_objects,
    refuse_forward_mode,
    values_are_known,
)
from embedseg_ops.ops.direction_gradient import refuse_to_differentiate_twice
from embedseg_ops.ops.neighbor_pairs import neighbor_pairs
from embedseg_ops.ops.numbers import check_positive
from embedseg_ops.ops.registration import differentiate, fake_of
from embedseg_ops.ops.vmap import loop_and_stack

FEW_OBJECTS = 2**16  # so many rows of a table cost nothing


class EmbeddingLoss(NamedTuple):
    """The embedding loss and its two terms, scalars that are differentiable in the embedding."""

    total: Tensor
    consistency: Tensor
    discrimination: Tensor


def embedding_loss(
    embedding: Tensor,
    labels: Tensor,
    pairs: Tensor | None = None,
    *,
    distance: float = 10.0,
    weights: str | Tensor | None = "balanced",
    background: bool = True,
    num_objects: int | None = None,
) -> EmbeddingLoss:
    """Compute the loss that makes an object's pixels point the same way, and neighbours' means orthogonal.

    The consistency term is the mean cosine distance of the pixels to their object's mean embedding, the
    discrimination term the mean `|cosine|` between the means of neighbours; the total is their sum, averaged over the
    images. One read of the embedding forward, one read and one write backward.

    Args:
        embedding: float32, float16, bfloat16 or float64 ``[B, D, *spatial]``, 2D or 3D, any strides. Differentiable,
            once.
        labels: any integer dtype ``[B, *spatial]``: −1 ignored, 0 background, 1, 2, … objects.
        pairs: int64 ``[P, 3]`` as :func:`neighbor_pairs` gives them, both directions; None computes them.
        distance: objects closer than this many pixels are neighbours; used where `pairs` is None.
        weights: ``"balanced"`` gives foreground and background the same weight (the paper's), None every pixel the
            same (the authors' code); or the caller's own, one a pixel, ``[B, *spatial]``, not differentiated.
        background: whether the background is an object, and a neighbour of all others; False leaves its pixels out.
        num_objects: more than the largest label; None takes the largest label + 1. Giving it, with `pairs`, lets
            ``torch.compile`` know all sizes, and a GPU work without the host's waiting, so that a CUDA graph can
            capture it: there, a label out of range ends in a device-side assertion, and pairs of images that are not
            there are left out.

    Returns:
        Scalars, float64 for a float64 embedding, else float32. An image with no pixel left contributes 0.

    Raises:
        TypeError: an argument has the wrong type or dtype.
        ValueError: ranks, shapes or devices do not match; a label is below −1 or not below `num_objects`; `pairs`
            names an image that is not there; `weights` is an unknown word; `distance` is not above 0.

    Not finite: a counted pixel (label from 0 on, weight not 0) whose embedding or weight is not finite makes the loss
    NaN, and the gradient of its image: a network that diverged must be seen.
    """
    labels, objects = count_objects(embedding, labels, num_objects, whole_table=num_objects is not None)
    if pairs is not None:
        check_pairs(pairs, embedding, counted=num_objects is not None)
    if num_objects is None and values_are_known(labels):
        if objects > max(FEW_OBJECTS, labels.numel()):
            labels, objects, pairs = renumber(labels, pairs)
        check_table_size(embedding, objects, "labels")
    pixel_weights = check_weights(weights, embedding, labels)
    if pixel_weights is not None and not background:  # a weight that does not count may be NaN
        pixel_weights = pixel_weights.masked_fill(labels.to(torch.int64) == 0, 0)
    if pairs is None:
        pairs = neighbor_pairs(labels, check_positive(distance, "distance"), background)
    *losses, _ = torch.ops.embedseg_ops.embedding_loss(
        embedding, labels, pairs.contiguous(), pixel_weights, weights == "balanced", background, objects
    )
    return EmbeddingLoss(*losses)


def renumber(labels: Tensor, pairs: Tensor | None) -> tuple[Tensor, int, Tensor | None]:
    """Return labels whose objects are 1, 2, … in their order, how many numbers there are, and the `pairs` of these.

    The loss does not depend on the numbers, but its tables have a row for each up to the largest.
    """
    labels = labels.to(torch.int64)
    ids = torch.cat([labels.new_zeros(1), labels[labels > 0].unique()])  # type: ignore[no-untyped-call]
    labels = torch.where(labels > 0, torch.searchsorted(ids, labels), labels)
    if pairs is not None:
        places = torch.searchsorted(ids, pairs[:, 1:].contiguous()).clamp(max=len(ids) - 1)
        objects = torch.where(ids[places] == pairs[:, 1:], places, -1)  # -1: one that does not occur
        pairs = torch.cat([pairs[:, :1], objects], 1)
    return labels, len(ids), pairs


@fake_of("embedding_loss")
def _(
    embedding: Tensor,
    labels: Tensor,
    pairs: Tensor,
    weights: Tensor | None,
    balanced: bool,
    background: bool,
    num_objects: int,
) -> tuple[Tensor, ...]:
    batch, dim = embedding.shape[:2]
    dtype = torch.float64 if embedding.dtype == torch.float64 else torch.float32
    tables = 2 if weights is None else 3
    losses = (embedding.new_empty((), dtype=dtype) for _ in EmbeddingLoss._fields)
    return *losses, embedding.new_empty((tables, batch, num_objects, dim), dtype=dtype)


@fake_of("loss_gradient")
def _(
    embedding: Tensor,
    labels: Tensor,
    tables: Tensor,
    weights: Tensor | None,
    total: Tensor | None,
    consistency: Tensor | None,
    discrimination: Tensor | None,
) -> Tensor:
    return torch.empty_like(embedding)


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    embedding, labels, _, weights, *_ = inputs
    tables = output[3]
    ctx.mark_non_differentiable(tables)
    ctx.set_materialize_grads(False)  # zeros would be kernels more on a GPU
    ctx.save_for_backward(embedding, labels, weights, tables)


def _backward(ctx: Any, *slopes: Tensor | None) -> tuple[Tensor | None, ...]:
    embedding, labels, weights, tables = ctx.saved_tensors
    refuse_forward_mode(embedding)
    gradient = torch.ops.embedseg_ops.loss_gradient(embedding, labels, tables, weights, *slopes[:3])
    return gradient, None, None, None, None, None, None


differentiate("embedding_loss", _backward, setup_context=_setup_context)
differentiate("loss_gradient", refuse_to_differentiate_twice)
loop_and_stack("embedding_loss")
loop_and_stack("loss_gradient")
