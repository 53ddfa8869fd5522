"""`python -m benchmarks.paper.fig4 FOLDER`: results, and where embeddings are inconsistent (the paper's Fig. 3 and 4).

FOLDER holds images/ and labels/. Draws the most crowded parts of the images with the most objects, from the image to
matches and misses, and measures the cosine distance of true objects' pixels from their object's mean embedding against
their depth in it.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy import ndimage

import embedseg_ops
from benchmarks.nuclei import Output, label, predict_samples
from benchmarks.paper.runs import write_json
from benchmarks.plots import PALETTE
from benchmarks.scene import most_crowded
from embedseg_ops.data.samples import load_folder
from embedseg_ops.evaluate import figures
from embedseg_ops.evaluate.charts import Axis, Chart
from embedseg_ops.model.files import load_model
from embedseg_ops.model.registry import DEFAULT, MODEL_HELP

DEPTHS = (1, 1.5, 2, 3, 4, 6, 8, 12, 16)  # pixels; the last class is open
LIMIT = 0.3  # the paper's cosine distance
SHOWN = 288  # pixels: side of the parts that are drawn


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.paper.fig4", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default=DEFAULT, help=MODEL_HELP)
    parser.add_argument("--shown", type=int, default=3, help="images to draw (%(default)s)")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/paper"), help="folder (%(default)s)")
    options = parser.parse_args(arguments)

    network, settings = load_model(options.model)
    samples = load_folder(options.folder, settings.percentiles, settings.spatial_dims, settings.channels)
    outputs = predict_samples(samples, network, settings)
    rows = inconsistency(outputs)
    write_json(options.out / "fig4.json", rows)
    for row in rows:
        print(f"depth {row['depth']:>4} px: {row['pixels']:>8} pixels, mean distance {row['mean']:.3f}, "
              f"beyond {LIMIT}: {row['beyond']:.1%}")  # fmt: skip
    (options.out / "fig4.svg").write_text(chart(rows) + "\n", encoding="utf-8")
    most = sorted(range(len(outputs)), key=lambda i: -len(np.unique(outputs[i].truth)))[: options.shown]
    panels = [panel(samples[i].image[0].numpy(), outputs[i], settings.postprocess) for i in most]
    width = max(picture.shape[1] for picture in panels)
    padded = [np.pad(picture, ((0, 0), (0, width - picture.shape[1]), (0, 0))) for picture in panels]
    Image.fromarray(np.concatenate(padded)).save(options.out / "fig3.png", optimize=True)


def inconsistency(outputs: list[Output]) -> list[dict[str, float]]:
    """For each class of depth: how far the pixels of true objects are from their object's mean embedding."""
    pairs = [pixels(output) for output in outputs]
    depth, distance = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
    place = np.digitize(depth, DEPTHS[1:])
    found = [(start, distance[place == k]) for k, start in enumerate(DEPTHS)]
    return [
        {"depth": start, "pixels": len(d), "mean": float(d.mean()), "beyond": float((d >= LIMIT).mean())}
        for start, d in found
        if len(d)
    ]


def pixels(output: Output) -> tuple[np.ndarray, np.ndarray]:
    """Depth and cosine distance of every pixel of an object."""
    labels = torch.from_numpy(output.truth)[None]
    means = embedseg_ops.mean_embedding(output.embedding, labels)[0][0]
    directions = torch.nn.functional.normalize(output.embedding[0], dim=0)
    distance = 1 - torch.einsum("dhw,hwd->hw", directions, means[labels[0].long()])
    inside = output.truth > 0
    return depth(output.truth)[inside], distance.numpy()[inside]


def depth(labels: np.ndarray) -> np.ndarray:
    """Distance in pixels to the nearest pixel of another label."""
    result = np.zeros(labels.shape)
    for k, box in enumerate(ndimage.find_objects(labels), 1):
        if box is None:
            continue
        window = tuple(slice(max(part.start - 1, 0), part.stop + 1) for part in box)
        inside = labels[window] == k
        distance = ndimage.distance_transform_edt(inside) if not inside.all() else np.full(inside.shape, np.inf)
        result[window] = np.where(inside, distance, result[window])
    return result


def panel(image: np.ndarray, output: Output, postprocess: dict[str, float]) -> np.ndarray:
    """One image from left to right as in the paper's Fig. 3: image, embedding, distance, the paper's result, ours."""
    found = {
        name: label(output, options)
        for name, options in (("the paper's postprocessing", {"seed_threshold": 0.5}), ("ours", postprocess))
    }
    pictures = {
        "image": figures.overlay(image, np.zeros_like(output.truth)),
        "embedding": figures.embedding_rgb(output.embedding[0].numpy()),
        "distance map": figures.distance_heat(output.distance[0].numpy()),
        **{name: figures.matches(output.truth, labels, image, 0.75) for name, labels in found.items()},
    }
    part = most_crowded(output.truth, SHOWN)
    return figures.panels([picture[part] for picture in pictures.values()], list(pictures))


def chart(rows: list[dict[str, float]]) -> str:
    """Inconsistency against depth."""
    depths = [row["depth"] for row in rows]
    most = max(max(row["mean"], row["beyond"]) for row in rows)
    drawn = Chart(Axis("depth in the object, pixels", 0.0, depths[-1]), Axis("", 0.0, most))
    drawn.line(depths, [row["mean"] for row in rows], PALETTE[0], "mean cosine distance")
    drawn.line(depths, [row["beyond"] for row in rows], PALETTE[1], f"share beyond {LIMIT}")
    return drawn.svg()


if __name__ == "__main__":
    main()
