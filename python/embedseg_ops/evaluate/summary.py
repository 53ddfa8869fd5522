"""Truth and prediction, folder against folder: every measure of the paper as a table and as JSON."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from embedseg_ops.data.errors import DataError
from embedseg_ops.data.folders import find_files, label_stem
from embedseg_ops.data.images import read_image
from embedseg_ops.data.labels import read_labels
from embedseg_ops.evaluate import metrics


def read_pairs(
    truth: str | Path, prediction: str | Path, spatial_dims: int = 2
) -> tuple[list[str], list[np.ndarray], list[np.ndarray]]:
    """Read the label maps of two folders that have the same names, extensions and ``_label``, ``_mask`` aside.

    Returns:
        the names, the true and the predicted label maps, int32 ``[*spatial]``.

    Raises:
        DataError: naming a file or folder that is missing, unreadable, or of another size than its partner.
    """
    folders = [Path(truth), Path(prediction)]
    for folder in folders:
        if not folder.is_dir():
            raise DataError(f"{folder}: no such folder")
    true, predicted = ({label_stem(path): path for path in find_files(folder)} for folder in folders)
    for name in sorted(set(true) ^ set(predicted)):
        present, absent = (true, folders[1]) if name in true else (predicted, folders[0])
        raise DataError(f"{present[name]}: no labels of this name in {absent}")
    if not true:
        raise DataError(f"{folders[0]}: no label map in it")
    names = sorted(true)
    maps = [[read_labels(files[name], spatial_dims) for name in names] for files in (true, predicted)]
    for name, one, other in zip(names, *maps, strict=True):
        if one.shape != other.shape:
            raise DataError(f"{predicted[name]}: size {other.shape}, but {true[name]} has size {one.shape}")
    return names, maps[0], maps[1]


def read_images(folder: str | Path, names: Sequence[str], truth: list[np.ndarray]) -> list[np.ndarray]:
    """Read the images ``[C, *spatial]`` of these names, to draw on.

    Raises:
        DataError: naming a file or folder that is missing, unreadable, or of another size than its labels.
    """
    if not Path(folder).is_dir():
        raise DataError(f"{folder}: no such folder")
    paths = {path.stem: path for path in find_files(Path(folder))}
    images = []
    for name, labels in zip(names, truth, strict=True):
        if name not in paths:
            raise DataError(f"{folder}: no image named {name}")
        images.append(read_image(paths[name], labels.ndim))
        if images[-1].shape[1:] != labels.shape:
            raise DataError(f"{paths[name]}: size {images[-1].shape[1:]}, but its labels have size {labels.shape}")
    return images


def summarize(names: Sequence[str], truth: list[np.ndarray], prediction: list[np.ndarray]) -> dict[str, Any]:
    """Return every measure (SPEC "Measures"), over all the images and of each, as what JSON can hold.

    Args:
        names: of the images.
        truth: label maps, integer ``[*spatial]``.
        prediction: label maps of the same sizes.
    """
    result = metrics.evaluate(truth, prediction)
    precision = result.average_precision
    true = precision.true_positives[:, 0] + precision.false_negatives[:, 0]
    predicted = precision.true_positives[:, 0] + precision.false_positives[:, 0]
    return {
        "images": len(names),
        "thresholds": precision.thresholds.tolist(),
        "AP": precision.values.tolist(),
        "mean AP": precision.mean,
        "pooled AP": precision.pooled.tolist(),
        "SBD": result.symmetric_best_dice,
        "FBD": result.foreground_dice,
        "DiC": result.difference_in_count,
        "|DiC|": result.absolute_difference_in_count,
        "area ratio": area_ratio(truth, prediction),
        "image objects": dict(zip(names, zip(true.tolist(), predicted.tolist(), strict=True), strict=True)),
        "image mean AP": dict(zip(names, precision.per_image.mean(1).tolist(), strict=True)),
    }


def area_ratio(truth: list[np.ndarray], prediction: list[np.ndarray]) -> float | None:
    """Return the area of all predicted objects over that of all true ones; None where there are none of those."""
    true, predicted = (sum(int((labels > 0).sum()) for labels in maps) for maps in (truth, prediction))
    return predicted / true if true else None


def table(summary: dict[str, Any], worst: int = 5) -> str:
    """Return a summary as a table for a terminal, with the `worst` images at its foot."""
    thresholds = zip(summary["thresholds"], summary["AP"], summary["pooled AP"], strict=True)
    lines = ["  IoU      AP  pooled", *(f"{level:5.2f}  {ap:6.4f}  {pooled:6.4f}" for level, ap, pooled in thresholds)]
    lines += [f" mean  {summary['mean AP']:6.4f}  {np.mean(summary['pooled AP']):6.4f}", ""]
    for measure in ("SBD", "FBD", "DiC", "|DiC|", "area ratio"):
        value = summary[measure]
        lines.append(f"{measure:>10}  {'-' if value is None else f'{value:.4f}'}")
    images = sorted(summary["image mean AP"].items(), key=lambda item: item[1])[:worst]
    lines += ["", "worst images, mean AP", *(f"{value:10.4f}  {name}" for name, value in images)]
    return "\n".join(lines)


def write_json(path: str | Path, summary: dict[str, Any]) -> None:
    """Write a summary as JSON."""
    Path(path).write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
