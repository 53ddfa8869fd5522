"""The comparison of volumes: blocks count what the metrics count, and a watershed finds what is clear."""

import numpy as np
import pytest
from benchmarks import volumes
from samples import cells

from embedseg_ops.evaluate.metrics import average_precision


def test_the_blocks_together_are_the_whole():
    truth, labels = (cells((30, 52, 60), 14, seed, gap=0.3).numpy() for seed in (0, 0))
    labels = np.roll(labels, 2, 1)
    labels[labels == 3] = 0
    counts = volumes.counts(truth, labels)
    assert counts.shape == (2 * 3 * 3, 2)
    expected = average_precision([truth], [labels], [0.5]).values[0]
    assert volumes.precision(counts.sum(0)) == pytest.approx(expected)
    same = volumes.ahead(truth, labels, labels)
    assert same == {"mean": 0, "low": 0, "high": 0}
    better = volumes.ahead(truth, truth, labels)
    assert better["mean"] == pytest.approx(1 - expected, abs=1e-4)
    assert better["low"] <= better["mean"] <= better["high"]


def test_a_watershed_parts_what_touches():
    z, y, x = np.mgrid[:12, :30, :50]
    balls = [(2 * (z - 6)) ** 2 + (y - 15) ** 2 + (x - middle) ** 2 < 100 for middle in (15, 33)]
    truth = balls[0] + 2 * (balls[1] & ~balls[0])
    volume = volumes.Volume((np.logical_or(*balls) * 200).astype(np.uint8), truth.astype(np.int32), (0.4, 0.2, 0.2))
    labels = volumes.segment_by_watershed(volume, sigma=0.5, factor=1, smoothing=1, height=0.5)
    assert average_precision([truth], [labels]).values[0] == 1
