"""From a network's output to labels: SPEC, Postprocessing."""

import torch

from embedseg_ops.ops import remove_small  # noqa: F401  # its fake kernel, for torch.compile
from embedseg_ops.ops.arguments import (
    Array,
    as_image_batch,
    check_finite,
    check_not_negative,
    check_size,
    values_are_known,
)
from embedseg_ops.ops.propagate import grow
from embedseg_ops.ops.smoothing import gaussian
from embedseg_ops.ops.trim import trim


def postprocess(
    embedding: Array,
    distance: Array,
    *,
    seed_threshold: float = 0.7,
    max_distance: float = 0.3,
    seed_smoothing: float = 0.0,
    min_seed_size: int = 1,
    min_object_size: int = 1,
    background_threshold: float | None = None,
    boundary_distance: float = 0.0,
    max_objects: int | None = None,
) -> Array:
    """Segment the objects that a network's embedding and distance map show. The defaults are the paper's.

    Seeds are the connected components of the pixels whose distance is above `seed_threshold`; each grows as
    :func:`propagate` says.

    Args:
        embedding: float32, float16, bfloat16 or float64 ``[B, D, *spatial]``, 2D or 3D; or one image
            ``[D, *spatial]``.
        distance: float ``[B, *spatial]`` or ``[*spatial]``: the normalised distance to the object's boundary, about
            0 to 1. NaN is no seed.
        seed_threshold: a seed's distance is above it.
        max_distance: cosine distance to a seed's mean embedding below which a pixel joins.
        seed_smoothing: σ in pixels of a Gaussian on the distance map before the threshold, edges reflected; 0 is off.
        min_seed_size: seeds of fewer pixels never grow.
        min_object_size: objects of fewer pixels become background; the rest are renumbered in order.
        background_threshold: the pixels whose distance is at most this let the background compete, as :func:`propagate`
            says: with a `max_distance` of 1, an answer to the "incomplete object masks" that the paper leaves open (its
            Fig. 4). None: off.
        boundary_distance: pixels less deep than this in their object, in pixels, become background. The depth is
            `distance` times the radius of a disc (ball) of the object's size: where an embedding turns only gradually
            from the background's to the object's, the distance knows the boundary better. A foreground that the network
            knows besides counts, too, where `distance` is set to 0 outside of it. 0 is off.
        max_objects: of more seeds than this in an image, those later in raster order do not grow. Given, a GPU works
            without waiting for the number of seeds, and the call can be captured in a CUDA graph. None: no limit.

    Returns:
        int32 labels in the shape of `distance`: 0 background, 1, 2, … objects, in the raster order of the seeds;
        NumPy if `distance` is.

    Raises:
        TypeError: an argument is not an array, or not a float.
        ValueError: ranks, shapes or devices do not match; a threshold is not finite; a size is not positive; a
            smoothing or a boundary distance is negative.
    """
    embedding, distance, answer = as_image_batch(embedding, distance, "distance")
    if not distance.is_floating_point():
        raise TypeError(f"distance must be a float, got {distance.dtype}")
    seed_threshold = check_finite(seed_threshold, "seed_threshold")
    max_distance = check_finite(max_distance, "max_distance")
    sigma = check_not_negative(seed_smoothing, "seed_smoothing")
    min_seed_size = check_size(min_seed_size, "min_seed_size")
    min_object_size = check_size(min_object_size, "min_object_size")
    if max_objects is not None:
        max_objects = check_size(max_objects, "max_objects")
    boundary_distance = check_not_negative(boundary_distance, "boundary_distance")

    if background_threshold is not None:
        background_threshold = check_finite(background_threshold, "background_threshold")

    smooth = gaussian(distance, sigma) if sigma > 0 else distance
    seeds = torch.ops.embedseg_ops.connected_components(smooth > seed_threshold)
    largest = max_objects
    if max_objects is not None:
        seeds = torch.where(seeds > max_objects, 0, seeds)
    elif seeds.is_cuda and seeds.numel() > 0 and values_are_known(seeds):
        largest = int(seeds.amax())  # asked for once; each operator would ask again
    if min_seed_size > 1:
        seeds = torch.ops.embedseg_ops.remove_small(seeds, min_seed_size, largest)
    background = None if background_threshold is None else distance <= background_threshold
    labels = grow(embedding, seeds, max_distance, background, largest)
    if boundary_distance > 0:
        labels = trim(labels, distance, boundary_distance, largest)
    if min_object_size > 1:
        labels = torch.ops.embedseg_ops.remove_small(labels, min_object_size, largest)
    return answer(labels)
