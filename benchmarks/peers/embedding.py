"""Mean embeddings and the loss, as PyTorch users write them."""

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


def precise(embedding: Tensor) -> Tensor:
    """Sums in half precision would be worthless: everyone converts first."""
    return embedding.float() if embedding.dtype in (torch.bfloat16, torch.float16) else embedding


def index_add(embedding: Tensor, labels: Tensor) -> Tensor:
    """[1, D, H, W] and [1, H, W] to unit means [K, D], through pixel-major rows."""
    rows = F.normalize(precise(embedding), dim=1)[0].flatten(1).T.contiguous()
    ids = labels.flatten().long()
    return F.normalize(rows.new_zeros(int(labels.max()) + 1, rows.shape[1]).index_add_(0, ids, rows), dim=1)


def scatter_add(embedding: Tensor, labels: Tensor) -> Tensor:
    """The same without the transposition, as torch-scatter does it."""
    columns = F.normalize(precise(embedding), dim=1)[0].flatten(1)
    ids = labels.flatten().long().expand_as(columns)
    sums = columns.new_zeros(len(columns), int(labels.max()) + 1).scatter_add_(1, ids, columns)
    return F.normalize(sums.T, dim=1)


def balanced(labels: Tensor) -> Tensor:
    """The balanced weight of the background and of the foreground, [2]."""
    background = (labels == 0).sum()
    return labels.numel() / (2 * torch.stack([background, labels.numel() - background]))


def naive_loss(embedding: Tensor, labels: Tensor, pairs: Tensor) -> Tensor:
    """Pixel by pixel with autograd, and every mean against every mean."""
    ids = labels.flatten().long()
    means = index_add(embedding, labels)
    pixels = precise(embedding)[0].flatten(1).T
    weights = balanced(labels)[(ids > 0).long()]
    consistency = (weights * (1 - F.cosine_similarity(pixels, means[ids], dim=1))).mean()
    neighbors = torch.zeros(len(means), len(means))
    neighbors[pairs[:, 1], pairs[:, 2]] = 1
    similarity = (means @ means.T).abs() * neighbors
    return consistency + (similarity.sum(1) / neighbors.sum(1).clamp(min=1)).mean()


def closed_form(embedding: Tensor, labels: Tensor, pairs: Tensor, objects: int) -> Tensor:
    """The method's one pass, for a batch: L_con = 1/N · Σ_k w_k (M_k − ‖S_k‖). All labels 0 … K − 1 must occur."""
    batch, pixels = len(labels), labels[0].numel()
    rows = F.normalize(precise(embedding), dim=1).flatten(2).mT.flatten(0, 1)
    ids = (labels.flatten(1) + objects * torch.arange(batch, device=labels.device)[:, None]).flatten()
    sums = rows.new_zeros(batch * objects, rows.shape[1]).index_add(0, ids, rows)
    counts = torch.bincount(ids, minlength=batch * objects).view(batch, objects)
    norms = torch.linalg.vector_norm(sums, dim=1)
    background = counts[:, :1]
    weights = pixels / (2 * torch.cat([background, (pixels - background).expand(-1, objects - 1)], 1))
    consistency = (weights * (counts - norms.view(batch, objects))).sum() / labels.numel()
    means = sums / norms[:, None]
    first, second = (objects * pairs[:, 0] + pairs[:, column] for column in (1, 2))
    degrees = torch.bincount(first, minlength=batch * objects)
    similarity = (means[first] * means[second]).sum(1).abs()
    return consistency + (similarity / degrees[first]).sum() / (batch * objects)


@cache
def compiled_closed_form() -> Callable[..., Tensor]:
    return torch.compile(closed_form, dynamic=False)


def discriminative_loss(embedding: Tensor, labels: Tensor, pull: float = 0.5, push: float = 1.5) -> Tensor:
    """De Brabandere et al. 2017, with their margins: pixels to their object's mean, all means away from each other."""
    pixels = precise(embedding)[0].flatten(1).T[labels.flatten() > 0]
    ids = labels[labels > 0].long() - 1
    counts = torch.bincount(ids)
    means = pixels.new_zeros(len(counts), pixels.shape[1]).index_add(0, ids, pixels) / counts[:, None]
    beyond = F.relu((pixels - means[ids]).norm(dim=1) - pull).square()
    variance = (beyond.new_zeros(len(counts)).index_add(0, ids, beyond) / counts).mean()
    first, second = torch.triu_indices(len(means), len(means), offset=1)
    between = F.relu(2 * push - (means[first] - means[second]).norm(dim=1)).square()
    return variance + between.sum() / max(len(between), 1) + 0.001 * means.norm(dim=1).mean()


def forward_backward(loss: Loss, embedding: Tensor, *rest: object) -> tuple[Tensor, Tensor]:
    """The loss and its gradient."""
    leaf = embedding.detach().requires_grad_()
    value = loss(leaf, *rest)
    [gradient] = torch.autograd.grad(value, leaf)
    return value.detach(), gradient
