"""`python -m benchmarks.enlarged FOLDER`: to which size should images of far too large nuclei be shrunk?

FOLDER holds images/ and labels/ of the validation images. Twelve of them are enlarged 2 to 4 times, with some noise,
and once more with mottled nuclei. Of those above `FAR` times the model's diameter, AP as they are, shrunk by their true
diameter to several sizes, and shrunk by the estimated one. The network runs in bfloat16.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor
from tqdm import tqdm

from benchmarks.paper.runs import write_json
from embedseg_ops.data.samples import Sample, load_folder
from embedseg_ops.data.scale import FAR, object_sizes
from embedseg_ops.evaluate.metrics import average_precision
from embedseg_ops.model.files import load_model
from embedseg_ops.model.settings import Settings
from embedseg_ops.ops.postprocess import postprocess
from embedseg_ops.predict.prepare import Network, prepare
from embedseg_ops.predict.scale import find_rescaling, predict_zoomed, zoom_by
from embedseg_ops.predict.zoom import Zoom

LARGE = ("4948e3", "5c235b", "70827e", "b0defa", "20e209", "43cf6b")  # nuclei of 39 to 50 pixels
MIDDLE = ("6b6d4e", "958114", "a02ec0", "77ceeb", "4d4ebf", "8fdc34")  # of 18 to 28
# How many times an image is enlarged, and the side of the crop that is
JOBS = [(name, *how) for how in ((2, 480), (3, 320)) for name in LARGE]
JOBS += [(name, *how) for name in MIDDLE for how in ((2, 320), (3, 320), (4, 250))]
WANTED = (26, 31, 36, 45, 52)
NOISE, MOTTLED = 0.02, 0.2
LEVELS = ("AP50", "AP75", "AP90", "mean AP")


def enlarged(samples: list[Sample], mottled: bool) -> Iterator[Sample]:
    """The enlarged images, normalised again, with their labels."""
    by_name = {Path(sample.name).stem[:6]: sample for sample in samples}
    for seed, (name, times, side) in enumerate(JOBS):
        sample = by_name[name]
        middle = tuple(slice(start := max(size - side, 0) // 2, start + min(size, side)) for size in sample.shape)
        image = sample.image[(slice(None), *middle)]
        pixels = Zoom.by(times, image.shape[1:])(image)[0].numpy()
        random = np.random.default_rng(seed)
        noise = random.normal(0, NOISE, pixels.shape)
        field = gaussian_filter(random.normal(0, 1, pixels.shape), 1.5 * times)
        pixels = (pixels * np.exp(MOTTLED * field / field.std()) if mottled else pixels) + noise
        low, high = np.percentile(pixels, (1, 99.8))
        labels = sample.labels[middle].repeat_interleave(times, 0).repeat_interleave(times, 1)
        image = torch.from_numpy(((pixels - low) / (high - low)).astype(np.float32))[None]
        yield Sample(f"{name} times {times}", image, labels)


def rows(sample: Sample, network: Network, settings: Settings) -> dict[str, list[float]]:
    """AP of one image's labels, however far it is shrunk."""

    def labels(factor: float) -> Tensor:
        outputs = predict_zoomed(sample.image, network, zoom_by(factor, (1, 1), sample.shape), None, None)
        return postprocess(*outputs, spatial_dims=2, **settings.postprocess)[0]

    def score(factor: float) -> list[float]:
        found = average_precision([sample.labels.numpy()], [labels(factor).numpy()]).per_image[0]
        return [*found[[0, 5, 8]].tolist(), float(found.mean())]

    factors = {"as it is": 1.0} | {f"to {wanted}": wanted / sample.diameter for wanted in WANTED}
    factors["estimated"] = find_rescaling(None, settings, lambda factor: object_sizes(labels(factor)))
    return {name: score(factor) for name, factor in factors.items()}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.enlarged",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="nuclei-crowded")
    parser.add_argument("--json", type=Path, help="write the scores there, too")
    options = parser.parse_args(arguments)

    network, settings = load_model(options.model)
    network = prepare(network, "bfloat16")
    samples = load_folder(options.folder, channels=1)
    found: dict = {"columns": LEVELS}
    for title, mottled in (("smooth", False), ("mottled", True)):
        images = [one for one in enlarged(samples, mottled) if one.diameter > FAR * settings.diameter]
        scores = [rows(image, network, settings) for image in tqdm(images, title, unit="image")]
        means = {name: np.mean([one[name] for one in scores], 0).round(4).tolist() for name in scores[0]}
        found[title] = {"images": len(images), "AP": means}
        print(f"{title}, {len(images)} images: {', '.join(LEVELS)}")
        print("\n".join(f"{name:10} {' '.join(f'{value:.3f}' for value in row)}" for name, row in means.items()))
    if options.json:
        write_json(options.json, found)


if __name__ == "__main__":
    main()
