"""How good a segmentation is: docs/method.md, Measures.

:func:`evaluate` gives every measure in one pass over the images; the functions named after a measure give that one.

All take `truth` and `prediction` as :func:`embedseg_ops.evaluate.overlaps.overlaps` does: integer label maps, NumPy
or torch, where 0 is background and a pixel whose truth is −1 counts for neither. Each is one image ``[H, W]``, a batch
``[B, H, W]`` or ``[B, D, H, W]``, or a list of images or volumes. Three axes are a batch of images: give one volume
as ``[volume]``. They raise a TypeError for what is not an integer array, and a ValueError for shapes or numbers of
images that differ and for a true label below −1.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import sparse

from embedseg_ops.evaluate.overlaps import Images, Overlaps, overlaps
from embedseg_ops.ops.arguments import check_integer
from embedseg_ops.ops.images import Array, as_tensor
from embedseg_ops.ops.numbers import check_finite

__all__ = [
    "AveragePrecision",
    "Evaluation",
    "average_precision",
    "difference_in_count",
    "evaluate",
    "foreground_dice",
    "mean_angle",
    "symmetric_best_dice",
]

# Literals: np.arange's 0.6000000000000001 would miss an overlap of exactly 3/5.
THRESHOLDS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9)


@dataclass(frozen=True)
class AveragePrecision:
    """TP / (TP + FP + FN) at each of T thresholds, per image and for all of them; 1 for an image empty in both."""

    thresholds: np.ndarray  # float64 [T]
    true_positives: np.ndarray  # int64 [images, T]
    false_positives: np.ndarray  # int64 [images, T]
    false_negatives: np.ndarray  # int64 [images, T]

    @property
    def per_image(self) -> np.ndarray:
        """The precision of each image, float64 ``[images, T]``."""
        return _precision(self.true_positives, self.false_positives, self.false_negatives)

    @property
    def values(self) -> np.ndarray:
        """The mean over the images, float64 ``[T]``."""
        return np.asarray(self.per_image.mean(0))

    @property
    def pooled(self) -> np.ndarray:
        """The precision of all images' objects together, float64 ``[T]``: an image with more of them weighs more."""
        return _precision(self.true_positives.sum(0), self.false_positives.sum(0), self.false_negatives.sum(0))

    @property
    def mean(self) -> float:
        """The mean of `values` over the thresholds: with the default ones, "mean AP"."""
        return float(self.values.mean())


@dataclass(frozen=True)
class Evaluation:
    """Every measure of a data set, each the mean over its images."""

    average_precision: AveragePrecision
    symmetric_best_dice: float
    foreground_dice: float
    difference_in_count: float
    absolute_difference_in_count: float


def evaluate(truth: Images, prediction: Images, thresholds: Sequence[float] = THRESHOLDS) -> Evaluation:
    """Measure a prediction in every way at once.

    >>> scores = evaluate(np.array([[1, 1, 0, 2, 2, 2]]), np.array([[4, 4, 0, 0, 7, 7]]))
    >>> round(scores.average_precision.mean, 3), scores.symmetric_best_dice, scores.difference_in_count
    (0.63, 0.9, 0.0)
    """
    levels = _check_thresholds(thresholds)
    tables = _tables(truth, prediction)
    return Evaluation(
        _average_precision(tables, levels),
        _mean_over_images(_symmetric_best_dice, tables),
        _mean_over_images(_foreground_dice, tables),
        _mean_over_images(_difference_in_count, tables),
        _mean_over_images(_absolute_difference_in_count, tables),
    )


def average_precision(truth: Images, prediction: Images, thresholds: Sequence[float] = THRESHOLDS) -> AveragePrecision:
    """Count the objects found: as many as can be matched one to one at an intersection over union ≥ each threshold.

    Args:
        truth: the true label maps.
        prediction: the predicted label maps.
        thresholds: above 0 and up to 1; the default is the paper's nine, 0.5 to 0.9.

    >>> truth = [np.array([[1, 1, 0, 2, 2, 2]]), np.array([[0, 0]])]
    >>> prediction = [np.array([[4, 4, 0, 0, 7, 7]]), np.array([[0, 0]])]
    >>> scores = average_precision(truth, prediction, (0.5, 0.75))
    >>> scores.per_image.round(2).tolist()  # the second image is empty in both
    [[1.0, 0.33], [1.0, 1.0]]
    >>> scores.values.round(2).tolist(), scores.pooled.round(2).tolist(), round(scores.mean, 2)
    ([1.0, 0.67], [1.0, 0.33], 0.83)
    """
    levels = _check_thresholds(thresholds)
    return _average_precision(_tables(truth, prediction), levels)


def symmetric_best_dice(truth: Images, prediction: Images) -> float:
    """Average every object's best Dice coefficient, from truth to prediction and back; keep the worse of the two.

    1 for an image empty in both, 0 for one empty in one of them.

    >>> symmetric_best_dice(np.array([[1, 1, 0, 2, 2, 2]]), np.array([[4, 4, 0, 0, 7, 7]]))
    0.9
    """
    return _mean_over_images(_symmetric_best_dice, _tables(truth, prediction))


def foreground_dice(truth: Images, prediction: Images) -> float:
    """Compare the foregrounds whatever their objects: `2 |A ∩ B| / (|A| + |B|)`, and 1 for an image empty in both.

    >>> foreground_dice(np.array([[1, 1, 2, 0]]), np.array([[1, 0, 0, 0]]))
    0.5
    """
    return _mean_over_images(_foreground_dice, _tables(truth, prediction))


def difference_in_count(truth: Images, prediction: Images, absolute: bool = False) -> float:
    """Subtract the number of true objects from the predicted one; `absolute` drops the sign, image by image.

    >>> truth, prediction = np.array([[[1, 2, 3]], [[1, 0, 0]]]), np.array([[[1, 1, 0]], [[1, 0, 2]]])
    >>> difference_in_count(truth, prediction), difference_in_count(truth, prediction, absolute=True)
    (-0.5, 1.5)
    """
    measure = _absolute_difference_in_count if absolute else _difference_in_count
    return _mean_over_images(measure, _tables(truth, prediction))


def mean_angle(means: Array, pairs: Array) -> float:
    """Average the angle between neighbours' mean embeddings, in degrees over all pairs: 90 is perfect.

    Args:
        means: floating ``[B, K, D]``, from :func:`embedseg_ops.mean_embedding`; their lengths do not matter, and a
            zero vector is orthogonal to all, as in the loss.
        pairs: integer ``[P, 3]``, rows (image, object, neighbour), from :func:`embedseg_ops.neighbor_pairs`.

    Returns:
        The mean angle, NaN where there is no pair.

    Raises:
        TypeError: a dtype is not as above.
        ValueError: a shape is not as above, or a row of `pairs` lies outside `means`.

    >>> mean_angle(np.array([[[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]]]), np.array([[0, 0, 1], [0, 1, 2]]))
    67.5
    """
    vectors, rows = as_tensor(means, "means"), as_tensor(pairs, "pairs")
    if not vectors.is_floating_point():
        raise TypeError(f"means must have a floating dtype, got {vectors.dtype}")
    check_integer(rows, "pairs")
    if vectors.ndim != 3:
        raise ValueError(f"means must be [B, K, D], got shape {list(vectors.shape)}")
    if rows.ndim != 2 or rows.shape[1] != 3:
        raise ValueError(f"pairs must be [P, 3], got shape {list(rows.shape)}")
    rows = rows.to(vectors.device, torch.int64)
    largest = torch.tensor([vectors.shape[0], vectors.shape[1], vectors.shape[1]], device=vectors.device)
    outside = ((rows < 0) | (rows >= largest)).any(1)
    if outside.any():
        raise ValueError(f"pairs must index means of shape {list(vectors.shape)}, got row {rows[outside][0].tolist()}")
    images, objects, neighbors = rows.T
    units = torch.nn.functional.normalize(vectors.detach().double(), dim=-1, eps=1e-300)
    cosines = (units[images, objects] * units[images, neighbors]).sum(-1)
    return float(cosines.clamp(-1, 1).acos().rad2deg().mean())


def _tables(truth: Images, prediction: Images) -> list[Overlaps]:
    tables = overlaps(truth, prediction)
    if not tables:
        raise ValueError("truth must hold at least one image to average over, got none")
    return tables


def _mean_over_images(measure: Callable[[Overlaps], float], tables: list[Overlaps]) -> float:
    return float(np.mean([measure(table) for table in tables]))


def _average_precision(tables: list[Overlaps], thresholds: list[float]) -> AveragePrecision:
    matched = np.array([[_matches(table, threshold) for threshold in thresholds] for table in tables], np.int64)
    predicted = np.array([[len(table.predicted_sizes)] for table in tables], np.int64)
    true = np.array([[len(table.true_sizes)] for table in tables], np.int64)
    return AveragePrecision(np.array(thresholds), matched, predicted - matched, true - matched)


def _matches(table: Overlaps, threshold: float) -> int:
    """Count the pairs of a largest one-to-one matching among the pairs at or above the threshold."""
    close = table.iou >= threshold
    if threshold > 0.5:  # two objects cannot both share more than half with a third
        return int(np.count_nonzero(close))
    shape = (len(table.true_sizes), len(table.predicted_sizes))
    edges = sparse.csr_array((close[close], (table.true[close], table.predicted[close])), shape)
    return int(np.count_nonzero(sparse.csgraph.maximum_bipartite_matching(edges) >= 0))


def _precision(true_positives: np.ndarray, false_positives: np.ndarray, false_negatives: np.ndarray) -> np.ndarray:
    objects = true_positives + false_positives + false_negatives
    return np.where(objects > 0, true_positives / np.maximum(objects, 1), 1.0)


def _symmetric_best_dice(table: Overlaps) -> float:
    if len(table.true_sizes) == len(table.predicted_sizes) == 0:
        return 1.0
    sides = ((table.true, len(table.true_sizes)), (table.predicted, len(table.predicted_sizes)))
    return min(_best_dice(objects, count, table.dice) for objects, count in sides)


def _best_dice(objects: np.ndarray, count: int, dice: np.ndarray) -> float:
    best = np.zeros(count)
    np.maximum.at(best, objects, dice)
    return float(best.mean()) if count else 0.0


def _foreground_dice(table: Overlaps) -> float:
    foregrounds = table.true_sizes.sum() + table.predicted_sizes.sum()
    return float(2 * table.shared.sum() / foregrounds) if foregrounds else 1.0


def _difference_in_count(table: Overlaps) -> int:
    return len(table.predicted_sizes) - len(table.true_sizes)


def _absolute_difference_in_count(table: Overlaps) -> int:
    return abs(_difference_in_count(table))


def _check_thresholds(thresholds: Sequence[float]) -> list[float]:
    levels = [check_finite(threshold, "thresholds") for threshold in thresholds]
    if not levels or min(levels) <= 0 or max(levels) > 1:
        raise ValueError(f"thresholds must be one or more numbers above 0 and up to 1, got {list(thresholds)}")
    return levels
