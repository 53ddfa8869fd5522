"""Targets and the training loss."""

import math

import pytest
import torch
from samples import cells

from embedseg_ops.train.losses import (
    foreground_loss,
    object_weights,
    pixel_weights,
    regression_loss,
    sparsity_loss,
    training_loss,
)
from embedseg_ops.train.targets import make_targets

LABELS = torch.tensor([[[0, 0, 0, 1], [-1, -1, 2, 2]], [[0, 0, 0, 0], [0, 0, 0, -1]]])


def test_balanced_weights_give_both_classes_half():
    weights = pixel_weights(LABELS)
    torch.testing.assert_close(weights[0], torch.tensor([[1, 1, 1, 1], [0, 0, 1, 1.0]]))
    torch.testing.assert_close(weights[1], torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0.0]]))
    labels = torch.tensor([[[0, 0, 0, 5]]])
    torch.testing.assert_close(pixel_weights(labels), torch.tensor([[[2 / 3, 2 / 3, 2 / 3, 2]]]))
    torch.testing.assert_close(pixel_weights(labels, None), torch.ones(1, 1, 4))


def test_regression_is_the_mean_over_images_of_the_mean_over_pixels():
    target = torch.zeros(2, 2, 4)
    prediction = torch.zeros(2, 2, 4)
    prediction[0, 1] = 1  # two of six counted pixels; two ignored
    torch.testing.assert_close(regression_loss(prediction, target, LABELS, None), torch.tensor(2 / 6 / 2))
    torch.testing.assert_close(
        regression_loss(prediction, target, LABELS, None, scale=10), torch.tensor(100 * 2 / 6 / 2)
    )
    ignored = torch.full_like(LABELS, -1)
    assert regression_loss(prediction, target, ignored) == 0


def test_object_weights_are_one_over_the_root_of_the_size_with_a_mean_of_one():
    labels = torch.tensor([[[7, 7, 7, 7, 2, -1, 0]], [[7, 0, 0, 0, 0, 0, 0]], [[0, 0, 0, 0, 0, 0, -1]]])
    small = 5 / (4 / 2 + 1)  # such that four pixels of half of it and one of it have the mean 1
    expected = torch.ones(3, 1, 7)
    expected[0, 0, :4], expected[0, 0, 4] = small / 2, small
    torch.testing.assert_close(object_weights(labels), expected)


def test_object_weights_enter_the_distance_loss_alone():
    labels = torch.tensor([[[1, 1, 1, 1, 2, 0]]])
    target = torch.zeros(1, 1, 6)
    errors = torch.tensor([[[0, 0, 0, 0, 2.0, 0]]])
    loss = regression_loss(errors, target, labels, None, by_object=True)
    torch.testing.assert_close(loss, 5 / 3 * regression_loss(errors, target, labels, None))
    targets = make_targets(labels.int())
    embedding = torch.randn(1, 3, 1, 6, generator=torch.Generator().manual_seed(0))
    plain, weighted = (
        training_loss(embedding, errors, targets, weights=None, object_weights=on) for on in (False, True)
    )
    assert weighted.regression != plain.regression
    assert (weighted.consistency, weighted.discrimination) == (plain.consistency, plain.discrimination)


def test_beyond_the_border_labels_only_continue_the_distance():
    labels = torch.zeros(1, 1, 6, dtype=torch.int32)
    labels[..., 2:] = 1
    inside = torch.tensor([[[True, True, True, True, False, False]]])
    targets = make_targets(labels, inside)
    assert targets.labels.tolist() == [[[0, 0, 1, 1, -1, -1]]]
    torch.testing.assert_close(targets.distance, torch.tensor([[[0, 0, 0.25, 0.5, 0.75, 1]]]))
    assert targets.pairs.tolist() == [[0, 0, 1], [0, 1, 0]]


def test_training_loss_adds_up():
    labels = torch.stack([cells((24, 24), 6, seed, gap=0.4) for seed in range(2)])
    embedding = torch.randn(2, 4, 24, 24, generator=torch.Generator().manual_seed(0), requires_grad=True)
    targets = make_targets(labels)
    loss = training_loss(embedding, targets.distance + 0.5, targets, weights=None, target_scale=2.0)
    torch.testing.assert_close(loss.regression, torch.tensor(1.0))
    torch.testing.assert_close(loss.total, loss.regression + 5 * (loss.consistency + loss.discrimination))
    loss.total.backward()
    assert embedding.grad.abs().sum() > 0
    sparse = training_loss(embedding, targets.distance + 0.5, targets, weights=None, sparsity_weight=3.0)
    torch.testing.assert_close(sparse.sparsity, 3 * sparsity_loss(embedding, labels))
    rest = sparse.regression + 5 * (sparse.consistency + sparse.discrimination)
    torch.testing.assert_close(sparse.total, rest + sparse.sparsity)
    logits = torch.randn(2, 24, 24)
    cut = training_loss(embedding, targets.distance + 0.5, targets, logits, weights=None, foreground_weight=3.0)
    torch.testing.assert_close(cut.foreground, 3 * foreground_loss(logits, labels, None))
    torch.testing.assert_close(cut.total, loss.regression / 4 + loss.total - loss.regression + cut.foreground)


def test_foreground_loss_is_the_surprise_at_the_counted_pixels():
    logits = torch.randn(LABELS.shape, generator=torch.Generator().manual_seed(0))
    images = []
    for image, labels in zip(logits, LABELS, strict=True):
        told = [(float(x.sigmoid()), int(k)) for x, k in zip(image.ravel(), labels.ravel(), strict=True) if k >= 0]
        images.append(sum(-math.log(p if k > 0 else 1 - p) for p, k in told) / len(told))
    assert foreground_loss(logits, LABELS, None).item() == pytest.approx(sum(images) / 2)
    assert foreground_loss(logits, torch.full_like(LABELS, -1)) == 0


def test_sparsity_is_0_on_an_axis_and_1_between_all_of_them():
    labels = torch.tensor([[[0, 1, 2, -1]]])
    embedding = torch.tensor([[-2.0, 0, 0, 0], [3, 3, -3, 3], [0, 5, 0, 0], [1, 2, 3, 4]]).T[None, :, None]
    torch.testing.assert_close(sparsity_loss(embedding, labels), torch.tensor(1 / 3))
