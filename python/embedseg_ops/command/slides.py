"""``embedseg-ops predict`` for images of any size: block by block, into a store."""

import argparse
import contextlib
import importlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import numpy as np

from embedseg_ops.command import values
from embedseg_ops.command.finding import Found
from embedseg_ops.command.options import argument_help
from embedseg_ops.command.reading import choice_of
from embedseg_ops.command.speech import one_line, say
from embedseg_ops.command.writers import channel_columns, check_installed
from embedseg_ops.data.errors import DataError
from embedseg_ops.data.images import open_image
from embedseg_ops.export.blocks import write_objects
from embedseg_ops.model.networks import EmbeddingModel
from embedseg_ops.model.settings import Settings
from embedseg_ops.predict.blocks.arrays import Stored, run_folder
from embedseg_ops.predict.blocks.folder import Folder
from embedseg_ops.predict.blocks.maps import ScratchType
from embedseg_ops.predict.blocks.network import Opened, Planes, image_file
from embedseg_ops.predict.blocks.scores import SCORES
from embedseg_ops.predict.blocks.segment_blocks import open_pixels, segment_blocks
from embedseg_ops.predict.blocks.sizes import HALOS, choose_core, read_bytes
from embedseg_ops.predict.blocks.stores import SUFFIXES
from embedseg_ops.predict.memory import memory_free, memory_needed

Model = tuple[EmbeddingModel, Settings]
#: what is written of objects, and where beside the labels
OBJECTS = {"table": ".csv", "parquet": ".parquet", "geojson": ".geojson", "rois": ".zip"}
SMALL = 2**30  # bytes; what needs less is segmented in one piece, or fails as it would in blocks


def add_arguments(group: Any) -> None:
    """Describe the options of images of any size."""
    group.add_argument(
        "--level", type=values.whole(0), default=0, metavar="INT",
        help="of a pyramid: its number, 0 for the largest (default: 0)",
    )  # fmt: skip
    group.add_argument(
        "--memory", type=memory, default="4GiB", metavar="SIZE",
        help="what this process, or each worker, may use for an image of any size (default: %(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--scratch-dtype", choices=get_args(ScratchType), default="float32",
        help=f"{argument_help(segment_blocks)['scratch_dtype']} (default: %(default)s)",
    )  # fmt: skip
    where = group.add_mutually_exclusive_group()
    where.add_argument(
        "--workers", type=values.whole(1), metavar="INT",
        help="processes on this machine, with dask (default: this one alone)",
    )  # fmt: skip
    where.add_argument("--scheduler", metavar="ADDRESS", help="of a dask cluster that sees the files")


def memory(text: str) -> str:
    """Read an amount of memory in which the smallest blocks have room."""
    try:
        size = read_bytes(text)
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"expected bytes, such as 4GiB, got {text!r}") from None
    try:
        choose_core((1, 1), dim=1, halo=HALOS[2], memory=text, itemsize=2)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{error}, which is {size} bytes") from None
    return text


def is_wanted(options: argparse.Namespace) -> bool:
    """Return whether the labels go to one store instead of a folder."""
    return options.out.suffix in SUFFIXES


def run(options: argparse.Namespace, model: Model) -> int:
    """Segment one image into a store; return the exit status."""
    if len(options.images) != 1:
        raise DataError(f"--out {options.out}: takes one image, got {len(options.images)}; give a folder for more")
    outputs = {kind: options.out.with_suffix(suffix) for kind, suffix in OBJECTS.items() if kind in options.write}
    if unknown := set(options.write) - {"labels", "overlay", *OBJECTS}:
        raise DataError(f"--write {','.join(sorted(unknown))}: an image of any size has {', '.join(OBJECTS)}")
    check_installed(outputs)
    for path in outputs.values():
        if path.exists() and not options.overwrite:
            raise DataError(f"{path} exists already; give --overwrite to replace it")
    objects = segment_slide(Path(options.images[0]), options.out, model, options, outputs)
    print(f"{objects:>8} objects  {one_line(options.out)}")
    return 0


def is_too_large(path: Path, settings: Settings, options: argparse.Namespace) -> bool:
    """Return whether an image would not fit into the memory that is free, but goes in blocks."""
    free = memory_free()
    if free is None:
        return False
    image = open_image(path, settings.spatial_dims, channels=settings.channels, **choice_of(options))
    shape = image.pixels.shape
    return len(shape) == settings.spatial_dims + 1 and memory_needed(shape, settings, options.tile) > max(free, SMALL)


def segment_beside(
    image: Found, model: Model, options: argparse.Namespace, outputs: dict[str, Path]
) -> tuple[int, Path]:
    """Segment an image that does not fit into memory; return the number of objects, and where its labels are."""
    suffix = ".zarr" if importlib.util.find_spec("zarr") else ".npy"
    out = options.out / image.name.with_name(f"{image.name.name}{suffix}")
    out.parent.mkdir(parents=True, exist_ok=True)
    say(f"{image.path}: does not fit into memory, and is segmented in blocks: {out}")
    return segment_slide(image.path, out, model, options, outputs), out


def segment_slide(path: Path, out: Path, model: Model, options: argparse.Namespace, outputs: dict[str, Path]) -> int:
    """Segment an image in blocks, and write what is wanted of its objects; return how many there are."""
    choice = choice_of(options) if path.suffix != ".npy" else {}
    run = Folder(run_folder(out, None) or out)
    scored = bool({"table", "parquet"} & set(outputs) and model[1].calibration)
    image = open_pixels(path, model[1], choice)
    size = image.pixel_size if isinstance(image, Opened) else None
    with cluster(options) as client:
        summary = segment_blocks(
            path, out, model, diameter=options.diameter and options.diameter.pixels(size), tile=options.tile,
            overlap=options.overlap, precision=options.precision, memory=options.memory, client=client, choice=choice,
            scores=scored, scratch_dtype=options.scratch_dtype, nan=options.nan, spacing=size,
        )  # fmt: skip
    wanted = {kind: outputs[kind] for kind in OBJECTS if kind in outputs}
    if wanted:
        write_wanted(image, out, model[1], wanted, run.load(SCORES) if scored else None)
    return summary.objects


def write_wanted(
    image: Any, out: Path, settings: Settings, outputs: dict[str, Path], scores: np.ndarray | None
) -> None:
    """Write the objects' table and outlines."""
    dims, pixels = settings.spatial_dims, Planes(image, settings.spatial_dims)
    file = image_file(image) if isinstance(image, Opened) else None
    write_objects(
        Stored(str(out / "0" if out.suffix == ".zarr" else out), "r")(), pixels,
        table=outputs.get("table"), parquet=outputs.get("parquet"), outlines=outputs.get("geojson"),
        rois=outputs.get("rois"), scores=scores,
        pixel_size=file.size_of("ZYX"[-dims:]) if file else None,
        channels=channel_columns(file, pixels.shape[0]) if file else None, progress=True,
    )  # fmt: skip


def check_cluster(options: argparse.Namespace) -> None:
    """Refuse a cluster without dask, before any image is read."""
    if (options.workers or options.scheduler) and importlib.util.find_spec("distributed") is None:
        raise ModuleNotFoundError('--workers and --scheduler need dask: pip install "embedseg-ops[cluster]"')


@contextlib.contextmanager
def cluster(options: argparse.Namespace) -> Iterator[Any]:
    """Yield the dask client that was asked for; None without."""
    if not options.workers and not options.scheduler:
        yield None
        return
    distributed: Any = importlib.import_module("distributed")
    with contextlib.ExitStack() as opened:
        if options.workers:
            local = distributed.LocalCluster(n_workers=options.workers, threads_per_worker=1, dashboard_address=None)
            opened.enter_context(local)
        yield opened.enter_context(distributed.Client(local if options.workers else options.scheduler))
