"""One file per operator, and for the whole of training and prediction: limits, peers, goals."""

from benchmarks.rows import (
    connected_components,
    distance_map,
    embedding_loss,
    mean_embedding,
    metrics,
    neighbor_pairs,
    network,
    postprocess,
    prediction,
    training_step,
)

MODULES = [
    mean_embedding, embedding_loss, postprocess, neighbor_pairs, distance_map, connected_components, metrics,
    training_step, network, prediction,
]  # fmt: skip
