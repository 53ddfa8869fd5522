"""Vectorising over one more axis: what torch.vmap does with the operators."""

from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from embedseg_ops.ops.registration import vmap_of


def fold_into_batch(name: str) -> None:
    """Let torch.vmap run the operator `name`, whose tensors all begin with the batch axis, on a larger batch."""
    operator = getattr(torch.ops.embedseg_ops, name)

    @vmap_of(name)
    def _(info: Any, in_dims: tuple[int | None, ...], *arguments: object) -> tuple[object, object]:
        parts = _with_leading_axis(info.batch_size, in_dims, arguments)
        # contiguous: kernels read all but the embedding flat, and an axis that is not mapped has stride 0
        result = operator(*(part.flatten(0, 1).contiguous() if isinstance(part, Tensor) else part for part in parts))
        unfolded = pytree.tree_map(
            lambda tensor: tensor.unflatten(0, (info.batch_size, tensor.shape[0] // info.batch_size)), result
        )
        return unfolded, pytree.tree_map(lambda _: 0, result)


def loop_and_stack(name: str) -> None:
    """Let torch.vmap run the operator `name`, whose result is one for the whole batch, slice by slice."""
    operator = getattr(torch.ops.embedseg_ops, name)

    @vmap_of(name)
    def _(info: Any, in_dims: tuple[int | None, ...], *arguments: object) -> tuple[object, object]:
        parts = _with_leading_axis(info.batch_size, in_dims, arguments)
        results = [
            operator(*(part[i].contiguous() if isinstance(part, Tensor) else part for part in parts))
            for i in range(info.batch_size)
        ]
        if isinstance(results[0], Tensor):
            return torch.stack(results), 0
        return tuple(map(torch.stack, zip(*results, strict=True))), (0,) * len(results[0])


def _with_leading_axis(size: int, in_dims: tuple[int | None, ...], arguments: tuple[object, ...]) -> list[object]:
    return [
        argument
        if not isinstance(argument, Tensor)
        else argument.expand(size, *argument.shape)
        if dim is None
        else argument.movedim(dim, 0)
        for dim, argument in zip(in_dims, arguments, strict=True)
    ]
