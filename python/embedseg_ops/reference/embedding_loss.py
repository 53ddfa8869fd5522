"""The embedding loss, in plain PyTorch: the formulas of docs/method.md, Embedding loss, term by term."""

import torch
from torch import Tensor

from embedseg_ops.ops.embedding_loss import EmbeddingLoss
from embedseg_ops.reference.mean_embedding import directions, mean_embedding
from embedseg_ops.reference.neighbor_pairs import neighbor_pairs


def embedding_loss(
    embedding: Tensor,
    labels: Tensor,
    pairs: Tensor | None = None,
    *,
    distance: float = 10.0,
    weights: str | Tensor | None = "balanced",
    background: bool = True,
) -> EmbeddingLoss:
    """Compute the loss and its two terms; as :func:`embedseg_ops.embedding_loss`, in the input's dtype."""
    labels = labels.long()
    labels = labels if background else torch.where(labels == 0, -1, labels)
    if pairs is None:
        pairs = neighbor_pairs(labels, distance, background)
    consistency = discrimination = embedding[:0].sum()  # 0, and differentiable
    for b in range(len(embedding)):
        own_weights = weights[b] if isinstance(weights, Tensor) else weights
        own_pairs = pairs[pairs[:, 0] == b, 1:]
        terms = _image_loss(embedding[b : b + 1], labels[b : b + 1], own_pairs, own_weights)
        consistency = consistency + terms[0] / len(embedding)
        discrimination = discrimination + terms[1] / len(embedding)
    return EmbeddingLoss(consistency + discrimination, consistency, discrimination)


def _image_loss(
    embedding: Tensor, labels: Tensor, pairs: Tensor, weights: str | Tensor | None
) -> tuple[Tensor, Tensor]:
    inside = labels[0] >= 0
    ids, objects = torch.unique(labels[0][inside], return_inverse=True)  # 0, 1, … in the order of the ids that occur
    if len(ids) == 0:
        return embedding.new_zeros(()), embedding.new_zeros(())
    vectors = embedding[0][:, inside]
    if not _all_finite(vectors, weights[inside] if isinstance(weights, Tensor) else None):
        return torch.nan * vectors.sum(), torch.nan * vectors.sum()
    numbered = torch.full_like(labels, -1)
    numbered[0][inside] = objects
    means = mean_embedding(embedding, numbered)[0][0]
    pixel_weights = weights[inside] if isinstance(weights, Tensor) else _class_weights(labels[0][inside], weights)
    distances = 1 - (directions(embedding)[0][:, inside].T * means[objects]).sum(1)
    consistency = (pixel_weights * distances).mean()

    k, n = torch.searchsorted(ids, pairs[torch.isin(pairs, ids).all(1)]).T
    neighbors = torch.bincount(k, minlength=len(ids))
    products = (means[k] * means[n]).sum(1).abs()
    discrimination = (products / neighbors[k]).sum() / len(ids)
    return consistency, discrimination


def _all_finite(vectors: Tensor, weights: Tensor | None) -> bool:
    """Return whether every pixel of ``[D, N]`` is finite whose weight is not 0, and every weight ``[N]``."""
    finite = torch.isfinite(vectors).all(0)
    return bool((finite if weights is None else (finite | (weights == 0)) & torch.isfinite(weights)).all())


def _class_weights(objects: Tensor, weights: str | None) -> Tensor:
    foreground = objects > 0
    if weights is None or foreground.all() or not foreground.any():
        return torch.ones(len(objects), dtype=torch.float64)
    share = torch.where(foreground, foreground.sum(), (~foreground).sum())
    return len(objects) / (2.0 * share.double())
