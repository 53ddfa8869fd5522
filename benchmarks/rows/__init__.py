"""One file per operator: its limit, its peers, its goals."""

from benchmarks.rows import (
    connected_components,
    distance_map,
    embedding_loss,
    mean_embedding,
    metrics,
    neighbor_pairs,
    postprocess,
)

MODULES = [
    mean_embedding, embedding_loss, postprocess, neighbor_pairs, distance_map, connected_components, metrics,
]  # fmt: skip
