"""Measures against their definitions, an independent package, and real pairs of leaves."""

import doctest
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from samples import INTEGER_DTYPES, cells, label_maps
from scipy.optimize import linear_sum_assignment

from embedseg_ops.evaluate import metrics, overlaps

THRESHOLDS = (0.2, 0.34, *metrics.THRESHOLDS, 1.0)


def masks(labels, counted):
    """One row for each object, one column for each pixel that counts; their products are exact below 2²⁴ pixels."""
    labels = labels[counted]
    return (labels == np.unique(labels[labels > 0])[:, None]).astype(np.float32)


def best_dice(dice):
    return dice.max(1, initial=0).mean() if len(dice) else float(dice.shape[1] == 0)


def defined(truth, prediction):
    """Every measure of one image as docs/method.md, Measures, words it."""
    true, predicted = masks(truth, truth >= 0), masks(prediction, truth >= 0)
    shared, total = (
        (true @ predicted.T).astype(np.float64),
        np.add.outer(true.sum(1), predicted.sum(1, dtype=np.float64)),
    )
    precision = []
    for threshold in THRESHOLDS:
        close = shared / (total - shared) >= threshold
        matched = close[linear_sum_assignment(close, maximize=True)].sum()
        objects = sum(shared.shape) - matched
        precision.append(matched / objects if objects else 1.0)
    dice = 2 * shared / total
    foreground = true.sum(dtype=np.float64) + predicted.sum(dtype=np.float64)
    return {
        "precision": precision,
        "symmetric_best_dice": min(best_dice(dice), best_dice(dice.T)),
        "foreground_dice": 2 * shared.sum() / foreground if foreground else 1.0,
        "difference_in_count": len(predicted) - len(true),
        "absolute_difference_in_count": abs(len(predicted) - len(true)),
    }


@st.composite
def pairs_of_images(draw):
    truth = draw(label_maps())
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    prediction = truth.numpy().copy()
    changed = random.random(prediction.shape) < draw(st.sampled_from([0.0, 0.1, 0.4, 1.0]))
    prediction[changed] = random.integers(-1, 7, changed.sum())
    return truth.numpy(), prediction


@given(pairs_of_images())
def test_every_measure_is_its_definition(pair):
    truth, prediction = pair
    expected = [defined(*images) for images in zip(truth, prediction, strict=True)]
    scores = metrics.evaluate(list(truth), list(prediction), THRESHOLDS)
    precision = [image["precision"] for image in expected]
    np.testing.assert_allclose(scores.average_precision.per_image, precision, rtol=1e-12)
    np.testing.assert_allclose(scores.average_precision.values, np.mean(precision, 0), rtol=1e-12)
    for name in list(expected[0])[1:]:
        assert getattr(scores, name) == pytest.approx(np.mean([image[name] for image in expected]), rel=1e-12)


@given(pairs_of_images())
def test_functions_agree_with_evaluate(pair):
    scores = metrics.evaluate(*pair)
    assert metrics.average_precision(*pair).mean == scores.average_precision.mean
    assert metrics.symmetric_best_dice(*pair) == scores.symmetric_best_dice
    assert metrics.foreground_dice(*pair) == scores.foreground_dice
    assert metrics.difference_in_count(*pair) == scores.difference_in_count
    assert metrics.difference_in_count(*pair, absolute=True) == scores.absolute_difference_in_count


@pytest.mark.parametrize("swapped", [False, True])
def test_two_halves_share_one_match(swapped):
    pair = np.array([[1, 1, 1, 1, 0, 2, 2]]), np.array([[1, 1, 2, 2, 0, 3, 3]])
    scores = metrics.average_precision(*(reversed(pair) if swapped else pair), (0.5, 0.55))
    np.testing.assert_array_equal(scores.true_positives, [[2, 1]])
    np.testing.assert_array_equal(scores.false_negatives + scores.false_positives, [[1, 3]])


def test_a_low_threshold_finds_the_largest_matching():
    # Matching greedily, 2 to 1, would leave 1 and 2 alone.
    truth, prediction = np.array([[1, 1, 2, 2, 2]]), np.array([[1, 1, 1, 1, 2]])
    assert metrics.average_precision(truth, prediction, [0.3]).true_positives == 2


def test_pooling_weighs_by_objects():
    truth = [np.array([[1]]), np.array([[1, 2, 3]])]
    scores = metrics.average_precision(truth, [np.array([[1]]), np.array([[0, 0, 3]])])
    np.testing.assert_allclose(scores.values, 2 / 3)
    np.testing.assert_allclose(scores.pooled, 1 / 2)


def test_exact_thresholds_count():
    truth, prediction = np.ones((1, 5), int), np.array([[1, 1, 1, 0, 0]])
    np.testing.assert_array_equal(metrics.average_precision(truth, prediction).values, [1] * 3 + [0] * 6)


@pytest.mark.parametrize(("truth", "prediction", "score"), [(0, 0, 1), (0, 1, 0), (1, 0, 0), (-1, 1, 1), (1, 1, 1)])
@pytest.mark.parametrize("shape", [(3, 4), (2, 3, 4), (1, 2, 3, 4)])
def test_images_without_objects(shape, truth, prediction, score):
    scores = metrics.evaluate(np.full(shape, truth), np.full(shape, prediction))
    assert scores.average_precision.mean == scores.symmetric_best_dice == scores.foreground_dice == score


@pytest.mark.parametrize("shape", [(0, 4), (2, 3, 0), (1, 0, 0, 0)])
def test_images_without_pixels(shape):
    scores = metrics.evaluate(np.zeros(shape, int), np.zeros(shape, int))
    assert scores.average_precision.mean == scores.symmetric_best_dice == scores.foreground_dice == 1


@pytest.mark.parametrize("dtype", INTEGER_DTYPES)
def test_dtypes_arrays_and_strides_do_not_matter(dtype):
    truth = cells((2, 20, 30), 12, gap=0.3).to(dtype)
    prediction = cells((2, 20, 30), 10, gap=0.2)
    expected = metrics.evaluate(truth.numpy(), prediction.numpy()).average_precision
    for pair in [(truth, prediction.long()), (list(truth), prediction), (truth.mT.contiguous().mT, prediction.numpy())]:
        found = metrics.evaluate(*pair).average_precision
        np.testing.assert_array_equal(found.true_positives, expected.true_positives)


@pytest.mark.parametrize("dtype", [np.int64, np.uint64, np.uint32])
def test_huge_ids_need_no_huge_table(dtype):
    truth, prediction = cells((9, 9), 5, gap=0.3).numpy(), cells((9, 9), 5, seed=1).numpy()
    far = np.where(truth > 0, truth.astype(dtype) + dtype(np.iinfo(dtype).max - 10), dtype(0))
    assert metrics.symmetric_best_dice(far, prediction) == metrics.symmetric_best_dice(truth, prediction)


def test_volumes_are_one_image_each():
    truth, prediction = cells((6, 7, 8), 9, gap=0.3), cells((6, 7, 8), 8, seed=1, gap=0.3)
    assert metrics.foreground_dice([truth], [prediction]) == metrics.foreground_dice(truth[None], prediction[None])
    assert len(overlaps.overlaps(truth, prediction)) == 6


def test_equal_to_stardist():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        matching = pytest.importorskip("stardist.matching").matching
    truth, prediction = cells((200, 200), 150, gap=0.3), cells((200, 200), 160, seed=0, gap=0.2)
    prediction[:90] = truth[:90]
    scores = metrics.average_precision(truth, prediction)
    for index, expected in enumerate(matching(truth.numpy(), prediction.numpy(), thresh=metrics.THRESHOLDS)):
        found = (scores.true_positives, scores.false_positives, scores.false_negatives)
        assert [int(count[0, index]) for count in found] == [expected.tp, expected.fp, expected.fn]


def test_leaves():
    folder = os.environ.get("EMBEDSEG_DATA")
    if not folder or not (maps := Path(folder, "cvppp-leaves", "metric_maps")).is_dir():
        pytest.skip("EMBEDSEG_DATA does not name a folder with cvppp-leaves/metric_maps")
    imread = pytest.importorskip("skimage.io").imread
    names = sorted(path.name for path in (maps / "truth").iterdir())
    truth, prediction = ([imread(maps / side / name) for name in names] for side in ("truth", "prediction"))
    scores = metrics.evaluate(truth, prediction, THRESHOLDS)
    expected = [defined(*pair) for pair in zip(truth, prediction, strict=True)]
    np.testing.assert_allclose(scores.average_precision.per_image, [image["precision"] for image in expected])
    for name in list(expected[0])[1:]:
        assert getattr(scores, name) == pytest.approx(np.mean([image[name] for image in expected]))


@pytest.mark.parametrize("degrees", [0.0, 30.0, 90.0, 135.0])
def test_mean_angle(degrees):
    radians = np.radians(degrees)
    means = torch.tensor([[[2.0, 0.0], [np.cos(radians), np.sin(radians)], [0.0, 0.0]]])
    assert metrics.mean_angle(means.double(), torch.tensor([[0, 0, 1], [0, 1, 0]])) == pytest.approx(degrees, abs=1e-4)
    assert metrics.mean_angle(means, torch.tensor([[0, 0, 2]])) == 90
    assert np.isnan(metrics.mean_angle(means.bfloat16(), torch.zeros(0, 3, dtype=torch.int64)))


IMAGE = np.zeros((3, 4), int)


@pytest.mark.parametrize(
    ("truth", "prediction", "error", "message"),
    [
        (IMAGE, IMAGE[:2], ValueError, r"same shape, got \[3, 4\] and \[2, 4\]"),
        ([IMAGE], [IMAGE, IMAGE], ValueError, "as many images, got 1 and 2"),
        ([], [], ValueError, "at least one image"),
        (IMAGE[0], IMAGE, ValueError, r"truth must be \[H, W\].*got shape \[4\]"),
        (IMAGE, IMAGE.astype(float), TypeError, "prediction must have an integer dtype, got float64"),
        ([IMAGE, IMAGE > 0], [IMAGE, IMAGE], TypeError, r"truth\[1\] must have an integer dtype, got bool"),
        (IMAGE, "IMAGE", TypeError, "prediction must be a torch.Tensor, a numpy.ndarray or a list of them, got str"),
        (IMAGE - 2, IMAGE, ValueError, "truth must be -1 .ignored.* got -2"),
    ],
)
def test_bad_images(truth, prediction, error, message):
    with pytest.raises(error, match=message):
        metrics.evaluate(truth, prediction)


@pytest.mark.parametrize("thresholds", [(), (0.0,), (0.5, 1.1), (float("nan"),)])
def test_bad_thresholds(thresholds):
    with pytest.raises(ValueError, match="thresholds must be"):
        metrics.average_precision(IMAGE, IMAGE, thresholds)


@pytest.mark.parametrize(
    ("means", "pairs", "error", "message"),
    [
        (np.zeros((2, 3)), np.zeros((1, 3), int), ValueError, r"means must be \[B, K, D\], got shape \[2, 3\]"),
        (np.zeros((1, 2, 3), int), np.zeros((1, 3), int), TypeError, "means must have a floating dtype"),
        (np.zeros((1, 2, 3)), np.zeros((1, 3)), TypeError, "pairs must have an integer dtype"),
        (np.zeros((1, 2, 3)), np.zeros((1, 2), int), ValueError, r"pairs must be \[P, 3\], got shape \[1, 2\]"),
        (np.zeros((1, 2, 3)), np.array([[0, 0, 2]]), ValueError, r"shape \[1, 2, 3\], got row \[0, 0, 2\]"),
    ],
)
def test_bad_means(means, pairs, error, message):
    with pytest.raises(error, match=message):
        metrics.mean_angle(means, pairs)


@pytest.mark.parametrize("module", [metrics, overlaps], ids=lambda module: module.__name__)
def test_examples(module):
    assert doctest.testmod(module).failed == 0
