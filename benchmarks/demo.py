"""`python -m benchmarks.demo`: segment a crowded prediction, say how well and how fast, and draw it."""

import argparse
import time
from pathlib import Path

from skimage import io

import embedseg_ops
from benchmarks.scene import Scene, crowded_cells
from embedseg_ops import figures, metrics

# Seeds decide the precision: a prediction's distance map is noisy, so smooth it a little and drop crumbs.
OPTIONS = {"seed_smoothing": 1.0, "min_seed_size": 8}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.demo", description=__doc__)
    parser.add_argument("--size", type=int, default=1024, help="pixels of a side (default 1024)")
    parser.add_argument("--objects", type=int, default=500, help="cells in the image (default 500)")
    parser.add_argument("--out", type=Path, default=Path("demo.png"), help="the picture (default demo.png)")
    options = parser.parse_args(arguments)

    scene = crowded_cells(options.size, options.objects)
    embedding, distance = scene.embedding[0].numpy(), scene.distance[0].numpy()
    embedseg_ops.postprocess(embedding, distance, **OPTIONS)  # the first call also starts the threads
    start = time.perf_counter()
    labels = embedseg_ops.postprocess(embedding, distance, **OPTIONS)
    seconds = time.perf_counter() - start

    precision = metrics.average_precision(scene.labels[0].numpy(), labels)
    print(f"{labels.max()} objects found, {scene.objects} there, in {options.size}² pixels and {1e3 * seconds:.0f} ms")
    print(f"AP at IoU 0.5: {precision.values[0]:.3f}; mean AP 0.5…0.9: {precision.mean:.3f}")
    io.imsave(options.out, draw(scene, labels), check_contrast=False)
    print(f"drawn: {options.out}")


def draw(scene: Scene, labels: object, corner: int = 400):
    """The prediction, the objects found, and matches and misses, in a corner of the image."""
    view = (0, slice(corner), slice(corner))
    embedding, distance, truth = scene.embedding[0, :, :corner, :corner], scene.distance[view], scene.labels[view]
    found = labels[:corner, :corner]
    pictures = [
        figures.embedding_rgb(embedding.numpy()),
        figures.distance_heat(distance.numpy()),
        figures.colour_labels(found),
        figures.matches(truth.numpy(), found, figures.distance_heat(distance.numpy())),
    ]
    return figures.panels(pictures, ["embedding", "distance map", "objects found", "matched, missed, false"])


if __name__ == "__main__":
    main()
