"""Truth and prediction, folder against folder: every measure of the paper as a table and as JSON."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from embedseg_ops.data.errors import DataError
from embedseg_ops.data.images import read_image
from embedseg_ops.data.labels import read_labels
from embedseg_ops.data.names import find_files, label_stem
from embedseg_ops.data.writing import write_atomically
from embedseg_ops.evaluate import metrics
from embedseg_ops.version import __version__


class Pair(NamedTuple):
    """The files of one image.

    Args:
        name: of the image.
        truth: its true labels.
        prediction: its predicted labels.
        image: the image itself, to draw on; None: none.
    """

    name: str
    truth: Path
    prediction: Path
    image: Path | None = None


def find_pairs(truth: str | Path, prediction: str | Path, images: str | Path | None = None) -> list[Pair]:
    """Return the label maps of two folders that have the same names, extensions and ``_label``, ``_mask`` aside.

    Raises:
        DataError: naming a folder that is missing or empty, a file without a partner, or two files of one name.
    """
    true, predicted = (by_name(Path(folder), label_stem) for folder in (truth, prediction))
    for name in sorted(set(true) ^ set(predicted)):
        present, absent = (true, prediction) if name in true else (predicted, truth)
        raise DataError(f"{present[name]}: no labels of this name in {absent}")
    if not true:
        raise DataError(f"{truth}: no label map in it")
    drawn = by_name(Path(images), lambda path: path.stem) if images is not None else {}
    for name in true:
        if images is not None and name not in drawn:
            raise DataError(f"{images}: no image named {name}")
    return [Pair(name, true[name], predicted[name], drawn.get(name)) for name in sorted(true)]


def by_name(folder: Path, name_of: Callable[[Path], str]) -> dict[str, Path]:
    """Return the files of a folder by name; hidden ones are left out."""
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    files: dict[str, Path] = {}
    for path in find_files(folder):
        if path.name.startswith("."):
            continue
        first = files.setdefault(name_of(path), path)
        if first != path:
            raise DataError(f"{path}: has the same name as {first}; keep one of them")
    return files


def read_pair(pair: Pair, spatial_dims: int = 2) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Return true labels and predicted ones, int32 ``[*spatial]``, and the image ``[C, *spatial]``.

    Raises:
        DataError: naming a file that is unreadable, or of another size than its partner.
    """
    truth, prediction = (read_labels(path, spatial_dims) for path in (pair.truth, pair.prediction))
    if truth.shape != prediction.shape:
        raise DataError(f"{pair.prediction}: size {prediction.shape}, but {pair.truth} has size {truth.shape}")
    image = None if pair.image is None else read_image(pair.image, spatial_dims)
    if image is not None and image.shape[1:] != truth.shape:
        raise DataError(f"{pair.image}: size {image.shape[1:]}, but its labels have size {truth.shape}")
    return truth, prediction, image


def summarize(names: Sequence[str], truth: list[np.ndarray], prediction: list[np.ndarray]) -> dict[str, Any]:
    """Return every measure (docs/method.md, "Measures"), over all the images and of each, as what JSON can hold.

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
    """Write a summary as JSON, atomically; it names this program, which knows it again by that."""
    content = {"software": f"embedseg-ops {__version__}", **summary}
    write_atomically(path, (json.dumps(content, indent=2) + "\n").encode())
