"""`python -m benchmarks.paper.fig1`: local against global constraint on a repeated pattern (the paper's Fig. 1).

A 3-dimensional embedding, a free vector at every pixel, is optimised with the embedding loss. Under the local
constraint an object must be orthogonal to its neighbours, under the global one to every other. Three dimensions have
room for three orthogonal directions: enough for the background and two kinds of objects that take turns, not for all.
"""

import argparse
import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

import embedseg_ops
from embedseg_ops.evaluate import figures, metrics

SHOWN = (0, 10, 30, 100, 300)  # steps


@dataclass
class Course:
    """How an optimisation went, by step.

    An angle over 90° is as wrong as one under it, so `angles`, the paper's mAN, can hide collapsed neighbours; `acute`
    averages the angles between the lines that the directions lie on.
    """

    angles: dict[int, float] = field(default_factory=dict)
    acute: dict[int, float] = field(default_factory=dict)
    pictures: dict[int, np.ndarray] = field(default_factory=dict)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.paper.fig1", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/paper"), help="folder (%(default)s)")
    options = parser.parse_args(arguments)
    labels = pattern()
    neighbors = embedseg_ops.neighbor_pairs(labels, 10.0)
    everyone = embedseg_ops.neighbor_pairs(labels, float(sum(labels.shape[1:])))
    courses = {"local": optimise(labels, neighbors, neighbors), "global": optimise(labels, everyone, neighbors)}
    write(courses, options.out)


def pattern(rows: int = 6, period: int = 20, radius: float = 7.5) -> Tensor:
    """Discs on a square grid, int32 ``[1, H, W]``, each closer than 10 pixels to the four beside it alone."""
    size = rows * period
    y, x = np.mgrid[:size, :size]
    inside = np.hypot(y % period - (period - 1) / 2, x % period - (period - 1) / 2) < radius
    return torch.from_numpy(np.where(inside, 1 + y // period * rows + x // period, 0).astype(np.int32))[None]


def optimise(labels: Tensor, pairs: Tensor, neighbors: Tensor, steps: int = SHOWN[-1]) -> Course:
    """Minimise the loss over `pairs`; measure the angle between `neighbors`."""
    random = torch.Generator().manual_seed(0)
    embedding = torch.randn(1, 3, *labels.shape[1:], generator=random).requires_grad_()
    optimizer = torch.optim.Adam([embedding], lr=0.1)
    course = Course()
    for step in tqdm(range(steps + 1), unit="step"):
        if step in SHOWN:
            with torch.no_grad():
                means = embedseg_ops.mean_embedding(embedding, labels)[0]
            course.angles[step] = metrics.mean_angle(means, neighbors)
            course.acute[step] = acute_angle(means[0], neighbors)
            course.pictures[step] = picture(embedding.detach()[0])
        loss = embedseg_ops.embedding_loss(embedding, labels, pairs).total
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return course


def acute_angle(means: Tensor, pairs: Tensor) -> float:
    """Return the mean angle of `pairs` of the unit vectors ``[K, D]``, each taken up to 90°, in degrees."""
    cosines = (means[pairs[:, 1]] * means[pairs[:, 2]]).sum(1).abs()
    return float(cosines.clamp(max=1).acos().rad2deg().mean())


def picture(embedding: Tensor, scale: int = 3) -> np.ndarray:
    """A direction and its opposite are the same to the loss: the components' sizes are the colours."""
    directions = torch.nn.functional.normalize(embedding, dim=0).abs()
    colours = (directions * 255).round().byte().permute(1, 2, 0).numpy()
    return colours.repeat(scale, 0).repeat(scale, 1)


def write(courses: dict[str, Course], folder: Path) -> None:
    """Write the angles as JSON, and one row of pictures for each constraint."""
    folder.mkdir(parents=True, exist_ok=True)
    measured = {name: {"mAN": course.angles, "acute": course.acute} for name, course in courses.items()}
    (folder / "fig1.json").write_text(json.dumps(measured, indent=1) + "\n")
    rows = [
        figures.panels(
            list(course.pictures.values()),
            [f"{name}, step {step}: {angle:.0f}°" for step, angle in course.acute.items()],
        )
        for name, course in courses.items()
    ]
    Image.fromarray(np.concatenate(rows)).save(folder / "fig1.png")
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
