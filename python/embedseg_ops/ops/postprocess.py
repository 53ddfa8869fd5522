"""From a network's output to labels: docs/method.md, Postprocessing."""

import math

import torch
from torch import Tensor

from embedseg_ops.ops import remove_small  # noqa: F401  # its fake kernel, for torch.compile
from embedseg_ops.ops.arguments import LARGEST_TABLE, check_table_size, table_size, values_are_known
from embedseg_ops.ops.images import Array, as_image_batch
from embedseg_ops.ops.numbers import LARGEST_SIZE, check_finite, check_not_negative, check_sigma, check_size
from embedseg_ops.ops.options import takes_old_names
from embedseg_ops.ops.propagate import grow
from embedseg_ops.ops.smoothing import gaussian, widened
from embedseg_ops.ops.trim import trim

FEWER_SEEDS = "raise seed_threshold or seed_smoothing, or give a smaller max_objects"


@takes_old_names
def postprocess(
    embedding: Array,
    distance: Array,
    *,
    seed_threshold: float = 0.7,
    max_cosine_distance: float = 0.3,
    seed_smoothing: float = 0.0,
    min_seed_size: int = 1,
    min_object_size: int = 1,
    background_threshold: float | None = None,
    min_depth_pixels: float = 0.0,
    max_objects: int | None = None,
    spatial_dims: int | None = None,
) -> Array:
    """Segment the objects that a network's embedding and distance map show. The defaults are the paper's.

    Seeds are the connected components of the pixels whose distance is above `seed_threshold`; each grows as
    :func:`propagate` says.

    Args:
        embedding: float32, float16, bfloat16 or float64 ``[B, D, *spatial]``, 2D or 3D; or one image
            ``[D, *spatial]``.
        distance: float ``[B, *spatial]`` or ``[*spatial]``: the normalised distance to the object's boundary, about
            0 to 1. NaN is no seed.
        seed_threshold: pixels whose distance is above it form the seeds. A lower one finds fainter objects, a higher
            one separates neighbours.
        max_cosine_distance: a pixel joins an object if its cosine distance to the seed's mean embedding is below this.
        seed_smoothing: σ in pixels of a Gaussian on the distance map before the threshold, edges reflected; 0 is off.
        min_seed_size: seeds of fewer pixels never grow.
        min_object_size: objects of fewer pixels become background; the rest are renumbered in order.
        background_threshold: pixels whose distance is at most this are background, if they are in no seed. A pixel
            joins an object only if the object's mean embedding is closer than theirs. Take a `max_cosine_distance` of 1
            with it. None: off.
        min_depth_pixels: pixels that lie no deeper than this in their object become background. The depth, in pixels,
            is `distance` times the radius of a disc (ball) of the object's size. 0 is off.
        max_objects: of more seeds than this in an image, those later in raster order do not grow. With it, a GPU does
            not wait for the number of seeds, and the call can be captured in a CUDA graph. None: no limit.
        spatial_dims: 2 for images, 3 for volumes. None: what the shapes say; where they fit a batch of images as well
            as one volume, which has as many planes as channels, it must be given.

    Returns:
        int32 labels in the shape of `distance`: 0 background, 1, 2, … objects, in the raster order of the seeds;
        NumPy if `distance` is.

    Raises:
        TypeError: an argument is not an array, or not a float.
        ValueError: ranks, shapes or devices do not match, or fit both images and a volume; an image has 2³¹ pixels or
            more; a threshold is not finite; a size is not from 1 to 2³¹ − 1; a smoothing is not from 0 to 1000; a
            boundary distance is negative; the seeds are so many that their tables would take more than 4 GiB.
    """
    vectors, depth, answer = as_image_batch(embedding, distance, "distance", spatial_dims)
    if not depth.is_floating_point():
        raise TypeError(f"distance must be a float, got {depth.dtype}")
    depth = widened(depth)
    seed_threshold = check_finite(seed_threshold, "seed_threshold")
    max_cosine_distance = check_finite(max_cosine_distance, "max_cosine_distance")
    sigma = check_sigma(seed_smoothing, "seed_smoothing")
    min_seed_size = check_size(min_seed_size, "min_seed_size")
    min_object_size = check_size(min_object_size, "min_object_size")
    min_depth_pixels = check_not_negative(min_depth_pixels, "min_depth_pixels")
    if max_objects is not None:
        max_objects = check_size(max_objects, "max_objects")
    if background_threshold is not None:
        background_threshold = check_finite(background_threshold, "background_threshold")

    seeds, largest = find_seeds(vectors, depth, seed_threshold, sigma, min_seed_size, max_objects)
    background = None if background_threshold is None else depth <= background_threshold
    labels = grow(vectors, seeds, max_cosine_distance, background, largest)
    if min_depth_pixels > 0:
        labels = trim(labels, depth, min_depth_pixels, largest)
    if min_object_size > 1 or min_depth_pixels > 0:  # what was trimmed away leaves gaps in the ids
        labels = torch.ops.embedseg_ops.remove_small(labels, min_object_size, largest)
    return answer(labels)


def find_seeds(
    embedding: Tensor, distance: Tensor, threshold: float, sigma: float, min_size: int, max_objects: int | None
) -> tuple[Tensor, int | None]:
    """Return the seeds that :func:`postprocess` grows, int32 ``[B, *spatial]``, and what `largest_seed` says of them.

    Args:
        embedding: ``[B, D, *spatial]``, of which nothing but the size is looked at.
        distance: float32 or float64 ``[B, *spatial]``.
        threshold: `seed_threshold`.
        sigma: `seed_smoothing`.
        min_size: `min_seed_size`.
        max_objects: as of :func:`postprocess`.
    """
    smooth = gaussian(distance, sigma) if sigma > 0 else distance
    seeds = torch.ops.embedseg_ops.connected_components(smooth > threshold)
    if max_objects is not None:
        seeds = torch.where(seeds > max_objects, 0, seeds)
    largest = largest_seed(embedding, seeds, max_objects)
    if min_size > 1:
        seeds = torch.ops.embedseg_ops.remove_small(seeds, min_size, largest)
    return seeds, largest


def largest_seed(embedding: Tensor, seeds: Tensor, max_objects: int | None) -> int | None:
    """Return a bound on the seeds' ids: for a GPU, and before tables that might grow too large; None if not needed."""
    if not values_are_known(seeds):
        return max_objects
    # seeds do not touch, so that in every 2×2 (2×2×2) pixels there is at most one
    most = min(math.prod((size + 1) // 2 for size in seeds.shape[1:]), max_objects or LARGEST_SIZE)
    if table_size(embedding, most + 2) <= LARGEST_TABLE and (max_objects is not None or not seeds.is_cuda):
        return None if max_objects is None else most
    largest = int(seeds.amax()) if seeds.numel() > 0 else 0  # asked for once; each operator would ask again
    check_table_size(embedding, largest + 2, "the number of seeds", FEWER_SEEDS)
    return largest
