"""The backward that mean embedding and embedding loss share: from a table of objects to every pixel."""

import torch
from torch import Tensor

from embedseg_ops.ops.arguments import refuse_forward_mode
from embedseg_ops.ops.registration import differentiate, fake_of
from embedseg_ops.ops.vmap import fold_into_batch


def direction_gradient(
    embedding: Tensor, labels: Tensor, gradients: Tensor, weights: Tensor | None, weighted_gradients: Tensor | None
) -> Tensor:
    """Call the operator: tables ``[B, K, D]`` and weights ``[B, *spatial]`` of any strides."""
    refuse_forward_mode(embedding)
    flat = [None if tensor is None else tensor.contiguous() for tensor in (gradients, weights, weighted_gradients)]
    gradient: Tensor = torch.ops.embedseg_ops.direction_gradient(embedding, labels, *flat)
    return gradient


@fake_of("direction_gradient")
def _(
    embedding: Tensor, labels: Tensor, gradients: Tensor, weights: Tensor | None, weighted_gradients: Tensor | None
) -> Tensor:
    return torch.empty_like(embedding)


def refuse_to_differentiate_twice(ctx: object, gradient: Tensor) -> None:
    """Raise a RuntimeError: the backward of what has none itself."""
    raise RuntimeError(
        "embedseg_ops: mean_embedding and embedding_loss can be differentiated once, not twice. "
        "embedseg_ops.reference has both in plain PyTorch, differentiable as often as you like."
    )


differentiate("direction_gradient", refuse_to_differentiate_twice)
fold_into_batch("direction_gradient")
