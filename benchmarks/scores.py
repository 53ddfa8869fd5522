"""`python -m benchmarks.scores FOLDER`: calibrate the scores of objects, and say how good they are.

The folder holds images/ and labels/ of images that the model was not trained on. An object is right if it covers a true
one with an IoU of 0.5 or more. What is told about scores comes from cross-validation over the images, in ten parts: no
object is scored by coefficients that its own image had a part in.
"""

import argparse
import dataclasses
from pathlib import Path

import numpy as np
from scipy.stats import rankdata

import embedseg_ops
from benchmarks.nuclei import Output, predict_folder
from embedseg_ops.data.writing import write_atomically
from embedseg_ops.evaluate.charts import Axis, Chart
from embedseg_ops.evaluate.overlaps import overlaps
from embedseg_ops.model.files import load_model, save_model
from embedseg_ops.model.registry import DEFAULT, MODEL_HELP
from embedseg_ops.predict.scores import Features, calibrated, object_features

PARTS, BINS = 10, 10


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scores", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default=DEFAULT, help=MODEL_HELP)
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the model with its calibration there")
    parser.add_argument("--plot", type=Path, metavar="SVG", help="draw the reliability there")
    options = parser.parse_args(arguments)

    network, settings = load_model(options.model)
    outputs = predict_folder(options.folder, network, settings)
    measured = [judge(one, settings.postprocess) for one in outputs]
    images = np.concatenate([np.full(len(right), number) for number, (_, right) in enumerate(measured)])
    right = np.concatenate([right for _, right in measured])
    features = {name: np.concatenate([found[name] for found, _ in measured]) for name in measured[0][0]}
    scores = cross_validated(features, right, images)
    rows = reliability(scores, right)
    print(f"{len(right)} objects, {np.count_nonzero(~right)} of them wrong")
    print(f"AUROC for finding what is wrong {auroc(~right, -scores):.3f}; calibration error {error(rows):.3f}")
    for name, values in features.items():
        print(f"AUROC of {name} alone {auroc(~right, -values):.3f}")
    calibration = {name: round(value, 4) for name, value in fit(features, right).items()}
    print(calibration)
    if options.plot:
        write_atomically(options.plot, draw(rows).encode() + b"\n")
    if options.write:
        save_model(options.write, network, dataclasses.replace(settings, calibration=calibration))


def judge(output: Output, options: dict[str, float]) -> tuple[Features, np.ndarray]:
    """The features of an image's objects, and which of them are right."""
    labels = embedseg_ops.postprocess(output.embedding, output.distance, **options)[0]
    features = object_features(labels, output.embedding[0], output.distance[0])
    table = overlaps([output.truth], [labels.numpy()])[0]
    best = np.zeros(len(features["depth"]))
    np.maximum.at(best, table.predicted, table.iou)  # its objects are the labels, which have no gaps
    return features, best >= 0.5


def cross_validated(features: Features, right: np.ndarray, images: np.ndarray) -> np.ndarray:
    """The scores of all objects, each from the images of the other parts."""
    part = np.random.default_rng(0).permutation(images.max() + 1)[images] % PARTS
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
