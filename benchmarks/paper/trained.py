"""`python -m benchmarks.paper.trained FOLDER --stardist REPOSITORY`: our models against StarDist, trained to the end.

REPOSITORY is a copy of ASHISRAVINDRAN/stardist_pytorch (BSD-3), whose weights are those of the StarDist paper's network
for the images that ours have learned from. Without it, or without the package stardist, its rows are left out. It has
learned from many of our test images: --seen names a folder with the images it learned from, and a fair row has the
others alone.

FOLDER holds images/ and labels/. Public images that no method here has learned from, and how to make a folder of them:

git clone https://github.com/canfkoyuncu/fluorescence_dataset
mkdir -p liver/labels; cp -r fluorescence_dataset/dataset/images liver; python - <<END
import numpy, pathlib, tifffile
for path in pathlib.Path("fluorescence_dataset/dataset/annotations").iterdir():
    tifffile.imwrite(f"liver/labels/{path.name}.tif", numpy.loadtxt(path, numpy.uint16))
END

git clone https://github.com/luispedro/Coelho2009_ISBI_NuclearSegmentation coelho
for set in ic100 gnf; do mkdir -p $set/images $set/labels; for n in $(seq 0 6 48); do
cp coelho/data/images/dna-images/$set/dna-$n.png $set/images
cp coelho/data/preprocessed-data/$set/dna-$n.png $set/labels; done; done
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import numpy as np
import tifffile
import torch
from torch import Tensor, nn
from tqdm import tqdm

from benchmarks.harness import can_import
from benchmarks.paper.methods import Padded, StarDist
from benchmarks.paper.runs import write_json
from benchmarks.resampling import interval, times_drawn
from benchmarks.volumes import Volume, segment_by_watershed
from embedseg_ops.data.samples import Sample, load_folder
from embedseg_ops.data.scale import rescaling
from embedseg_ops.evaluate.metrics import AveragePrecision, average_precision
from embedseg_ops.export.tiff import write_labels
from embedseg_ops.model.files import load_model
from embedseg_ops.model.registry import DEFAULT, MODEL_HELP
from embedseg_ops.ops.postprocess import postprocess
from embedseg_ops.predict.scale import predict_scaled
from embedseg_ops.predict.zoom import Zoom

WEIGHTS = Path("pretrained_weights/model_weights.t7")
RESAMPLES = 10_000
# The best of 48 on every fifth of our validation images: benchmarks.volumes.tune_watershed.
WATERSHED = {"sigma": 2, "factor": 0.9, "smoothing": 2, "height": 1}

STARDIST, TOLD = "StarDist", "{}, true diameter"
DIAMETER = 26.0  # that nuclei-crowded expects

Segment = Callable[[Sample], np.ndarray]


class TrainedStarDist(StarDist):
    """The network of that repository, with the thresholds that suit our validation images best.

    `diameter`: images are resampled as ours are for a model that expects it, by the true diameter; None: they are not.
    """

    prob_thresh, nms_thresh = 0.6, 0.4

    def __init__(self, repository: Path, bfloat16: bool = False, diameter: float | None = None):
        self.bfloat16 = bfloat16
        self.diameter = diameter
        sys.path.insert(0, str(repository))
        try:
            network = import_module("unet").UNetStar(1, self.rays)
        finally:
            sys.path.remove(str(repository))
        network.load_state_dict(torch.load(repository / WEIGHTS, "cpu", weights_only=True))
        self.network = Padded(Joined(network, self.unit), 8).eval()

    @torch.inference_mode()
    def __call__(self, sample: Sample) -> np.ndarray:
        factor = rescaling(sample.diameter, self.diameter)
        zoom = Zoom.by(factor, sample.shape)
        image = sample.image if factor == 1 else zoom(sample.image)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bfloat16):
            output = self.apply(self.network, image)
        if factor != 1:
            output = zoom.back()(output)
            output[1:] /= factor  # lengths, in the image's pixels
        return self.segment(output)


class Joined(nn.Module):
    """Lengths and probabilities as `StarDist.segment` reads them: logits first, then lengths in its unit."""

    def __init__(self, network: nn.Module, unit: float):
        super().__init__()
        self.network, self.unit = network, unit

    def forward(self, image: Tensor) -> Tensor:
        lengths, probability = self.network(image)
        return torch.cat([probability.logit(1e-6), lengths / self.unit], 1)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.paper.trained",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", nargs="+", default=[DEFAULT], help=f"ours, one or more: {MODEL_HELP}")
    parser.add_argument(
        "--diameter", action="store_true", help="a row more for methods that can be told the true diameter"
    )
    parser.add_argument("--stardist", type=Path, help="copy of the repository")
    parser.add_argument("--bfloat16", action="store_true", help="run StarDist's network in bfloat16")
    parser.add_argument("--watershed", action="store_true", help="a row for a classical method, too")
    parser.add_argument("--seen", type=Path, help="folder with the images that StarDist has learned from")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep labels there; a run that was stopped goes on")
    parser.add_argument("--json", type=Path, help="write the scores there, too")
    options = parser.parse_args(arguments)

    samples = load_folder(options.folder, channels=1)
    rows = {name: measure(segment, samples, options.keep and options.keep / name) for name, segment in methods(options)}
    groups = {"all": np.arange(len(samples))}
    if options.seen:
        groups["never seen by StarDist"] = unseen([Path(sample.name).stem for sample in samples], options.seen)
    found = {name: compare(rows, chosen) for name, chosen in groups.items() if len(chosen)}
    for name, scores in found.items():
        print(f"{name}, {scores['images']} images\n{table(scores)}\n")
    if options.json:
        write_json(options.json, found)


def methods(options: argparse.Namespace) -> Iterator[tuple[str, Segment]]:
    """The methods that are asked for and can run here, by name."""
    for model in options.model:
        yield Path(model).stem, ours(model)
        if options.diameter and load_model(model)[1].diameter is not None:
            yield TOLD.format(Path(model).stem), ours(model, told=True)
    if options.stardist is None or not (options.stardist / WEIGHTS).is_file():
        print(f"StarDist: SKIPPED, no {WEIGHTS} in {options.stardist}", file=sys.stderr)
    elif not can_import("stardist.geometry"):
        print("StarDist: SKIPPED, stardist.geometry cannot be imported", file=sys.stderr)
    else:
        yield STARDIST, TrainedStarDist(options.stardist, options.bfloat16)
        if options.diameter:
            yield TOLD.format(STARDIST), TrainedStarDist(options.stardist, options.bfloat16, DIAMETER)
    if options.watershed:
        yield "watershed", watershed


def ours(path: str | Path, told: bool = False) -> Segment:
    """A model's labels, with the diameter estimated, or told: the median of the true labels."""
    network, settings = load_model(path)

    def segment(sample: Sample) -> np.ndarray:
        outputs = predict_scaled(sample.image, network, settings, sample.diameter if told else None)
        return postprocess(*outputs, **settings.postprocess)[0].numpy()

    return segment


def watershed(sample: Sample) -> np.ndarray:
    return segment_by_watershed(Volume(sample.image[0].numpy(), sample.labels.numpy(), (1, 1)), **WATERSHED)


def measure(segment: Segment, samples: list[Sample], keep: Path | None = None) -> AveragePrecision:
    labels = [kept(keep, sample, segment) for sample in tqdm(samples, unit="image")]
    return average_precision([sample.labels.numpy() for sample in samples], labels)


def kept(folder: Path | None, sample: Sample, segment: Segment) -> np.ndarray:
    """The labels of an image, from the folder if they are there, otherwise into it."""
    if folder is None:
        return segment(sample)
    path = folder / f"{Path(sample.name).stem}.tif"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        write_labels(path, segment(sample))
    return tifffile.imread(path).astype(np.int32)


def unseen(names: list[str], folder: Path) -> np.ndarray:
    """The numbers of the images of which no file in the folder has a name that begins alike."""
    seen = [path.name for path in folder.iterdir()]
    return np.array([number for number, name in enumerate(names) if not any(one.startswith(name) for one in seen)])


def compare(rows: dict[str, AveragePrecision], chosen: np.ndarray) -> dict:
    """Every method's AP on the chosen images, and how far the others are ahead of StarDist, with 95 % intervals."""
    scores = {name: row.per_image[chosen] for name, row in rows.items()}
    found: dict = {"images": len(chosen), "thresholds": next(iter(rows.values())).thresholds.tolist()}
    found["AP"] = {name: with_mean(values.mean(0)) for name, values in scores.items()}
    for name in STARDIST, TOLD.format(STARDIST):
        if name in scores:
            theirs = scores[name]
            others = {other: values for other, values in scores.items() if not other.startswith(STARDIST)}
            found[f"ahead of {name} by"] = {
                other: paired_bootstrap(values - theirs) for other, values in others.items()
            }
    return found


def with_mean(values: np.ndarray) -> list[float]:
    return np.append(values, values.mean()).round(4).tolist()


def paired_bootstrap(differences: np.ndarray) -> dict[str, list[float]]:
    """The mean over the images ``[images, T]``, and the 2.5 and 97.5 percentiles of it if other images were drawn."""
    means = times_drawn(range(len(differences)), RESAMPLES) @ differences / len(differences)
    low, high = interval(np.column_stack([means, means.mean(1)])).round(4)
    return {"mean": with_mean(differences.mean(0)), "low": low.tolist(), "high": high.tolist()}


def table(scores: dict) -> str:
    columns = [*(f"{level:g}" for level in scores["thresholds"]), "mean"]
    rows = {**scores["AP"]}
    for title in (title for title in scores if title.startswith("ahead")):
        for name, ends in scores[title].items():
            rows |= {f"{name} {title} {key}": values for key, values in ends.items()}
    lines = [f"| method | {' | '.join(columns)} |", "| --- |" + " ---: |" * len(columns)]
    return "\n".join(
        lines + [f"| {name} | {' | '.join(f'{value:.3f}' for value in row)} |" for name, row in rows.items()]
    )


if __name__ == "__main__":
    main()
