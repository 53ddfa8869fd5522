"""`python -m benchmarks.cuda`: every operator on a GPU, beside the bandwidth of a copy in the same run."""

import argparse
import json
import statistics
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor

import embedseg_ops
from benchmarks.harness import versions
from benchmarks.peers import embedding as peers
from benchmarks.scene import crowded_cells

WARM_UPS, REPEATS = 5, 30


@dataclass
class Measured:
    """Milliseconds, and what they are to be compared with."""

    name: str
    median: float
    low: float
    high: float
    share_of_copy: float | None = None  # of the bytes that have to be moved at the speed of a copy
    goal: str = ""
    reached: bool | None = None
    peers: dict[str, float] = field(default_factory=dict)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cuda", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--small", action="store_true", help="a small scene: does everything run?")
    options = parser.parse_args(arguments)
    if not torch.cuda.is_available() or not embedseg_ops.build_info()["cuda"]:
        print("benchmarks.cuda needs a GPU, and a build with CUDA", file=sys.stderr)
        return 1
    rows = measure(*((2, 256, 40, 512) if options.small else (16, 1024, 500, 8192)))
    for row in rows:
        print(describe(row), flush=True)
    if options.json:
        machine = {**versions(), "gpu": torch.cuda.get_device_name(), **embedseg_ops.build_info()}
        options.json.write_text(json.dumps({"machine": machine, "rows": list(map(asdict, rows))}, indent=1) + "\n")
    return 0


def time_call(run: Callable[[], object]) -> list[float]:
    """Milliseconds of each of many calls, between events on the stream."""
    for _ in range(WARM_UPS):
        run()
    times = []
    for _ in range(REPEATS):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        run()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end))
    return times


def copy_speed() -> float:
    """Bytes a millisecond, read and written."""
    source = torch.ones(1 << 28, device="cuda")
    target = torch.empty_like(source)
    return 2 * source.nbytes / statistics.median(time_call(lambda: target.copy_(source)))


def measure(batch: int, side: int, objects: int, large_side: int) -> list[Measured]:
    speed = copy_speed()
    scene = crowded_cells(side, objects)
    one = [tensor.cuda() for tensor in (scene.embedding, scene.labels, scene.distance)]
    embedding, labels, distance = (tensor.repeat(batch, *[1] * (tensor.ndim - 1)) for tensor in one)
    pairs = embedseg_ops.neighbor_pairs(labels)
    tiles = large_side // side
    large_mask = one[2].repeat(1, tiles, tiles) > 0.7

    def row(name: str, run: Callable[[], object], moved: int, share: float | None = None, **others) -> Measured:
        times = time_call(run)
        low, median, high = statistics.quantiles(times, n=4)
        found = Measured(name, median, low, high, moved / speed / median)
        if share is not None:
            found.goal, found.reached = f">= {share:.0%} of a copy", found.share_of_copy >= share
        found.peers = {peer: statistics.median(time_call(call)) for peer, call in others.items()}
        return found

    def total(*inputs: Tensor) -> Tensor:
        return embedseg_ops.embedding_loss(*inputs, num_objects=objects + 1).total

    def both(loss: Callable[..., Tensor], *inputs) -> Callable[[], object]:
        return lambda: peers.forward_backward(loss, *inputs)

    inputs, read = (embedding, labels, pairs), embedding.nbytes + labels.nbytes
    return [
        Measured("copy, bytes a millisecond", speed, speed, speed),
        row("mean_embedding", lambda: embedseg_ops.mean_embedding(embedding, labels, objects + 1), read, 0.75),
        row("loss forward", lambda: total(*inputs), read, 0.75),
        row(
            "loss forward + backward", both(total, *inputs), 2 * read + embedding.nbytes, 0.7,
            closed_form=both(peers.closed_form, *inputs, objects + 1),
            compiled=both(peers.compiled_closed_form(), *inputs, objects + 1),
        ),
        row("neighbor_pairs, d = 10", lambda: embedseg_ops.neighbor_pairs(labels), labels.nbytes),
        row("distance_map", lambda: embedseg_ops.distance_map(labels), 2 * labels.nbytes, 0.5),
        row(
            f"connected_components, {tiles * side}²",
            lambda: embedseg_ops.connected_components(large_mask), 5 * large_mask.numel(),
        ),
        row("postprocess, one image", lambda: embedseg_ops.postprocess(one[0], one[2]), one[0].nbytes),
        row(
            "postprocess, the batch",
            lambda: embedseg_ops.postprocess(embedding, distance), embedding.nbytes + distance.nbytes,
        ),
    ]  # fmt: skip


def describe(row: Measured) -> str:
    others = "".join(f", {name} {time:.3g} ms" for name, time in row.peers.items())
    share = "" if row.share_of_copy is None else f", {row.share_of_copy:.0%} of a copy"
    goal = f" ({row.goal}: {'reached' if row.reached else 'NOT REACHED'})" if row.goal else ""
    return f"{row.name}: {row.median:.4g} [{row.low:.4g}, {row.high:.4g}] ms{share}{goal}{others}"


if __name__ == "__main__":
    raise SystemExit(main())
