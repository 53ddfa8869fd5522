"""`python -m benchmarks.cuda`: every operator on a GPU, beside the bandwidth of a copy in the same run."""

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor

import embedseg_ops
from benchmarks.harness import versions
from benchmarks.peers import embedding as peers
from benchmarks.scene import crowded_cells
from embedseg_ops.ops.propagate import grow
from embedseg_ops.ops.smoothing import gaussian

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
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the times there, too")
    parser.add_argument("--small", action="store_true", help="a small scene: does everything run?")
    options = parser.parse_args(arguments)
    if not torch.cuda.is_available() or not embedseg_ops.build_info()["cuda"]:
        print("benchmarks.cuda needs a GPU, and a build with CUDA", file=sys.stderr)
        return 1
    machine = {**versions(), "gpu": torch.cuda.get_device_name(), **embedseg_ops.build_info()}
    rows = []
    for row in measure(*((2, 256, 40, 512) if options.small else (16, 1024, 500, 8192))):
        rows.append(row)
        print(describe(row), flush=True)
        if options.json:  # after every row: a run that is cut off has what it measured
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


def replay(run: Callable[[], object]) -> Callable[[], object]:
    """The same work without the host's: captured once in a CUDA graph."""
    run()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    return graph.replay


def row(
    name: str, run: Callable[[], object], moved: int, speed: float, goal: Callable[[Measured], bool], wish: str, **peers
) -> Measured:
    """Measure; `moved`: bytes that have to be read and written."""
    times = time_call(run)
    low, median, high = statistics.quantiles(times, n=4)
    found = Measured(name, median, low, high, moved / speed / median, wish)
    found.reached = goal(found)
    found.peers = {peer: statistics.median(time_call(call)) for peer, call in peers.items()}
    return found


def share(least: float) -> dict[str, object]:
    return {"goal": lambda found: found.share_of_copy >= least, "wish": f">= {least:.0%} of a copy"}


def within(milliseconds: float) -> dict[str, object]:
    return {"goal": lambda found: found.median <= milliseconds, "wish": f"<= {milliseconds:g} ms"}


def measure(batch: int, side: int, objects: int, large_side: int) -> Iterator[Measured]:
    """The rows, as they come; goals are for the full size."""
    speed = copy_speed()
    yield Measured("copy, bytes a millisecond", speed, speed, speed)
    scene = crowded_cells(side, objects)
    one = [tensor.cuda() for tensor in (scene.embedding, scene.labels, scene.distance)]
    embedding, labels, distance = (tensor.repeat(batch, *[1] * (tensor.ndim - 1)) for tensor in one)
    pairs = embedseg_ops.neighbor_pairs(labels)
    read = embedding.nbytes + labels.nbytes

    def loss(vectors: Tensor) -> Tensor:
        return embedseg_ops.embedding_loss(vectors, labels, pairs, num_objects=objects + 1).total

    def both(function: Callable[..., Tensor], *inputs: object) -> Callable[[], object]:
        return lambda: peers.forward_backward(function, *inputs)

    layouts = {
        "": embedding,
        ", channels_last": embedding.contiguous(memory_format=torch.channels_last),
        ", bfloat16": embedding.bfloat16(),
    }
    for layout, vectors in layouts.items():
        once = vectors.nbytes + labels.nbytes
        yield row(
            f"mean_embedding{layout}",
            lambda vectors=vectors: embedseg_ops.mean_embedding(vectors, labels, objects + 1),
            once, speed, **share(0.75),
        )  # fmt: skip
        yield row(f"loss forward{layout}", lambda vectors=vectors: loss(vectors), once, speed, **share(0.75))
        yield row(
            f"loss forward + backward{layout}", both(loss, vectors), 2 * once + vectors.nbytes, speed, **share(0.7)
        )
    inputs = (embedding, labels, pairs, objects + 1)
    yield row(
        "loss forward, replayed", replay(lambda: loss(embedding)), read, speed, **share(0.75),
        closed_form=lambda: peers.closed_form(*inputs),
    )  # fmt: skip
    yield row(
        "loss forward + backward, beside peers", both(loss, embedding), 2 * read + embedding.nbytes, speed,
        **share(0.7), closed_form=both(peers.closed_form, *inputs),
        compiled=both(peers.compiled_closed_form(), *inputs),
    )  # fmt: skip
    yield row(
        "neighbor_pairs, d = 10", lambda: embedseg_ops.neighbor_pairs(labels), labels.nbytes, speed, **within(0.5)
    )
    yield row("distance_map", lambda: embedseg_ops.distance_map(labels), 2 * labels.nbytes, speed, **share(0.5))
    yield row("smoothing", lambda: gaussian(distance, 1.0), 2 * distance.nbytes, speed, **within(0.1))
    yield from growth_rows(one, embedding, distance, speed)
    yield from large_rows(one, large_side // side, speed)


def growth_rows(one: list[Tensor], embedding: Tensor, distance: Tensor, speed: float) -> Iterator[Measured]:
    options = {"max_objects": 1000}
    seeds = [embedseg_ops.connected_components(each > 0.7) for each in (one[2], distance)]
    yield row("growth, one image", lambda: grow(one[0], seeds[0], 0.3), one[0].nbytes, speed, **within(0.15))
    yield row("growth, the batch", lambda: grow(embedding, seeds[1], 0.3), embedding.nbytes, speed, **within(2))
    moved = one[0].nbytes + one[2].nbytes
    yield row("postprocess, one image", lambda: embedseg_ops.postprocess(one[0], one[2]), moved, speed, **within(0.4))
    yield row(
        "postprocess, one image, replayed",
        replay(lambda: embedseg_ops.postprocess(one[0], one[2], **options)), moved, speed, **within(0.3),
    )  # fmt: skip
    yield row(
        "postprocess, the batch", lambda: embedseg_ops.postprocess(embedding, distance),
        embedding.nbytes + distance.nbytes, speed, **within(3),
    )  # fmt: skip


def large_rows(one: list[Tensor], tiles: int, speed: float) -> Iterator[Measured]:
    """One image of many tiles."""
    distance = one[2].repeat(1, tiles, tiles)
    mask, side = distance > 0.7, distance.shape[-1]
    yield row(
        f"connected_components, {side}²", lambda: embedseg_ops.connected_components(mask),
        5 * mask.numel(), speed, **within(mask.numel() / 50e6),
    )  # fmt: skip
    seeds, embedding = embedseg_ops.connected_components(mask), one[0].repeat(1, 1, tiles, tiles)
    yield row(f"growth, {side}²", lambda: grow(embedding, seeds, 0.3), embedding.nbytes, speed, **within(2.5))


def describe(row: Measured) -> str:
    others = "".join(f", {name} {time:.3g} ms" for name, time in row.peers.items())
    share = "" if row.share_of_copy is None else f", {row.share_of_copy:.0%} of a copy"
    goal = f" ({row.goal}: {'reached' if row.reached else 'NOT REACHED'})" if row.goal else ""
    return f"{row.name}: {row.median:.4g} [{row.low:.4g}, {row.high:.4g}] ms{share}{goal}{others}"


if __name__ == "__main__":
    raise SystemExit(main())
