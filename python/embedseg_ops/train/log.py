"""What a training run tells: a progress bar, a table of losses, and TensorBoard's scalars and pictures."""

from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor
from tqdm import tqdm

from embedseg_ops.data.progress import tell
from embedseg_ops.data.sample_files import AnySample
from embedseg_ops.data.writing import write_atomically
from embedseg_ops.evaluate import figures


class RunLog:
    """The log of one run.

    Args:
        out: the run's folder; ``losses.csv`` and TensorBoard's files go there.
        step: steps done; later lines of ``losses.csv``, of an interrupted run, are dropped.
        steps: steps to do.
        progress: show a progress bar.
    """

    def __init__(self, out: Path, step: int, steps: int, progress: bool = False):
        self.path = out / "losses.csv"
        self.truncate(step)
        self.steps = steps
        self.table = self.path.open("a", encoding="utf-8")
        self.bar = tqdm(total=steps, initial=step, unit="step", disable=not progress)
        self.score: dict[str, str] = {}
        self.board = tensorboard_writer(out, step)

    def truncate(self, step: int) -> None:
        """Keep the header and the lines up to `step`."""
        lines = self.path.read_text(encoding="utf-8").splitlines(keepends=True) if self.path.exists() else []
        kept = [line for line in lines[1:] if line.endswith("\n") and 0 < step_of(line) <= step]
        write_atomically(self.path, "".join(lines[:1] + kept if kept else []).encode())

    def losses(self, step: int, losses: dict[str, float], learning_rate: float) -> None:
        """Log the losses of a step."""
        if self.table.tell() == 0:
            self.table.write(",".join(["step", *losses]) + "\n")
        self.table.write(",".join([str(step), *(repr(value) for value in losses.values())]) + "\n")
        self.bar.set_postfix({**{name: f"{value:.4f}" for name, value in losses.items()}, **self.score}, refresh=False)
        self.bar.update()
        tell("training", step, self.steps)
        self.scalars(
            step, {**{f"loss/{name}": value for name, value in losses.items()}, "learning rate": learning_rate}
        )

    def scores(self, step: int, scores: dict[str, float]) -> None:
        """Log the scores of a validation."""
        self.score = {name: f"{value:.3f}" for name, value in scores.items()}
        self.scalars(step, {f"validation/{name}": value for name, value in scores.items()})

    def scalars(self, step: int, values: dict[str, float]) -> None:
        """Hand scalars to TensorBoard."""
        if self.board:
            for name, value in values.items():
                self.board.add_scalar(name, value, step)

    def pictures(self, step: int, sample: AnySample, embedding: Tensor, distance: Tensor, labels: Tensor) -> None:
        """Hand TensorBoard an image with its distance map, embedding and segmentation; of a volume the middle plane."""
        if self.board is None:
            return
        flat = figures.middle_plane(labels)
        shown = {
            "image": figures.overlay(figures.drawable(sample.image), np.zeros_like(flat)),
            "distance": figures.distance_heat(figures.middle_plane(distance)),
            "embedding": figures.embedding_rgb(np.stack([figures.middle_plane(channel) for channel in embedding])),
            "segmentation": figures.colour_labels(flat),
        }
        for name, picture in shown.items():
            self.board.add_image(name, picture, step, dataformats="HWC")

    def flush(self) -> None:
        """Bring what was logged to the disk."""
        self.table.flush()

    def close(self) -> None:
        """Close the files and the progress bar."""
        self.table.close()
        self.bar.close()
        if self.board:
            self.board.close()


def step_of(line: str) -> int:
    """Return the step of a line of ``losses.csv``; 0 for one that a full disk or a kill has spoilt."""
    number = line.split(",")[0]
    return int(number) if number.isdecimal() else 0


def tensorboard_writer(out: Path, step: int) -> Any | None:
    """Return a TensorBoard writer that overwrites what an interrupted run wrote after `step`; None if not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(out), purge_step=step + 1)
