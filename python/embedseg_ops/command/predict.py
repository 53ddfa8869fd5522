"""``embedseg-ops predict``: labels, pictures and tables of images."""

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
from tqdm import tqdm

from embedseg_ops.command import slides, values
from embedseg_ops.command.batch import Batch
from embedseg_ops.command.jobs import Job, Normalization, plan
from embedseg_ops.command.options import add_parameters, argument_help, given_parameters
from embedseg_ops.command.reading import add_choice, check_choice, choice_of
from embedseg_ops.command.speech import one_line, say
from embedseg_ops.command.writers import WRITERS, Result
from embedseg_ops.data.images import read
from embedseg_ops.data.writing import remove_leftovers
from embedseg_ops.evaluate.figures import DIM
from embedseg_ops.model.devices import choose_device
from embedseg_ops.model.files import load_model
from embedseg_ops.model.networks import EmbeddingModel
from embedseg_ops.model.registry import DEFAULT, MODEL_HELP
from embedseg_ops.model.settings import Settings
from embedseg_ops.ops.options import PostprocessOptions
from embedseg_ops.ops.postprocess import postprocess
from embedseg_ops.predict.blocks.stores import SUFFIXES as STORES
from embedseg_ops.predict.checks import check_postprocess
from embedseg_ops.predict.memory import memory_free, memory_needed
from embedseg_ops.predict.network import OVERLAPS, TILES, tile_sizes
from embedseg_ops.predict.prediction import NotFinite
from embedseg_ops.predict.prepare import Precision
from embedseg_ops.predict.segment import segment, segment_with_scores

HELP = "segment images with a model"
EXAMPLE = "predict scans --out labels --write labels,overlay,table"
ALIASES = {"seed_threshold": "--threshold", "min_object_size": "--min-size"}
SEGMENT = argument_help(segment)
Model = tuple[EmbeddingModel, Settings]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options of ``predict``."""
    parser.add_argument("images", nargs="+", help="image files, folders of them, or patterns such as 'scans/*.tif'")
    parser.add_argument("--model", help=f"{MODEL_HELP} (default: {DEFAULT})")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="PATH",
        help="folder for the outputs, folders in it as in the input; or a name that ends with "
        f"{', '.join(STORES)}, for one image of any size",
    )  # fmt: skip
    values.add_device(parser)
    parser.add_argument(
        "--recursive",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="look into folders in folders (default: yes)",
    )
    kinds = "; ".join(f"{name}: {writer.help}" for name, writer in WRITERS.items())
    parser.add_argument(
        "--write", type=values.words(WRITERS), default=["labels", "overlay"], metavar="KIND,KIND",
        help=f"what to write (default: labels,overlay). {kinds}",
    )  # fmt: skip
    parser.add_argument("--no-overlay", action="store_true", help="write no overlay")
    parser.add_argument("--ids", action="store_true", help="write the objects' ids onto the overlay")
    parser.add_argument(
        "--gamma", type=values.number(above=True), default=DIM, metavar="FLOAT",
        help="of the overlay: below 1 lightens what is dim (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--overwrite", action="store_true", help="replace files that something else wrote")
    parser.add_argument("--redo", action="store_true", help="do again what an earlier run has done with these options")
    add_choice(parser, one_by_one=True)
    network = parser.add_argument_group("the network")
    network.add_argument(
        "--diameter", type=values.length, metavar="LENGTH",
        help="median diameter of the objects, for a model that has one: in pixels, or 8um where the file tells the "
        "size of a pixel (default: estimated)",
    )  # fmt: skip
    network.add_argument(
        "--nan", choices=get_args(NotFinite), default="error", help=f"{SEGMENT['nan']} (default: %(default)s)"
    )
    add_parameters(network, Settings, Normalization, "the model's own", {})
    for name, least, told, sizes in (
        ("--tile", 1, "largest side of a tile", TILES), ("--overlap", 0, "of neighbouring tiles", OVERLAPS)
    ):  # fmt: skip
        told = f"{told}, in pixels (default: {sizes[2]}, in volumes {sizes[3]})"
        network.add_argument(name, type=values.whole(least), metavar="INT", help=told)
    network.add_argument(
        "--precision", choices=get_args(Precision), default="float32",
        help=f"{SEGMENT['precision']} (default: %(default)s)",
    )  # fmt: skip
    slides.add_arguments(parser.add_argument_group("images of any size"))
    group = parser.add_argument_group("postprocessing")
    add_parameters(group, postprocess, PostprocessOptions, "the model's own", ALIASES)


def run(options: argparse.Namespace) -> int:
    """Run ``embedseg-ops predict``; return the exit status."""
    if slides.is_wanted(options):
        return slides.run(options, open_model(options))
    jobs, todo = plan(options)
    model = open_model(options) if todo else None
    for folder in {path.parent for job in todo for path in (*job.outputs.values(), job.record.path)}:
        folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder)
    batch = Batch(options.debug)
    done: list[tuple[int, Path]] = []
    try:
        if model:
            segment_all(todo, model, options, batch, done)
    finally:
        for objects, path in done:
            print(f"{objects:>8} objects  {one_line(path)}")
        skipped = len(jobs) - len(todo)
        say(f"{len(done)} of {len(jobs)} images done" + f", {skipped} done before" * bool(skipped))
    return batch.finish(len(todo))


def open_model(options: argparse.Namespace) -> Model:
    """Return the model with the normalisation and the postprocessing that were asked for."""
    network, settings = load_model(options.model, choose_device(options.device))
    if options.diameter is not None and settings.diameter is None:
        raise ValueError("--diameter is given, but this model has none of its own: it sees every image as it is")
    chosen: Any = {**settings.postprocess, **given_parameters(options, PostprocessOptions)}
    normalization: Any = given_parameters(options, Normalization)
    model = network, dataclasses.replace(settings, postprocess=chosen, **normalization)
    check_options(model, options)
    return model


def segment_all(
    jobs: Sequence[Job], model: Model, options: argparse.Namespace, batch: Batch, done: list[tuple[int, Path]]
) -> None:
    """Segment the images; add each one's number of objects, and where its first output is, to `done`."""
    print(f"segmenting {len(jobs)} images on device {next(model[0].parameters()).device}", file=sys.stderr)
    for job in tqdm(jobs, unit="image", disable=len(jobs) == 1):
        with batch.attempt(job.image.path):
            if slides.is_too_large(job.image.path, model[1], options):
                done.append(slides.segment_beside(job.image, model, options, job.outputs))
                continue
            result = segment_file(job.image.path, model, options, progress=len(jobs) == 1)
            objects = write_all(job, result)
            done.append((objects, next(iter(job.outputs.values()), job.image.path)))


def check_options(model: Model, options: argparse.Namespace) -> None:
    """Refuse options that no image can meet, before any is read."""
    network, settings = model
    check_choice(options, settings.spatial_dims)
    slides.check_cluster(options)
    tile_sizes(settings.spatial_dims, network.divisor, options.tile, options.overlap)
    check_postprocess(settings)


def segment_file(path: Path, model: Model, options: argparse.Namespace, progress: bool) -> Result:
    """Read an image and segment it, plane by plane if it has planes; score its objects for a table if the model can."""
    settings = model[1]
    image = read(path, settings.spatial_dims, channels=settings.channels, **choice_of(options))
    for note in image.notes:
        say(f"{path}: {note}")
    pixels = np.asarray(image.pixels)
    planes = pixels.shape[: image.axes.index("C")]
    how: dict[str, Any] = {name: getattr(options, name) for name in ("nan", "tile", "overlap", "precision")}
    how["spacing"] = size = image.size_of("ZYX"[-settings.spatial_dims :])
    how["diameter"] = options.diameter and options.diameter.pixels(size)
    check_memory(path, memory_needed(pixels.shape[len(planes) :], settings, options.tile, how["diameter"]))
    labels = np.zeros(planes + pixels.shape[len(planes) + 1 :], np.int32)
    scores: dict[tuple[int, ...], np.ndarray] = {}
    scored = settings.calibration and {"table", "parquet"} & set(options.write)
    for place in np.ndindex(planes):
        if scored:
            labels[place], scores[place] = segment_with_scores(pixels[place], model, progress=progress, **how)
        else:
            labels[place] = segment(pixels[place], model, progress=progress, **how)
    return Result(image, labels, options, scores)


def check_memory(path: Path, needed: int) -> None:
    """Refuse an image for which there is not enough memory; say how much a large one needs."""
    free = memory_free()
    if free is None:
        return
    said = f"{path}: needs about {needed / 2**30:.1f} GiB of memory, {free / 2**30:.1f} GiB are free"
    if needed > free:
        raise MemoryError(f"{said}; cut the image, give a smaller --tile, or use embedseg_ops.segment_blocks")
    if needed > 2**30:
        say(said)


def write_all(job: Job, result: Result) -> int:
    """Write the outputs of an image; return its number of objects."""
    planes = result.labels.reshape(-1, *result.labels.shape[len(result.planes) :])
    objects = sum(int(plane.max(initial=0)) for plane in planes)
    job.record.begin(job.made, job.outputs.values())
    for kind, path in job.outputs.items():
        WRITERS[kind].write(path, result)
    job.record.finish(job.made, job.outputs.values(), objects)
    return objects
