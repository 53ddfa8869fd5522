"""From an image of any size to labels, block by block."""

import hashlib
import math
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch

from embedseg_ops.data.scale import rescaling
from embedseg_ops.model.devices import choose_device
from embedseg_ops.model.files import load_model, save_model
from embedseg_ops.model.networks import EmbeddingModel
from embedseg_ops.model.registry import ModelName
from embedseg_ops.model.settings import Settings
from embedseg_ops.predict.blocks.arrays import check_chunks, check_shared, handle, run_folder
from embedseg_ops.predict.blocks.diameter import Look, cut, estimate
from embedseg_ops.predict.blocks.engine import Writing, read_ahead, run_tasks
from embedseg_ops.predict.blocks.folder import Folder
from embedseg_ops.predict.blocks.grid import Grid
from embedseg_ops.predict.blocks.job import Job
from embedseg_ops.predict.blocks.maps import Maps, ScratchType, TileGrid, TileMaps, ZoomedMaps
from embedseg_ops.predict.blocks.network import Opened, Planes, Source, Tiler
from embedseg_ops.predict.blocks.options import complete
from embedseg_ops.predict.blocks.passes import Summary, finished, run_passes
from embedseg_ops.predict.blocks.percentiles import image_percentiles
from embedseg_ops.predict.blocks.postprocess_blocks import check_out, describe, scratch, sides
from embedseg_ops.predict.blocks.scores import SCORES
from embedseg_ops.predict.blocks.sizes import HALOS, choose_core
from embedseg_ops.predict.blocks.stores import SUFFIXES, check_own, open_labels
from embedseg_ops.predict.checks import check_axes
from embedseg_ops.predict.network import tile_sizes
from embedseg_ops.predict.prediction import NotFinite, check_nan
from embedseg_ops.predict.prepare import Precision, choose_precision
from embedseg_ops.predict.scale import check_diameter, stretching, zoom_by
from embedseg_ops.predict.scores import calibration_of
from embedseg_ops.predict.zoom import Zoom


def segment_blocks(
    image: Any,
    out: Any,
    model: ModelName | tuple[EmbeddingModel, Settings] | None = None,
    *,
    device: str | torch.device | None = None,
    diameter: float | None = None,
    nan: NotFinite = "error",
    tile: int | None = None,
    overlap: int | None = None,
    precision: Precision = "float32",
    block: int | tuple[int, ...] | None = None,
    halo: int | None = None,
    memory: int | str = "4GiB",
    client: Any = None,
    resume: bool = True,
    folder: str | os.PathLike[str] | None = None,
    progress: bool = True,
    choice: Mapping[str, Any] | None = None,
    spacing: Sequence[float] | None = None,
    scores: bool = False,
    scratch_dtype: ScratchType = "float32",
) -> Summary:
    """Segment an image of any size: exactly what :func:`embedseg_ops.segment` gives for the whole image.

    The network's outputs are kept in the run's folder, about 74 bytes a pixel with 16 dimensions, and read block by
    block; see :func:`embedseg_ops.postprocess_blocks`. A run that was interrupted, by whatever, goes on where it was.

    Args:
        image: ``[*spatial]`` or ``[C, *spatial]``, any real dtype: a zarr, dask or NumPy array, a memmap, or the path
            of a .npy file or of any image that `embedseg_ops.data.images.open_image` opens (TIFF and Zarr are read
            window by window). Its percentiles are those of the whole, for integers of up to 16 bits from
            a histogram, for others in a larger image from a sample of 2²⁴ pixels.
        out: receives the labels ``[*spatial]``: an array of integers of the same kinds, or a path that ends with .zarr
            (OME-Zarr 0.5, uint32, with a pyramid), .tif (OME-TIFF, uint32, not compressed) or .npy (uint32), made if it
            is not there.
        model: as of :func:`embedseg_ops.segment`.
        device: where the network runs; None: CUDA where there is one, else the CPU.
        diameter: as of :func:`embedseg_ops.segment`; None, for a model that has one: estimated as there, in an image
            of more than 2²⁰ pixels (a volume of 2¹⁸) from objects in up to 64 windows, drawn by a seed.
        nan: as of :func:`embedseg_ops.segment`.
        tile: see `predict_network`.
        overlap: see `predict_network`.
        precision: as of :func:`embedseg_ops.segment`; "auto" takes no client, whose workers may differ.
        block: see :func:`embedseg_ops.postprocess_blocks`, as the following.
        halo: around a block.
        memory: bytes of this process, or of each worker.
        client: a `distributed.Client`.
        resume: go on where an interrupted run stopped.
        folder: keeps the run's files; None: in a .zarr, beside another file; for an array, one that is removed.
        progress: show a progress bar for each pass.
        choice: of what a file holds, as `open_image` takes it: ``{"level": 1, "channel": "DAPI"}``.
        spacing: as of :func:`embedseg_ops.segment`.
        scores: leave the objects' scores in the run's folder: ``scores.npy``, float64 ``[objects]``, those of
            :func:`embedseg_ops.segment_with_scores`. A run that is over without them runs the network again, for them.
        scratch_dtype: of the embedding in the run's folder; "float16" takes half of the disk, and the labels are not
            quite those of the whole image.

    Returns:
        how many objects, seeds, pieces of seeds that were merged, and rounds of growth there were.

    Raises:
        TypeError: an argument is no array.
        FileExistsError: `out` is a path where something is that no run in the folder made.
        ValueError: the image's axes or channels are not the model's or its values not finite, a size or a word is
            wrong, or the folder holds another run; scores of a model without calibration, or without a folder.
    """
    runs_on = device_of_tasks(device, model, client)
    model = network, settings = model if isinstance(model, tuple) else load_model(model)
    precision = precision_of_tasks(precision, runs_on, client)
    check_diameter(diameter, settings)
    calibration = calibration_of(settings) if scores else None
    check_nan(nan)
    if scratch_dtype not in get_args(ScratchType):
        raise ValueError(f"scratch_dtype must be one of {', '.join(get_args(ScratchType))}, got {scratch_dtype!r}")
    opens = open_pixels(image, settings, choice or {})
    planes = Planes(opens, settings.spatial_dims, nan)
    check_axes(tuple(opens().shape), settings)
    shape = planes.shape[1:]
    stretches = tuple(stretching(spacing, settings.spacing, len(shape)))
    halo = HALOS[len(shape)] if halo is None else halo
    core = sides(block, shape) or choose_sides(shape, settings, None, halo, memory)  # the least that is needed
    tiles = tile_sizes(len(shape), network.divisor, tile, overlap)
    options = complete(settings.postprocess)
    keeps = run_folder(out, folder)
    if scores and keeps is None:
        raise ValueError("scores are kept in the run's folder: give folder=")
    with scratch(keeps) as path:
        given = given_labels(out, shape, path, client)
        if client is not None:
            check_shared(opens, "image")
        threads = min(client.nthreads().values()) if client is not None else torch.get_num_threads()
        place = Folder(path)
        run = describe(shape, halo, options) | {
            "image": str(planes.dtype), "changed": changed(image), "model": digest(network), "device": runs_on,
            "tile": tiles[0], "overlap": tiles[1], "threads": threads, "precision": precision,
            "nan": nan, "scratch": scratch_dtype,
        }  # fmt: skip
        place.start(run, resume)  # before the labels are made: what is there without a run is somebody's
        runner = partial(run_tasks, client=client, threads=threads, progress=progress)
        source = partial(open_source, place, planes, model, runs_on, precision)
        zoom = choose_zoom(place, source, settings, diameter, stretches, shape, tiles, runner)
        core = sides(block, shape) or choose_sides(shape, settings, zoom, halo, memory)
        if client is not None and given is not None:
            check_chunks(given(), core)
        place.note({"block": core, "enlarged": zoom and zoom.size, "percentiles": settings.percentiles})
        size = opens.pixel_size if isinstance(opens, Opened) else None
        levels = (given,) if given is not None else open_labels(out, shape, core, size)
        if (summary := finished(place)) is not None and (place.has(SCORES) or not scores):
            return summary
        maps = network_maps(place, source(), model, zoom, tiles, client, threads, progress, scratch_dtype)
        job = Job(place, Grid(shape, core), halo, maps, options, levels[0], levels[1:])
        return run_passes(job, client, threads, progress, calibration)


def given_labels(out: Any, shape: tuple[int, ...], folder: Path, client: Any) -> Callable[[], Any] | None:
    """Return what opens the array that the caller has for labels; None for a path where there will be one."""
    if isinstance(out, str | os.PathLike) and Path(out).suffix in SUFFIXES:
        check_own(Path(out), folder)
        return None
    given = handle(out, "out", "r+")
    check_out(given(), shape)
    if client is not None:
        check_shared(given, "out")
    return given


def open_source(
    place: Folder, planes: Planes, model: tuple[EmbeddingModel, Settings], device: str | None, precision: Precision
) -> Source:
    """Return an image with the network that sees it, which is kept in the folder, as the image's percentiles are."""
    if not place.has("model.safetensors"):
        save_model(place.file("model.safetensors"), *model)
    low, high = percentiles(place, planes, model[1])
    return Source(planes, low, high, str(place.file("model.safetensors")), device, precision)


def choose_zoom(
    place: Folder, source: Callable[[], Source], settings: Settings, diameter: float | None,
    stretches: tuple[float, ...], shape: tuple[int, ...], tiles: tuple[int, int], run: Callable[..., None],
) -> Zoom | None:  # fmt: skip
    """Return the size in which the network sees an image; None: as it is. What is estimated is noted, once in a run."""
    if diameter is not None or settings.diameter is None:
        return zoom_by(rescaling(diameter, settings.diameter), stretches, shape)
    if "estimate" not in place.run():
        grid, margin = cut(shape)
        look = Look(place, source(), settings, grid, margin, stretches, *tiles)
        place.note({"estimate": estimate(look, run)})
    return zoom_by(place.run()["estimate"]["factor"], stretches, shape)


def network_maps(
    place: Folder, source: Source, model: tuple[EmbeddingModel, Settings], zoom: Zoom | None, tiles: tuple[int, int],
    client: Any = None, threads: int = 0, progress: bool = False, dtype: ScratchType = "float32",
) -> Maps:  # fmt: skip
    """Run the network over an image, where an earlier run has not; return its outputs, which the folder keeps."""
    network, settings = model
    grid = TileGrid.over(zoom.size if zoom else source.image.shape[1:], *tiles, network.divisor)
    maps = TileMaps(place.file("tiles", "0").parent, grid, settings.dim, dtype)
    run_network(Tiler(source, maps, zoom), client, threads, progress)
    return ZoomedMaps(maps, zoom.back()) if zoom else maps


def choose_sides(
    shape: Sequence[int], settings: Settings, zoom: Zoom | None, halo: int, memory: int | str
) -> tuple[int, ...]:
    """Return the sides of the largest blocks that fit into memory, for an image that the network sees zoomed."""
    wide = 1.0
    if zoom:
        factors = [max(size / side, 1.0) for size, side in zip(zoom.size, zoom.shape, strict=True)]
        wide = math.prod(factors) + 3 * math.prod(factors[1:])  # rows of a row, at most
    return choose_core(shape, math.ceil(settings.dim * wide), halo, memory)


def device_of_tasks(device: str | torch.device | None, model: Any, client: Any) -> str | None:
    """Return where the network runs; None: each worker decides, for this process may have another device."""
    if client is not None:
        return None if device is None else str(device)
    return str(next(model[0].parameters()).device if isinstance(model, tuple) else choose_device(device))


def precision_of_tasks(precision: Precision, device: str | None, client: Any) -> Precision:
    """Return the one precision of all tasks.

    Raises:
        ValueError: there is no such precision, or every worker would choose its own.
    """
    if precision == "auto" and client is not None:
        raise ValueError('precision must be "float32" or "bfloat16" with a client, whose workers may differ')
    return choose_precision(precision, torch.device(device or "cpu"))


def open_pixels(image: Any, settings: Settings, choice: Mapping[str, Any]) -> Callable[[], Any]:
    """Return what opens the image in any process."""
    if isinstance(image, str | os.PathLike) and Path(image).suffix != ".npy":
        return Opened(str(image), settings.spatial_dims, settings.channels, tuple(choice.items()))
    return handle(image, "image")


def changed(image: Any) -> int | None:
    """Return when an image file was changed last, in ns; None for what is no file."""
    path = Path(image) if isinstance(image, str | os.PathLike) else None
    return path.stat().st_mtime_ns if path is not None and path.is_file() else None


def digest(network: EmbeddingModel) -> str:
    """Return a hash of the weights."""
    found = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        found.update(name.encode())
        found.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()[:16]


def percentiles(folder: Folder, image: Planes, settings: Settings) -> tuple[np.ndarray, np.ndarray]:
    """Return what becomes 0 and 1 in each channel; found once in a run."""
    if not folder.has("percentiles.npz"):
        low, high = image_percentiles(image, settings.percentiles)
        folder.save_table({"low": low, "high": high}, "percentiles.npz")
    table = folder.load_table("percentiles.npz")
    return table["low"], table["high"]


def run_network(tiler: Tiler, client: Any, threads: int, progress: bool) -> None:
    """Write the network's outputs for every tile that has none."""
    missing = [number for number in range(len(tiler.maps.grid)) if not tiler.maps.file(number).exists()]
    if client is not None:
        run_tasks(tiler, missing, "network", client, threads, progress)
        return
    coming = read_ahead(tiler.read, missing)
    run_tasks(partial(_predict_next, tiler, coming), missing, "network", None, threads, progress)


def _predict_next(tiler: Tiler, coming: Any, number: int) -> Writing:
    following, image = next(coming)
    assert following == number
    return tiler.predict(number, image)
