"""`python -m benchmarks.paper.competitors DATA`: the competing methods, on the same network, crops and steps.

DATA is a folder with train/ and test/. Thresholds are chosen on every eighth training image, which is held out.
StarDist needs stardist, Mask R-CNN torchvision; where a package is missing, its method is skipped. Runs that are there
are not done again: after all methods with one seed, `--seeds 3 --methods …` adds two of the best.
"""

import argparse
import itertools
import sys
from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from benchmarks.harness import can_import
from benchmarks.nuclei import score
from benchmarks.paper.runs import (
    Budget,
    Data,
    embedding_outputs,
    load_data,
    method_scores,
    report,
    train_embedding,
    train_method,
)
from embedseg_ops.model.settings import Settings
from embedseg_ops.ops.options import TUNED

# what a run of ours chooses among, as the other methods choose their thresholds
CHOICES = {"min_depth_pixels": (0.25, 0.5, 0.65, 0.75, 0.85, 0.95, 1.05), "min_object_size": (10, 20, 30)}
# mean AP in the paper
PUBLISHED = {"U-Net, three labels": 0.6678, "StarDist, 32 rays": 0.7172, "Mask R-CNN": 0.7874, "embedding": 0.7720}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.paper.competitors", description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--runs", type=Path, default=Path("out/paper/competitors"), help="folder (%(default)s)")
    parser.add_argument("--steps", type=int, default=Budget.steps, help="of training (%(default)s)")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS), help="all if not given")
    parser.add_argument("--seeds", type=int, default=1, help="runs of every method (%(default)s)")
    results = Path("benchmarks/results/paper/competitors.json")
    parser.add_argument("--json", type=Path, default=results, help="(%(default)s)")
    options = parser.parse_args(arguments)

    data, budget = load_data(options.data), Budget(options.steps)
    scores: dict[str, dict] = {}
    over_seeds: dict[str, dict] = {}
    for seed, name in itertools.product(range(options.seeds), options.methods):
        if name in NEEDS and not can_import(NEEDS[name]):
            print(f"{name}: SKIPPED, {NEEDS[name]} cannot be imported", file=sys.stderr)
            continue
        row = f"{name}, seed {seed}" if seed else name
        run = METHODS[name](options.runs / row.replace(" ", "-"), data, budget, seed)
        scores[row] = {**run, "published": PUBLISHED.get(name), "method": name}
        over_seeds = spread(scores) if options.seeds > 1 else {}
        report(options.json, scores, steps=options.steps, **{"test images": len(data.test)}, spread=over_seeds)
    for name, row in over_seeds.items():
        print(f"{name}: " + ", ".join(f"{key} {mean:.3f} ± {deviation:.3f}" for key, (mean, deviation) in row.items()))


def spread(scores: dict[str, dict]) -> dict[str, dict[str, tuple[float, float]]]:
    """Mean and standard deviation over the seeds, by method: of the mean AP, and of the AP at every IoU."""
    found: dict[str, dict[str, list[float]]] = {}
    for row in scores.values():
        of_method = found.setdefault(row["method"], {})
        for key, value in {"mean AP": row["mean AP"], **{f"AP {iou}": ap for iou, ap in row["AP"].items()}}.items():
            of_method.setdefault(key, []).append(value)
    return {
        name: {key: (fmean(values), stdev(values) if len(values) > 1 else 0.0) for key, values in row.items()}
        for name, row in found.items()
    }


Run = Callable[[Path, Data, Budget, int], dict[str, object]]


def embedding(foreground: bool) -> Run:
    """A run of ours."""

    def run(out: Path, data: Data, budget: Budget, seed: int) -> dict[str, object]:
        settings = Settings(distance_features=True, foreground=foreground)
        model = train_embedding(out, data, budget, settings, seed=seed)
        outputs = embedding_outputs(model, data.validation)
        best = best_of(score(outputs, {**TUNED, **chosen}) for chosen in combinations(CHOICES))
        return score(embedding_outputs(model, data.test), best)

    return run


def other(module: str, name: str) -> Run:
    """Another method's run, with the thresholds of the highest mean AP on the validation images."""

    def run(out: Path, data: Data, budget: Budget, seed: int) -> dict[str, object]:
        method = getattr(import_module(module), name)()
        network = train_method(out, data, budget, method, seed)
        best = best_of(method_scores(network, method, data.validation, combinations(method.choices)))
        return method_scores(network, method, data.test, [best])[0]

    return run


def combinations(choices: dict[str, tuple[float, ...]]) -> list[dict[str, float]]:
    return [dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values())]


def best_of(scores: Iterable[dict[str, Any]]) -> dict[str, float]:
    return max(scores, key=lambda row: row["mean AP"])["options"]


# What a method needs beyond this library's own dependencies. (stardist may be there for its image alone.)
NEEDS = {"StarDist, 32 rays": "stardist.geometry", "Mask R-CNN": "torchvision"}
METHODS: dict[str, Run] = {
    "U-Net, three labels": other("benchmarks.paper.methods", "ThreeLabels"),
    "StarDist, 32 rays": other("benchmarks.paper.methods", "StarDist"),
    "Mask R-CNN": other("benchmarks.paper.mask_rcnn", "MaskRCNN"),
    "embedding": embedding(foreground=False),
    "embedding with foreground": embedding(foreground=True),
}


if __name__ == "__main__":
    main()
