import warnings

import numpy as np
import torch

from benchmarks import checks, limits
from benchmarks.goals import Faster
from benchmarks.harness import Contender, Effort, Row, peer
from benchmarks.scene import Scene, draw_labels
from embedseg_ops.evaluate import metrics

STARDIST = "StarDist's matching"


def rows(scene: Scene, effort: Effort) -> list[Row]:
    truth, prediction = pair((2048, 2048), 2000) if effort > Effort.QUICK else pair((512, 512), 125)
    precision = metrics.average_precision(truth, prediction)
    check = checks.equal(precision.true_positives)
    read = limits.read(torch.from_numpy(truth), torch.from_numpy(prediction))

    def run() -> np.ndarray:
        return metrics.average_precision(truth, prediction).true_positives

    contenders = [
        read,
        # NumPy throughout: one thread, whatever it is offered
        Contender("ours", run, check=check, traffic=read.traffic),
        Contender("ours, every measure", lambda: metrics.evaluate(truth, prediction)),
        peer(STARDIST, "stardist", lambda: stardist(truth, prediction), check=check),
    ]
    return [
        Row(
            f"metrics, {precision.false_negatives[0, 0] + precision.true_positives[0, 0]} objects",
            contenders,
            [Faster(10, (STARDIST,))],
        )
    ]


def pair(shape: tuple[int, int], objects: int) -> tuple[np.ndarray, np.ndarray]:
    """A label map, and a prediction that is shifted and misses a tenth of it."""
    truth, _ = draw_labels(shape, objects, np.random.default_rng(0))
    prediction = np.roll(truth, (3, 2), (0, 1))
    return truth, np.where(prediction % 10 == 0, 0, prediction)


def stardist(truth: np.ndarray, prediction: np.ndarray) -> list[int]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from stardist.matching import matching

        return [result.tp for result in matching(truth, prediction, thresh=metrics.THRESHOLDS)]
