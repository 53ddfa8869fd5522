"""`python -m benchmarks.nuclei FOLDER`: how accurate a model is on real nuclei.

The folder holds images/ and labels/. The postprocessing is the model's own, the paper's, and the model's with one
option after the other put back to the paper's value.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from torch import Tensor
from tqdm import tqdm

import embedseg_ops
from embedseg_ops.data.samples import Sample, load_folder
from embedseg_ops.evaluate.metrics import average_precision
from embedseg_ops.evaluate.summary import area_ratio
from embedseg_ops.model.devices import choose_device
from embedseg_ops.model.files import load_model
from embedseg_ops.model.networks import EmbeddingModel
from embedseg_ops.model.registry import DEFAULT, MODEL_HELP
from embedseg_ops.model.settings import Settings
from embedseg_ops.predict.scale import predict_scaled


class Output(NamedTuple):
    truth: np.ndarray  # int32 [*spatial]
    embedding: Tensor  # float32 [1, D, *spatial]
    distance: Tensor  # float32 [1, *spatial]


# The options that answer one question together.
DEVIATIONS = {
    "seed threshold": ("seed_threshold",),
    "seed smoothing": ("seed_smoothing",),
    "smallest seed": ("min_seed_size",),
    "smallest object": ("min_object_size",),
    "competing background": ("background_threshold", "max_cosine_distance"),
    "boundary distance": ("min_depth_pixels",),
}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.nuclei", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default=DEFAULT, help=MODEL_HELP)
    parser.add_argument("--device", help="cpu or cuda; CUDA where there is one")
    parser.add_argument("--json", type=Path, help="write the scores there, too")
    options = parser.parse_args(arguments)

    network, settings = load_model(options.model, choose_device(options.device))
    outputs = predict_folder(options.folder, network, settings)
    scores = {name: score(outputs, chosen) for name, chosen in configurations(settings.postprocess).items()}
    print(table(scores))
    if options.json:
        content = {"folder": options.folder.name, "images": len(outputs), "scores": scores}
        options.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def predict_folder(folder: Path, network: EmbeddingModel, settings: Settings) -> list[Output]:
    return predict_samples(load_samples(folder, settings), network, settings)


def load_samples(folder: Path, settings: Settings) -> list[Sample]:
    return load_folder(folder, settings.percentiles, settings.spatial_dims, settings.channels)


def predict_samples(samples: list[Sample], network: EmbeddingModel, settings: Settings) -> list[Output]:
    return list(predict_each(samples, network, settings))


def predict_each(samples: list[Sample], network: EmbeddingModel, settings: Settings) -> Iterator[Output]:
    for sample in tqdm(samples, desc="network", unit="image"):
        outputs = predict_scaled(sample.image, network, settings, spacing=sample.pixel_size)
        yield Output(sample.labels.numpy(), *outputs)


def configurations(chosen: dict[str, float]) -> dict[str, dict[str, float]]:
    """The model's options, the paper's, and the model's without each of the deviations that it has."""
    found = {"the model's": chosen, "the paper's": {}}
    for name, keys in DEVIATIONS.items():
        without = {key: value for key, value in chosen.items() if key not in keys}
        if without != chosen:
            found[f"without {name}"] = without
    return found


def label(output: Output, options: dict[str, float]) -> np.ndarray:
    dims = output.truth.ndim
    return embedseg_ops.postprocess(output.embedding, output.distance, spatial_dims=dims, **options)[0].numpy()


def score(outputs: list[Output], options: dict[str, float]) -> dict[str, object]:
    """Postprocess with these options and measure."""
    labels = [label(one, options) for one in outputs]
    return {"options": options, **score_labels([one.truth for one in outputs], labels)}


def score_labels(truth: list[np.ndarray], labels: list[np.ndarray]) -> dict[str, object]:
    precision = average_precision(truth, labels)
    return {
        "AP": dict(zip(map(str, precision.thresholds), precision.values.round(4).tolist(), strict=True)),
        "mean AP": round(precision.mean, 4),
        "area ratio": round(area_ratio(truth, labels) or 0.0, 4),
    }


def table(scores: dict[str, dict]) -> str:
    lines = [
        "| postprocessing | AP50 | AP75 | AP90 | mean AP | area ratio |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, row in scores.items():
        values = [*(row["AP"][level] for level in ("0.5", "0.75", "0.9")), row["mean AP"], row["area ratio"]]
        lines.append(f"| {name} | {' | '.join(f'{value:.3f}' for value in values)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
