"""Training samples in files against samples in memory: memory, start-up, and what a crop costs.

``python -m benchmarks.samples [--count 10000] [--fewer 1000]``

Images are drawn, 256² and 8192². Every figure is of a process of its own. Memory is what is resident beyond what was
before the samples were looked at, without the system's cache of files; times are of the processor, of one thread.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import torch
from PIL import Image

from embedseg_ops.data.augmentation import Augmentation
from embedseg_ops.data.crops import CropDataset
from embedseg_ops.data.sample_files import open_folder
from embedseg_ops.data.samples import load_folder

SIDES = (256, 8192)
CROP, CROPS = 192, 12


def draw(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Discs on a grid, uint8, with their labels."""
    y, x = np.mgrid[:side, :side]
    number = (y // 32) * (side // 32) + x // 32 + 1  # 65,536 at most
    inside = (y % 32 - 16) ** 2 + (x % 32 - 16) ** 2 < 12**2
    noise = np.random.default_rng(0).integers(0, 40, (side, side), np.uint8)
    labels = np.where(inside & (number < 2**16), number, 0).astype(np.uint16)
    return np.where(inside, 150, 20).astype(np.uint8) + noise, labels


def save_png(path: Path, array: np.ndarray) -> None:
    Image.fromarray(array).save(path, compress_level=1)


def save_zarr(path: Path, array: np.ndarray) -> None:
    import zarr

    zarr.create_array(str(path), shape=array.shape, chunks=(256, 256), dtype=array.dtype)[:] = array


KINDS: dict[str, tuple[str, Any]] = {
    "NumPy": ("npy", np.save),
    "TIFF": ("tif", tifffile.imwrite),
    "TIFF, deflate, tiles of 256²": ("tif", partial(tifffile.imwrite, compression="zlib", tile=(256, 256))),
    "Zarr, chunks of 256²": ("zarr", save_zarr),
    "PNG": ("png", save_png),
}  # fmt: skip


def write_folder(folder: Path, kind: str, side: int, count: int = 1) -> Path:
    """Write the same image `count` times: as files of their own, which the system does not know to be equal."""
    ending, save = KINDS[kind]
    for name, array in zip(("images", "labels"), draw(side), strict=True):
        (folder / name).mkdir(parents=True)
        first = folder / name / f"00000.{ending}"
        save(first, array)
        content = first.read_bytes() if count > 1 else b""
        for number in range(1, count):
            (folder / name / f"{number:05}.{ending}").write_bytes(content)
    return folder


def resident() -> int:
    """Return the bytes that this process has in memory for itself: pages of mapped files belong to the system."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.partition("RssAnon:")[2].split()[0])


def measure(folder: Path, where: str, crops: int = CROPS) -> dict[str, float]:
    """Start on a folder's samples and make crops of them; return seconds and bytes."""
    torch.set_num_threads(1)
    begun, start = resident(), time.process_time()
    samples = open_folder(folder) if where == "files" else load_folder(folder)
    dataset = CropDataset(samples, (CROP, CROP), augmentation=Augmentation())
    dataset[0]
    middle = time.process_time()
    for item in range(1, crops + 1):
        dataset.recent.opened.clear()  # as if each crop were of another image
        dataset[item]
    end = time.process_time()
    return {
        "start": middle - start,
        "crop": (end - middle) / crops,
        "memory": resident() - begun,
        "count": len(samples),
    }


def in_process(*arguments: object) -> dict[str, float]:
    """Call `measure` in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.samples", "--measure", *map(str, arguments)]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.samples", description=__doc__)
    parser.add_argument("--count", type=int, default=10000, help="images of 256² (%(default)s)")
    parser.add_argument("--fewer", type=int, default=1000, help="of them as PNG, and in memory (%(default)s)")
    parser.add_argument("--measure", nargs=3, metavar=("FOLDER", "WHERE", "CROPS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        folder, where, crops = options.measure
        print(json.dumps(measure(Path(folder), where, int(crops))))
        return
    with tempfile.TemporaryDirectory() as name:
        for count, kind, where in (
            (options.count, "TIFF", "files"), (options.fewer, "PNG", "files"), (options.fewer, "TIFF", "memory"),
        ):  # fmt: skip
            folder = Path(name) / f"{count} {kind}"
            if not folder.exists():
                write_folder(folder, kind, SIDES[0], count)
            print(f"{count} x 256², {kind}, in {where}: {shown(in_process(folder, where, 100))}", flush=True)
        for kind in KINDS:
            for side in SIDES:
                folder = write_folder(Path(name) / f"{kind} {side}", kind, side)
                print(f"{side}², {kind}: {shown(in_process(folder, 'files', CROPS))}", flush=True)
        folder = Path(name) / f"NumPy {SIDES[-1]}"
        print(f"{SIDES[-1]}², in memory: {shown(in_process(folder, 'memory', CROPS))}")


def shown(found: dict[str, float]) -> str:
    """Return figures in words."""
    each = 1e3 * found["start"] / found["count"]
    return (f"{found['memory'] / 2**20:.0f} MiB, {found['start']:.1f} s to begin ({each:.1f} ms an image), "
            f"{1e3 * found['crop']:.1f} ms a crop")  # fmt: skip


if __name__ == "__main__":
    main()
