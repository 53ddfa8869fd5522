"""What the network learns: distance map and neighbour pairs, computed from the augmented labels."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from embedseg_ops.ops.arguments import check_integer
from embedseg_ops.ops.distance_map import distance_map
from embedseg_ops.ops.images import label_batch
from embedseg_ops.ops.neighbor_pairs import neighbor_pairs


class Targets(NamedTuple):
    """The targets of a batch.

    Args:
        labels: int32 ``[B, *spatial]``; −1 is ignored.
        distance: float32 ``[B, *spatial]``, see `embedseg_ops.distance_map`.
        pairs: int64 ``[P, 3]``, see `embedseg_ops.neighbor_pairs`.
    """

    labels: Tensor
    distance: Tensor
    pairs: Tensor


def signed(labels: Tensor) -> Tensor:
    """Return labels in a dtype that has −1, and that torch can compare; they are checked if they were in another."""
    check_integer(labels, "labels")
    return labels if labels.dtype.is_signed else label_batch(labels)[0]


def make_targets(
    labels: Tensor, inside: Tensor | None = None, distance: float = 10.0, spacing: Sequence[float] | None = None
) -> Targets:
    """Return the targets of a batch of label maps.

    Args:
        labels: any integer dtype ``[B, *spatial]``; the objects of an image are renumbered 1, 2, … in their order.
        inside: bool ``[B, *spatial]``; where it is False, the labels only continue the image beyond its border: they
            count for the distance map, where a cut object must not end, but are ignored otherwise. None: True.
        distance: objects nearer than this are neighbours, in pixels, or in the unit of `spacing`.
        spacing: length of a pixel along each spatial axis; None: 1 everywhere.
    """
    # an object's number means nothing here, and tables have a row for every number up to the largest
    labels = torch.ops.embedseg_ops.remove_small(label_batch(labels)[0], 1)
    distances = distance_map(labels, spacing)
    if inside is not None:
        labels = torch.where(inside, labels, -1)
    return Targets(labels, distances, neighbor_pairs(labels, distance, spacing=spacing))
