"""`python -m benchmarks.volumes FOLDER`: nuclei in 3D, the model beside a watershed that was tuned on the same data.

The folder holds 1135_mini.h5 and 1136_mini.h5 of PlantSeg's test data, each with raw, label and the size of a voxel.
The first is for training (x < 66), for validation (x >= 70) and for the choice of the watershed's options; the second,
of which nothing is learned, is for the test: --test, which is for a model that is ready.
--prepare writes all three as folders that `embedseg-ops train` reads, and the first volume as a whole.
"""

import argparse
import itertools
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy import ndimage
from skimage.filters import gaussian, threshold_otsu
from skimage.morphology import h_maxima
from skimage.segmentation import watershed
from tqdm import tqdm

import embedseg_ops
from benchmarks.resampling import draws, interval
from embedseg_ops.data.scale import relative
from embedseg_ops.evaluate.metrics import average_precision
from embedseg_ops.export.tiff import write_labels
from embedseg_ops.model.files import load_model
from embedseg_ops.model.registry import MODEL_HELP, VOLUMES

PARTS = {
    "train": ("1135", slice(0, 66)),
    "val": ("1135", slice(70, 100)),
    "whole": ("1135", slice(None)),
    "test": ("1136", slice(None)),
}
GRID = {"sigma": (1.5, 2, 3, 4), "factor": (0.9, 1, 1.15), "smoothing": (1, 2), "height": (1, 2)}
SMALLEST = 100  # voxels of an object
BLOCK = 25  # voxels of a block's side, for the bootstrap
RESAMPLES = 2000


class Volume(NamedTuple):
    raw: np.ndarray  # uint8 [D, H, W]
    labels: np.ndarray  # int32 [D, H, W]
    size: tuple[float, ...]  # of a voxel, µm


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.volumes", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--prepare", type=Path, metavar="FOLDER", help="write a folder for each part there, and stop")
    parser.add_argument("--model", default=VOLUMES, help=f"{MODEL_HELP} (default: {VOLUMES})")
    parser.add_argument("--test", action="store_true", help="measure on the test volume, too")
    parser.add_argument("--json", type=Path, help="write the scores there, too")
    options = parser.parse_args(arguments)
    if options.prepare:
        for part in PARTS:
            write(options.prepare / part, read(options.folder, part))
        return
    whole = {part: read(options.folder, part) for part in ("train", "val", *["test"] * options.test)}
    found = compare(whole, options.model)
    print(table(found))
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def read(folder: Path, part: str) -> Volume:
    import h5py

    name, across = PARTS[part]
    with h5py.File(folder / f"{name}_mini.h5") as file:
        size = tuple(map(float, file["raw"].attrs["element_size_um"]))
        return Volume(file["raw"][..., across], file["label"][..., across].astype(np.int32), size)


def write(folder: Path, volume: Volume, name: str = "volume") -> None:
    for kind, array in (("images", volume.raw), ("labels", volume.labels)):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        write_labels(folder / kind / f"{name}.tif", array, volume.size)


def segment_by_watershed(volume: Volume, sigma: float, factor: float, smoothing: float, height: float) -> np.ndarray:
    """Blur, threshold (Otsu's, times a factor), and flood from the maxima of the distance map; lengths in x voxels."""
    spacing = np.array(relative(volume.size))
    blurred = gaussian(volume.raw.astype(np.float32), sigma / spacing)
    inside = blurred > factor * threshold_otsu(blurred)
    depth = ndimage.distance_transform_edt(inside, sampling=spacing)
    smooth = gaussian(depth, smoothing / spacing)
    seeds = ndimage.label(h_maxima(np.round(smooth * 16) / 16, height), np.ones((3,) * smooth.ndim))[0]
    labels = watershed(-smooth, seeds, mask=inside)
    return np.where(np.bincount(labels.ravel())[labels] < SMALLEST, 0, labels).astype(np.int32)


def tune_watershed(volumes: list[Volume]) -> dict[str, float]:
    """The options of the highest AP50 over the volumes together, then of the highest mean AP."""

    def quality(options: dict[str, float]) -> tuple[float, float]:
        labels = [segment_by_watershed(volume, **options) for volume in volumes]
        precision = average_precision([volume.labels for volume in volumes], labels)
        return float(precision.values[0]), precision.mean

    candidates = [dict(zip(GRID, chosen, strict=True)) for chosen in itertools.product(*GRID.values())]
    return max(tqdm(candidates, desc="watershed", unit="choice"), key=quality)


def compare(volumes: dict[str, Volume], model: str) -> dict[str, Any]:
    """Scores of both methods on each part, and for the test how far ours is ahead if other blocks were drawn."""
    network = load_model(model)
    chosen = tune_watershed([volumes["train"], volumes["val"]])
    found: dict[str, Any] = {"watershed": chosen, "parts": {}}
    for part, volume in volumes.items():
        labels = {
            "ours": embedseg_ops.segment(volume.raw, network),
            "watershed": segment_by_watershed(volume, **chosen),
        }
        precisions = {method: average_precision([volume.labels], [array]) for method, array in labels.items()}
        found["parts"][part] = {
            "nuclei": len(np.unique(volume.labels[volume.labels > 0])),
            "AP": {method: [*one.values.round(4).tolist(), round(one.mean, 4)] for method, one in precisions.items()},
            "found": {method: len(np.unique(array)) - 1 for method, array in labels.items()},
            "ours ahead in AP50": ahead(volume.labels, labels["ours"], labels["watershed"]),
        }
    return found


def ahead(truth: np.ndarray, ours: np.ndarray, theirs: np.ndarray) -> dict[str, float]:
    """The difference in AP50, and its 2.5 and 97.5 percentiles if other blocks of the volume were drawn."""
    first, second = (counts(truth, labels) for labels in (ours, theirs))
    drawn = np.stack([*draws(range(len(first)), RESAMPLES)])
    low, high = interval(precision(first[drawn].sum(1)) - precision(second[drawn].sum(1)))
    mean = precision(first.sum(0)) - precision(second.sum(0))
    return {"mean": round(float(mean), 4), "low": round(float(low), 4), "high": round(float(high), 4)}


def precision(found: np.ndarray) -> np.ndarray:
    """AP of ``[..., 2]``: objects matched, and objects that there are of either kind, matched ones once."""
    return found[..., 0] / np.maximum(found[..., 1], 1)


def counts(truth: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """For each block of the volume ``[blocks, 2]``, as `precision` takes it; an object is where its middle is."""
    blocks = [-(-size // BLOCK) for size in truth.shape]
    pairs = np.stack([truth.ravel(), labels.ravel()])[:, (truth.ravel() > 0) & (labels.ravel() > 0)]
    (true, found), shared = np.unique(pairs, axis=1, return_counts=True)
    union = np.bincount(truth.ravel())[true] + np.bincount(labels.ravel())[found] - shared
    matched = shared / union > 0.5
    found_and_all = np.zeros((np.prod(blocks), 2))
    for array, partners, is_true in ((truth, true[matched], True), (labels, found[matched], False)):
        ids = np.unique(array[array > 0])
        middles = np.array(ndimage.center_of_mass(array > 0, array, ids)).reshape(-1, 3)
        places = np.ravel_multi_index((middles // BLOCK).astype(int).T, blocks)
        paired = np.isin(ids, partners)
        np.add.at(found_and_all[:, 1], places[~paired | is_true], 1)
        np.add.at(found_and_all[:, 0], places[paired & is_true], 1)
    return found_and_all


def table(found: dict[str, Any]) -> str:
    lines = ["| part | method | objects for nuclei | AP50 | AP75 | AP90 | mean AP |", "| --- | --- |" + " ---: |" * 5]
    for part, scores in found["parts"].items():
        for method, levels in scores["AP"].items():
            shown = (levels[0], levels[5], levels[8], levels[9])
            there = f"{scores['found'][method]} for {scores['nuclei']}"
            lines.append(f"| {part} | {method} | {there} | {' | '.join(f'{value:.3f}' for value in shown)} |")
        if "ours ahead in AP50" in scores:
            lines.append(f"| | ours ahead in AP50 | | {scores['ours ahead in AP50']} | | | |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
