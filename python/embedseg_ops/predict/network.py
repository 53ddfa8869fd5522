"""The network over an image of any size, tile by tile."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from embedseg_ops.data.progress import steps
from embedseg_ops.ops.numbers import check_size
from embedseg_ops.predict.prepare import Network
from embedseg_ops.predict.tiles import tiles

# The largest side of a tile and the tiles' overlap, by the number of spatial axes
TILES = {2: 1024, 3: 160}
OVERLAPS = {2: 144, 3: 48}


@torch.inference_mode()
def predict_network(
    image: Tensor, model: Network, tile: int | None = None, overlap: int | None = None, progress: bool = False
) -> tuple[Tensor, Tensor]:
    """Run the network over an image of any size, in tiles whose outputs are blended where they overlap.

    With an overlap of 8/3 of the network's reach the output is that for the whole image in one piece: the default in
    2D is that for the paper's network. With less, the difference is small and without a seam. The memory in use is
    the output's, on the CPU, and the network's for one tile, on the model's device.

    Args:
        image: float32 ``[C, *spatial]``, normalised.
        model: maps ``[1, C, *spatial]`` to an embedding ``[1, D, *spatial]`` and a distance map ``[1, *spatial]``;
            in evaluation mode.
        tile: largest side of a tile, in pixels; None: 1024 in 2D, 160 in 3D.
        overlap: of neighbouring tiles, in pixels; None: 144 in 2D, 48 in 3D.
        progress: show a progress bar.

    Returns:
        embedding float32 ``[1, D, *spatial]``, laid out as the network does, and distance map float32
        ``[1, *spatial]``, on the CPU.

    Raises:
        ValueError: tiles that do not get ahead: `tile` must be above `overlap` by the network's divisor at least.
    """
    tile, overlap = tile_sizes(image.ndim - 1, model.divisor, tile, overlap)
    pieces = list(tiles(image.shape[1:], tile, overlap, model.divisor))
    whole: tuple[Tensor, ...] = ()
    for inside, weights in steps(pieces, "network", "tile", progress):
        outputs = predict_tile(image[(slice(None), *inside)], model)
        if len(pieces) == 1:  # all its weights are 1
            whole = outputs
            continue
        whole = whole or tuple(zeros_like(output, image.shape[1:]) for output in outputs)
        place: tuple[Any, ...] = (..., *inside)
        for total, output in zip(whole, outputs, strict=True):
            total[place] += output * weights
    embedding, distance = whole
    return embedding[None], distance[None]


def tile_sizes(spatial_dims: int, divisor: int, tile: int | None, overlap: int | None) -> tuple[int, int]:
    """Return the largest side of a tile and the tiles' overlap, in pixels; raise a ValueError if they do not fit."""
    tile = TILES[spatial_dims] if tile is None else check_size(tile, "tile")
    overlap = OVERLAPS[spatial_dims] if overlap is None else check_size(overlap, "overlap", 0)
    if overlap > tile - divisor:
        raise ValueError(
            f"tile must be {overlap + divisor} or more, for tiles that overlap by {overlap} pixels, got {tile}; "
            "a smaller overlap allows smaller tiles"
        )
    return tile, overlap


@torch.inference_mode()
def predict_tile(image: Tensor, model: Network) -> tuple[Tensor, Tensor]:
    """Run the network over one tile, float32 ``[C, *tile]``, on the model's device.

    Returns:
        embedding float32 ``[D, *tile]`` and distance map float32 ``[*tile]``, on the CPU.
    """
    tile = image[None].clone(memory_format=torch.contiguous_format)  # a network's bits depend on its input's strides
    outputs = model(tile.to(next(model.parameters()).device))
    embedding, distance = (output[0].cpu().float() for output in outputs)
    return embedding, distance


def zeros_like(tile: Tensor, spatial: Sequence[int]) -> Tensor:
    """Return float32 zeros ``[…, *spatial]`` on the CPU, with axes that lie in memory as a tile's do."""
    shape = [*tile.shape[: tile.ndim - len(spatial)], *spatial]
    order = sorted(range(tile.ndim), key=tile.stride, reverse=True)
    return torch.empty_permuted(shape, order, dtype=torch.float32, device="cpu").zero_()
