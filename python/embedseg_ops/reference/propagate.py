"""Growth of seeds, in plain PyTorch: one level after the other, every pixel at a time for each of its neighbours."""

import itertools
from collections.abc import Iterator
from typing import overload

import torch
from torch import Tensor

from embedseg_ops.reference.mean_embedding import directions, mean_embedding, unit


@overload
def propagate(
    embedding: Tensor, seeds: Tensor, max_cosine_distance: float = 0.3, background: Tensor | None = None, *,
    means: Tensor | None = None, background_mean: Tensor | None = None, max_levels: None = None,
) -> Tensor: ...  # fmt: skip


@overload
def propagate(
    embedding: Tensor, seeds: Tensor, max_cosine_distance: float = 0.3, background: Tensor | None = None, *,
    means: Tensor | None = None, background_mean: Tensor | None = None, max_levels: int,
) -> tuple[Tensor, Tensor]: ...  # fmt: skip


def propagate(
    embedding: Tensor, seeds: Tensor, max_cosine_distance: float = 0.3, background: Tensor | None = None, *,
    means: Tensor | None = None, background_mean: Tensor | None = None, max_levels: int | None = None,
) -> Tensor | tuple[Tensor, Tensor]:  # fmt: skip
    """Grow seeds ``[B, *spatial]``; as :func:`embedseg_ops.propagate`, in float64."""
    embedding, seeds = embedding.double(), seeds.long()
    if means is None:
        means, _ = mean_embedding(embedding, seeds.clamp(min=0))
    if background is not None:
        outside = ((seeds == 0) & background).long()
        background_mean = mean_embedding(embedding, outside, num_objects=2)[0][:, 1]
    means, limits = unit(means.double()), torch.full(seeds.shape, max_cosine_distance, dtype=torch.float64)
    if background_mean is not None:
        likeness = torch.einsum("bd...,bd->b...", directions(embedding), unit(background_mean.double()))
        limits = torch.minimum(limits, 1 - likeness)
    finite = torch.isfinite(embedding).all(1)
    images = zip(directions(embedding), finite, means, seeds.long(), limits, strict=True)
    grown, active = seeds.to(torch.int32).clone(), torch.zeros(seeds.shape, dtype=torch.bool)
    for image, (vectors, known, objects, start, limit) in enumerate(images):
        grown[image], active[image] = _grow(vectors, known, objects, start, limit, max_levels)
    return grown if max_levels is None else (grown, active)


def _grow(
    vectors: Tensor, finite: Tensor, means: Tensor, labels: Tensor, limits: Tensor, max_levels: int | None
) -> tuple[Tensor, Tensor]:
    joined = torch.zeros_like(labels)
    for _ in range(max_levels) if max_levels is not None else itertools.count():
        joined = _join(vectors, finite, means, labels, limits)
        if not joined.any():
            break
        labels = torch.where(joined > 0, joined, labels)
    return labels, joined > 0


def _join(vectors: Tensor, finite: Tensor, means: Tensor, labels: Tensor, limits: Tensor) -> Tensor:
    """Return the object that each pixel joins in this level, 0 for none."""
    best_distance = torch.full(labels.shape, torch.inf, dtype=torch.float64)
    best_label = torch.zeros_like(labels)
    for neighbor in _neighbors(labels):
        distance = 1 - (vectors.movedim(0, -1) * means[neighbor.clamp(min=0)]).sum(-1)
        closer = (distance < best_distance) | ((distance == best_distance) & (neighbor < best_label))
        joins = (labels == 0) & (neighbor > 0) & finite & (distance < limits) & closer
        best_distance = torch.where(joins, distance, best_distance)
        best_label = torch.where(joins, neighbor, best_label)
    return best_label


def _neighbors(labels: Tensor) -> Iterator[Tensor]:
    """For each of the 8 (26) directions, the label that every pixel sees there; 0 outside the image."""
    padded = torch.nn.functional.pad(labels, (1, 1) * labels.ndim)
    for steps in itertools.product((0, 1, 2), repeat=labels.ndim):
        if any(step != 1 for step in steps):
            yield padded[tuple(slice(step, step + size) for step, size in zip(steps, labels.shape, strict=True))]
