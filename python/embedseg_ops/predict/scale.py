"""The network over an image whose objects are brought to the size that it knows."""

import torch
from torch import Tensor
from torch.nn import functional as F

from embedseg_ops.data.scale import enlargement, median_diameter
from embedseg_ops.model.settings import Settings
from embedseg_ops.ops.postprocess import postprocess
from embedseg_ops.predict.network import predict_network
from embedseg_ops.predict.prepare import Network

MODES = {2: "bilinear", 3: "trilinear"}
SAME = 1.1  # a further enlargement below this is not worth another pass
PASSES = 3  # at most: where the first one merges tiny objects, they look larger than they are


def predict_scaled(
    image: Tensor, model: Network, settings: Settings, diameter: float | None = None,
    tile: int | None = None, overlap: int | None = None, progress: bool = False,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Run the network over an image, enlarged if its objects are smaller than `settings.diameter`.

    The outputs are brought back to the image's pixels, so that the options of the postprocessing mean those. A model
    without a diameter sees the image as it is, and this is `predict_network`.

    Args:
        image: float32 ``[C, *spatial]``, normalised.
        model: the network.
        settings: its settings.
        diameter: median diameter of the image's objects, in pixels; None: estimated from the objects
            found in the image as it is, and again in the enlarged one, until they are as large as wanted.
        tile: see `predict_network`, as the following.
        overlap: of neighbouring tiles.
        progress: show a progress bar.

    Returns:
        embedding float32 ``[1, D, *spatial]`` and distance map float32 ``[1, *spatial]``, on the CPU.

    Raises:
        ValueError: `diameter` is not positive, or given for a model that has none.
    """
    if diameter is not None and settings.diameter is None:
        raise ValueError("diameter is given, but this model has none of its own: it sees every image as it is")
    if diameter is not None and not diameter > 0:
        raise ValueError(f"diameter must be positive, got {diameter}")

    def outputs(zoom: float) -> tuple[Tensor, Tensor]:
        if zoom < SAME:
            return predict_network(image, model, tile, overlap, progress)
        return shrink(predict_network(enlarge(image, zoom), model, tile, overlap, progress), image.shape[1:])

    if settings.diameter is None:
        return outputs(1.0)
    if diameter is not None:
        return outputs(enlargement(diameter, settings.diameter))
    zoom, found = 1.0, outputs(1.0)
    for _ in range(PASSES - 1):
        labels = postprocess(*found, spatial_dims=image.ndim - 1, **settings.postprocess)[0]
        wanted = enlargement(median_diameter(labels), settings.diameter)
        if wanted < SAME * zoom:
            break
        zoom, found = wanted, outputs(wanted)
    return found


def enlarge(image: Tensor, zoom: float) -> Tensor:
    """Return the image ``[C, *spatial]`` with `zoom` times as many pixels along every axis."""
    size = [max(1, round(length * zoom)) for length in image.shape[1:]]
    return F.interpolate(image[None], size, mode=MODES[image.ndim - 1], align_corners=False)[0]


def shrink(outputs: tuple[Tensor, Tensor], size: torch.Size) -> tuple[Tensor, Tensor]:
    """Return embedding ``[1, D, *larger]`` and distance map ``[1, *larger]``, brought to `size`."""
    embedding, distance = outputs
    mode = MODES[len(size)]
    return (
        F.interpolate(embedding, size, mode=mode, align_corners=False),
        F.interpolate(distance[None], size, mode=mode, align_corners=False)[0],
    )
