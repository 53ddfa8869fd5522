"""From an image to labels: the network tile by tile, then one postprocessing of the whole."""

import itertools
import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

import embedseg_ops
from embedseg_ops.data import normalize
from embedseg_ops.models import EmbeddingModel
from embedseg_ops.weights import Settings, load_model

# The largest side of a tile and the tiles' overlap, by the number of spatial axes
TILES = {2: 1024, 3: 160}
OVERLAPS = {2: 144, 3: 48}


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


def choose_device(device: str | torch.device | None = None) -> torch.device:
    """Return `device`, or without one CUDA where torch can use it and the CPU where it cannot.

    Raises:
        ValueError: a CUDA device is asked for and there is none; nothing falls back in silence.
    """
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(device)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device {device} was asked for, but torch {torch.__version__} finds no CUDA device")
    return device


def has_bf16(device: torch.device) -> bool:
    """Return whether the device has instructions for bfloat16, which others emulate at a tenth of float32's speed."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and torch.cpu._is_avx512_bf16_supported()


def split_axis(size: int, tile: int, overlap: int, divisor: int = 8) -> list[Stretch]:
    """Divide an axis among tiles of at most `tile` pixels that overlap by `overlap`.

    In an overlap the weights change linearly over its middle quarter; nearer to the end of a tile, where the network
    lacks surroundings, they are 0. Tiles start at multiples of `divisor`, so that the network pools the same pixels
    together as in the whole image.
    """
    if size <= tile:
        return [Stretch(0, size, torch.ones(size))]
    step = (tile - overlap) // divisor * divisor
    starts = list(range(0, size - overlap, step))
    positions = torch.arange(size, dtype=torch.float32) + 0.5
    ramp = max(overlap / 4, 1)
    # how far each tile but the first has taken over from the one before it
    rises = [((positions - start - overlap / 2) / ramp + 0.5).clamp(0, 1) for start in starts[1:]]
    rises = [torch.ones(size), *rises, torch.zeros(size)]
    stretches = []
    for start, rise, following in zip(starts, rises, rises[1:], strict=False):
        stop = min(start + step + overlap, size)
        stretches.append(Stretch(start, stop, (rise - following)[start:stop]))
    return stretches


def tiles(shape: Sequence[int], tile: int, overlap: int, divisor: int) -> Iterator[tuple[tuple[slice, ...], Tensor]]:
    """Yield every tile of an image of this shape, as slices and weights ``[*tile]``."""
    axes = [split_axis(size, tile, overlap, divisor) for size in shape]
    for stretches in itertools.product(*axes):
        weights = torch.ones(())
        for stretch in stretches:
            weights = weights[..., None] * stretch.weights
        yield tuple(slice(stretch.start, stretch.stop) for stretch in stretches), weights


@torch.inference_mode()
def predict_network(
    image: Tensor, model: EmbeddingModel, tile: int | None = None, overlap: int | None = None, progress: bool = False
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
        embedding float32 ``[1, D, *spatial]`` and distance map float32 ``[1, *spatial]``, on the CPU.

    Raises:
        ValueError: tiles that do not get ahead: `tile` must be above `overlap` by the network's divisor at least.
    """
    tile = tile or TILES[image.ndim - 1]
    overlap = OVERLAPS[image.ndim - 1] if overlap is None else overlap
    if not 0 <= overlap <= tile - model.divisor:
        raise ValueError(f"overlap must be from 0 to tile - {model.divisor} = {tile - model.divisor}, got {overlap}")
    device = next(model.parameters()).device
    embedding, distance = torch.empty(0), torch.zeros(image.shape[1:])
    pieces = list(tiles(image.shape[1:], tile, overlap, model.divisor))
    for inside, weights in tqdm(pieces, desc="network", unit="tile", disable=not progress):
        outputs = model(image[(slice(None), *inside)][None].to(device))
        tile_embedding, tile_distance = (output[0].float().cpu() for output in outputs)
        if embedding.numel() == 0:
            embedding = torch.zeros(len(tile_embedding), *image.shape[1:])
        embedding[(slice(None), *inside)] += tile_embedding * weights
        distance[inside] += tile_distance * weights
    return embedding[None], distance[None]


def segment(
    image: np.ndarray | Tensor,
    model: str | os.PathLike[str] | tuple[EmbeddingModel, Settings] | None = None,
    *,
    device: str | torch.device | None = None,
    tile: int | None = None,
    overlap: int | None = None,
    progress: bool = False,
) -> np.ndarray | Tensor:
    """Segment an image: normalisation, network and postprocessing with the model's own settings.

    Args:
        image: ``[*spatial]``, or ``[C, *spatial]`` with the model's channels; any real dtype, not normalised.
        model: a file that `embedseg_ops.weights.save_model` wrote, or what `load_model` returned, whose device is then
            the one used; None: the model that comes with the package, for fluorescent nuclei in 2D.
        device: where a file's network runs; None: CUDA where there is one, else the CPU.
        tile: see `predict_network`.
        overlap: see `predict_network`.
        progress: show a progress bar over the tiles.

    Returns:
        labels int32 ``[*spatial]``, 0 background, 1, 2, … objects; NumPy or torch as `image` is.

    Raises:
        ValueError: the image's axes or channels are not the model's, or a CUDA device is asked for and there is none.
    """
    network, settings = (
        model if isinstance(model, tuple) else load_model(model or shipped_model(), choose_device(device))
    )
    array = image.numpy(force=True) if isinstance(image, Tensor) else np.asarray(image)
    planes = array[None] if array.ndim == settings.spatial_dims else array
    if planes.ndim != settings.spatial_dims + 1 or len(planes) != settings.channels:
        axes = ["H", "W"] if settings.spatial_dims == 2 else ["D", "H", "W"]
        expected = f"[{settings.channels}, {', '.join(axes)}]"
        raise ValueError(f"image must be {expected} for this model, got shape {list(array.shape)}")
    normalized = normalize(planes, settings.percentiles)
    embedding, distance = predict_network(normalized, network, tile, overlap, progress)
    labels = embedseg_ops.postprocess(embedding, distance, **settings.postprocess)[0]
    return labels if isinstance(image, Tensor) else labels.numpy()


class Segmenter(nn.Module):
    """Network and postprocessing in one module, for ``torch.compile`` and ``torch.export``.

    Args:
        model: the network.
        settings: whose postprocessing options are used.
    """

    def __init__(self, model: EmbeddingModel, settings: Settings):
        super().__init__()
        self.model = model
        self.options = dict(settings.postprocess)

    def forward(self, image: Tensor) -> Tensor:
        """Return labels int32 ``[B, *spatial]`` of normalised images float ``[B, C, *spatial]``."""
        embedding, distance = self.model(image)
        return embedseg_ops.postprocess(embedding, distance, **self.options)


def shipped_model() -> str:
    """Return the path of the model that comes with the package."""
    return os.path.join(os.path.dirname(__file__), "shipped", "nuclei.safetensors")
