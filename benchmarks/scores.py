"""`python -m benchmarks.scores FOLDER`: calibrate the scores of objects, and say how good they are.

The folder holds images/ and labels/, 2D or 3D as the model is, that it was not trained on. An object is right if it
covers a true one with an IoU of 0.5 or more. What is told about scores comes from cross-validation over the images, in
ten parts: no object is scored by coefficients that its own image had a part in. Fewer than ten images are cut, so that
each gives several parts, of objects that are close to each other. What varies is how the numbers would, for 95 % of the
draws, if other parts or images were drawn; a true score would show a calibration error, too, with so few objects.
--own judges the scores that a model has, from a fit on other images.
"""

import argparse
import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from scipy.stats import rankdata

from benchmarks.nuclei import Output, load_samples, predict_each
from benchmarks.resampling import draws, interval
from embedseg_ops.data.writing import write_atomically
from embedseg_ops.evaluate.charts import Axis, Chart
from embedseg_ops.evaluate.overlaps import overlaps
from embedseg_ops.model.files import load_model, opened, save_model
from embedseg_ops.model.registry import DEFAULT, MODEL_HELP, find_model
from embedseg_ops.model.settings import Settings
from embedseg_ops.predict.prediction import Prediction
from embedseg_ops.predict.scores import Features, calibrated, calibration_of, object_features

PARTS, BINS, RESAMPLES = 10, 10, 1000
Measure = Callable[[np.ndarray, np.ndarray], float]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scores", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default=DEFAULT, help=MODEL_HELP)
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the model with its calibration there")
    parser.add_argument("--plot", type=Path, metavar="SVG", help="draw the reliability there")
    parser.add_argument("--own", action="store_true", help="judge the scores that the model has, and fit none")
    options = parser.parse_args(arguments)

    network, settings = load_model(options.model)
    samples = load_samples(options.folder, settings)
    measured = [judge(one, settings) for one in predict_each(samples, network, settings)]
    groups = grouped([len(right) for _, right in measured])
    right = np.concatenate([right for _, right in measured])
    features = {name: np.concatenate([found[name] for found, _ in measured]) for name in measured[0][0]}
    own = options.own and calibration_of(settings)
    scores = calibrated(features, own) if own else cross_validated(features, right, groups)
    rows = reliability(scores, right)
    print(f"{len(right)} objects, {np.count_nonzero(~right)} of them wrong")
    for name, measure in MEASURES.items():
        low, high = varies(measure, scores, right, groups)
        print(f"{name} {measure(scores, right):.3f} ({low:.3f} to {high:.3f})")
    print(f"calibration error of a true score {expected_error(scores):.3f}")
    for name, values in features.items():
        print(f"AUROC of {name} alone {auroc(~right, -values):.3f}")
    calibration = {name: round(value, 4) for name, value in fit(features, right).items()}
    print(calibration)
    if options.plot:
        write_atomically(options.plot, draw(rows).encode() + b"\n")
    if options.write:
        judged = dataclasses.replace(settings, calibration=calibration)
        save_model(options.write, network, judged, stored_dtype(options.model))


def judge(output: Output, settings: Settings) -> tuple[Features, np.ndarray]:
    """The features of an image's objects, and which of them are right."""
    labels = Prediction(output.embedding, output.distance, settings).label()
    features = object_features(labels, output.embedding[0], output.distance[0])
    table = overlaps([output.truth], [labels.numpy()])[0]
    best = np.zeros(len(features["depth"]))
    np.maximum.at(best, table.predicted, table.iou)  # its objects are the labels, which have no gaps
    return features, best >= 0.5


def stored_dtype(model: str) -> torch.dtype:
    """The type that a model's file keeps its weights in."""
    with opened(find_model(model)) as (file, _):
        tensors = (file.get_tensor(name) for name in file.keys())  # noqa: SIM118  # not a dict
        return next(tensor.dtype for tensor in tensors if tensor.is_floating_point())


def grouped(counts: list[int]) -> np.ndarray:
    """The image of each object, by a number; of fewer than ten images, the part of one: the objects are in its order.

    Args:
        counts: of objects in each image.
    """
    cuts = -(-PARTS // len(counts))
    places = [np.arange(count) * cuts // max(count, 1) for count in counts]
    return np.concatenate([number * cuts + place for number, place in enumerate(places)])


def cross_validated(features: Features, right: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """The scores of all objects, each from the groups of the other parts."""
    part = np.random.default_rng(0).permutation(groups.max() + 1)[groups] % PARTS
    scores = np.zeros(len(right))
    for number in range(PARTS):
        held, seen = ({name: values[chosen] for name, values in features.items()}
                      for chosen in (part == number, part != number))  # fmt: skip
        scores[part == number] = calibrated(held, fit(seen, right[part != number]))
    return scores


def fit(features: Features, right: np.ndarray, weight_decay: float = 1.0) -> dict[str, float]:
    """The coefficients of `calibrated`: logistic regression by Newton's method, of features with unit variance."""
    columns = np.stack([features[name] for name in features], 1)
    centre, scale = columns.mean(0), np.maximum(columns.std(0), 1e-12)
    design = np.concatenate([np.ones((len(columns), 1)), (columns - centre) / scale], 1)
    penalty = np.diag([0.0, *[weight_decay] * len(scale)])
    weights = np.zeros(design.shape[1])
    for _ in range(50):
        found = 1 / (1 + np.exp(-design @ weights))
        curvature = design.T @ (design * (found * (1 - found))[:, None]) + penalty + 1e-9 * np.eye(len(weights))
        step = np.linalg.solve(curvature, design.T @ (right - found) - penalty @ weights)
        weights += step
        if np.abs(step).max() < 1e-9:
            break
    slopes = weights[1:] / scale
    return {"intercept": float(weights[0] - slopes @ centre), **dict(zip(features, map(float, slopes), strict=True))}


def auroc(positive: np.ndarray, score: np.ndarray) -> float:
    """The probability that a positive one has the higher score than a negative one."""
    count = np.count_nonzero(positive)
    ranks = rankdata(score)[positive].sum() - count * (count + 1) / 2
    return float(ranks / max(1, count * (len(score) - count)))


def reliability(scores: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Rows of mean score, share that is right and number of objects, one for each tenth of scores that occurs."""
    tenth = np.minimum((scores * BINS).astype(int), BINS - 1)
    chosen = [tenth == number for number in range(BINS) if (tenth == number).any()]
    return np.array([[scores[here].mean(), right[here].mean(), here.sum()] for here in chosen])


def error(rows: np.ndarray) -> float:
    """The expected calibration error: how far score and share are apart, on average over the objects."""
    return float(np.average(np.abs(rows[:, 0] - rows[:, 1]), weights=rows[:, 2]))


def expected_error(scores: np.ndarray) -> float:
    """The calibration error that these scores would show, on average, if every one were the true probability."""
    random = np.random.default_rng(0)
    return float(np.mean([error(reliability(scores, random.random(len(scores)) < scores)) for _ in range(RESAMPLES)]))


def varies(measure: Measure, scores: np.ndarray, right: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """The 2.5 and 97.5 percentiles of a measure if other groups were drawn."""
    return interval([measure(scores[drawn], right[drawn]) for drawn in draws(groups, RESAMPLES)])


MEASURES: dict[str, Measure] = {
    "AUROC for finding what is wrong": lambda scores, right: auroc(~right, -scores),
    "calibration error": lambda scores, right: error(reliability(scores, right)),
}


def draw(rows: np.ndarray) -> str:
    """The share of right objects against their score."""
    chart = Chart(Axis("score", 0, 1), Axis("share of objects that are right", 0, 1))
    chart.line([0, 1], [0, 1], "#999", "perfect")
    chart.line(rows[:, 0].tolist(), rows[:, 1].tolist(), "#1f6feb", "objects")
    for score, share, _ in rows.tolist():
        chart.dot(score, share, "#1f6feb")
    return chart.svg()


if __name__ == "__main__":
    main()
