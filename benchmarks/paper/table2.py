"""`python -m benchmarks.paper.table2 FOLDER`: leaves, cross-validated plant by plant (the paper's Table 2).

FOLDER holds images/ and labels/ of CVPPP 2017. Consecutive numbers are one plant on later days, so plants are split,
not images. The published scores are of the challenge's hidden test images.
"""

import argparse
import itertools
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.ablation import FOREGROUND
from benchmarks.nuclei import label
from benchmarks.paper.runs import Budget, Data, embedding_outputs, train_embedding, write_json
from embedseg_ops.data.samples import Sample, load_folder
from embedseg_ops.evaluate import metrics
from embedseg_ops.model.settings import Settings
from embedseg_ops.ops.options import TUNED

PUBLISHED = {"SBD": 0.8307, "FBD": 0.9417, "|DiC|": 0.7346}


class Training(NamedTuple):
    """What is trained, how, and options of the postprocessing by row; nothing of it was chosen on leaves."""

    network: dict[str, Any]
    options: dict[str, Any]
    rows: dict[str, dict[str, float]]


FURTHER = {"distance_features": True, "residual": 1}
TRAININGS = {
    "plain": Training({"foreground": False}, {}, {"the paper's": {}, "ours": TUNED}),
    "further": Training(
        FURTHER, {"object_weights": True}, {"ours, with foreground, object weights and residual blocks": FOREGROUND}
    ),
}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.paper.table2", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--runs", type=Path, default=Path("out/paper/table2"), help="folder of the runs (%(default)s)")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--folds", type=int, default=4)
    parser.add_argument("--trainings", nargs="+", choices=TRAININGS, default=[*TRAININGS], help="both if not given")
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/paper/table2.json"))
    options = parser.parse_args(arguments)

    samples = load_folder(options.folder)
    truth: list[np.ndarray] = []
    found: dict[str, list[np.ndarray]] = {row: [] for kind in options.trainings for row in TRAININGS[kind].rows}
    for fold, test in enumerate(split(samples, options.folds)):
        rest = [sample for sample in samples if sample not in test]
        data = Data(rest, [], test)
        truth += [sample.labels.numpy() for sample in test]
        for kind in options.trainings:
            network, training, rows = TRAININGS[kind]
            out = options.runs / kind / f"fold{fold}"
            settings = Settings(**network)
            outputs = embedding_outputs(train_embedding(out, data, Budget(options.steps), settings, **training), test)
            for row, chosen in rows.items():
                found[row] += [label(one, chosen) for one in outputs]
    scores = {name: measures(truth, labels) for name, labels in found.items()}
    for name, row in {**scores, "published, other data": PUBLISHED}.items():
        print(name, *(f"{measure} {value:.4f}" for measure, value in row.items()), sep="  ")
    content = {"steps": options.steps, "images": len(truth), "scores": scores, "published, other data": PUBLISHED}
    write_json(options.json, content)


def split(samples: list[Sample], folds: int) -> list[list[Sample]]:
    """The samples in folds that share no plant, of about as many images each."""
    numbers = {sample.name: int(re.findall(r"\d+", Path(sample.name).stem)[-1]) for sample in samples}
    ordered = sorted(samples, key=lambda sample: numbers[sample.name])
    starts = [0, *(i for i, (a, b) in enumerate(itertools.pairwise(ordered), 1)
                   if numbers[b.name] != numbers[a.name] + 1), len(ordered)]  # fmt: skip
    plants = [ordered[start:stop] for start, stop in itertools.pairwise(starts)]
    found: list[list[Sample]] = [[] for _ in range(min(folds, len(plants)))]
    for plant in sorted(plants, key=len, reverse=True):
        min(found, key=len).extend(plant)
    return found


def measures(truth: list[np.ndarray], labels: list[np.ndarray]) -> dict[str, float]:
    result = metrics.evaluate(truth, labels)
    return {
        "SBD": result.symmetric_best_dice,
        "FBD": result.foreground_dice,
        "DiC": result.difference_in_count,
        "|DiC|": result.absolute_difference_in_count,
    }


if __name__ == "__main__":
    main()
