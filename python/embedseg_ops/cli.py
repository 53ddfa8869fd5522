"""The command line: ``embedseg-ops demo | train | predict | evaluate``."""

import argparse
import dataclasses
import glob
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image
from tqdm import tqdm

from embedseg_ops import demo, evaluation, figures, inference, readers, report, training
from embedseg_ops.data import Sample, load_folder
from embedseg_ops.metrics import average_precision
from embedseg_ops.weights import Settings, load_model

ARCHITECTURE = ("dim", "filters", "head_filters", "spatial_dims", "distance_features", "batch_norm", "foreground")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return the exit status: 0, or 2 for wrong files, options or devices, said in one line."""
    parser = argparse.ArgumentParser(prog="embedseg-ops", description="Instance segmentation with pixel embeddings.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    add_demo(commands.add_parser("demo", help="segment real nuclei with the model that comes with the package"))
    add_train(commands.add_parser("train", help="train a model on images and label maps"))
    add_predict(commands.add_parser("predict", help="segment images with a model"))
    add_evaluate(commands.add_parser("evaluate", help="measure predicted labels against the truth"))
    options = parser.parse_args(arguments)
    run: Callable[[argparse.Namespace], None] = options.run
    try:
        run(options)
    except (ValueError, FileNotFoundError) as error:
        print(f"embedseg-ops: {error}", file=sys.stderr)
        return 2
    return 0


def add_demo(parser: argparse.ArgumentParser) -> None:
    """Describe the options of ``demo``."""
    parser.add_argument("--out", type=Path, default=Path("demo"), help="folder for labels and pictures (%(default)s)")
    parser.add_argument("--model", help="model file; without, the one that comes with the package")
    parser.add_argument("--device", help="cpu or cuda; CUDA where there is one")
    parser.set_defaults(run=run_demo)


def run_demo(options: argparse.Namespace) -> None:
    """Run ``embedseg-ops demo``."""
    image, truth = demo.find_files()
    device = inference.choose_device(options.device)
    model = load_model(options.model or inference.shipped_model(), device)
    print(f"segmenting {image} on device {device}", file=sys.stderr)
    shown = demo.demonstrate(image, truth, model)
    options.out.mkdir(parents=True, exist_ok=True)
    write_labels(options.out / "labels.tif", shown.labels)
    demo.write_pictures(shown, options.out)
    precision = average_precision(shown.truth, shown.labels)
    print(f"{shown.labels.max()} nuclei found, {len(np.unique(shown.truth)) - 1} there")
    print(f"AP at IoU 0.5: {precision.values[0]:.3f}; mean AP 0.5…0.9: {precision.mean:.3f}")
    print(f"written: {options.out}/labels.tif, overlay.png, steps.png")


def add_train(parser: argparse.ArgumentParser) -> None:
    """Describe the options of ``train``."""
    defaults, settings = training.Options(), Settings()
    parser.add_argument(
        "data", type=Path, help="folder with train/ and perhaps val/, each {images,labels|masks} or Kaggle's"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the run; one that was begun is continued")
    parser.add_argument(
        "--hold-out", type=int, default=8, help="without val/, validate on every n-th image (%(default)s)"
    )
    for name, text in {
        "steps": "optimiser steps", "batch": "crops in a step", "crop": "side of a crop, in pixels",
        "learning_rate": "the largest of the one-cycle schedule", "distance": "objects nearer than this are neighbours",
        "embedding_weight": "λ₁", "target_scale": "of the distance map in the loss; 1 in the paper",
        "sparsity_weight": "of the constraint that keeps directions on the axes",
        "foreground_weight": "of the loss of --foreground",
        "seed": "of weights, crops and order", "checkpoint_every": "steps between checkpoints",
        "validate_every": "steps between validations", "workers": "processes that prepare crops",
    }.items():  # fmt: skip
        default = getattr(defaults, name)
        parser.add_argument(option(name), type=type(default), default=default, help=f"{text} (%(default)s)")
    for name, text in {
        "dim": "dimension of the embedding", "filters": "filters of the U-Net at full resolution",
        "spatial_dims": "2 for images, 3 for volumes",
    }.items():  # fmt: skip
        default = getattr(settings, name)
        parser.add_argument(option(name), type=int, default=default, help=f"{text} (%(default)s)")
    parser.add_argument(
        "--weights", choices=["balanced", "none"], default="none", help="of the pixels; balanced in the paper"
    )
    parser.add_argument("--head-filters", type=int, help="filters of the two branches; as --filters if not given")
    parser.add_argument("--batch-norm", action="store_true", help="normalise after every convolution")
    parser.add_argument(
        "--distance-features", action="store_true", help="let the embedding branch see the distance branch"
    )
    parser.add_argument(
        "--foreground", action="store_true", help="learn the foreground, too, and cut the distance map with it"
    )
    parser.add_argument(
        "--init",
        help="start from the weights, and with the architecture, of this model file; shipped: of the package's",
    )
    parser.add_argument(
        "--bf16", action=argparse.BooleanOptionalAction,
        help="compute the network in bfloat16; if neither is given, where the device has instructions for it",
    )  # fmt: skip
    parser.add_argument(
        "--postprocess", type=json.loads, default=settings.postprocess,
        help="the model's options of the postprocessing, as JSON; {} is the paper's (%(default)s)",
    )  # fmt: skip
    parser.add_argument("--provenance", default="", help="words about data and licence, kept in the model's file")
    parser.add_argument("--device", help="cpu or cuda; CUDA where there is one")
    parser.set_defaults(run=train)


def option(name: str) -> str:
    """Return the command line's spelling of a Python name."""
    return "--" + name.replace("_", "-")


def train(options: argparse.Namespace) -> None:
    """Run ``embedseg-ops train``."""
    first = os.environ.get("RANK", "0") == "0"  # of torchrun's processes, one speaks
    given = {**vars(options), "channels": None}
    init = inference.shipped_model() if options.init == "shipped" else options.init
    if init:
        begun = dataclasses.asdict(load_model(init)[1])
        begun["foreground"] |= options.foreground
        given |= {field: begun[field] for field in ("channels", *ARCHITECTURE)}
    samples, validation = load_training_data(
        options.data, given["spatial_dims"], given["channels"], options.hold_out, first
    )
    settings = Settings(
        channels=len(samples[0].image),
        **{field: given[field] for field in ARCHITECTURE},
        postprocess=options.postprocess,
        provenance=options.provenance,
    )
    fields = {field.name for field in dataclasses.fields(training.Options)} & set(given)
    chosen = training.Options(**{field: given[field] for field in fields - {"weights"}})
    chosen = dataclasses.replace(chosen, weights=None if options.weights == "none" else options.weights)
    trainer = training.Trainer(
        options.out, settings, samples, validation, chosen, options.device, progress=True, init=init
    )
    if first:
        counts = f"{len(samples)} images, validating on {len(validation)}"
        print(f"training on {counts}, on device {trainer.device}", file=sys.stderr)
    trainer.run()
    trainer.group.leave()
    if first:
        print(f"models in {options.out}: best.safetensors, last.safetensors", file=sys.stderr)


def load_training_data(
    folder: Path, spatial_dims: int, channels: int | None, hold_out: int, progress: bool
) -> tuple[list[Sample], list[Sample]]:
    """Return the samples to train on and those to validate on: ``val/``, or every `hold_out`-th of ``train/``."""
    samples = load_folder(folder / "train", spatial_dims=spatial_dims, channels=channels, progress=progress)
    if (folder / "val").is_dir():
        channels = len(samples[0].image)
        return samples, load_folder(folder / "val", spatial_dims=spatial_dims, channels=channels, progress=progress)
    held = samples[::hold_out] if hold_out and len(samples) > 1 else []
    return [sample for number, sample in enumerate(samples) if not (held and number % hold_out == 0)], held


def add_predict(parser: argparse.ArgumentParser) -> None:
    """Describe the options of ``predict``."""
    parser.add_argument("images", nargs="+", help="image files, folders of them, or patterns such as 'scans/*.tif'")
    parser.add_argument("--model", help="model file; without, the one that comes with the package")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for the labels, NAME.tif, and pictures, overlays/NAME.png"
    )
    parser.add_argument("--tile", type=int, help="largest side of a tile, in pixels")
    parser.add_argument("--overlap", type=int, help="of neighbouring tiles, in pixels")
    parser.add_argument("--device", help="cpu or cuda; CUDA where there is one")
    parser.set_defaults(run=predict)


def predict(options: argparse.Namespace) -> None:
    """Run ``embedseg-ops predict``."""
    paths = find_images(options.images)
    device = inference.choose_device(options.device)
    model = load_model(options.model or inference.shipped_model(), device)
    (options.out / "overlays").mkdir(parents=True, exist_ok=True)
    print(f"segmenting {len(paths)} images on device {device}", file=sys.stderr)
    for path in tqdm(paths, unit="image"):
        image = readers.read_image(path, model[1].spatial_dims)
        labels = inference.segment(image, model, tile=options.tile, overlap=options.overlap)
        write_labels(options.out / f"{path.stem}.tif", labels)
        write_overlay(options.out / "overlays" / f"{path.stem}.png", image, labels)


def find_images(names: Sequence[str]) -> list[Path]:
    """Return the image files that names of files and folders and patterns stand for.

    Raises:
        DataError: a name stands for nothing, or two files would give labels of the same name.
    """
    paths: list[Path] = []
    for name in names:
        folder = Path(name)
        found = readers.find_files(folder) if folder.is_dir() else [Path(hit) for hit in sorted(glob.glob(name))]
        if not found:
            raise readers.DataError(f"{name}: no image there")
        paths += found
    stems: dict[str, Path] = {}
    for path in paths:
        if stems.setdefault(path.stem, path) != path:
            raise readers.DataError(f"{path}: its labels would overwrite those of {stems[path.stem]}")
    return list(stems.values())


def write_labels(path: Path, labels: np.ndarray) -> None:
    """Write labels as a compressed TIFF, uint16 where they fit and uint32 where not."""
    dtype = np.uint16 if labels.max(initial=0) < 2**16 else np.uint32
    tifffile.imwrite(path, labels.astype(dtype), compression="zlib")


def write_overlay(path: Path, image: np.ndarray, labels: np.ndarray) -> None:
    """Write the outlines of the objects on the image as a PNG; of a volume, those in the middle plane."""
    picture = figures.overlay(figures.drawable(image), figures.middle_plane(labels))
    Image.fromarray(picture).save(path)


def add_evaluate(parser: argparse.ArgumentParser) -> None:
    """Describe the options of ``evaluate``."""
    parser.add_argument("truth", type=Path, help="folder of label maps")
    parser.add_argument("prediction", type=Path, help="folder of label maps of the same names")
    parser.add_argument("--spatial-dims", type=int, default=2, help="2 for images, 3 for volumes (%(default)s)")
    parser.add_argument("--json", type=Path, help="write the measures there, too")
    parser.add_argument("--report", type=Path, help="write an HTML page of measures, charts and pictures there")
    parser.add_argument("--images", type=Path, help="folder of the images, for the report to draw on")
    parser.set_defaults(run=evaluate)


def evaluate(options: argparse.Namespace) -> None:
    """Run ``embedseg-ops evaluate``."""
    names, truth, prediction = evaluation.read_pairs(options.truth, options.prediction, options.spatial_dims)
    summary = evaluation.summarize(names, truth, prediction)
    print(evaluation.table(summary))
    if options.json:
        evaluation.write_json(options.json, summary)
    if options.report:
        images = evaluation.read_images(options.images, names, truth) if options.images else None
        options.report.write_text(report.html_report(summary, truth, prediction, images), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
