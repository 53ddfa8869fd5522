"""Exact outlines of objects, along the edges of their pixels."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from skimage.measure import label as components_of

from embedseg_ops.export.arguments import label_array

Ring = NDArray[np.int64]  # [N, 2], corners (x, y), the first again at the end
Polygon = list[Ring]  # the ring around, then those of its holes

# Sides of a pixel in the order in which they are walked, with the pixel's inside to the right as the picture is seen
# (y down): along the top to the right, down the right side, along the bottom to the left, up the left side.
TOP, RIGHT, BOTTOM, LEFT = range(4)
OUTWARDS = np.array([[-1, 0], [0, 1], [1, 0], [0, -1]])  # (y, x) from the pixel to the one across each side
FIRST_CORNER = np.array([[0, 0], [0, 1], [1, 1], [1, 0]])  # (y, x) where each side begins


def outlines(labels: ArrayLike) -> dict[int, list[Polygon]]:
    """Return the polygons of every object, from which its pixels can be had again, every one.

    The corners are corners of pixels: the pixel in row y and column x reaches from (x, y) to (x + 1, y + 1). Pixels
    that touch at a corner alone are polygons of their own, so that no ring touches itself: all are valid in the sense
    of the OGC's simple features.

    Args:
        labels: integer ``[H, W]``; ids above 0 are objects.

    Returns:
        for each id, in ascending order, its polygons; each is the ring around and the rings of its holes, int64
        ``[N, 2]`` of (x, y), closed. The ring around has a positive area (Σ xᵢyᵢ₊₁ − xᵢ₊₁yᵢ), holes a negative one.

    Raises:
        TypeError: `labels` are not integers.
        ValueError: `labels` are not ``[H, W]``.
    """
    array = label_array(labels, (2,))
    pieces = components_of(array, connectivity=1)
    around: dict[int, Ring] = {}
    holes: dict[int, Polygon] = {}
    for piece, ring in _rings(pieces):
        for simple in _split(ring):
            if _area(simple) > 0:
                around[piece] = simple
            else:
                holes.setdefault(piece, []).append(simple)
    numbers, first = np.unique(pieces, return_index=True)
    ids = dict(zip(numbers.tolist(), array.ravel()[first].tolist(), strict=True))
    found: dict[int, list[Polygon]] = {number: [] for number in sorted(set(ids.values())) if number > 0}
    for piece in sorted(around):
        found[ids[piece]].append([around[piece], *holes.get(piece, [])])
    return found


def _rings(pieces: NDArray[np.integer]) -> list[tuple[int, Ring]]:
    """Walk along the sides of all pieces ``[H, W]``; return (piece, corners) of every closed walk."""
    flat = np.pad(pieces, 1).ravel()
    width = pieces.shape[1] + 2
    steps = OUTWARDS @ (width, 1)  # from a pixel to the one across each side, in `flat`
    inside = np.flatnonzero(flat)
    pixels = [inside[flat[inside + steps[side]] != flat[inside]] for side in range(4)]
    keys = [pixel * 4 + side for side, pixel in enumerate(pixels)]  # of a side of a pixel: one edge each
    edges = np.sort(np.concatenate(keys))
    following = np.empty(len(edges), np.int64)
    for side, (pixel, key) in enumerate(zip(pixels, keys, strict=True)):
        ahead, behind = (side + 1) % 4, (side + 3) % 4  # the way along a side leads towards the next side
        straight = pixel + steps[ahead]
        beyond = straight + steps[side]
        turns_right = flat[straight] != flat[pixel]
        turns_left = ~turns_right & (flat[beyond.clip(max=flat.size - 1)] == flat[pixel])
        after = np.where(turns_right, pixel * 4 + ahead, np.where(turns_left, beyond * 4 + behind, straight * 4 + side))
        following[np.searchsorted(edges, key)] = np.searchsorted(edges, after)
    sides = edges % 4
    begins = FIRST_CORNER[sides]
    corners = np.stack([edges // 4 % width + begins[:, 1], edges // 4 // width + begins[:, 0]], 1) - 1
    owner = flat[edges // 4].tolist()
    return [(owner[walk[0]], corners[_turns(np.array(walk), sides)]) for walk in _walks(following.tolist())]


def _walks(following: list[int]) -> list[list[int]]:
    """Follow every edge to the next until the first comes again."""
    seen, walks = bytearray(len(following)), []
    for start in range(len(following)):
        walk, edge = [], start
        while not seen[edge]:
            seen[edge] = 1
            walk.append(edge)
            edge = following[edge]
        if walk:
            walks.append(walk)
    return walks


def _turns(walk: NDArray[np.int64], side: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the edges of a walk that go another way than the one before: a corner is where they begin."""
    turned: NDArray[np.bool_] = side[walk] != side[np.roll(walk, 1)]
    return walk[turned]


def _split(ring: Ring) -> list[Ring]:
    """Part a walk that comes by a corner twice into rings that do not; close them."""
    if len(np.unique(ring, axis=0)) == len(ring):
        return [np.concatenate([ring, ring[:1]])]
    rings: list[Ring] = []
    path: list[tuple[int, int]] = []
    place: dict[tuple[int, int], int] = {}
    for corner in [*map(tuple, ring.tolist()), tuple(ring[0].tolist())]:
        if corner in place:
            loop = path[place[corner] :]
            rings.append(np.array([*loop, corner]))
            for passed in loop[1:]:
                del place[passed]
            del path[place[corner] + 1 :]
        else:
            place[corner] = len(path)
            path.append(corner)
    return rings


def _area(ring: Ring) -> int:
    """Return twice the signed area of a closed ring."""
    x, y = ring.T
    return int((x[:-1] * y[1:] - x[1:] * y[:-1]).sum())
