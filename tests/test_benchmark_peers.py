"""The peers whose outputs no row can compare with ours give what their papers say."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))  # the benchmarks are not part of the package

from benchmarks.peers import embedding, embedseg, growth
from benchmarks.scene import crowded_cells, normalised_distance

SMALL = crowded_cells(64, 12, dim=8)


def test_discriminative_loss_is_the_papers():
    """Term by term, in loops."""
    vectors, labels = SMALL.embedding[0].double(), SMALL.labels[0]
    pixels = [vectors[:, labels == k].T for k in range(1, SMALL.objects + 1)]
    means = [own.mean(0) for own in pixels]
    variance = [
        ((own - mean).norm(dim=1) - 0.5).clamp(min=0).square().mean() for own, mean in zip(pixels, means, strict=True)
    ]
    distance = [(3 - (a - b).norm()).clamp(min=0).square() for a in means for b in means if a is not b]
    length = [mean.norm() for mean in means]
    expected = sum(
        (torch.stack(term).mean() * weight for term, weight in ((variance, 1), (distance, 1), (length, 1e-3)))
    )
    torch.testing.assert_close(embedding.discriminative_loss(vectors[None], SMALL.labels), expected)


def test_embedseg_finds_the_objects_of_ideal_outputs():
    labels = SMALL.labels[0].numpy()
    found = embedseg.Clustering(labels, normalised_distance(labels))()
    pairs = np.unique(np.stack([labels.ravel(), found.ravel()]), axis=1)
    assert pairs.shape[1] == SMALL.objects + 1  # one to one


def test_mean_shift_finds_clear_clusters():
    pytest.importorskip("sklearn")
    pytest.importorskip("skimage")
    labels = np.zeros((16, 16), int)
    labels[2:6, 2:6], labels[9:13, 9:13] = 1, 2
    axes = np.eye(4)[[3, 1, 1]]  # two objects that only their place tells apart
    found = growth.mean_shift(np.moveaxis(axes[labels], -1, 0))
    np.testing.assert_array_equal(found, labels)


def test_lovasz_hinge_is_the_extension_of_the_jaccard_loss():
    """On wrong pixels with errors of 1 it is 1 − IoU, and between such corners it is linear in the sorted errors."""
    random = np.random.default_rng(0)
    inside, logits = torch.from_numpy(random.random(9) < 0.5), torch.from_numpy(random.standard_normal(9))
    errors = 1 - logits * (2.0 * inside - 1)
    expected, wrong, before = 0.0, set(), 0.0
    for pixel in errors.argsort(descending=True).tolist():
        wrong.add(pixel)
        predicted = {p for p in range(9) if bool(inside[p]) != (p in wrong)}
        truth = set(inside.nonzero().flatten().tolist())
        cost = 1 - len(truth & predicted) / len(truth | predicted)
        expected += max(float(errors[pixel]), 0.0) * (cost - before)
        before = cost
    assert float(embedseg.lovasz_hinge(logits, inside)) == pytest.approx(expected)


def test_embedseg_loss_is_small_where_every_pixel_points_at_its_centre():
    labels = torch.zeros(32, 32, dtype=torch.int32)
    labels[4:12, 4:12], labels[18:28, 16:26] = 1, 2
    grid = torch.stack(torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")) / 32
    ideal = torch.zeros(5, 32, 32)
    ideal[4] = -10.0
    ideal[2:4] = 0.5
    for k in (1, 2):
        inside = labels == k
        ideal[:2, inside] = (grid[:, inside].mean(1, keepdim=True) - grid[:, inside]).atanh()
        ideal[4, inside] = 10.0
    good, bad = embedseg.loss(ideal, labels), embedseg.loss(torch.zeros(5, 32, 32), labels)
    assert good < 0.1 * bad
