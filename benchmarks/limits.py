"""Physical limits, timed in the same run as what they limit."""

import torch
from torch import Tensor

from benchmarks.harness import ONE_AND_ALL, Contender

READ, WARM_COPY, FRESH_COPY = "read", "copy", "copy into fresh memory"
NAMES = (READ, WARM_COPY, FRESH_COPY)


def read(*tensors: Tensor) -> Contender:
    """Read every byte once."""
    reduce = [(tensor, torch.sum if tensor.is_floating_point() else torch.amax) for tensor in tensors]
    return Contender(READ, lambda: [function(tensor) for tensor, function in reduce], ONE_AND_ALL)


def copies(tensor: Tensor) -> list[Contender]:
    """Read and write every byte; a fresh allocation also pays the page faults."""
    target = torch.zeros_like(tensor)
    return [
        Contender(WARM_COPY, lambda: target.copy_(tensor), ONE_AND_ALL),
        Contender(FRESH_COPY, tensor.clone, ONE_AND_ALL),
    ]


def convert(tensor: Tensor, dtype: torch.dtype) -> Contender:
    """Read one type and write another, into warm memory."""
    target = torch.zeros_like(tensor, dtype=dtype)
    return Contender(WARM_COPY, lambda: target.copy_(tensor), ONE_AND_ALL)
