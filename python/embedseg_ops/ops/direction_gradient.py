"""The backward that mean embedding and embedding loss share: from a table of objects to every pixel."""

import torch
from torch import Tensor

from embedseg_ops.ops.vmap import fold_into_batch

direction_gradient = torch.ops.embedseg_ops.direction_gradient


@torch.library.register_fake("embedseg_ops::direction_gradient")
def _(
    embedding: Tensor, labels: Tensor, gradients: Tensor, weights: Tensor | None, weighted_gradients: Tensor | None
) -> Tensor:
    return torch.empty_like(embedding)


def _refuse(ctx: object, gradient: Tensor) -> None:
    raise RuntimeError(
        "embedseg_ops: mean_embedding and embedding_loss can be differentiated once, not twice. "
        "embedseg_ops.reference has both in plain PyTorch, differentiable as often as you like."
    )


torch.library.register_autograd("embedseg_ops::direction_gradient", _refuse)
fold_into_batch("direction_gradient")
