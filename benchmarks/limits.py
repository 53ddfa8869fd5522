"""Physical limits, timed in the same run as what they limit."""

import torch
from torch import Tensor

from benchmarks.harness import ONE_AND_ALL, Contender

READ, WARM_COPY, FRESH_COPY = "read", "copy", "copy into fresh memory"
NETWORK = "network alone"  # of a training step, or of a prediction
NAMES = (READ, WARM_COPY, FRESH_COPY, NETWORK)


def traffic(*tensors: Tensor) -> int:
    """Bytes of these tensors, each read or written once."""
    return sum(tensor.nbytes for tensor in tensors)


def read(*tensors: Tensor) -> Contender:
    """Read every byte once."""
    return Contender(READ, lambda: [_reduce(tensor) for tensor in tensors], ONE_AND_ALL, traffic=traffic(*tensors))


def _reduce(tensor: Tensor) -> Tensor:
    if tensor.dtype == torch.bfloat16:
        tensor = tensor.view(torch.float32)  # in pairs: converting each would take longer than reading it
    return tensor.sum() if tensor.is_floating_point() else tensor.amax()


def copies(tensor: Tensor) -> list[Contender]:
    """Read and write every byte; a fresh allocation also pays the page faults."""
    target = torch.zeros_like(tensor)
    both = traffic(tensor, target)
    return [
        Contender(WARM_COPY, lambda: target.copy_(tensor), ONE_AND_ALL, traffic=both),
        Contender(FRESH_COPY, tensor.clone, ONE_AND_ALL, traffic=both),
    ]


def convert(tensor: Tensor, dtype: torch.dtype) -> Contender:
    """Read one type and write another, into warm memory."""
    target = torch.zeros_like(tensor, dtype=dtype)
    return Contender(WARM_COPY, lambda: target.copy_(tensor), ONE_AND_ALL, traffic=traffic(tensor, target))
