"""Batch normalisation over the batch of all processes, so that two train as one does."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, distributed, nn

from embedseg_ops.model.networks import EmbeddingModel

KINDS = (nn.BatchNorm2d, nn.BatchNorm3d)


def check_batch_norm(model: EmbeddingModel, batch: int, crop: Sequence[int]) -> None:
    """Raise a ValueError where the network's lowest level is one pixel in all, which cannot be normalised."""
    lowest = batch * math.prod(math.ceil(size / model.divisor) for size in crop)
    if lowest == 1 and any(isinstance(module, KINDS) for module in model.modules()):
        raise ValueError(
            f"batch {batch} and crop {max(crop)} leave one pixel at the network's lowest level, too few for batch "
            f"normalisation: take a batch of 2, a crop above {model.divisor}, or no batch normalisation"
        )


class SumOfAll(torch.autograd.Function):
    """The sum of a tensor over the processes; its gradient is the sum of theirs."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        """Return the sum."""
        total = values.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """Return the gradient."""
        total = gradient.clone()
        distributed.all_reduce(total)
        return total


def sum_of_all(values: Tensor) -> Tensor:
    """Return the sum of a tensor over the processes."""
    total: Tensor = SumOfAll.apply(values)  # type: ignore[no-untyped-call]
    return total


class SharedBatchNorm(nn.modules.batchnorm._BatchNorm):
    """As `torch.nn.SyncBatchNorm`, on every device: that one wants a GPU."""

    def _check_input_dim(self, input: Tensor) -> None:  # noqa: A002  # torch's name
        """Accept any number of axes."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  # torch's name
        """Return the normalised ``[B, C, *spatial]``."""
        if not self.training:
            return super().forward(input)
        values = input.to(torch.promote_types(input.dtype, torch.float32))
        axes = [axis for axis in range(values.ndim) if axis != 1]
        count = values.new_tensor([values.numel() / values.shape[1]])
        total = sum_of_all(torch.cat([values.sum(axes), count]))
        mean = total[:-1] / total[-1]
        shape = (1, -1, *[1] * (values.ndim - 2))
        centred = values - mean.view(shape)
        variance = sum_of_all(centred.square().sum(axes)) / total[-1]
        self.follow(mean.detach(), variance.detach() * total[-1] / (total[-1] - 1).clamp(min=1))
        scale = self.weight * (variance + self.eps).rsqrt()
        normalized: Tensor = centred * scale.view(shape) + self.bias.view(shape)
        return normalized.to(input.dtype)

    @torch.no_grad()
    def follow(self, mean: Tensor, variance: Tensor) -> None:
        """Let the running mean and variance follow those of the batch."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked += 1
        momentum = self.momentum if self.momentum is not None else 1 / float(self.num_batches_tracked)
        self.running_mean.lerp_(mean, momentum)
        self.running_var.lerp_(variance, momentum)


def share_batch_norm(model: nn.Module) -> None:
    """Replace the batch norms of a model, in place, by such that see the batch of all processes; weights stay."""
    for module in model.modules():
        for name, child in list(module.named_children()):
            if isinstance(child, KINDS):
                shared = SharedBatchNorm(child.num_features, child.eps, child.momentum)
                shared.weight, shared.bias = child.weight, child.bias
                shared.running_mean, shared.running_var = child.running_mean, child.running_var
                shared.num_batches_tracked = child.num_batches_tracked
                setattr(module, name, shared)
