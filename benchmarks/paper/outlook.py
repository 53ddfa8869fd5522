"""`python -m benchmarks.paper.outlook FOLDER`: other ways from an embedding to labels, in quality and time.

FOLDER holds images/ and labels/. The paper's propagation against mean shift, which it replaces, and against its
outlook: the embedding rotated onto the axes, and a pixel's label read off its largest component. One thread. A model
that was trained with a sparsity constraint (`embedseg-ops train --sparsity-weight 1`) should need no rotation.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

import embedseg_ops
from benchmarks.nuclei import Output, predict_folder, score_labels
from benchmarks.paper.runs import report
from benchmarks.scene import most_crowded
from embedseg_ops.evaluate import figures
from embedseg_ops.model.files import load_model
from embedseg_ops.model.registry import DEFAULT, MODEL_HELP
from embedseg_ops.ops.remove_small import remove_small
from embedseg_ops.predict.axes import align_axes, label_by_axes

CROP = 64  # pixels; mean shift takes minutes for more
SHOWN = 192  # pixels: side of the part that is drawn


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.paper.outlook", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default=DEFAULT, help=MODEL_HELP)
    parser.add_argument("--crops", type=int, default=10, help="crops for mean shift (%(default)s)")
    results = Path("benchmarks/results/paper/outlook.json")
    parser.add_argument("--json", type=Path, default=results, help="(%(default)s)")
    options = parser.parse_args(arguments)

    torch.set_num_threads(1)
    network, settings = load_model(options.model)
    outputs = predict_folder(options.folder, network, settings)
    rotation = align_axes(torch.cat([one.embedding.flatten(2)[..., ::7] for one in outputs], 2)[..., None])
    axes = axis_ways(settings.postprocess, rotation)
    seeds = {key: value for key, value in settings.postprocess.items() if key.startswith(("seed", "min_seed"))}
    propagate = {
        "propagation": propagation(settings.postprocess),
        "propagation, the paper's growth": propagation(seeds),
    }
    scores = measure(outputs, propagate | axes)
    few = crops(outputs, options.crops)
    scores |= {
        f"{name}, {CROP}² crops": row for name, row in measure(few, propagate | {"mean shift": mean_shift}).items()
    }
    report(options.json, scores, images=len(outputs))
    Image.fromarray(picture(crops(outputs, 1, SHOWN)[0], propagate | axes)).save(options.json.with_suffix(".png"))
    for name, row in scores.items():
        print(f"{name}: {row['ms per megapixel']:.0f} ms per megapixel")


Way = Callable[[Output], torch.Tensor]


def propagation(options: dict[str, float]) -> Way:
    return lambda one: embedseg_ops.postprocess(one.embedding, one.distance, **options)[0]


def axis_ways(postprocess: dict[str, float], rotation: torch.Tensor) -> dict[str, Way]:
    """The outlook, with one rotation for all images and with none, boundaries from the distance map as ours."""
    depth = postprocess.get("min_depth_pixels", 0.0)
    if not depth:
        return {"axes": by_axes(rotation)}
    return {
        "axes": by_axes(rotation),
        "axes, trimmed": by_axes(rotation, depth),
        "axes, trimmed, not rotated": by_axes(torch.eye(len(rotation)), depth),
    }


def by_axes(rotation: torch.Tensor, depth: float = 0.0) -> Way:
    def way(one: Output) -> torch.Tensor:
        labels = label_by_axes(one.embedding, one.distance, rotation)
        return embedseg_ops.ops.trim.trim(labels, one.distance, depth)[0] if depth else labels[0]

    return way


def measure(outputs: list[Output], ways: dict[str, Way]) -> dict[str, dict]:
    found = {}
    for name, way in ways.items():
        start = time.perf_counter()
        labels = [way(one).numpy() for one in tqdm(outputs, desc=name, unit="image")]
        seconds = time.perf_counter() - start
        megapixels = sum(one.truth.size for one in outputs) / 1e6
        truth = [one.truth for one in outputs]
        found[name] = {**score_labels(truth, labels), "ms per megapixel": round(1e3 * seconds / megapixels, 1)}
    return found


def picture(one: Output, ways: dict[str, Way]) -> np.ndarray:
    """The embedding, and each way's matches at IoU 0.5 on the distance map."""
    distance = one.distance[0].numpy()
    found = {name: figures.matches(one.truth, way(one).numpy(), distance, 0.5) for name, way in ways.items()}
    drawn = {"embedding": figures.embedding_rgb(one.embedding[0].numpy()), **found}
    return figures.panels(list(drawn.values()), list(drawn))


def crops(outputs: list[Output], count: int, side: int = CROP) -> list[Output]:
    """The crops with the most objects, one an image at most."""
    found = []
    for one in outputs:
        view = (..., *most_crowded(one.truth, side))
        crop = Output(one.truth[view], one.embedding[view], one.distance[view])
        found.append((len(np.unique(crop.truth)), crop))
    return [one for _, one in sorted(found, key=lambda item: -item[0])[:count]]


def mean_shift(one: Output) -> torch.Tensor:
    """Clusters of directions, by scikit-learn; the one of most pixels is the background."""
    from sklearn.cluster import MeanShift

    directions = torch.nn.functional.normalize(one.embedding[0], dim=0).flatten(1).T.numpy()
    clusters = MeanShift(bandwidth=0.5, bin_seeding=True).fit_predict(directions).reshape(one.truth.shape)
    background = np.bincount(clusters.ravel()).argmax()
    labels = np.zeros(one.truth.shape, np.int32)
    for cluster in np.setdiff1d(np.unique(clusters), background):
        found = embedseg_ops.connected_components(clusters == cluster)
        labels = np.where(found > 0, found + labels.max(), labels).astype(np.int32)
    return torch.from_numpy(remove_small(labels, 10))


if __name__ == "__main__":
    main()
