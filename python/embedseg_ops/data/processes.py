"""The processes that train together: which of them does what, and the mean over them."""

import os
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
from torch import Tensor, distributed

Item = TypeVar("Item")


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

    def share(self, first: int, steps: int, batch: int) -> list[list[int]]:
        """Return the numbers of the crops that this process computes in each of the steps from `first` to `steps`."""
        return [list(range(step * batch + self.rank, (step + 1) * batch, self.size)) for step in range(first, steps)]

    def gather(self, own: list[Item]) -> list[Item]:
        """Return, in every process, what all have of a list: each has every `size`-th item, from the `rank`-th on."""
        if self.size == 1:
            return own
        shares: list[list[Item]] = [[]] * self.size
        distributed.all_gather_object(shares, own)
        longest = max(map(len, shares))
        return [share[number] for number in range(longest) for share in shares if number < len(share)]

    def mean(self, values: Tensor) -> Tensor:
        """Return the mean of the processes' values."""
        if self.size > 1:
            distributed.all_reduce(values)
        return values / self.size

    def any(self, asked: bool, device: torch.device) -> bool:
        """Return whether it was asked of any of the processes."""
        return bool(self.mean(torch.tensor(float(asked), device=device)) > 0)

    def leave(self) -> None:
        """Leave the other processes, at the end."""
        if distributed.is_initialized():
            distributed.destroy_process_group()


def is_first_to_say(text: str) -> bool:
    """Return whether no process of this start of torchrun has asked this of the same text before; True without it.

    Any of them may be the first to meet an error, and torchrun then ends the others.
    """
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        return True
    place = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    key = f"said/{os.environ.get('TORCHELASTIC_RESTART_COUNT')}/{text}"
    try:
        store = distributed.TCPStore(*place, is_master=False, timeout=timedelta(seconds=5))  # type: ignore[attr-defined]
        return bool(store.add(key, 1) == 1)
    except RuntimeError:  # torchrun is gone
        return True
