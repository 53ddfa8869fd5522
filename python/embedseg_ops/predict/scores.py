"""How sure the network was of every object: what its outputs say, and a probability made from it."""

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from embedseg_ops.model.settings import Settings
from embedseg_ops.ops import mean_embedding  # noqa: F401  # its fake kernel
from embedseg_ops.ops.images import Array, as_image_batch, label_batch
from embedseg_ops.ops.smoothing import widened

NEAR = 10.0  # pixels: objects nearer than this are told apart by the embedding, as in training
Features = dict[str, np.ndarray]


def object_features(labels: Array, embedding: Array, distance: Array) -> Features:
    """Say of every object how well the network's outputs speak for it.

    Args:
        labels: the objects, integer ``[*spatial]``, 2D or 3D: 0 background, 1, 2, … objects, −1 ignored.
        embedding: float32, float16, bfloat16 or float64 ``[D, *spatial]``, from which they were made.
        distance: float ``[*spatial]``, the normalised distance map. NaN counts as 0.

    Returns:
        float64 arrays of one value for each label from 1 to the largest, NaN where a label does not occur:
        ``depth`` and ``peak``, the mean and the largest distance of its pixels, about 0 to 1; ``agreement``, the mean
        cosine between its pixels' embeddings and their mean, 0 to 1; ``margin``, the cosine distance from its mean
        embedding to the closest one of the objects less than 10 pixels away and of the background, 0 to 2, and 1 where
        there is neither; ``log_size``, the natural logarithm of its number of pixels.

    Raises:
        TypeError: an argument is not an array, or has the wrong dtype.
        ValueError: shapes or devices do not match.
    """
    batch, _ = label_batch(labels, spatial_dims=np.ndim(labels))
    vectors, depth, _ = as_image_batch(embedding, distance, "distance", np.ndim(labels))
    if not depth.is_floating_point():
        raise TypeError(f"distance must be a float, got {depth.dtype}")
    if batch.shape != depth.shape:
        raise ValueError(f"labels must be {list(depth.shape[1:])}, as distance, got shape {list(batch.shape[1:])}")
    objects = max(0, int(batch.amax())) + 1 if batch.numel() else 1
    means, counts, lengths = torch.ops.embedseg_ops.mean_embedding(vectors.detach(), batch, objects)
    kept, values = batch[batch >= 0].long(), widened(depth.detach())[batch >= 0].double().nan_to_num()
    empty = torch.zeros(objects, dtype=torch.float64, device=batch.device)
    depths, peaks = empty.index_add(0, kept, values), empty.scatter_reduce(0, kept, values, "amax")
    spacing = [1.0] * (batch.ndim - 1)
    pairs = torch.ops.embedseg_ops.neighbor_pairs(batch, NEAR, True, spacing)[:, 1:]
    return features_of(counts[0], depths, peaks, lengths[0], means[0], pairs)


def features_of(
    counts: Tensor, depths: Tensor, peaks: Tensor, lengths: Tensor, means: Tensor, pairs: Tensor
) -> Features:
    """Return the features of labels 1, 2, … from what is known of labels 0, 1, 2, …

    Args:
        counts: int64 ``[K]``, pixels of each label; NaN is the answer for none.
        depths: float64 ``[K]``, sums of distances.
        peaks: float64 ``[K]``, largest distances.
        lengths: ``[K]``, of the sums of directions.
        means: ``[K, D]``, the sums' directions.
        pairs: int64 ``[P, 2]``, a label and one of its neighbours.
    """
    sizes = counts.double()
    found = {
        "depth": depths / sizes,
        "peak": torch.where(sizes > 0, peaks, math.nan),
        "agreement": lengths.double() / sizes,
        "margin": torch.where(sizes > 0, margins(means.double(), pairs), math.nan),
        "log_size": torch.where(sizes > 0, sizes.log(), math.nan),
    }
    return {name: values[1:].numpy(force=True) for name, values in found.items()}


def margins(means: Tensor, pairs: Tensor) -> Tensor:
    """Return the cosine distance of each label's mean ``[K, D]`` to the closest of its neighbours', ``[K]``."""
    one, other = pairs.unbind(1)
    apart = 1 - (means[one] * means[other]).sum(1)
    none = torch.ones(len(means), dtype=means.dtype, device=means.device)
    return none.scatter_reduce(0, one, apart, "amin", include_self=False)


def calibration_of(settings: Settings) -> Mapping[str, float]:
    """Return what makes probabilities of features; raise a ValueError if the model has nothing of that kind."""
    if not settings.calibration:
        raise ValueError("this model has no calibration: its objects can have labels, but no scores")
    return settings.calibration


def calibrated(features: Mapping[str, np.ndarray], calibration: Mapping[str, float]) -> np.ndarray:
    """Return the probability that each object covers a true one with an IoU of 0.5 or more.

    Args:
        features: of :func:`object_features`.
        calibration: the coefficients of a logistic function, one for each feature that it uses, and ``intercept``:
            what a model's settings keep.

    Returns:
        float64, one value for each object, 0 to 1.

    Raises:
        ValueError: a coefficient is of no feature.
    """
    unknown = sorted(set(calibration) - {*features, "intercept"})
    if unknown:
        raise ValueError(f"calibration has {', '.join(unknown)}; expected intercept and {', '.join(features)}")
    sums = sum(calibration[name] * features[name] for name in features if name in calibration)
    return np.asarray(1 / (1 + np.exp(-(sums + calibration.get("intercept", 0.0)))))
