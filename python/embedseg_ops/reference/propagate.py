"""Growth of seeds, in plain PyTorch: one level after the other, every pixel at a time for each of its neighbours."""

import itertools
from collections.abc import Iterator

import torch
from torch import Tensor

from embedseg_ops.reference.mean_embedding import directions, mean_embedding


def propagate(embedding: Tensor, seeds: Tensor, max_distance: float = 0.3) -> Tensor:
    """Grow seeds ``[B, *spatial]``; as :func:`embedseg_ops.propagate`, in float64."""
    embedding = embedding.double()
    means, _ = mean_embedding(embedding, seeds.clamp(min=0))
    finite = torch.isfinite(embedding).all(1)
    grown = [
        _grow(vectors, known, objects, start, max_distance)
        for vectors, known, objects, start in zip(directions(embedding), finite, means, seeds, strict=True)
    ]
    return torch.stack(grown).to(torch.int32) if grown else seeds.to(torch.int32)


def _grow(vectors: Tensor, finite: Tensor, means: Tensor, seeds: Tensor, max_distance: float) -> Tensor:
    labels = seeds.long()
    while True:
        best_distance = torch.full(labels.shape, torch.inf, dtype=torch.float64)
        best_label = torch.zeros_like(labels)
        for neighbor in _neighbors(labels):
            distance = 1 - (vectors.movedim(0, -1) * means[neighbor.clamp(min=0)]).sum(-1)
            closer = (distance < best_distance) | ((distance == best_distance) & (neighbor < best_label))
            joins = (labels == 0) & (neighbor > 0) & finite & (distance < max_distance) & closer
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
