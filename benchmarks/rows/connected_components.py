import numpy as np
import torch
from torch import Tensor

import embedseg_ops
from benchmarks import checks, limits
from benchmarks.goals import Faster
from benchmarks.harness import ONE_AND_ALL, Contender, Effort, Row, ours, peer, planar
from benchmarks.peers import labels as peers
from benchmarks.scene import Scene


def rows(scene: Scene, effort: Effort) -> list[Row]:
    mask = scene.distance > 0.7
    bytes_of_mask = mask[0].numpy().astype(np.uint8)
    expected = peers.scipy_components(bytes_of_mask)
    check = checks.same_components(expected)
    opencv = [
        planar(
            peer(
                f"OpenCV {name}",
                "cv2",
                lambda number=number: peers.opencv_components(bytes_of_mask, number),
                threads=ONE_AND_ALL,
                check=check,
            ),
            mask.ndim - 1,
        )
        for name, number in peers.opencv_algorithms().items()
    ]

    def run() -> Tensor:
        return embedseg_ops.connected_components(mask)

    one = {"threads": (1,), "check": check}
    contenders = [
        limits.convert(mask, torch.int32),
        ours("connected_components", run, checks.equal(expected), limits.traffic(mask, scene.labels)),
        *opencv,
        peer("cc3d", "cc3d", lambda: peers.cc3d_components(bytes_of_mask), **one),
        peer("scikit-image", "skimage", lambda: peers.skimage_components(bytes_of_mask), **one),
        Contender("SciPy", lambda: peers.scipy_components(bytes_of_mask), **one),
    ]
    if reference := checks.reference("connected_components"):
        contenders.append(Contender("reference", lambda: reference(mask), check=checks.equal(expected)))
    return [Row("connected_components", contenders, [Faster(0.5, tuple(c.name for c in opencv))])]
