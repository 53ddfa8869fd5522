import torch
from torch import Tensor

from benchmarks import checks
from benchmarks.goals import faster
from benchmarks.harness import ONE_AND_ALL, Contender, Effort, Row
from benchmarks.scene import Scene
from embedseg_ops.model.devices import has_bf16
from embedseg_ops.model.files import load_model
from embedseg_ops.predict.network import predict_network
from embedseg_ops.predict.prepare import prepare

PLAIN = "as it was trained"
SMALL = {"filters": 16, "batch_norm": False, "foreground": False}  # the paper's network, of half the filters
GOALS = {"float32": (1.6, 1e-4), "bfloat16": (2.8, 0.1)}  # times as fast, and as near


def rows(scene: Scene, effort: Effort) -> list[Row]:
    """The shipped network over the image, as it was trained and made ready to predict."""
    if scene.labels.ndim != 3 or len(scene.picture) != 1:
        return []
    image, network = scene.picture, load_model()[0]

    def plain() -> tuple[Tensor, Tensor]:
        return predict_network(image, network)

    expected, found = plain(), []
    for precision, (factor, tolerance) in GOALS.items():
        ready = prepare(network, precision)
        there = precision == "float32" or has_bf16(torch.device("cpu"))
        ours = Contender(
            "ours", (lambda ready=ready: predict_network(image, ready)) if there else None, ONE_AND_ALL,
            checks.close(expected, tolerance), "" if there else "the processor has no bfloat16",
        )  # fmt: skip
        contenders = [Contender(PLAIN, plain, ONE_AND_ALL), ours]
        goals = [faster(factor, PLAIN)]
        found.append(Row(f"network in {precision}", contenders, goals, amount=image.numel() / 1e6, unit="Mpx"))
    return found
