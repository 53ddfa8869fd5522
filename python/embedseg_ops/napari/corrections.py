"""A short fine-tuning on labels that somebody has corrected."""

from collections.abc import Sequence
from pathlib import Path

import torch

from embedseg_ops.data.samples import Sample
from embedseg_ops.model.settings import Settings
from embedseg_ops.train.options import Options
from embedseg_ops.train.trainer import Trainer

CROPS = {2: 192, 3: 64}  # largest sides, in pixels
SMALLEST = 8  # what sides are multiples of


def crop_side(samples: Sequence[Sample]) -> int:
    """Return the side of the crops, in pixels: no larger than needed, for the rest would be mirrored."""
    dims = samples[0].labels.ndim
    longest = max(max(sample.labels.shape) for sample in samples)
    return min(CROPS[dims], -(-longest // SMALLEST) * SMALLEST)


def fine_tune(
    samples: Sequence[Sample], settings: Settings, init: Path, out: Path, steps: int = 100,
    learning_rate: float | None = None, device: str | torch.device | None = None,
) -> Path:  # fmt: skip
    """Train a model further on a few images; `embedseg_ops.data.progress.listening` hears the steps, and may end it.

    Args:
        samples: images, normalised, and labels; pixels labelled −1 are ignored.
        settings: of the model, with the options of the postprocessing that the new one is to have.
        init: the file of the model.
        out: a folder for the run.
        steps: optimiser steps.
        learning_rate: None: that for fine-tuning; see `embedseg_ops.train.options.Options`.
        device: None: CUDA where there is one, else the CPU.

    Returns:
        the new model's file.

    Raises:
        FileExistsError: the folder holds a run already.
    """
    if (out / "checkpoint.pt").exists() or (out / "last.safetensors").exists():
        raise FileExistsError(f"{out} holds a training run already: choose another folder")
    options = Options(
        steps=steps, batch=4, crop=crop_side(samples), learning_rate=learning_rate, checkpoint_every=max(steps, 1)
    )
    Trainer(out, settings, list(samples), [], options, device, init=init).run()
    return out / "last.safetensors"
