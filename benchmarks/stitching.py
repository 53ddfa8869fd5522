"""The usual ways to put an image together from blocks, for comparison: what they do at the faces."""

import itertools
from collections.abc import Callable

import numpy as np

from embedseg_ops.predict.blocks.grid import Grid, within

Segment = Callable[[tuple[slice, ...]], np.ndarray]  # a window's labels, as if it were an image


def alone(segment: Segment, grid: Grid) -> np.ndarray:
    """Every block by itself."""
    out, count = np.zeros(grid.shape, np.int64), 0
    for block in range(len(grid)):
        labels = segment(grid.box(block))
        out[grid.box(block)] = np.where(labels > 0, labels + count, 0)
        count += int(labels.max(initial=0))
    return out


def keep_the_owner(segment: Segment, grid: Grid, halo: int = 64) -> np.ndarray:
    """Blocks with a halo; an object is the block's whose core holds its centre, and is painted whole."""
    out, count = np.zeros(grid.shape, np.int64), 0
    for block in range(len(grid)):
        window = grid.box(block, halo)
        labels = segment(window)
        inside = within(grid.box(block), window)
        rows, columns = np.nonzero(labels)
        ids = labels[rows, columns]
        sizes = np.maximum(np.bincount(ids), 1)
        centre = [np.bincount(ids, weights=places) / sizes for places in (rows, columns)]
        owned = np.ones(len(sizes), bool)
        for place, part in zip(centre, inside, strict=True):
            owned &= (place >= part.start) & (place < part.stop)
        if len(ids) == 0:
            continue
        mine = np.where(owned[labels] & (labels > 0), labels + count, 0)
        target = out[window]
        target[mine > 0] = mine[mine > 0]
        count += int(labels.max(initial=0))
    return out


def by_overlap(segment: Segment, grid: Grid, overlap: int = 32, least: float = 0.5) -> np.ndarray:
    """Blocks with a halo; objects of neighbours whose IoU in the shared part is above a half are one."""
    windows = [grid.box(block, overlap) for block in range(len(grid))]
    found = [segment(window) for window in windows]
    starts = np.cumsum([0, *(int(labels.max(initial=0)) for labels in found)])
    parent = np.arange(starts[-1] + 1)

    def root(number: int) -> int:
        while parent[number] != number:
            number = parent[number]
        return number

    for a, b in itertools.combinations(range(len(grid)), 2):
        shared = tuple(
            slice(max(one.start, other.start), min(one.stop, other.stop))
            for one, other in zip(windows[a], windows[b], strict=True)
        )
        if any(part.stop <= part.start for part in shared):
            continue
        mine, theirs = found[a][within(shared, windows[a])], found[b][within(shared, windows[b])]
        pairs, counts = np.unique(np.stack([mine.ravel(), theirs.ravel()]), axis=1, return_counts=True)
        sizes, other_sizes = np.bincount(mine.ravel()), np.bincount(theirs.ravel())
        for (one, other), both in zip(pairs.T, counts, strict=True):
            if one and other and both / (sizes[one] + other_sizes[other] - both) > least:
                parent[root(one + starts[a])] = root(other + starts[b])
    roots = np.array([root(number) for number in range(len(parent))])
    out = np.zeros(grid.shape, np.int64)
    for block, (labels, window) in enumerate(zip(found, windows, strict=True)):
        own = labels[within(grid.box(block), window)]
        out[grid.box(block)] = np.where(own > 0, roots[own + starts[block]], 0)
    return out


def changed(expected: np.ndarray, found: np.ndarray) -> int:
    """Return how many objects have no object of just the same pixels."""
    inside = (expected > 0) | (found > 0)
    pairs, counts = np.unique(np.stack([expected[inside], found[inside]]), axis=1, return_counts=True)
    sizes = dict(zip(*np.unique(expected, return_counts=True), strict=True))
    other_sizes = dict(zip(*np.unique(found, return_counts=True), strict=True))
    same = sum(a > 0 and b > 0 and n == sizes[a] == other_sizes[b] for (a, b), n in zip(pairs.T, counts, strict=True))
    return int(len(sizes) - (0 in sizes) - same)
