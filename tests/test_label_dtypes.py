"""Labels of every integer dtype, with large and sparse ids, train and measure alike."""

import numpy as np
import pytest
import torch
from samples import INTEGER_DTYPES, cells, embedding_for

from embedseg_ops import embedding_loss, metrics, neighbor_pairs, reference
from embedseg_ops.data.augmentation import Augmentation, Random, random_crop
from embedseg_ops.train.losses import foreground_loss, object_weights, pixel_weights, regression_loss, training_loss
from embedseg_ops.train.targets import make_targets

LABELS = torch.stack([cells((24, 26), 6, seed, gap=0.4) for seed in range(2)])
INSIDE = torch.arange(26).expand(LABELS.shape) < 20
DTYPES = [*INTEGER_DTYPES, torch.uint32, torch.uint64]


@pytest.mark.parametrize("dtype", DTYPES)
def test_targets_and_losses(dtype):
    labels, embedding, distance = LABELS.to(dtype), embedding_for(LABELS, 4), torch.rand(LABELS.shape)
    expected, targets = make_targets(LABELS, INSIDE), make_targets(labels, INSIDE)
    for one, other in zip(targets, expected, strict=True):
        assert torch.equal(one, other)
        assert one.dtype == other.dtype
    assert (targets.labels[..., 20:] == -1).all()
    assert training_loss(embedding, distance, targets).total == training_loss(embedding, distance, expected).total
    for function in (
        pixel_weights,
        object_weights,
        lambda n: regression_loss(distance, distance**2, n, by_object=True),
        lambda n: foreground_loss(distance, n),
        lambda n: metrics.average_precision(n, LABELS).mean,
        lambda n: metrics.symmetric_best_dice(LABELS, n),
        lambda n: reference.embedding_loss(embedding, n).total,
        lambda n: reference.mean_embedding(embedding, n)[0],
        lambda n: reference.distance_map(n),
        lambda n: reference.neighbor_pairs(n),
        lambda n: reference.remove_small(n, 9),
        lambda n: reference.propagate(embedding, n),
    ):
        assert np.array_equal(function(labels), function(LABELS))


def test_the_background_may_be_left_out_of_unsigned_labels():
    embedding = embedding_for(LABELS, 4)
    expected = reference.embedding_loss(embedding, LABELS, background=False)
    assert reference.embedding_loss(embedding, LABELS.to(torch.uint8), background=False) == expected


@pytest.mark.parametrize("background", [True, False])
@pytest.mark.parametrize("given", [True, False], ids=["pairs given", "pairs found"])
def test_a_loss_of_sparse_ids_is_that_of_dense_ones(background, given):
    ids = torch.tensor([0, 3, 70_000, 2**24, 2**24 + 1, 2**29, 2**30 - 1])
    dense = LABELS.clone()
    dense[0, 0, :4] = -1
    sparse = torch.where(dense > 0, ids[dense.clamp(min=0).long()], dense)
    embedding = embedding_for(LABELS, 4)
    pairs = [neighbor_pairs(n, 5.0, background) if given else None for n in (sparse, dense)]
    found = embedding_loss(embedding, sparse, pairs[0], distance=5.0, background=background)
    assert found == embedding_loss(embedding, dense, pairs[1], distance=5.0, background=background)
    targets, expected = make_targets(sparse), make_targets(dense)
    assert all(torch.equal(one, other) for one, other in zip(targets, expected, strict=True))


@pytest.mark.parametrize("augmentation", [None, Augmentation()])
def test_a_crop_keeps_ids_apart_that_float32_does_not(augmentation):
    image, labels = torch.rand(1, 24, 26), LABELS[0].long()
    large = torch.where(labels > 0, labels + 2**24, labels)
    one, other = (random_crop(image, n, (16, 16), Random(3), augmentation)[1] for n in (labels, large))
    assert torch.equal(torch.where(one > 0, one + 2**24, one), other)
    assert one.dtype == other.dtype == torch.int32
