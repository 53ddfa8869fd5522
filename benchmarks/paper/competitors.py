"""`python -m benchmarks.paper.competitors DATA`: the competing methods, on the same network, crops and steps.

DATA is a folder with train/ and test/. Thresholds are chosen on every eighth training image, which is held out.
"""

import argparse
import itertools
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.nuclei import score, table
from benchmarks.paper.methods import StarDist, ThreeLabels
from benchmarks.paper.runs import (
    Budget,
    Data,
    embedding_outputs,
    load_data,
    method_scores,
    train_embedding,
    train_method,
    write_json,
)
from embedseg_ops.data import Sample
from embedseg_ops.inference import shipped_model
from embedseg_ops.weights import Settings, load_model

# mean AP in the paper
PUBLISHED = {"U-Net, three labels": 0.6678, "StarDist, 32 rays": 0.7172, "Mask R-CNN": 0.7874, "embedding": 0.7720}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.paper.competitors", description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--runs", type=Path, default=Path("out/paper/competitors"), help="folder (%(default)s)")
    parser.add_argument("--steps", type=int, default=Budget.steps)
    parser.add_argument("--seeds", type=int, default=1, help="runs of every method (%(default)s)")
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/paper/competitors.json"))
    options = parser.parse_args(arguments)

    data, budget = load_data(options.data), Budget(options.steps)
    scores: dict[str, dict] = {}
    for seed, (name, run) in itertools.product(range(options.seeds), METHODS.items()):
        row = name if options.seeds == 1 else f"{name}, seed {seed}"
        scores[row] = {**run(options.runs / row.replace(" ", "-"), data, budget, seed), "published": PUBLISHED[name]}
        print(table(scores), flush=True)
        write_json(options.json, {"steps": options.steps, "test images": len(data.test), "scores": scores})


def embedding(out: Path, data: Data, budget: Budget, seed: int) -> dict[str, object]:
    settings = Settings(batch_norm=True, distance_features=True)
    outputs = embedding_outputs(train_embedding(out, data, budget, settings, seed=seed), data.test)
    return score(outputs, load_model(shipped_model())[1].postprocess)


def three_labels(out: Path, data: Data, budget: Budget, seed: int) -> dict[str, object]:
    method = ThreeLabels()
    return method_scores(train_method(out, data, budget, method, seed), method, data.test)


def stardist(out: Path, data: Data, budget: Budget, seed: int) -> dict[str, object]:
    method = StarDist()
    network = train_method(out, data, budget, method, seed)
    choose_thresholds(method, network, data.validation)
    chosen = {"prob_thresh": method.prob_thresh, "nms_thresh": method.nms_thresh}
    return {"options": chosen, **method_scores(network, method, data.test)}


def choose_thresholds(method: StarDist, network: torch.nn.Module, validation: list[Sample]) -> None:
    """Take the pair of thresholds of the highest mean AP on the validation images."""

    def quality(thresholds: tuple[float, float]) -> float:
        method.prob_thresh, method.nms_thresh = thresholds
        return method_scores(network, method, validation)["mean AP"]

    method.prob_thresh, method.nms_thresh = max(itertools.product((0.3, 0.4, 0.5, 0.6), (0.3, 0.4, 0.5)), key=quality)


METHODS: dict[str, Callable[[Path, Data, Budget, int], dict[str, object]]] = {
    "U-Net, three labels": three_labels,
    "StarDist, 32 rays": stardist,
    "embedding": embedding,
}

if __name__ == "__main__":
    main()
