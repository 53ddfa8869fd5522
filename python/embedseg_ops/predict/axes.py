"""Labels without seeds: rotate the embedding onto the standard axes, and every pixel names its axis.

The outlook of the paper (Section 4). Training makes neighbours orthogonal and lets distant objects share directions, so
that a few orthogonal directions serve all objects. A rotation that aligns them with the axes makes the largest
component of a pixel its label; objects on one axis are apart, and connected components tell them from each other.
"""

import torch
from torch import Tensor

from embedseg_ops.ops.images import Array, as_image_batch
from embedseg_ops.ops.numbers import check_finite, check_size
from embedseg_ops.ops.remove_small import remove_small
from embedseg_ops.ops.smoothing import widened


def align_axes(embedding: Tensor, iterations: int = 200, samples: int = 50_000) -> Tensor:
    """Find the rotation that brings the directions of an embedding closest to the axes (quartimax).

    It maximises the sum of the fourth powers of the rotated directions' components: 1 for a direction on an axis,
    whichever end it points to, less for any other.

    Args:
        embedding: float ``[B, D, *spatial]``.
        iterations: at most so many steps; it stops when the rotation does not change any more.
        samples: at most so many pixels are looked at, evenly spread.

    Returns:
        float64 orthogonal ``[D, D]``; ``rotation @ vector`` is the aligned vector.
    """
    vectors = embedding.detach().movedim(1, -1).flatten(0, -2)
    vectors = vectors[:: max(1, len(vectors) // samples)].double()
    directions = torch.nn.functional.normalize(vectors[vectors.isfinite().all(1)], dim=1)
    # the eigenvectors are a start that is the same for every rotation of the same embedding
    rotation: Tensor = torch.linalg.eigh(directions.T @ directions).eigenvectors.T
    for _ in range(iterations):
        aligned = directions @ rotation.T
        left, _, right = torch.linalg.svd((aligned**3).T @ directions)
        updated = left @ right
        if (updated - rotation).abs().max() < 1e-9:
            break
        rotation = updated
    return rotation


def label_by_axes(
    embedding: Array, distance: Array, rotation: Tensor | None = None, *,
    background_threshold: float = 0.05, min_object_size: int = 10, spatial_dims: int | None = None,
) -> Array:  # fmt: skip
    """Segment by the largest component of the aligned embedding, and connected components.

    The background's axis is, image by image, the one of most pixels whose distance is at most `background_threshold`.

    Args:
        embedding: float ``[B, D, *spatial]`` or ``[D, *spatial]``.
        distance: float ``[B, *spatial]`` or ``[*spatial]``, normalised.
        rotation: from :func:`align_axes`; None: found from this embedding.
        background_threshold: see above.
        min_object_size: objects of fewer pixels become background.
        spatial_dims: 2 for images, 3 for volumes; where the shapes fit both, it must be given.

    Returns:
        int32 labels in the shape of `distance`: 0 background, 1, 2, … objects; NumPy if `distance` is.

    Raises:
        TypeError: an argument is not an array, or `embedding` not a float.
        ValueError: shapes do not match, the threshold is not finite, or the size is not positive.
    """
    vectors, depths, answer = as_image_batch(embedding, distance, "distance", spatial_dims)
    background_threshold = check_finite(background_threshold, "background_threshold")
    min_object_size = check_size(min_object_size, "min_object_size")
    rotation = align_axes(vectors) if rotation is None else rotation
    aligned = torch.einsum("ij,bj...->bi...", rotation.to(vectors.dtype), vectors.detach())
    axis = aligned.abs().nan_to_num().argmax(1)
    labels = torch.stack(
        [_components(one, outside) for one, outside in zip(axis, widened(depths) <= background_threshold, strict=True)]
    )
    return answer(remove_small(labels, min_object_size))


def _components(axis: Tensor, outside: Tensor) -> Tensor:
    """Return the connected components of the pixels ``[*spatial]`` of each axis but the background's."""
    labels = torch.zeros_like(axis, dtype=torch.int32)
    background = axis[outside].bincount().argmax() if outside.any() else -1
    for one in axis.unique():  # type: ignore[no-untyped-call]
        if one != background:
            found = torch.ops.embedseg_ops.connected_components((axis == one)[None])[0]
            labels = torch.where(found > 0, found + labels.max(), labels)
    return labels
