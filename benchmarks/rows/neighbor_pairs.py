from torch import Tensor

import embedseg_ops
from benchmarks import checks, limits
from benchmarks.goals import Faster
from benchmarks.harness import Contender, Effort, Row, ours, peer, planar
from benchmarks.peers import neighbors as peers
from benchmarks.scene import Scene

CROPS, TREES = "cropped distance transforms", "k-d trees"


def rows(scene: Scene, effort: Effort) -> list[Row]:
    return [_row(scene, distance) for distance in ((10, 30, 100) if effort > Effort.QUICK else (10, 30))]


def _row(scene: Scene, distance: float) -> Row:
    labels = scene.labels[0].numpy()
    check = checks.equal(peers.kd_trees(labels, distance))

    def run() -> Tensor:
        return embedseg_ops.neighbor_pairs(scene.labels, distance)

    contenders = [
        limits.read(scene.labels),
        ours("neighbor_pairs", run, check, limits.traffic(scene.labels)),
        planar(
            peer(CROPS, "cv2", lambda: peers.cropped_distance_transforms(labels, distance), check=check), labels.ndim
        ),
        peer(TREES, "scipy", lambda: peers.kd_trees(labels, distance), threads=(1,), check=check),
    ]
    if reference := checks.reference("neighbor_pairs"):
        contenders.append(Contender("reference", lambda: reference(scene.labels, distance), check=check))
    return Row(f"neighbor_pairs, d = {distance}", contenders, [Faster(10, (CROPS, TREES))])
