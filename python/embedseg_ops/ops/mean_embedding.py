"""The mean embedding of every object: docs/method.md, Mean embedding."""

from typing import Any

import torch
from torch import Tensor

from embedseg_ops.ops.arguments import count_objects
from embedseg_ops.ops.direction_gradient import direction_gradient
from embedseg_ops.ops.registration import differentiate, fake_of
from embedseg_ops.ops.vmap import fold_into_batch


def mean_embedding(embedding: Tensor, labels: Tensor, num_objects: int | None = None) -> tuple[Tensor, Tensor]:
    """Compute the mean direction of every object's pixels, u_k = Σ ê_p / ‖Σ ê_p‖, and its number of pixels.

    Args:
        embedding: float32, float16, bfloat16 or float64 ``[B, D, *spatial]``, 2D or 3D, any strides. Differentiable.
        labels: any integer dtype ``[B, *spatial]``: −1 ignored, 0 background, 1, 2, … objects.
        num_objects: the number K of rows, more than the largest label. None takes the largest label + 1; giving it
            saves a look at the labels, and lets ``torch.compile`` know the size of the result. A GPU is not waited for
            then: a label out of range ends in a device-side assertion.

    Returns:
        Means ``[B, K, D]``, float64 for a float64 embedding, else float32, and counts of pixels, int64 ``[B, K]``. Row
        k of the means is the direction of label k: zero for a label that does not occur or whose directions cancel.

    Raises:
        TypeError: an argument is not a tensor, `embedding` is not a float, `labels` is not an integer.
        ValueError: ranks, shapes or devices do not match; a label is below −1 or not below `num_objects`.
    """
    labels, objects = count_objects(embedding, labels, num_objects)
    means, counts, _ = torch.ops.embedseg_ops.mean_embedding(embedding, labels, objects)
    return means, counts


@fake_of("mean_embedding")
def _(embedding: Tensor, labels: Tensor, num_objects: int) -> tuple[Tensor, Tensor, Tensor]:
    batch, dim = embedding.shape[:2]
    dtype = torch.float64 if embedding.dtype == torch.float64 else torch.float32
    means = embedding.new_empty((batch, num_objects, dim), dtype=dtype)
    counts = embedding.new_empty((batch, num_objects), dtype=torch.int64)
    lengths = embedding.new_empty((batch, num_objects), dtype=dtype)
    return means, counts, lengths


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    embedding, labels, _ = inputs
    means, counts, lengths = output
    ctx.mark_non_differentiable(counts)
    ctx.save_for_backward(embedding, labels, means, lengths)


def _backward(ctx: Any, mean_gradient: Tensor, _: Tensor, length_gradient: Tensor) -> tuple[Tensor, None, None]:
    embedding, labels, means, lengths = ctx.saved_tensors
    across = mean_gradient - (mean_gradient * means).sum(-1, keepdim=True) * means
    inverse = torch.where(lengths > 0, 1 / lengths, 0).unsqueeze(-1)
    gradients = across * inverse + length_gradient.unsqueeze(-1) * means
    return direction_gradient(embedding, labels, gradients, None, None), None, None


differentiate("mean_embedding", _backward, setup_context=_setup_context)
fold_into_batch("mean_embedding")
