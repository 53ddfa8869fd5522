"""``embedseg-ops demo``: real nuclei that another package carries, segmented by the model that comes with this one."""

import importlib.util
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

import embedseg_ops
from embedseg_ops import figures
from embedseg_ops.data import normalize
from embedseg_ops.inference import predict_network
from embedseg_ops.models import EmbeddingModel
from embedseg_ops.readers import read_image, read_labels
from embedseg_ops.weights import Settings


class Demonstration(NamedTuple):
    """One image on its way through the method.

    Args:
        image: ``[1, H, W]``.
        truth: label map, int32 ``[H, W]``.
        embedding: float32 ``[D, H, W]``.
        distance: normalised distance map, float32 ``[H, W]``.
        labels: the objects found, int32 ``[H, W]``.
    """

    image: np.ndarray
    truth: np.ndarray
    embedding: np.ndarray
    distance: np.ndarray
    labels: np.ndarray


def find_files() -> tuple[Path, Path]:
    """Return StarDist's fluorescence image of nuclei, from the 2018 Data Science Bowl, and its label map.

    Raises:
        FileNotFoundError: stardist is not installed; only its files are needed.
    """
    package = importlib.util.find_spec("stardist")  # looks for it without importing it or what it needs
    if package is None or not package.submodule_search_locations:
        raise FileNotFoundError(
            "the demo's image comes with the package stardist, which is not installed: pip install --no-deps stardist"
        )
    folder = Path(package.submodule_search_locations[0]) / "data" / "images"
    return folder / "img2d.tif", folder / "mask2d.tif"


def demonstrate(image: Path, truth: Path, model: tuple[EmbeddingModel, Settings]) -> Demonstration:
    """Segment an image file as :func:`embedseg_ops.segment` does, and keep what is on the way."""
    network, settings = model
    pixels = read_image(image, settings.spatial_dims)
    embedding, distance = predict_network(normalize(pixels, settings.percentiles), network)
    labels = embedseg_ops.postprocess(embedding, distance, **settings.postprocess)[0]
    return Demonstration(pixels, read_labels(truth), embedding[0].numpy(), distance[0].numpy(), labels.numpy())


def write_pictures(shown: Demonstration, folder: Path) -> None:
    """Write ``overlay.png``, the objects on the image, and ``steps.png``, the way there."""
    image = figures.drawable(shown.image)
    Image.fromarray(figures.overlay(image, shown.labels, scale=2)).save(folder / "overlay.png")
    steps = {
        "image": figures.overlay(image, np.zeros_like(shown.labels)),
        "embedding": figures.embedding_rgb(shown.embedding),
        "distance map": figures.distance_heat(shown.distance),
        "objects": figures.colour_labels(shown.labels),
        "matched, missed, false": figures.matches(shown.truth, shown.labels, image),
    }
    Image.fromarray(figures.panels(list(steps.values()), list(steps))).save(folder / "steps.png")
