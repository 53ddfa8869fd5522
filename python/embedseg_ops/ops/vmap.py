"""Vectorising over one more axis: what torch.vmap does with operators that take a batch anyway."""

import torch
from torch import Tensor


def fold_into_batch(name: str) -> None:
    """Let torch.vmap run the operator `name`, of one tensor and plain settings, with the new axis as more batch."""
    operator = getattr(torch.ops.embedseg_ops, name)

    @torch.library.register_vmap(f"embedseg_ops::{name}")
    def _(info: object, in_dims: tuple[int | None, ...], batch: Tensor, *settings: object) -> tuple[Tensor, int]:
        stacked = batch.movedim(in_dims[0], 0)
        result = operator(stacked.flatten(0, 1), *settings)
        return result.unflatten(0, stacked.shape[:2]), 0
