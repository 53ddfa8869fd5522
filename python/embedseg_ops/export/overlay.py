"""A picture of the objects' outlines on their image."""

import os

from numpy.typing import ArrayLike
from PIL import Image

from embedseg_ops.data.writing import atomic_path
from embedseg_ops.evaluate import figures


def write_overlay(
    path: str | os.PathLike[str], image: ArrayLike, labels: ArrayLike, *, gamma: float = figures.DIM,
    numbers: bool = False,
) -> None:  # fmt: skip
    """Write the outlines of the objects on the image as a PNG; of a volume, those in the middle plane.

    Args:
        path: the file.
        image: ``[C, *spatial]``, any real dtype.
        labels: integer ``[*spatial]``.
        gamma: below 1 lightens what is dim; 1 draws brightness as it is.
        numbers: write every object's id on it.
    """
    flat = figures.middle_plane(labels)
    picture = figures.overlay(figures.drawable(image), flat, gamma=gamma, numbers=numbers)
    with atomic_path(path) as part:
        Image.fromarray(picture).save(part, "png")
