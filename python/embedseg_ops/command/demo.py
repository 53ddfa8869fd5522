"""``embedseg-ops demo``: real nuclei that another package carries, segmented by the model that comes with this one."""

import argparse
import importlib.util
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from embedseg_ops.command import values
from embedseg_ops.command.outputs import check_outputs
from embedseg_ops.command.records import Record, file_hash, made_from
from embedseg_ops.command.speech import one_line
from embedseg_ops.data.images import read_image
from embedseg_ops.data.labels import read_labels
from embedseg_ops.data.samples import normalize
from embedseg_ops.data.writing import atomic_path
from embedseg_ops.evaluate import figures
from embedseg_ops.evaluate.metrics import average_precision
from embedseg_ops.export.tiff import write_labels
from embedseg_ops.model.devices import choose_device
from embedseg_ops.model.files import load_model
from embedseg_ops.model.networks import EmbeddingModel
from embedseg_ops.model.registry import DEFAULT, MODEL_HELP, find_model
from embedseg_ops.model.settings import Settings
from embedseg_ops.ops.postprocess import postprocess
from embedseg_ops.predict.prepare import prepare
from embedseg_ops.predict.scale import predict_scaled

HELP = "segment real nuclei with the model that comes with the package"


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
    pixels = read_image(image, settings.spatial_dims, channels=settings.channels)
    embedding, distance = predict_scaled(normalize(pixels, settings.percentiles), prepare(network), settings)
    labels = postprocess(embedding, distance, **settings.postprocess)[0]
    return Demonstration(pixels, read_labels(truth), embedding[0].numpy(), distance[0].numpy(), labels.numpy())


def write_pictures(shown: Demonstration, overlay: Path, steps: Path) -> None:
    """Draw the objects on the image, and the way there."""
    image = figures.drawable(shown.image)
    pictures = {
        "image": figures.overlay(image, np.zeros_like(shown.labels)),
        "embedding": figures.embedding_rgb(shown.embedding),
        "distance map": figures.distance_heat(shown.distance),
        "objects": figures.colour_labels(shown.labels),
        "matched, missed, false": figures.matches(shown.truth, shown.labels, image),
    }
    drawn = {
        overlay: figures.overlay(image, shown.labels, scale=2),
        steps: figures.panels(list(pictures.values()), list(pictures)),
    }
    for path, picture in drawn.items():
        with atomic_path(path) as part:
            Image.fromarray(picture).save(part, "png")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options of ``demo``."""
    parser.add_argument("--out", type=Path, default=Path("demo"), help="folder for labels and pictures (%(default)s)")
    parser.add_argument("--model", help=f"{MODEL_HELP} (default: {DEFAULT})")
    parser.add_argument("--device", type=values.device, help="cpu, cuda, cuda:N or mps; CUDA where there is one")
    parser.add_argument("--overwrite", action="store_true", help="replace files that something else wrote")


def run(options: argparse.Namespace) -> int:
    """Run ``embedseg-ops demo``."""
    image, truth = find_files()
    model_file = find_model(options.model)
    outputs = [options.out / name for name in ("labels.tif", "overlay.png", "steps.png")]
    record = Record(options.out / "record.json")
    ours = [*record.ours(), *([record.path] if record.known else [])]
    check_outputs([*outputs, record.path], [image, truth, model_file], options.out, ours, options.overwrite)
    device = choose_device(options.device)
    model = load_model(model_file, device)
    print(f"segmenting {image} on device {device}", file=sys.stderr)
    shown = demonstrate(image, truth, model)
    options.out.mkdir(parents=True, exist_ok=True)
    made = made_from(image, file_hash(model_file), {})
    record.begin(made, outputs)
    write_labels(outputs[0], shown.labels)
    write_pictures(shown, *outputs[1:])
    record.finish(made, outputs, int(shown.labels.max()))
    precision = average_precision(shown.truth, shown.labels)
    print(f"{shown.labels.max()} nuclei found, {len(np.unique(shown.truth)) - 1} there")
    print(f"AP at IoU 0.5: {precision.values[0]:.3f}; mean AP 0.5…0.9: {precision.mean:.3f}")
    print(f"written: {one_line(options.out)}/labels.tif, overlay.png, steps.png")
    return 0
