"""Growth of seeds, in plain PyTorch: one level after the other, every pixel at a time for each of its neighbours."""

import itertools
from collections.abc import Iterator

import torch
from torch import Tensor

from embedseg_ops.reference.mean_embedding import directions, mean_embedding


def propagate(embedding: Tensor, seeds: Tensor, max_distance: float = 0.3, background: Tensor | None = None) -> Tensor:
    """Grow seeds ``[B, *spatial]``; as :func:`embedseg_ops.propagate`, in float64."""
    embedding = embedding.double()
    means, _ = mean_embedding(embedding, seeds.clamp(min=0))
    finite = torch.isfinite(embedding).all(1)
    limits = torch.full(seeds.shape, max_distance, dtype=torch.float64)
    if background is not None:
        outside = mean_embedding(embedding, ((seeds == 0) & background).long(), num_objects=2)[0][:, 1]
        likeness = torch.einsum("bd...,bd->b...", directions(embedding), outside)
        limits = torch.minimum(limits, 1 - likeness)
    grown = [
        _grow(vectors, known, objects, start, limit)
        for vectors, known, objects, start, limit in zip(
            directions(embedding), finite, means, seeds, limits, strict=True
        )
    ]
    return torch.stack(grown).to(torch.int32) if grown else seeds.to(torch.int32)


def _grow(vectors: Tensor, finite: Tensor, means: Tensor, seeds: Tensor, limits: Tensor) -> Tensor:
    labels = seeds.long()
    while True:
        best_distance = torch.full(labels.shape, torch.inf, dtype=torch.float64)
        best_label = torch.zeros_like(labels)
        for neighbor in _neighbors(labels):
            distance = 1 - (vectors.movedim(0, -1) * means[neighbor.clamp(min=0)]).sum(-1)
            closer = (distance < best_distance) | ((distance == best_distance) & (neighbor < best_label))
            joins = (labels == 0) & (neighbor > 0) & finite & (distance < limits) & closer
            best_distance = torch.where(joins, distance, best_distance)
            best_label = torch.where(joins, neighbor, best_label)
        if not best_label.any():
            return labels
        labels = torch.where(best_label > 0, best_label, labels)


def _neighbors(labels: Tensor) -> Iterator[Tensor]:
    """For each of the 8 (26) directions, the label that every pixel sees there; 0 outside the image."""
    padded = torch.nn.functional.pad(labels, (1, 1) * labels.ndim)
    for steps in itertools.product((0, 1, 2), repeat=labels.ndim):
        if any(step != 1 for step in steps):
            yield padded[tuple(slice(step, step + size) for step, size in zip(steps, labels.shape, strict=True))]
