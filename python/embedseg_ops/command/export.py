"""``embedseg-ops export``: a model as other programs run it."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from embedseg_ops.command import values
from embedseg_ops.command.outputs import check_outputs
from embedseg_ops.command.speech import one_line
from embedseg_ops.data.images import read_image
from embedseg_ops.interchange.aoti import write_aoti
from embedseg_ops.interchange.bioimageio import Publication, write_bioimageio
from embedseg_ops.interchange.onnx import write_onnx
from embedseg_ops.model.devices import choose_device
from embedseg_ops.model.files import load_model
from embedseg_ops.model.networks import EmbeddingModel
from embedseg_ops.model.registry import DEFAULT, MODEL_HELP, find_model
from embedseg_ops.model.settings import Settings

HELP = "write a model for other programs"
EXAMPLE = "export RUN/best.safetensors --to onnx --out model.onnx"
KINDS = {
    "onnx": "the network, for ONNX Runtime and others",
    "bioimageio": "a package for bioimage.io",
    "aoti": "network and postprocessing, compiled for this machine, for Python and C++ (minutes)",
}
ENDINGS = {"onnx": ".onnx", "bioimageio": ".zip", "aoti": ".pt2"}
PUBLICATION = ("image", "name", "author", "licence")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options of ``export``."""
    parser.add_argument("model", nargs="?", help=f"{MODEL_HELP} (default: {DEFAULT})")
    kinds = "; ".join(f"{name}: {text}" for name, text in KINDS.items())
    parser.add_argument("--to", choices=KINDS, required=True, metavar="FORMAT", help=kinds)
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help=f"file to write: NAME{', NAME'.join(ENDINGS.values())}"
    )
    parser.add_argument("--device", type=values.device, help="of aoti, what to compile for: cpu (the default) or cuda")
    parser.add_argument("--overwrite", action="store_true", help="replace a file that is there")
    group = parser.add_argument_group("bioimageio")
    group.add_argument(
        "--image", type=Path, metavar="FILE", help="an image that the model knows, for tests and for the cover"
    )
    group.add_argument("--name", help="of the model")
    group.add_argument("--author", action="append", help="a name; again for another")
    group.add_argument("--licence", help="of the weights, such as CC-BY-4.0 (default: what the model's file says)")


def run(options: argparse.Namespace) -> int:
    """Run ``embedseg-ops export``; return the exit status."""
    file = find_model(options.model)
    inputs = [file, *([options.image] if options.image else [])]
    check_outputs([options.out], inputs, options.out.parent, overwrite=options.overwrite)
    if not options.out.parent.is_dir():
        raise FileNotFoundError(f"{options.out}: there is no folder {options.out.parent}")
    write = writer(options)
    model, settings = load_model(file, choose_device(options.device or "cpu"))
    print(f"exporting {one_line(file)} to {options.to}", file=sys.stderr)
    write(options.out, model, settings)
    print(f"written: {one_line(options.out)}")
    return 0


def writer(options: argparse.Namespace) -> Callable[[Path, EmbeddingModel, Settings], None]:
    """Return what writes the format, or raise a ValueError for options that do not fit it."""
    given = [name for name in PUBLICATION if getattr(options, name)]
    if options.to == "bioimageio":
        missing = [f"--{name}" for name in PUBLICATION[:-1] if name not in given]
        if missing:
            raise ValueError(f"--to bioimageio needs {', '.join(missing)}, too")
    elif given:
        raise ValueError(f"--{given[0]} is for --to bioimageio")
    if options.device and options.to != "aoti":
        raise ValueError("--device is for --to aoti")
    if options.out.suffix != ENDINGS[options.to]:
        raise ValueError(f"--out {options.out}: must end in {ENDINGS[options.to]} for --to {options.to}")
    if options.to != "bioimageio":
        return write_onnx if options.to == "onnx" else write_aoti

    def package(path: Path, model: EmbeddingModel, settings: Settings) -> None:
        image = read_image(options.image, settings.spatial_dims, channels=settings.channels)
        about = Publication(options.name, tuple(options.author), options.licence)
        write_bioimageio(path, model, settings, image, about)

    return package
