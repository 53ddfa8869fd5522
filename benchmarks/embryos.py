"""`python -m benchmarks.embryos FOLDER`: nuclei of mouse embryos, of which the model for volumes has learned nothing.

The folder holds data/Images and data/GroundTruth of BBBC050 (Tokuoka et al., 2020): living embryos of two to some fifty
cells, in voxels of 1.75 × 0.8 × 0.8 µm. Four embryos are its test, at eleven times each. Beside the model there is a
watershed with the options that `benchmarks.volumes` chose on the model's own data, and one with options chosen for
embryos: the best of as many, on volumes of the embryos that are not the test.
--prepare writes folders that `benchmarks.scores` reads, and stops: test/, and train/, volumes of the other embryos, for
the calibration of scores.
"""

import argparse
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from tifffile import imread
from tqdm import tqdm

import embedseg_ops
from benchmarks.resampling import interval, times_drawn
from benchmarks.volumes import Volume, segment_by_watershed, table, tune_watershed, write
from embedseg_ops.evaluate.metrics import AveragePrecision, average_precision
from embedseg_ops.model.files import load_model
from embedseg_ops.model.registry import MODEL_HELP, VOLUMES

SIZE = (1.75, 0.8, 0.8)  # of a voxel, µm, as the paper says: the files do not
TUNING = ("Emb01_t251", "Emb03_t301", "Emb05_t351", "Emb07_t401", "Emb09_t451", "Emb11_t501")
CALIBRATION = ("t201", "t301", "t401", "t501")
RESAMPLES = 2000
OWN = Path(__file__).parent / "results" / "volumes.json"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.embryos", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--prepare", type=Path, metavar="FOLDER", help="write folders for benchmarks.scores there")
    parser.add_argument("--model", default=VOLUMES, help=f"{MODEL_HELP} (default: {VOLUMES})")
    parser.add_argument("--json", type=Path, help="write the scores there, too")
    options = parser.parse_args(arguments)
    if options.prepare:
        for part in ("train", "test"):
            for name in names(options.folder, part):
                if part == "test" or name.endswith(CALIBRATION):
                    write(options.prepare / part, read(options.folder, part, name), name)
        return
    found = compare(options.folder, options.model)
    print(table({"parts": {"test": found}}), json.dumps(found["ours ahead"]), sep="\n")
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def names(folder: Path, part: str) -> list[str]:
    return sorted(file.stem for file in (folder / "data" / "Images" / part / "Images").glob("*.tif"))


def read(folder: Path, part: str, name: str) -> Volume:
    truth = folder / "data" / "GroundTruth" / part / "GroundTruth_QCANet" / f"{name}.tif"
    image = folder / "data" / "Images" / part / "Images" / f"{name}.tif"
    return Volume(imread(image), imread(truth).astype(np.int32), SIZE)


def compare(folder: Path, model: str) -> dict[str, Any]:
    """The precision of every method over all nuclei of the test, and how far the model is ahead."""
    network = load_model(model)
    own = json.loads(OWN.read_text(encoding="utf-8"))["watershed"]
    chosen = tune_watershed([read(folder, "train", name) for name in TUNING])
    methods: dict[str, Callable[[Volume], np.ndarray]] = {
        "ours": lambda volume: embedseg_ops.segment(volume.raw, network, spacing=volume.size),
        "watershed": lambda volume: segment_by_watershed(volume, **own),
        "watershed for embryos": lambda volume: segment_by_watershed(volume, **chosen),
    }
    labels: dict[str, list[np.ndarray]] = {method: [] for method in methods}
    tested = names(folder, "test")
    truth = []
    for name in tqdm(tested, unit="volume"):
        volume = read(folder, "test", name)
        truth.append(volume.labels)
        for method, segment in methods.items():
            labels[method].append(segment(volume))
    precisions = {method: average_precision(truth, arrays) for method, arrays in labels.items()}
    counts = {method: counted(one) for method, one in precisions.items()}
    ours, drawn = counts.pop("ours"), times_drawn([name.split("_")[0] for name in tested], RESAMPLES, within=True)
    return {
        "volumes": len(tested),
        "nuclei": sum(map(objects, truth)),
        "options": {"watershed": own, "watershed for embryos": chosen},
        "found": {method: sum(map(objects, arrays)) for method, arrays in labels.items()},
        "AP": {method: rounded([*one.pooled, one.pooled.mean()]) for method, one in precisions.items()},
        "ours ahead": {method: ahead(ours, other, drawn) for method, other in counts.items()},
    }


def objects(labels: np.ndarray) -> int:
    return len(np.unique(labels[labels > 0]))


def rounded(values: Iterable[float]) -> list[float]:
    return [round(float(value), 4) for value in values]


def ahead(ours: np.ndarray, theirs: np.ndarray, drawn: np.ndarray) -> dict[str, list[float]]:
    """By how much the precision is ahead, and the 2.5 and 97.5 percentiles of it if other images were drawn."""
    difference = summed(ours, np.ones_like(drawn[:1])) - summed(theirs, np.ones_like(drawn[:1]))
    resampled = summed(ours, drawn) - summed(theirs, drawn)
    return {
        name: rounded([of(difference)[0], *interval(of(resampled))])
        for name, of in (("AP50", lambda levels: levels[:, 0]), ("mean AP", lambda levels: levels.mean(1)))
    }


def counted(one: AveragePrecision) -> np.ndarray:
    """Objects matched, and objects that there are of either kind, matched ones once: ``[2, images, thresholds]``."""
    return np.stack([one.true_positives, one.true_positives + one.false_positives + one.false_negatives])


def summed(counts: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """The precision of all objects together ``[draws, thresholds]``, of what `counted` returns."""
    found, every = drawn @ counts
    return found / np.maximum(every, 1)


if __name__ == "__main__":
    main()
