from functools import cache

import numpy as np
import torch

import embedseg_ops
from benchmarks import checks, limits
from benchmarks.goals import Faster, Within
from benchmarks.harness import Contender, Effort, Row, ours, peer
from benchmarks.peers import growth as peers
from benchmarks.scene import Scene

FRONTIER, ORIGINAL = "NumPy + OpenCV frontier", "original's loop over regions"
AS_STATED = 1024 * 1024  # pixels; the goal in milliseconds is for this size


def rows(scene: Scene, effort: Effort) -> list[Row]:
    e, d, truth = scene.embedding[0].numpy(), scene.distance[0].numpy(), scene.labels[0].numpy()
    reference = checks.reference("postprocess")
    expected = reference(scene.embedding, scene.distance) if reference else None
    score = checks.scored(truth)

    def run() -> torch.Tensor:
        return embedseg_ops.postprocess(scene.embedding, scene.distance)

    traffic = limits.traffic(scene.embedding, scene.distance, scene.labels)
    contenders = [
        limits.read(scene.embedding, scene.distance),
        ours("postprocess", run, checks.scored(truth, expected), traffic),
        peer(FRONTIER, "cv2", lambda: peers.frontier(e, d), check=score),
        peer("watershed (no embedding)", "skimage", lambda: peers.watershed(e, d), threads=(1,), check=score),
        peer("expand_labels (no embedding)", "skimage", lambda: peers.expand_labels(e, d), threads=(1,), check=score),
    ]
    if reference:
        again = Contender("reference", lambda: reference(scene.embedding, scene.distance), check=checks.equal(expected))
        contenders.append(again)
    if effort > Effort.QUICK:
        contenders.append(peer(ORIGINAL, "cv2", lambda: peers.original(e, d), check=score))
        contenders += [_stardist(truth, grid, score) for grid in (1, 2)]
    if effort is Effort.SLOW:
        contenders.append(peer("mean shift, a 64² crop", "sklearn", lambda: peers.mean_shift(e)))
    goals = [Faster(15, (FRONTIER,)), Faster(150, (ORIGINAL,))]
    return [Row("postprocess", contenders, [Within(0.03), *goals] if truth.size == AS_STATED else goals)]


def _stardist(truth: np.ndarray, grid: int, score: checks.Check) -> Contender:
    drawn = cache(lambda: peers.StarDist(truth, grid))  # the polygons are the input: made in the warm-up
    return peer(f"StarDist, ideal polygons, grid {grid}", "stardist", lambda: drawn()(), check=score, prepares=True)
