"""Images block by block against the whole: the same labels? memory, time, and what the usual ways change.

``python -m benchmarks.blocks --data FOLDER [--side 4096] [--memory 1GiB]``; FOLDER holds images/.
Every figure is of a process of its own, from the file to the labels. Memory is the high-water mark of what is resident;
"cpu" is seconds of processor, all threads together, for machines that others share.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import stitching
from embedseg_ops.data.images import read_image
from embedseg_ops.data.samples import normalize
from embedseg_ops.model.files import load_model
from embedseg_ops.ops.postprocess import postprocess
from embedseg_ops.predict.blocks import passes
from embedseg_ops.predict.blocks import segment_blocks as segmenting
from embedseg_ops.predict.blocks.grid import Grid
from embedseg_ops.predict.network import predict_network
from embedseg_ops.predict.prepare import Precision, prepare


def mosaic(data: Path, side: int, tile: int = 250) -> np.ndarray:
    """Real images side by side, turned, uint8 ``[side, side]``; no seam between them is a block's face."""
    random = np.random.default_rng(0)
    files = sorted((data / "images").iterdir())
    image = np.zeros((side, side), np.uint8)
    for top in range(0, side, tile):
        for left in range(0, side, tile):
            one = np.zeros((0, 0))
            while min(one.shape) < tile:
                one = read_image(files[random.integers(len(files))], channels=1)[0]
            one = np.rot90(one[:tile, :tile].astype(float), random.integers(4))
            place = image[top : top + tile, left : left + tile]
            place[...] = (255 * one / max(one.max(), 1))[: place.shape[0], : place.shape[1]]
    return image


def whole(folder: Path, precision: Precision = "float32") -> dict[str, Any]:
    """Segment the image in one piece, step by step; keep the network's output for the comparisons."""
    begin, start = time.process_time(), time.perf_counter()
    network, settings = load_model()
    image = np.load(folder / "image.npy")
    embedding, distance = predict_network(normalize(image[None], settings.percentiles), prepare(network, precision))
    middle = time.perf_counter()
    labels = postprocess(embedding, distance, **settings.postprocess)[0].numpy()
    end = time.perf_counter()
    cpu, peak = time.process_time() - begin, peak_memory()
    for name, array in (("embedding", embedding[0].contiguous()), ("distance", distance[0]), ("expected", labels)):
        np.save(folder / f"{name}.npy", np.asarray(array))
    return {"network": middle - start, "postprocess": end - middle, "all": end - start, "cpu": cpu, "memory": peak}


def blocks(
    folder: Path, memory: str, block: int | None, workers: int = 0, precision: Precision = "float32"
) -> dict[str, Any]:
    """Segment the image in blocks; time each pass."""
    times: dict[str, float] = {}
    for module in (passes, segmenting):
        run = module.run_tasks
        module.run_tasks = partial(timed, run, times)  # type: ignore[attr-defined]
    merge = passes.merge_seeds
    passes.merge_seeds = partial(timed_call, merge, times, "merge")  # type: ignore[assignment]
    out = folder / f"labels-{memory}-{block}-{workers}.npy"
    how: dict[str, Any] = {"memory": memory, "block": block, "precision": precision, "progress": False}
    begin, start = time.process_time(), time.perf_counter()
    if workers:
        from distributed import Client, LocalCluster

        cluster = LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None)
        with cluster, Client(cluster) as client:
            start = time.perf_counter()
            summary = segmenting.segment_blocks(folder / "image.npy", out, client=client, **how)
            end = time.perf_counter()
    else:
        summary = segmenting.segment_blocks(folder / "image.npy", out, **how)
        end = time.perf_counter()
    cpu = time.process_time() - begin
    found = {"all": end - start, "cpu": cpu, "passes": times, "memory": peak_memory(), "summary": vars(summary)}
    if (folder / "expected.npy").exists():
        expected = np.load(folder / "expected.npy", mmap_mode="r")
        found["differ"] = int(np.count_nonzero(np.load(out, mmap_mode="r") != expected))
    return found


def timed(run: Any, times: dict[str, float], task: Any, arguments: Any, name: str, *rest: Any, **named: Any) -> None:
    start = time.perf_counter()
    run(task, arguments, name, *rest, **named)
    name = name.split()[0]
    times[name] = times.get(name, 0) + time.perf_counter() - start


def timed_call(function: Any, times: dict[str, float], name: str, *arguments: Any) -> Any:
    start = time.perf_counter()
    value = function(*arguments)
    times[name] = time.perf_counter() - start
    return value


def others(folder: Path, block: int) -> dict[str, int]:
    """Count the objects that the usual ways of stitching change."""
    options = load_model()[1].postprocess
    embedding, distance = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("embedding", "distance"))

    def segment(window: tuple[slice, ...]) -> np.ndarray:
        maps = (np.array(embedding[(slice(None), *window)]), np.array(distance[window]))
        return postprocess(*(torch.from_numpy(one)[None] for one in maps), **options)[0].numpy()

    grid, expected = Grid(distance.shape, (block, block)), np.load(folder / "expected.npy")
    ways = {"alone": stitching.alone, "owner": stitching.keep_the_owner, "overlap": stitching.by_overlap}
    found = {"objects": int(expected.max())}
    for name, way in ways.items():
        labels = way(segment, grid)
        np.save(folder / f"{name}.npy", labels.astype(np.int32))
        found[name] = stitching.changed(expected, labels)
    return found


def peak_memory() -> int:
    """Return the high-water mark of this process's resident memory, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def in_a_process(*arguments: object) -> dict[str, Any]:
    """Run one of this module's steps in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.blocks", *map(str, arguments)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    print(*arguments[2:], done.stdout.strip(), flush=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.blocks", description=__doc__)
    parser.add_argument("--data", type=Path, help="folder with images/")
    parser.add_argument("--side", type=int, default=4096, help="of the mosaic, in pixels (%(default)s)")
    parser.add_argument("--memory", default="1GiB", help="that segment_blocks may use (%(default)s)")
    parser.add_argument("--block", type=int, help="side of a block, in pixels (as large as the memory allows)")
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--keep", type=Path, help="folder for the arrays; without, they are removed")
    parser.add_argument("--workers", type=int, default=0, help="processes of dask; 0: this one (%(default)s)")
    parser.add_argument("--only", choices=["whole", "blocks", "others"], help="one step, on what --keep holds")
    options = parser.parse_args()
    step = {
        "whole": lambda: whole(options.keep, options.precision),
        "blocks": lambda: blocks(options.keep, options.memory, options.block, options.workers, options.precision),
        "others": lambda: others(options.keep, options.block or 1024),
    }
    if options.only in step:
        print(json.dumps(step[options.only]()))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / "image.npy", mosaic(options.data, options.side))
        given = ["--keep", folder, "--memory", options.memory, "--precision", options.precision]
        given += ["--block", options.block] if options.block else []
        one = in_a_process(*given, "--only", "whole")
        other = in_a_process(*given, "--only", "blocks")
        in_a_process(*given, "--only", "others")
        rest = sum(other["passes"].get(name, 0) for name in ("merge", "trim", "labels"))
        print(f"time: {other['all'] / one['all']:.2f} x segment, of processor {other['cpu'] / one['cpu']:.2f} x; "
              f"merging, trimming and writing: {rest / other['passes']['network']:.3f} of the network; "
              f"memory: {other['memory'] / 2**20:.0f} MiB of {options.memory}, "
              f"segment {one['memory'] / 2**20:.0f} MiB")  # fmt: skip
        if options.workers:
            single = in_a_process(*given, "--only", "blocks", "--workers", 1)
            double = in_a_process(*given, "--only", "blocks", "--workers", options.workers)
            print(f"{options.workers} workers: {single['all'] / double['all']:.2f} x one")


if __name__ == "__main__":
    main()
