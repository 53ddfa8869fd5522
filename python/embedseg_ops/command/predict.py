"""``embedseg-ops predict``: labels and pictures for images."""

import argparse
import glob
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from embedseg_ops.data.errors import DataError
from embedseg_ops.data.folders import find_files
from embedseg_ops.data.images import read_image
from embedseg_ops.export.overlay import write_overlay
from embedseg_ops.export.tiff import write_labels
from embedseg_ops.model.devices import choose_device
from embedseg_ops.model.files import load_model, shipped_model
from embedseg_ops.predict.segment import segment

HELP = "segment images with a model"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options of ``predict``."""
    parser.add_argument("images", nargs="+", help="image files, folders of them, or patterns such as 'scans/*.tif'")
    parser.add_argument("--model", help="model file; without, the one that comes with the package")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for the labels, NAME.tif, and pictures, overlays/NAME.png"
    )
    parser.add_argument(
        "--diameter", type=float, help="of the objects, in pixels, for a model that has one; estimated if not given"
    )
    parser.add_argument("--tile", type=int, help="largest side of a tile, in pixels")
    parser.add_argument("--overlap", type=int, help="of neighbouring tiles, in pixels")
    parser.add_argument("--device", help="cpu or cuda; CUDA where there is one")


def run(options: argparse.Namespace) -> None:
    """Run ``embedseg-ops predict``."""
    paths = find_images(options.images)
    device = choose_device(options.device)
    model = load_model(options.model or shipped_model(), device)
    (options.out / "overlays").mkdir(parents=True, exist_ok=True)
    print(f"segmenting {len(paths)} images on device {device}", file=sys.stderr)
    for path in tqdm(paths, unit="image"):
        image = read_image(path, model[1].spatial_dims, channels=model[1].channels)
        labels = segment(image, model, diameter=options.diameter, tile=options.tile, overlap=options.overlap)
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
        found = find_files(folder) if folder.is_dir() else [Path(hit) for hit in sorted(glob.glob(name))]
        if not found:
            raise DataError(f"{name}: no image there")
        paths += found
    stems: dict[str, Path] = {}
    for path in paths:
        if stems.setdefault(path.stem, path) != path:
            raise DataError(f"{path}: its labels would overwrite those of {stems[path.stem]}")
    return list(stems.values())
