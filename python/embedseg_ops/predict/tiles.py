"""Tiles that cover an image with an overlap, and the weights that blend them without a seam."""

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Stretch(NamedTuple):
    """One tile's part of an axis.

    Args:
        start: first pixel.
        stop: one past the last.
        weights: float32 ``[stop - start]``; those of all the tiles over a pixel sum to 1.
    """

    start: int
    stop: int
    weights: Tensor


def split_axis(size: int, tile: int, overlap: int, divisor: int = 8) -> list[Stretch]:
    """Divide an axis among tiles of at most `tile` pixels that overlap by `overlap`.

    In an overlap the weights change linearly over its middle quarter; nearer to the end of a tile, where the network
    lacks surroundings, they are 0. Tiles start at multiples of `divisor`, so that the network pools the same pixels
    together as in the whole image.
    """
    if size <= tile:
        return [Stretch(0, size, ones(size))]
    step = (tile - overlap) // divisor * divisor
    starts = list(range(0, size - overlap, step))
    positions = torch.arange(size, dtype=torch.float32, device="cpu") + 0.5
    ramp = max(overlap / 4, 1)
    # how far each tile but the first has taken over from the one before it
    rises = [((positions - start - overlap / 2) / ramp + 0.5).clamp(0, 1) for start in starts[1:]]
    rises = [ones(size), *rises, 0 * ones(size)]
    stretches = []
    for start, rise, following in zip(starts, rises, rises[1:], strict=False):
        stop = min(start + step + overlap, size)
        stretches.append(Stretch(start, stop, (rise - following)[start:stop]))
    return stretches


def tiles(shape: Sequence[int], tile: int, overlap: int, divisor: int) -> Iterator[tuple[tuple[slice, ...], Tensor]]:
    """Yield every tile of an image of this shape, as slices and weights ``[*tile]``."""
    axes = [split_axis(size, tile, overlap, divisor) for size in shape]
    for stretches in itertools.product(*axes):
        weights = ones()
        for stretch in stretches:
            weights = weights[..., None] * stretch.weights
        yield tuple(slice(stretch.start, stretch.stop) for stretch in stretches), weights


def ones(*shape: int) -> Tensor:
    """Return float32 ones on the CPU, whatever torch's default dtype and device."""
    return torch.ones(shape, dtype=torch.float32, device="cpu")
