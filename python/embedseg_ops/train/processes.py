"""The processes that train together: which of them does what, and the mean over them."""

import os
from dataclasses import dataclass

import torch
from torch import Tensor, distributed


@dataclass(frozen=True)
class Group:
    """The processes that train together; alone by default."""

    rank: int = 0
    size: int = 1

    @classmethod
    def join(cls, device: torch.device) -> "Group":
        """Join the processes that torchrun started (NCCL on CUDA, Gloo on the CPU); alone without torchrun."""
        if "RANK" not in os.environ:
            return cls()
        if device.type == "cuda":
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        if not distributed.is_initialized():
            distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
        return cls(distributed.get_rank(), distributed.get_world_size())

    def share(self, first: int, steps: int, batch: int) -> list[range]:
        """Return the numbers of the crops that this process computes in each of the steps from `first` to `steps`."""
        return [range(step * batch + self.rank, (step + 1) * batch, self.size) for step in range(first, steps)]

    def mean(self, values: Tensor) -> Tensor:
        """Return the mean of the processes' values."""
        if self.size > 1:
            distributed.all_reduce(values)
        return values / self.size

    def leave(self) -> None:
        """Leave the other processes, at the end."""
        if distributed.is_initialized():
            distributed.destroy_process_group()
