"""The mean embedding of every object, in plain PyTorch."""

import torch
from torch import Tensor


def directions(embedding: Tensor) -> Tensor:
    """Return ê = e / ‖e‖ for ``[B, D, *spatial]``; the zero direction for a vector that is zero or not finite."""
    largest = embedding.detach().abs().amax(1, keepdim=True)
    directed = (largest > 0) & torch.isfinite(embedding).all(1, keepdim=True)
    scaled = torch.where(directed, embedding, 1) / torch.where(directed, largest, 1)
    return torch.where(directed, scaled / scaled.norm(dim=1, keepdim=True), 0)


def mean_embedding(embedding: Tensor, labels: Tensor, num_objects: int | None = None) -> tuple[Tensor, Tensor]:
    """Compute means ``[B, K, D]`` and counts ``[B, K]``; as :func:`embedseg_ops.mean_embedding`."""
    labels = labels.long()
    if num_objects is None:
        num_objects = int(labels.max()) + 1 if labels.numel() else 0
    batch, dim = embedding.shape[:2]
    sums = embedding.new_zeros(batch, num_objects, dim)
    counts = torch.zeros(batch, num_objects, dtype=torch.int64)
    for image, (vectors, objects) in enumerate(zip(directions(embedding), labels, strict=True)):
        inside = objects >= 0
        index = objects[inside]
        sums[image] = torch.zeros_like(sums[image]).index_add(0, index, vectors[:, inside].T)
        counts[image] = torch.bincount(index, minlength=num_objects)
    return unit(sums), counts


def unit(vectors: Tensor) -> Tensor:
    """Return the vectors of the last axis with length 1; zero stays zero."""
    lengths = vectors.norm(dim=-1, keepdim=True)
    return torch.where(lengths > 0, vectors / torch.where(lengths > 0, lengths, 1), 0)
