"""The training loss: L = L_reg + λ₁ L_emb (paper, Equation 4; docs/method.md, Distance map and its loss)."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from embedseg_ops.ops.embedding_loss import embedding_loss
from embedseg_ops.train.targets import Targets, signed

__all__ = [
    "TrainingLoss",
    "foreground_loss",
    "mean_error",
    "object_weights",
    "pixel_weights",
    "regression_loss",
    "sparsity_loss",
    "training_loss",
]


class TrainingLoss(NamedTuple):
    """The loss of a batch, and its parts as they enter it; scalars.

    Args:
        total: what is minimised.
        regression: L_reg, times the square of the target scale.
        consistency: L_con.
        discrimination: L_dis.
        sparsity: the sparsity constraint, times its weight; 0 without.
        foreground: the cross-entropy of the foreground, times its weight; 0 without.
    """

    total: Tensor
    regression: Tensor
    consistency: Tensor
    discrimination: Tensor
    sparsity: Tensor
    foreground: Tensor


def pixel_weights(labels: Tensor, weights: str | None = "balanced") -> Tensor:
    """Return the weights w_p, float32 ``[B, *spatial]``, 0 where labels are −1 (docs/method.md, Embedding loss).

    Args:
        labels: integer ``[B, *spatial]``.
        weights: ``"balanced"`` gives foreground and background the same weight in every image; None: 1 everywhere.
    """
    labels = signed(labels)
    counted = (labels >= 0).float()
    if weights is None:
        return counted
    axes = tuple(range(1, labels.ndim))
    total = counted.sum(axes, keepdim=True)
    foreground = (labels > 0).sum(axes, keepdim=True).float()
    background = total - foreground
    share = torch.where(labels > 0, foreground, background)
    both = (foreground > 0) & (background > 0)
    return torch.where(both, total / (2 * share.clamp(min=1)), 1.0) * counted


def object_weights(labels: Tensor) -> Tensor:
    """Return 1 / √size of each pixel's object, with a mean of 1 over an image's foreground, and 1 in the background.

    So a large object still counts more than a small one, but with the root of its size only.

    Args:
        labels: integer ``[B, *spatial]``; −1 is background here.

    Returns:
        float32 ``[B, *spatial]``.
    """
    objects = signed(labels).clamp(min=0).long()
    images = torch.arange(len(labels), device=labels.device).view(-1, *[1] * (labels.ndim - 1))
    keys = objects + images * (objects.amax() + 1)
    weights = torch.where(objects > 0, keys.flatten().bincount()[keys].float().rsqrt(), 0)
    axes = tuple(range(1, labels.ndim))
    mean = weights.sum(axes, keepdim=True) / (objects > 0).sum(axes, keepdim=True).clamp(min=1)
    return torch.where(objects > 0, weights / mean, 1.0)


def regression_loss(
    distance: Tensor, target: Tensor, labels: Tensor, weights: str | None = "balanced", scale: float = 1.0,
    by_object: bool = False,
) -> Tensor:  # fmt: skip
    """Return L_reg: the weighted mean squared error of the distance map, averaged over the images; a scalar.

    Args:
        distance: predicted, float ``[B, *spatial]``.
        target: from `embedseg_ops.distance_map`, float32 ``[B, *spatial]``.
        labels: integer ``[B, *spatial]``; −1 does not count.
        weights: see `pixel_weights`.
        scale: of both maps; 1 in the paper, 10 in the authors' code. The loss grows with its square.
        by_object: whether small objects count more, see `object_weights`.
    """
    labels = signed(labels)
    errors = (torch.where(labels >= 0, distance.float(), target) - target) ** 2  # NaN where it does not count is none
    if by_object:
        errors = errors * object_weights(labels)
    return scale * scale * mean_error(errors, labels, weights)


def foreground_loss(logits: Tensor, labels: Tensor, weights: str | None = "balanced") -> Tensor:
    """Return the weighted mean cross-entropy of foreground and background, averaged over the images; a scalar.

    Args:
        logits: of the foreground, float ``[B, *spatial]``.
        labels: integer ``[B, *spatial]``; −1 does not count.
        weights: see `pixel_weights`.
    """
    labels = signed(labels)
    logits = torch.where(labels >= 0, logits.float(), 0)
    errors = F.binary_cross_entropy_with_logits(logits, (labels > 0).float(), reduction="none")
    return mean_error(errors, labels, weights)


def mean_error(errors: Tensor, labels: Tensor, weights: str | None) -> Tensor:
    """Return the weighted mean of ``[B, *spatial]`` over the counted pixels, averaged over the images."""
    labels = signed(labels)
    weighted: Tensor = pixel_weights(labels, weights) * errors
    counts = (labels >= 0).flatten(1).sum(1).clamp(min=1)
    return (weighted.flatten(1).sum(1) / counts).mean()


def sparsity_loss(embedding: Tensor, labels: Tensor) -> Tensor:
    """Return how far the directions are from the axes: 0 on an axis, 1 as far as can be; a scalar (paper, outlook).

    Args:
        embedding: float ``[B, D, *spatial]``, D at least 2.
        labels: integer ``[B, *spatial]``; −1 does not count.
    """
    counted = signed(labels) >= 0
    directions = F.normalize(torch.where(counted.unsqueeze(1), embedding.float(), 1), dim=1)
    excess = (directions.abs().sum(1) - 1) / (embedding.shape[1] ** 0.5 - 1)
    loss: Tensor = (excess * counted).sum() / counted.sum().clamp(min=1)
    return loss


def training_loss(
    embedding: Tensor, distance: Tensor, targets: Targets, foreground: Tensor | None = None, *,
    embedding_weight: float = 5.0, weights: str | None = "balanced", target_scale: float = 1.0,
    sparsity_weight: float = 0.0, foreground_weight: float = 10.0, object_weights: bool = False,
) -> TrainingLoss:  # fmt: skip
    """Return the loss of the network's outputs for a batch; the defaults are the paper's.

    Args:
        embedding: float ``[B, D, *spatial]``.
        distance: float ``[B, *spatial]``.
        targets: from `embedseg_ops.train.targets.make_targets`.
        foreground: logits, float ``[B, *spatial]``, of a network that has them (not in the paper).
        embedding_weight: λ₁.
        weights: of the pixels in all terms but the sparsity, ``"balanced"`` or None; see `pixel_weights`.
        target_scale: see `regression_loss`.
        sparsity_weight: of `sparsity_loss`.
        foreground_weight: of `foreground_loss`.
        object_weights: whether small objects count more in the distance loss.
    """
    regression = regression_loss(distance, targets.distance, targets.labels, weights, target_scale, object_weights)
    parts = embedding_loss(embedding, targets.labels, targets.pairs, weights=weights)
    sparsity = outline = torch.zeros_like(regression)
    if sparsity_weight > 0:
        sparsity = sparsity_weight * sparsity_loss(embedding, targets.labels)
    if foreground is not None:
        outline = foreground_weight * foreground_loss(foreground, targets.labels, weights)
    total = regression + embedding_weight * parts.total + sparsity + outline
    return TrainingLoss(total, regression, parts.consistency, parts.discrimination, sparsity, outline)
