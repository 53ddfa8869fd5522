"""Each operator called on a scene, for the measurements of memory and growth."""

from collections.abc import Callable

import torch

import embedseg_ops as ops
from benchmarks.peers.embedding import forward_backward
from benchmarks.scene import Scene


def _loss(embedding: torch.Tensor, scene: Scene) -> torch.Tensor:
    return ops.embedding_loss(embedding, scene.labels, torch.as_tensor(scene.pairs)).total


CALLS: dict[str, Callable[[Scene], object]] = {
    "mean_embedding": lambda scene: ops.mean_embedding(scene.embedding, scene.labels),
    "loss forward": lambda scene: _loss(scene.embedding, scene),
    "loss forward + backward": lambda scene: forward_backward(_loss, scene.embedding, scene),
    "postprocess": lambda scene: ops.postprocess(scene.embedding, scene.distance),
    "neighbor_pairs": lambda scene: ops.neighbor_pairs(scene.labels, 10.0),
    "distance_map": lambda scene: ops.distance_map(scene.labels),
    "connected_components": lambda scene: ops.connected_components(scene.distance > 0.7),
}


def chosen(only: str | None) -> list[str]:
    """The calls whose operator is built, and is asked for."""
    operators = {name: "embedding_loss" if name.startswith("loss") else name for name in CALLS}
    return [name for name, op in operators.items() if hasattr(ops, op) and only in (None, op)]
