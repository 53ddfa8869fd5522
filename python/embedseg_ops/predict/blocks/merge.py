"""The seeds of all blocks become those of the image: what touches across a face, an edge or a corner is one."""

import itertools
import json
from collections.abc import Iterator

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from embedseg_ops.data.writing import write_atomically
from embedseg_ops.predict.blocks.grid import Grid
from embedseg_ops.predict.blocks.job import Job

Table = dict[str, np.ndarray]


def merge_seeds(job: Job) -> dict[str, int]:
    """Write the number in the image of every block's seeds, and every seed's vector.

    Of ``merged``: offsets.npy [blocks + 1], where a block's seeds begin in numbers.npy [all blocks' seeds]: numbers in
    the raster order of first pixels, 0 for a seed that does not grow; vectors.npy int64 [K + 1, D]: sums of
    directions, the background's in row 0.

    Returns:
        ``seeds``, how many grow, and ``merged``, how many pieces became part of another block's seed.
    """
    if job.folder.has("merged", "summary.json"):
        summary: dict[str, int] = json.loads(job.folder.file("merged", "summary.json").read_text())
        return summary
    tables = [job.folder.load_table("seeds", f"{block}.npz") for block in range(len(job.grid))]
    offsets = np.concatenate([[0], np.cumsum([len(table["sizes"]) for table in tables])]).astype(np.int64)
    count, seed_of = unite(tables, offsets, job.grid)
    rank = rank_by_first(seed_of, np.concatenate([table["first"] for table in tables]), count)
    sizes = np.zeros(count, np.int64)
    np.add.at(sizes, seed_of, np.concatenate([table["sizes"] for table in tables]))
    grows = sizes >= job.options["min_seed_size"]
    if job.options["max_objects"] is not None:
        grows &= rank < job.options["max_objects"]
    number = np.zeros(count, np.int64)
    number[np.argsort(rank)[grows[np.argsort(rank)]]] = np.arange(1, np.count_nonzero(grows) + 1)
    numbers = number[seed_of]
    job.folder.save(offsets, "merged", "offsets.npy")
    job.folder.save(numbers, "merged", "numbers.npy")
    job.folder.save(add_sums(tables, offsets, numbers), "merged", "vectors.npy")
    summary = {"seeds": int(np.count_nonzero(grows)), "merged": int(offsets[-1]) - count}
    write_atomically(job.folder.file("merged", "summary.json"), json.dumps(summary).encode())
    return summary


def unite(tables: list[Table], offsets: np.ndarray, grid: Grid) -> tuple[int, np.ndarray]:
    """Return how many seeds there are, and for every block's seeds which one it is a part of."""
    pairs = [np.zeros((0, 2), np.int64)]
    for block, other, step in neighbors(grid):
        pairs += list(touching(tables[block], tables[other], step, offsets[block] - 1, offsets[other] - 1))
    rows, columns = np.concatenate(pairs).T
    total = int(offsets[-1])
    graph = coo_array((np.ones(len(rows), bool), (rows, columns)), shape=(total, total))
    count, seed_of = connected_components(graph, directed=False)
    return int(count), seed_of


def neighbors(grid: Grid) -> Iterator[tuple[int, int, tuple[int, ...]]]:
    """Yield every pair of blocks that touch, diagonals included, once, and the step from one to the other."""
    steps = [step for step in itertools.product((-1, 0, 1), repeat=len(grid.shape)) if step > (0,) * len(grid.shape)]
    for block in range(len(grid)):
        place = grid.place(block)
        for step in steps:
            other = grid.number([a + b for a, b in zip(place, step, strict=True)])
            if other >= 0:
                yield block, other, step


def touching(
    one: Table, other: Table, step: tuple[int, ...], base: np.ndarray, other_base: np.ndarray
) -> Iterator[np.ndarray]:
    """Yield the pairs of seeds ``[P, 2]`` of two blocks that touch where the blocks do."""
    here, there = border(one, step), border(other, tuple(-a for a in step))
    for shift in itertools.product((-1, 0, 1), repeat=here.ndim):
        a = here[tuple(slice(max(-s, 0), size - max(s, 0)) for s, size in zip(shift, here.shape, strict=True))]
        b = there[tuple(slice(max(s, 0), size - max(-s, 0)) for s, size in zip(shift, there.shape, strict=True))]
        both = (a > 0) & (b > 0)
        if both.any():
            yield np.unique(np.stack([a[both] + base, b[both] + other_base], 1).astype(np.int64), axis=0)


def border(table: Table, step: tuple[int, ...]) -> np.ndarray:
    """Return a block's labels where it touches the block that lies a step away: a face, an edge or a corner."""
    axis = next(axis for axis, a in enumerate(step) if a != 0)
    labels = table[f"face {axis} {int(step[axis] > 0)}"]
    rest = [a for other, a in enumerate(step) if other != axis]
    return labels[tuple(slice(None) if a == 0 else slice(0, 1) if a < 0 else slice(-1, None) for a in rest)]


def rank_by_first(seed_of: np.ndarray, first: np.ndarray, count: int) -> np.ndarray:
    """Return the rank of each seed by its first pixel in the image."""
    earliest = np.full(count, np.iinfo(np.int64).max)
    np.minimum.at(earliest, seed_of, first)
    rank = np.empty(count, np.int64)
    rank[np.argsort(earliest, kind="stable")] = np.arange(count)
    return rank


def add_sums(tables: list[Table], offsets: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Add up the sums of directions, [K + 1, D]; what does not grow and may be background is part of row 0."""
    vectors = np.zeros((int(numbers.max(initial=0)) + 1, tables[0]["sums"].shape[1]), np.int64)
    for table, first, last in zip(tables, offsets, offsets[1:], strict=False):
        own = numbers[first:last]
        vectors[0] += table["sums"][0]
        np.add.at(vectors, own[own > 0], table["sums"][1:][own > 0])
        if len(table["doubtful"]):
            vectors[0] += table["doubtful"][1:][own == 0].sum(0)
    return vectors
