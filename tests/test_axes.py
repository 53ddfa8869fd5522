import numpy as np
import pytest
import torch
from samples import cells

from embedseg_ops import distance_map
from embedseg_ops.evaluate import metrics
from embedseg_ops.predict.axes import align_axes, label_by_axes

LABELS = torch.stack([cells((61, 75), 14, seed, gap=0.3) for seed in (0, 1)])
VOLUME = cells((9, 21, 25), 8, gap=0.3)[None]


def rotated_axes(labels, dim=16, noise=0.0):
    """Every object on an axis of its own, the background too, and all of them turned by a random rotation."""
    random = torch.Generator().manual_seed(5)
    axes = torch.eye(dim).double()[labels.long() % dim].movedim(-1, 1)
    axes = axes + noise * torch.randn(axes.shape, generator=random, dtype=torch.float64)
    turn = torch.linalg.qr(torch.randn(dim, dim, generator=random, dtype=torch.float64)).Q
    return torch.einsum("ij,bj...->bi...", turn, axes), turn


@pytest.mark.parametrize("labels", [LABELS, VOLUME], ids=["2d", "3d"])
def test_a_turned_embedding_is_turned_back_and_labelled(labels):
    embedding, turn = rotated_axes(labels, noise=0.1)
    rotation = align_axes(embedding)
    torch.testing.assert_close(rotation @ rotation.T, torch.eye(16).double())
    onto = (rotation @ turn).abs()[:, labels.unique().long()]  # of the axes that are in use
    assert onto.amax(0).min() > 0.99
    found = label_by_axes(embedding, distance_map(labels))
    assert metrics.average_precision(labels, found, [0.9]).mean > 0.99


def test_no_objects_and_numpy():
    embedding, _ = rotated_axes(torch.zeros(1, 12, 13))
    assert not label_by_axes(embedding, torch.zeros(1, 12, 13)).any()
    embedding, _ = rotated_axes(LABELS)
    found = label_by_axes(embedding[0].numpy(), distance_map(LABELS)[0].numpy())
    assert isinstance(found, np.ndarray)
    assert found.dtype == np.int32
    assert found.max() == LABELS[0].max()
