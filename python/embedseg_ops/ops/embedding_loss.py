"""The embedding loss with local constraints: docs/method.md, Embedding loss; the paper's equations 1 to 3."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from embedseg_ops.ops.arguments import check_pairs, check_weights, count_objects
from embedseg_ops.ops.direction_gradient import direction_gradient
from embedseg_ops.ops.neighbor_pairs import neighbor_pairs
from embedseg_ops.ops.numbers import check_positive
from embedseg_ops.ops.registration import differentiate, fake_of
from embedseg_ops.ops.vmap import loop_and_stack


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
            ``torch.compile`` know all sizes.

    Returns:
        Scalars, float64 for a float64 embedding, else float32. An image with no pixel left contributes 0.

    Raises:
        TypeError: an argument has the wrong type or dtype.
        ValueError: ranks, shapes or devices do not match; a label is below −1 or not below `num_objects`; `pairs`
            names an image that is not there; `weights` is an unknown word; `distance` is not above 0.
    """
    labels, objects = count_objects(embedding, labels, num_objects)
    pixel_weights = check_weights(weights, embedding, labels)
    if pairs is None:
        pairs = neighbor_pairs(labels, check_positive(distance, "distance"), background)
    check_pairs(pairs, embedding)
    consistency, discrimination, _ = torch.ops.embedseg_ops.embedding_loss(
        embedding, labels, pairs.contiguous(), pixel_weights, weights == "balanced", background, objects
    )
    return EmbeddingLoss(consistency + discrimination, consistency, discrimination)


@fake_of("embedding_loss")
def _(
    embedding: Tensor,
    labels: Tensor,
    pairs: Tensor,
    weights: Tensor | None,
    balanced: bool,
    background: bool,
    num_objects: int,
) -> tuple[Tensor, Tensor, Tensor]:
    batch, dim = embedding.shape[:2]
    dtype = torch.float64 if embedding.dtype == torch.float64 else torch.float32
    tables = 2 if weights is None else 3
    gradients = embedding.new_empty((tables, batch, num_objects, dim), dtype=dtype)
    return embedding.new_empty((), dtype=dtype), embedding.new_empty((), dtype=dtype), gradients


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    embedding, labels, _, weights, *_ = inputs
    gradients = output[2]
    ctx.mark_non_differentiable(gradients)
    ctx.save_for_backward(embedding, labels, weights, gradients)


def _backward(ctx: Any, consistency: Tensor, discrimination: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
    embedding, labels, weights, tables = ctx.saved_tensors
    gradients = consistency * tables[0] + discrimination * tables[1]
    weighted = None if weights is None else consistency * tables[2]
    gradient = direction_gradient(embedding, labels, gradients, weights, weighted)
    return gradient, None, None, None, None, None, None


differentiate("embedding_loss", _backward, setup_context=_setup_context)
loop_and_stack("embedding_loss")
