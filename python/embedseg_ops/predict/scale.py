"""The network over an image whose objects are brought to the size that it knows."""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache

from torch import Tensor

from embedseg_ops.data.scale import FAR, diameter_of, enlargement, object_sizes, rescaling
from embedseg_ops.model.settings import Settings
from embedseg_ops.ops.numbers import check_positive, check_spacing
from embedseg_ops.ops.postprocess import postprocess
from embedseg_ops.predict.network import predict_network
from embedseg_ops.predict.prepare import Network
from embedseg_ops.predict.zoom import Zoom

SAME = 1.1  # a further enlargement below this is not worth another pass
COARSE = 0.25  # objects too large for the network are looked for in an image that is shrunk so far
PASSES = 3  # at most: where the first one merges tiny objects, they look larger than they are


def predict_scaled(
    image: Tensor, model: Network, settings: Settings, diameter: float | None = None,
    tile: int | None = None, overlap: int | None = None, progress: bool = False,
    spacing: Sequence[float] | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Run the network over an image, resampled if its objects are smaller or far larger than `settings.diameter`.

    Where its planes are closer or further apart than the model's, it is resampled along the other axes but the last.
    The outputs are brought back to the image's pixels, so that the options of the postprocessing mean those. A model
    without a diameter and a spacing sees the image as it is, and this is `predict_network`.

    Args:
        image: float32 ``[C, *spatial]``, normalised.
        model: the network.
        settings: its settings.
        diameter: median diameter of the image's objects, in pixels; None: estimated, see `find_rescaling`.
        tile: see `predict_network`, as the following.
        overlap: of neighbouring tiles.
        progress: show a progress bar.
        spacing: length of the image's pixels along each axis, of which the ratios matter; None: the model's.

    Returns:
        embedding float32 ``[1, D, *spatial]`` and distance map float32 ``[1, *spatial]``, on the CPU.

    Raises:
        ValueError: `diameter` is not positive, or given for a model that has none.
    """
    check_diameter(diameter, settings)
    stretches = stretching(spacing, settings.spacing, image.ndim - 1)

    @lru_cache(maxsize=1)  # those of the last pass are looked for objects, and returned
    def outputs(factor: float) -> tuple[Tensor, Tensor]:
        return predict_zoomed(image, model, zoom_by(factor, stretches, image.shape[1:]), tile, overlap, progress)

    def sizes(factor: float) -> Tensor:
        return object_sizes(postprocess(*outputs(factor), spatial_dims=image.ndim - 1, **settings.postprocess)[0])

    return outputs(find_rescaling(diameter, settings, sizes))


def predict_zoomed(
    image: Tensor, model: Network, zoom: Zoom | None, tile: int | None, overlap: int | None, progress: bool = False
) -> tuple[Tensor, Tensor]:
    """Run the network over an image ``[C, *spatial]`` in another size; return its outputs in the image's own."""
    if zoom is None:
        return predict_network(image, model, tile, overlap, progress)
    embedding, distance = predict_network(zoom(image), model, tile, overlap, progress)
    return zoom.back()(embedding[0])[None], zoom.back()(distance)


def find_rescaling(diameter: float | None, settings: Settings, sizes: Callable[[float], Tensor]) -> float:
    """Return the factor by which an image is resampled, 1 for not at all.

    Args:
        diameter: of the image's objects, in pixels; None: that of the objects which are found in the shrunken image if
            they are far too large, else in the image as it is, and again in the enlarged one, until they are as large
            as wanted.
        settings: of the model.
        sizes: returns the sizes of the objects, in pixels, that are found in the image resampled by a factor.
    """
    if diameter is not None or settings.diameter is None:
        return rescaling(diameter, settings.diameter)
    wanted = settings.diameter

    def found(factor: float) -> float | None:
        return diameter_of(sizes(factor), settings.spatial_dims)

    return find_shrinking(found, wanted) or find_enlargement(found, wanted)


def find_shrinking(found: Callable[[float], float | None], wanted: float) -> float | None:
    """Return how far an image is shrunk; None where its objects are not far too large.

    In the image as it is, the network sees such objects in pieces, as large as those that it knows. So they are looked
    for in a coarse image. A crowd of small ones may look like one large object there, but not in a finer image: in one
    of twice the size, true ones are not too small.

    Args:
        found: returns the diameter of the objects, in pixels, that are found in the image resampled by a factor.
        wanted: diameter that the model expects.
    """
    diameter = found(COARSE)
    if diameter is None or diameter <= FAR * wanted:
        return None
    check = found(2 * COARSE)
    return None if check is None or 2 * COARSE * check * SAME < wanted else rescaling(diameter, wanted)


def find_enlargement(found: Callable[[float], float | None], wanted: float) -> float:
    """Return how far an image is enlarged, 1 for not at all; see `find_shrinking`."""
    factor = 1.0
    for _ in range(PASSES - 1):
        further = enlargement(found(factor), wanted)
        if further < SAME * factor:
            break
        factor = further
    return factor


def zoom_by(factor: float, stretches: Sequence[float], shape: Sequence[int]) -> Zoom | None:
    """Return the zoom by a factor, and along each axis by another one; None where that makes no difference."""
    factors = [factor * stretch for stretch in stretches]
    return Zoom.by(factors, shape) if max(abs(math.log(one)) for one in factors) >= math.log(SAME) else None


def check_diameter(diameter: float | None, settings: Settings) -> None:
    """Raise a ValueError for a diameter that is not positive, or that a model has no use for."""
    if diameter is not None and settings.diameter is None:
        raise ValueError("diameter is given, but this model has none of its own: it sees every image as it is")
    if diameter is not None:
        check_positive(diameter, "diameter")


def stretching(spacing: Sequence[float] | None, wanted: Sequence[float] | None, dims: int) -> list[float]:
    """Return the factors along each axis that give an image the wanted spacing; the last axis stays as it is."""
    lengths = check_spacing(spacing, dims)
    if spacing is None or wanted is None:
        return [1.0] * dims
    return [(length / lengths[-1]) / (own / wanted[-1]) for length, own in zip(lengths, wanted, strict=True)]
