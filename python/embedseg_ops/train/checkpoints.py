"""Checkpoints of a training run: everything that the next step depends on, in a file that is whole or not there."""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from embedseg_ops.data.writing import write_atomically


def save_checkpoint(
    path: str | os.PathLike[str], model: nn.Module, optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler, step: int, **more: Any,
) -> None:  # fmt: skip
    """Write a checkpoint, atomically: a process that is killed meanwhile leaves the previous one.

    Args:
        path: the file.
        model: its weights and buffers are stored.
        optimizer: its state is stored.
        schedule: its state is stored.
        step: number of steps done; with the seed, it is also the sampler's position.
        more: tensors, numbers, text, and lists and dicts of them, to store along.
    """
    content = {
        "model": model.state_dict(), "optimizer": optimizer.state_dict(), "schedule": schedule.state_dict(),
        "step": step, "random": torch.get_rng_state(),
        "cuda_random": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        **more,
    }  # fmt: skip
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_atomically(path, buffer.getvalue())


def read_checkpoint(path: str | os.PathLike[str]) -> dict[str, Any] | None:
    """Return what a checkpoint holds; None where there is none.

    Raises:
        ValueError: the file is no checkpoint.
    """
    if not Path(path).exists():
        return None
    with told(path):
        content = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(content, dict) or "identity" not in content:
            raise ValueError("it is no checkpoint")
        return content


def restore(
    content: dict[str, Any], path: str | os.PathLike[str], model: nn.Module, optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
) -> None:  # fmt: skip
    """Bring model, optimiser, schedule and random numbers back to a checkpoint.

    The schedule goes on from the checkpoint's step, but to its own end: a run may be given more steps.

    Args:
        content: what the checkpoint holds.
        path: its file, for the error.
        model: its weights and buffers are replaced.
        optimizer: its state is replaced.
        schedule: its state is replaced.

    Raises:
        ValueError: it is a checkpoint of another network.
    """
    own = {name: schedule.state_dict()[name] for name in ("total_steps", "_schedule_phases")}
    with told(path):
        model.load_state_dict(content["model"])
        optimizer.load_state_dict(content["optimizer"])
        schedule.load_state_dict({**content["schedule"], **own})
        if content["schedule"]["total_steps"] != own["total_steps"]:
            schedule.last_epoch -= 1
            schedule.step()  # the learning rate of this step in the longer schedule
    torch.set_rng_state(content["random"])
    if content["cuda_random"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(content["cuda_random"])


@contextmanager
def told(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn errors of a checkpoint into one that names its file."""
    try:
        yield
    except (RuntimeError, KeyError, EOFError, ValueError) as error:
        raise ValueError(f"checkpoint {path} does not fit this run: {error}") from error
