"""Whether the time per pixel stays flat, from small images to large, in 3D, and from few objects to many."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby

from benchmarks.harness import ALL_THREADS, Contender, Row, time_row
from benchmarks.limits import READ
from benchmarks.operators import CALLS, chosen
from benchmarks.scene import Scene, crowded_cells

PIXELS_PER_CELL, VOXELS_PER_CELL = 2048, 4096
Case = tuple[str, int, Callable[[], Scene]]


@dataclass(frozen=True)
class Point:
    name: str
    axis: str
    value: int
    nanoseconds: float  # per pixel, median
    low: float
    high: float

    def __str__(self) -> str:
        spread = f"[{self.low:.3g}, {self.high:.3g}]"
        return f"{self.name}, {self.axis} {self.value}: {self.nanoseconds:.3g} ns/pixel {spread}"


@dataclass(frozen=True)
class Flatness:
    name: str
    axis: str
    ratio: float

    def __str__(self) -> str:
        verdict = "reached" if self.ratio <= 1.2 / 0.8 else "NOT REACHED"
        return f"{self.name}, {self.axis}: largest over smallest {self.ratio:.2f}, flat within ±20 %: {verdict}"


def cases(small: bool) -> list[Case]:
    sides, depths = ((128, 256), (16, 32)) if small else ((256, 512, 1024, 2048, 4096, 8000, 8192), (64, 128, 256))
    side, counts = (256, (10, 100)) if small else (2048, (10, 100, 1000, 10_000, 50_000))
    return [
        *(("side", s, lambda s=s: crowded_cells(s, s * s // PIXELS_PER_CELL)) for s in sides),
        *(("3D side", s, lambda s=s: crowded_cells((s, s, s), s**3 // VOXELS_PER_CELL)) for s in depths),
        *(("objects", k, lambda k=k: crowded_cells(side, k)) for k in counts),
    ]


def measure(only: str | None, small: bool) -> list[Point | Flatness]:
    """Draw each scene once and run every operator on it; scenes of 8192² take 4.3 GB and minutes.

    8000² beside 8192²: where channels lie a large power of two apart, memory is slower.
    """
    points = []
    for axis, value, draw in cases(small):
        print(f"growth: {axis} {value} …", file=sys.stderr, flush=True)
        scene = draw()
        points += [_point(name, axis, value, scene) for name in (READ, *chosen(only))]
    points.sort(key=lambda point: (point.name, point.axis))
    groups = groupby(points, key=lambda point: (point.name, point.axis))
    return points + [_flatness(*key, list(group)) for key, group in groups if key[0] != READ]  # no goal, a limit


def markdown(found: list[Point | Flatness]) -> str:
    """A table of the least and the most time per pixel: rows are operators, columns what grows."""
    points = [point for point in found if isinstance(point, Point)]
    axes = list(dict.fromkeys(point.axis for point in points))
    ends = {axis: [point.value for point in points if point.axis == axis] for axis in axes}
    titles = [f"{axis} {min(ends[axis]):,} to {max(ends[axis]):,}" for axis in axes]
    lines = [f"| ns per pixel | {' | '.join(titles)} |", f"| --- |{' ---: |' * len(axes)}"]
    for name in dict.fromkeys(point.name for point in points):
        times = [[point.nanoseconds for point in points if (point.name, point.axis) == (name, axis)] for axis in axes]
        cells = [f"{min(t):.3g} to {max(t):.3g}" if t else "" for t in times]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _point(name: str, axis: str, value: int, scene: Scene) -> Point:
    _ = scene.pairs
    call = scene.embedding.sum if name == READ else lambda: CALLS[name](scene)
    row = Row(name, [Contender(name, call, (ALL_THREADS,))])
    [timing] = time_row(row, budget=1.0 if scene.labels.numel() < 1 << 24 else 4.0)  # a run may take seconds
    scale = 1e9 / scene.labels.numel()
    return Point(name, axis, value, timing.median * scale, timing.low * scale, timing.high * scale)


def _flatness(name: str, axis: str, points: list[Point]) -> Flatness:
    times = [point.nanoseconds for point in points]
    return Flatness(name, axis, max(times) / min(times))
