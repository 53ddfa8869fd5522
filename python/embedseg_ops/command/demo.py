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
from embedseg_ops.data.writing import atomic_path
from embedseg_ops.evaluate import figures, slices
from embedseg_ops.evaluate.metrics import average_precision
from embedseg_ops.export.tiff import write_labels
from embedseg_ops.model.devices import choose_device
from embedseg_ops.model.files import load_model
from embedseg_ops.model.networks import EmbeddingModel
from embedseg_ops.model.registry import DEFAULT, MODEL_HELP, VOLUMES, find_model
from embedseg_ops.model.settings import Settings
from embedseg_ops.predict.prediction import predict_image

HELP = "segment real nuclei with the model that comes with the package"
EXAMPLE = "demo"


SMALLEST = 256  # pixels of a picture's side; smaller images are drawn larger


class Demonstration(NamedTuple):
    """One image or volume on its way through the method.

    Args:
        image: ``[1, *spatial]``.
        truth: label map, int32 ``[*spatial]``.
        embedding: float32 ``[D, *spatial]``.
        distance: normalised distance map, float32 ``[*spatial]``.
        labels: the objects found, int32 ``[*spatial]``.
    """

    image: np.ndarray
    truth: np.ndarray
    embedding: np.ndarray
    distance: np.ndarray
    labels: np.ndarray

    @property
    def middle(self) -> "Demonstration":
        """The middle plane of a volume; an image itself."""
        return self if self.truth.ndim == 2 else Demonstration(*(part[..., part.shape[-3] // 2, :, :] for part in self))


def find_files(spatial_dims: int = 2) -> tuple[Path, Path]:
    """Return StarDist's fluorescence image (volume) of nuclei and its label map.

    The image is from the 2018 Data Science Bowl.

    Raises:
        FileNotFoundError: stardist is not installed; only its files are needed.
    """
    package = importlib.util.find_spec("stardist")  # looks for it without importing it or what it needs
    if package is None or not package.submodule_search_locations:
        raise FileNotFoundError(
            "the demo's image comes with the package stardist, which is not installed: pip install --no-deps stardist"
        )
    folder = Path(package.submodule_search_locations[0]) / "data" / "images"
    return folder / f"img{spatial_dims}d.tif", folder / f"mask{spatial_dims}d.tif"


def demonstrate(image: Path, truth: Path, model: tuple[EmbeddingModel, Settings]) -> Demonstration:
    """Segment an image file as :func:`embedseg_ops.segment` does, and keep what is on the way."""
    dims, channels = model[1].spatial_dims, model[1].channels
    pixels = read_image(image, dims, channels=channels)
    said = predict_image(pixels, model)
    embedding, distance = said.embedding[0].numpy(), said.distance[0].numpy()
    return Demonstration(pixels, read_labels(truth, dims), embedding, distance, said.label().numpy())


def draw_objects(shown: Demonstration, spacing: tuple[float, ...] | None) -> figures.Picture:
    """Draw the objects on the image; on three planes of a volume, the true ones beside those found."""
    if shown.truth.ndim == 2:
        return figures.overlay(figures.drawable(shown.image), shown.labels, scale=2)
    kinds = {"found": shown.labels, "labelled": shown.truth}
    pictures = {
        f"{view}, {kind}": picture
        for kind, labels in kinds.items()
        for view, picture in zip(slices.VIEWS, slices.overlays(shown.image[0], labels, spacing, scale=5), strict=True)
    }
    return figures.panels(list(pictures.values()), list(pictures))


def draw_steps(shown: Demonstration) -> figures.Picture:
    """Draw the way from an image to its objects."""
    image = figures.drawable(shown.image)
    pictures = {
        "image": figures.overlay(image, np.zeros_like(shown.labels)),
        "embedding": figures.embedding_rgb(shown.embedding),
        "distance map": figures.distance_heat(shown.distance),
        "objects": figures.colour_labels(shown.labels),
        figures.MATCH_COLOURS: figures.matches(shown.truth, shown.labels, image),
    }
    times = max(1, SMALLEST // min(shown.truth.shape))
    return figures.panels([one.repeat(times, 0).repeat(times, 1) for one in pictures.values()], list(pictures))


def write_picture(path: Path, picture: figures.Picture) -> None:
    """Write a picture as PNG, atomically."""
    with atomic_path(path) as part:
        Image.fromarray(picture).save(part, "png")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options of ``demo``."""
    parser.add_argument("--3d", dest="volume", action="store_true", help="segment a volume, with the model for volumes")
    parser.add_argument(
        "--out", type=Path, default=Path("demo"), metavar="FOLDER",
        help="folder for labels and pictures (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--model", help=f"{MODEL_HELP} (default: {DEFAULT}, with --3d {VOLUMES})")
    values.add_device(parser)
    parser.add_argument("--overwrite", action="store_true", help="replace files that something else wrote")


def run(options: argparse.Namespace) -> int:
    """Run ``embedseg-ops demo``."""
    dims = 3 if options.volume else 2
    image, truth = find_files(dims)
    model_file = find_model(options.model or (VOLUMES if options.volume else DEFAULT))
    outputs = [options.out / name for name in ("labels.tif", "overlay.png", "steps.png")]
    record = Record(options.out / "record.json")
    ours = [*record.ours(), *([record.path] if record.known else [])]
    check_outputs([*outputs, record.path], [image, truth, model_file], options.out, ours, options.overwrite)
    device = choose_device(options.device)
    model = load_model(model_file, device)
    if model[1].spatial_dims != dims:
        hint = "leave --3d out" if options.volume else "give --3d"
        raise ValueError(f"--model {options.model}: a model of {model[1].spatial_dims} spatial axes; {hint}")
    print(f"segmenting {image} on device {device}", file=sys.stderr)
    shown = demonstrate(image, truth, model)
    options.out.mkdir(parents=True, exist_ok=True)
    made = made_from(image, file_hash(model_file), {})
    record.begin(made, outputs)
    write_labels(outputs[0], shown.labels)
    write_picture(outputs[1], draw_objects(shown, model[1].spacing))
    write_picture(outputs[2], draw_steps(shown.middle))
    record.finish(made, outputs, int(shown.labels.max()))
    precision = average_precision([shown.truth], [shown.labels])
    print(f"{shown.labels.max()} nuclei found, {len(np.unique(shown.truth)) - 1} there")
    print(f"AP at IoU 0.5: {precision.values[0]:.3f}; mean AP 0.5…0.9: {precision.mean:.3f}")
    print(f"written: {one_line(options.out)}/labels.tif, overlay.png, steps.png")
    return 0
