"""A random call of each operator, and of the reference with the same arguments."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

import embedseg_ops
from embedseg_ops import reference
from embedseg_ops.ops.remove_small import remove_small
from embedseg_ops.ops.trim import trim

from .inputs import Draw


class Call(NamedTuple):
    """The two functions, each of floating tensors alone, these tensors, and how closely results must agree."""

    name: str
    ours: Callable[..., Any]
    definition: Callable[..., Any]
    tensors: tuple[Tensor, ...]
    tolerance: float = 0.0


def tolerance_of(embedding: Tensor) -> float:
    """Return what rounding may cost in a result of this embedding's, in units of its largest number."""
    return {torch.float64: 1e-9, torch.float32: 2e-5, torch.float16: 4e-3, torch.bfloat16: 3e-2}[embedding.dtype]


def with_gradient(function: Callable[[Tensor], Tensor], embedding: Tensor) -> tuple[Tensor, ...]:
    """Return a scalar function's value and gradient, both as float64."""
    tracked = embedding.detach().requires_grad_()
    value = function(tracked)
    (gradient,) = torch.autograd.grad(value, tracked) if value.requires_grad else (torch.zeros_like(tracked),)
    # times the vectors' lengths: a direction's gradient does not depend on them
    lengths = embedding.detach().double().norm(dim=1, keepdim=True)
    return value.detach().double(), gradient.double() * torch.where(lengths.isfinite(), lengths, 1)


def mean_embedding(draw: Draw) -> Call:
    """Means, counts, and the gradient of a random product with the means."""
    labels = draw.labels().clamp(max=200)
    stored, embedding = draw.as_stored(labels), draw.embedding(labels)
    rows = (int(labels.max()) + 1 if labels.numel() else 0) + int(draw.random.integers(0, 3))
    incoming = torch.randn(len(labels), rows, embedding.shape[1], generator=draw.torch)

    def run(function: Any, e: Tensor, n: Tensor) -> tuple[Tensor, ...]:
        means, counts = function(e.detach(), n, rows)
        arranged = draw_layout(incoming).to(means.dtype)
        return means.double(), counts, *with_gradient(lambda x: (function(x, n, rows)[0] * arranged).sum(), e)

    draw_layout = draw.one_of(
        [torch.Tensor.contiguous, lambda t: t.mT.contiguous().mT, lambda t: t[:1].expand(t.shape)]
    )
    return Call(
        "mean_embedding", lambda e: run(embedseg_ops.mean_embedding, e, stored),
        lambda e: run(reference.mean_embedding, e.double(), labels), (embedding,), tolerance_of(embedding),
    )  # fmt: skip


def embedding_loss(draw: Draw) -> Call:
    """The loss and its gradient."""
    labels = draw.labels()
    stored, embedding = draw.as_stored(labels), draw.embedding(labels)
    own = torch.rand(labels.shape, generator=draw.torch, dtype=torch.float64) * 3
    own[torch.rand(labels.shape, generator=draw.torch) < 0.1] = 0
    weights = draw.one_of(["balanced", None, own])
    options = {"distance": draw.one_of([1.0, 1.5, 3.0, 10.0]), "background": draw.chance(0.7)}
    ours = draw.laid_out(own.float()) if isinstance(weights, Tensor) else weights
    definition = own.float().double() if isinstance(weights, Tensor) else weights
    pick = int(draw.random.integers(3))
    return Call(
        "embedding_loss",
        lambda e: with_gradient(lambda x: embedseg_ops.embedding_loss(x, stored, weights=ours, **options)[pick], e),
        lambda e: with_gradient(
            lambda x: reference.embedding_loss(x.double(), labels, weights=definition, **options)[pick], e
        ),
        (embedding,), tolerance_of(embedding),
    )  # fmt: skip


def spacing_of(draw: Draw, labels: Tensor) -> list[float] | None:
    """Return a random spacing, or none."""
    return [float(s) for s in draw.random.uniform(0.4, 3, labels.ndim - 1).round(2)] if draw.chance(0.4) else None


def neighbor_pairs(draw: Draw) -> Call:
    """The pairs."""
    labels = draw.labels()
    stored, distance = draw.as_stored(labels), draw.one_of([0.5, 1.0, 1.5, 2.5, 4.0, 100.0])
    background, spacing = draw.chance(0.5), spacing_of(draw, labels)
    dims = labels.ndim - 1
    return Call(
        "neighbor_pairs",
        lambda: embedseg_ops.neighbor_pairs(stored, distance, background, spacing, spatial_dims=dims),
        lambda: reference.neighbor_pairs(labels, distance, background, spacing),
        (),
    )


def distance_map(draw: Draw) -> Call:
    """The distance map."""
    labels = draw.labels()
    stored, spacing, dims = draw.as_stored(labels), spacing_of(draw, labels), labels.ndim - 1
    return Call(
        "distance_map",
        lambda: embedseg_ops.distance_map(stored, spacing, spatial_dims=dims).double(),
        lambda: reference.distance_map(labels, spacing).double(),
        (), 1e-6,
    )  # fmt: skip


def connected_components(draw: Draw) -> Call:
    """The components."""
    labels = draw.labels()
    mask = draw.laid_out(labels > 0) if draw.chance(0.5) else draw.as_stored(labels.clamp(0, 100))
    return Call(
        "connected_components", lambda: embedseg_ops.connected_components(mask),
        lambda: reference.connected_components(mask != 0), (),
    )  # fmt: skip


def propagate(draw: Draw) -> Call:
    """Growth."""
    labels = draw.labels().clamp(max=200)
    seeds = torch.where(torch.rand(labels.shape, generator=draw.torch) < draw.one_of([0.05, 0.3]), labels, 0)
    stored, embedding = draw.as_stored(seeds), draw.embedding(labels)
    limit, dims = draw.one_of([0.1, 0.3, 1.0, 1.9, 2.5]), labels.ndim - 1
    background = (labels == 0) & (torch.rand(labels.shape, generator=draw.torch) < 0.5) if draw.chance(0.4) else None
    ours = None if background is None else draw.laid_out(background)
    return Call(
        "propagate", lambda e: embedseg_ops.propagate(e, stored, limit, ours, spatial_dims=dims),
        lambda e: reference.propagate(e, seeds, limit, background), (embedding,),
    )  # fmt: skip


def remove_small_call(draw: Draw) -> Call:
    """Small objects removed."""
    labels, least = draw.labels(), int(draw.random.integers(-1, 12))
    stored, dims = draw.as_stored(labels), labels.ndim - 1
    return Call(
        "remove_small", lambda: remove_small(stored, least, dims), lambda: reference.remove_small(labels, least), ()
    )


def trim_call(draw: Draw) -> Call:
    """Objects cut back."""
    labels = draw.labels().int()
    distance, depth = draw.distance(labels), float(draw.random.uniform(0.1, 2))
    ours = draw.laid_out(labels)
    return Call("trim", lambda d: trim(ours, d, depth), lambda d: reference.trim(labels, d, depth), (distance,))


def postprocess(draw: Draw) -> Call:
    """All of it."""
    labels = draw.labels()
    smoothing = draw.chance(0.4)
    embedding, distance = draw.embedding(labels), draw.distance(labels, special=not smoothing)
    choices: dict[str, Any] = {
        "seed_threshold": draw.one_of([0.5, 0.7, 0.95, 0.1]), "max_cosine_distance": draw.one_of([0.1, 0.3, 1.0, 2.5]),
        "min_seed_size": draw.one_of([1, 2, 5]), "min_object_size": draw.one_of([1, 3, 10]),
        "background_threshold": draw.one_of([None, 0.05, 0.3]), "min_depth_pixels": draw.one_of([0.0, 0.3, 0.9]),
        "max_objects": draw.one_of([None, 1, 3, 2**31 - 1]),
    }  # fmt: skip
    options = {name: value for name, value in choices.items() if draw.chance(0.5)}
    if smoothing:
        options["seed_smoothing"] = draw.one_of([0.3, 0.8, 2.0])
    dims = labels.ndim - 1
    return Call(
        "postprocess", lambda e, d: embedseg_ops.postprocess(e, d, spatial_dims=dims, **options),
        lambda e, d: reference.postprocess(e, d.float() if d.dtype != torch.float64 else d, **options),
        (embedding, distance),
    )  # fmt: skip


CALLS = [
    mean_embedding, embedding_loss, neighbor_pairs, distance_map, connected_components, propagate, remove_small_call,
    trim_call, postprocess,
]  # fmt: skip
