from collections.abc import Callable
from functools import cache

import numpy as np
from torch import Tensor

import embedseg_ops
from benchmarks import checks, limits
from benchmarks.goals import Faster, Within
from benchmarks.harness import Contender, Effort, Row, ours, peer, planar
from benchmarks.peers import embedseg
from benchmarks.peers import growth as peers
from benchmarks.scene import Scene, normalised_distance

FRONTIER, ORIGINAL = "NumPy + OpenCV frontier", "original's loop over regions"
AS_STATED = (1, 16, 1024, 1024)  # the goal in milliseconds is for an embedding of this size
CROP = 64  # side of what mean shift is asked for


def rows(scene: Scene, effort: Effort) -> list[Row]:
    flat = scene.labels.ndim == 3
    return [_row(scene, effort), *([_crop(scene)] if flat and effort is Effort.SLOW else [])]


def _row(scene: Scene, effort: Effort) -> Row:
    e, d, truth = scene.embedding[0].float().numpy(), scene.distance[0].numpy(), scene.labels[0].numpy()
    reference = checks.reference("postprocess")
    expected = reference(scene.embedding, scene.distance) if reference else None
    score = checks.scored(truth)
    traffic = limits.traffic(scene.embedding, scene.distance, scene.labels)
    contenders = [
        limits.read(scene.embedding, scene.distance),
        ours("postprocess", lambda: _ours(scene), checks.scored(truth, expected), traffic),
        planar(peer(FRONTIER, "cv2", lambda: peers.frontier(e, d), check=score), truth.ndim),
        peer("watershed (no embedding)", "skimage", lambda: peers.watershed(e, d), threads=(1,), check=score),
        peer("expand_labels (no embedding)", "skimage", lambda: peers.expand_labels(e, d), threads=(1,), check=score),
    ]
    if reference:
        again = Contender("reference", lambda: reference(scene.embedding, scene.distance), check=checks.equal(expected))
        contenders.append(again)
    if effort > Effort.QUICK:
        others = [peer(ORIGINAL, "cv2", lambda: peers.original(e, d), check=score), *_on_ideal_outputs(truth, score)]
        contenders += [planar(other, truth.ndim) for other in others]
    goals = [Faster(15, (FRONTIER,)), Faster(150, (ORIGINAL,))]
    return Row("postprocess", contenders, [Within(0.03), *goals] if scene.embedding.shape == AS_STATED else goals)


def _ours(scene: Scene) -> Tensor:
    return embedseg_ops.postprocess(scene.embedding, scene.distance)


def _on_ideal_outputs(truth: np.ndarray, score: checks.Check) -> list[Contender]:
    """Other methods need other predictions: they get perfect ones, made in the warm-up."""

    def ideal(name: str, package: str, prepare: Callable[[], Callable[[], np.ndarray]]) -> Contender:
        prepared = cache(prepare)
        return peer(f"{name} (ideal outputs)", package, lambda: prepared()(), check=score, prepares=True)

    return [
        *(ideal(f"StarDist, grid {n}", "stardist", lambda n=n: peers.StarDist(truth, n)) for n in (1, 2)),
        ideal("EmbedSeg's clustering", "torch", lambda: embedseg.Clustering(truth, normalised_distance(truth))),
        ideal("Cellpose", "cellpose", lambda: peers.Cellpose(truth, flow_threshold=0.4)),
        ideal("Cellpose, unchecked", "cellpose", lambda: peers.Cellpose(truth, flow_threshold=0.0)),
    ]


def _crop(scene: Scene) -> Row:
    """Mean shift beside ours on a crop: its time grows too fast with the pixels to be scaled."""
    crop = scene.crop(CROP)
    truth, e = crop.labels[0].numpy(), crop.embedding[0].float().numpy()
    score = checks.scored(truth)
    contenders = [
        limits.read(crop.embedding, crop.distance),
        ours("postprocess", lambda: _ours(crop), score, limits.traffic(crop.embedding, crop.distance, crop.labels)),
        peer("mean shift", "sklearn", lambda: peers.mean_shift(e), check=score),
    ]
    return Row(f"postprocess, a crop of {CROP}²", contenders)
