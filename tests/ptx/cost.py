"""`make cuda-cost`: what a GPU has to do for every operator, counted on the compiled kernels, and how long it may take.

All times here are predictions of a simple model: launches and barriers of the whole grid one after another, and beside
them whatever takes longest of issuing instructions, moving bytes to and from memory (sectors that differ) and within
the device (each warp's sectors), and atomics on one address. No GPU is asked.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass

import torch
from benchmarks.scene import crowded_cells
from torch.utils._python_dispatch import TorchDispatchMode

import embedseg_ops
from embedseg_ops.ops.remove_small import remove_small
from embedseg_ops.ops.smoothing import gaussian
from embedseg_ops.ops.trim import trim

from .machine import WARP, Counts
from .operators import OnPtx


@dataclass(frozen=True)
class Gpu:
    processors: int = 132
    clock: float = 1.7e9
    issued: float = 4 * 0.6  # instructions a processor issues in a cycle, of 4 at best
    memory: float = 3.0e12  # bytes a second, as a copy reaches them
    cache: float = 5.5e12  # of the second level
    launch: float = 2e-6  # seconds
    grid_barrier: float = 1.5e-6
    atomic: float = 1e-9  # on an address that others use


GPUS = {"H100": Gpu(), "H200": Gpu(memory=4.3e12)}

# What ptxas makes of an instruction, where it is not one: as read in SASS. A load of a parameter is an operand.
FREE = ("mov", "cvta", "ld.param", "cvt.u32.u64", "cvt.u64.u32")
DEAR = {
    "div.s64": 80, "div.u64": 80, "rem.s64": 80, "rem.u64": 80, "div.s32": 20, "div.u32": 20, "rem.s32": 20,
    "rem.u32": 20, "div.rn.f32": 10, "div.rn.f64": 20, "sqrt.rn.f32": 8, "sqrt.rn.f64": 20, "rcp.rn.f32": 6,
    "rcp.rn.f64": 12, "mul.lo.s64": 4, "mad.lo.s64": 4, "redux": 2, "match": 4,
}  # fmt: skip
WIDE = ("add", "sub", "setp", "selp", "and", "or", "xor", "not", "shl", "shr", "min", "max", "neg")  # of 64 bits: two


def issue_slots(counts: Counts) -> float:
    """Instructions of warps, as ptxas writes them."""
    total = 0.0
    for name, times in counts.instructions.items():
        dear = next((slots for start, slots in DEAR.items() if name.startswith(start)), None)
        wide = name.split(".")[0] in WIDE and name.endswith(("s64", "u64", "b64"))
        total += times * (0 if name.startswith(FREE) else dear or (2 if wide else 1))
    return total


def predict(counts: Counts, gpu: Gpu) -> float:
    """Seconds."""
    return (
        gpu.launch * counts.launches
        + gpu.grid_barrier * counts.grid_barriers
        + max(
            issue_slots(counts) / (gpu.processors * gpu.clock * gpu.issued),
            (counts.read_once + counts.written_once) / gpu.memory,
            (counts.read + counts.written) / gpu.cache,
            gpu.atomic * busiest(counts),
        )
    )


def busiest(counts: Counts) -> int:
    """Atomics on the address that has most."""
    return max(counts.atomics.values(), default=0)


class Calls(TorchDispatchMode):
    """torch's own kernels, and its waits for the device."""

    def __init__(self) -> None:
        super().__init__()
        self.kernels = self.waits = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        is_view = any(each.alias_info is not None and not each.alias_info.is_write for each in func._schema.returns)
        if func is torch.ops.aten._local_scalar_dense.default:
            self.waits += 1
        elif func.namespace == "aten" and not is_view and "empty" not in func.__name__:
            self.kernels += 1
        return func(*args, **kwargs or {})


@dataclass
class Cost:
    counts: Counts
    kernels: int  # torch's
    waits: int
    pixels: int


def measure(run: Callable[[], object], pixels: int) -> Cost:
    """Run on the compiled kernels, in step, on a device of an H100's size."""
    with OnPtx() as device:
        device.library.simulate_size(132, 264)
        try:
            with Calls() as calls:
                run()
        finally:
            device.library.simulate_size(2, 3)
    return Cost(device.machine.counts, calls.kernels, calls.waits + device.waits, pixels)


def operators(side: int, objects: int) -> dict[str, Callable[[], object]]:
    """The operators on the benchmark's scene: D = 16, float32."""
    scene = crowded_cells(side, objects)
    embedding, labels, distance = scene.embedding, scene.labels, scene.distance
    pairs, seeds = embedseg_ops.neighbor_pairs(labels), embedseg_ops.connected_components(distance > 0.7)
    rows = torch.randn(1, objects + 1, embedding.shape[1], generator=torch.Generator().manual_seed(0))
    gradient = torch.ops.embedseg_ops.direction_gradient

    def loss() -> None:
        tracked = embedding.clone().requires_grad_()
        embedseg_ops.embedding_loss(tracked, labels, pairs, num_objects=objects + 1).total.backward()

    return {
        "mean_embedding": lambda: embedseg_ops.mean_embedding(embedding, labels, objects + 1),
        "gradient": lambda: gradient(embedding, labels, rows, None, None),
        "loss, forward + backward": loss,
        "growth": lambda: torch.ops.embedseg_ops.propagate(embedding, seeds, 0.3, None, int(seeds.max())),
        "connected_components": lambda: torch.ops.embedseg_ops.connected_components(distance > 0.7),
        "neighbor_pairs": lambda: embedseg_ops.neighbor_pairs(labels),
        "distance_map": lambda: embedseg_ops.distance_map(labels),
        "smoothing": lambda: gaussian(distance, 1.0),
        "remove_small": lambda: remove_small(labels, 20),
        "trim": lambda: trim(labels, distance, 0.75),
    }


def describe(name: str, cost: Cost) -> str:
    counts, pixels = cost.counts, cost.pixels
    times = " ".join(f"{1e6 * predict(counts, gpu):9.0f}" for gpu in GPUS.values())
    return (
        f"{name:26}{issue_slots(counts) * WARP / pixels:8.0f}{counts.read / pixels:8.1f}{counts.written / pixels:8.1f}"
        f"{counts.read_once / pixels:8.1f}{counts.written_once / pixels:8.1f}{busiest(counts) / pixels:9.4f}"
        f"{counts.grid_barriers:6}{counts.launches:6}{cost.kernels:6}{cost.waits:6} {times}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="make cuda-cost", description=__doc__)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--only", default="", help="part of a row's name")
    options = parser.parse_args()
    objects = max(1, 500 * options.side**2 // 1024**2)
    print(f"{options.side}², {objects} objects, D = 16, float32. Counted on the compiled kernels; times are PREDICTED.")
    print("                          a pixel:                                        one address  in all:")
    print(f"{'':26}{'instr.':>8}{'read':>8}{'written':>8}{'  once:':>8}{'':8}{'atomics':>9}{'grid':>6}{'launch':>7}"
          f"{'torch':>6}{'waits':>6}" + "".join(f"{name + ', µs':>9}" for name in GPUS))  # fmt: skip
    for name, run in operators(options.side, objects).items():
        if options.only in name:
            print(describe(name, measure(run, options.side**2)), flush=True)


if __name__ == "__main__":
    main()
