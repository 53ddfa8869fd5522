"""`python -m benchmarks.ablation DATA`: what each deviation from the paper in network and training brings.

DATA holds train/ and val/. Trains as the shipped model was, with one thing after the other as in the paper, and with
what the paper does not have, for equally many steps. All are measured on val/, and on every seventh image that they
were trained on: a network that does no better there lacks capacity, or its labels contradict each other. Interrupted,
it goes on.
"""

import argparse
import dataclasses
import json
from collections.abc import Iterable
from pathlib import Path

from benchmarks.nuclei import predict_folder, predict_samples, score, table
from embedseg_ops.data.samples import Sample, load_folder
from embedseg_ops.model.files import load_model
from embedseg_ops.model.registry import DEFAULT
from embedseg_ops.model.settings import Settings
from embedseg_ops.ops.options import TUNED
from embedseg_ops.train.options import Options
from embedseg_ops.train.trainer import Trainer

PAPER = {
    "weights": {"weights": "balanced"},
    "target scale": {"target_scale": 1.0},
    "batch normalisation": {"batch_norm": False},
    "distance features": {"distance_features": False},
}
# one more with every row; options of the postprocessing that suit a foreground come with it
MORE = {
    "and a foreground": {"foreground": True, "postprocess": {**TUNED, "seed_threshold": 0.6, "min_depth_pixels": 0.5}},
    "and a diameter": {"diameter": 26.0},
    "and object weights": {"object_weights": True},
    "and residual blocks": {"residual": 1},
}
TRAINING = slice(None, None, 7)  # of the training images, those that are measured
SETTINGS = {field.name for field in dataclasses.fields(Settings)}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ablation", description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=Path("out/ablation"), help="folder of the runs (%(default)s)")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--json", type=Path, help="write the scores there, too")
    options = parser.parse_args(arguments)

    _, settings = load_model(DEFAULT)
    samples = load_folder(options.data / "train", settings.percentiles, settings.spatial_dims, settings.channels)
    scores = {}
    for name, changes in variants().items():
        model = train(options.out / name.replace(" ", "-"), settings, changes, samples, options.steps)
        network, found = load_model(model)
        seen = predict_samples(samples[TRAINING], network, found)
        scores[f"{name}, on training images"] = score(seen, found.postprocess)
        outputs = predict_folder(options.data / "val", network, found)
        scores[name] = score(outputs, found.postprocess)
        if name == "all as in the paper":
            scores["and its postprocessing"] = score(outputs, {})
        print(table(scores), flush=True)
    if options.json:
        options.json.write_text(json.dumps({"steps": options.steps, "scores": scores}, indent=2) + "\n")


def variants() -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = {"ours": {}}
    found |= {f"the paper's {name}" if name in ("weights", "target scale") else f"no {name}": changes
              for name, changes in PAPER.items()}  # fmt: skip
    found |= {name: merged(list(MORE.values())[: number + 1]) for number, name in enumerate(MORE)}
    found["all as in the paper"] = merged(PAPER.values())
    return found


def merged(changes: Iterable[dict[str, object]]) -> dict[str, object]:
    return {key: value for one in changes for key, value in one.items()}


def train(out: Path, settings: Settings, changes: dict[str, object], samples: list[Sample], steps: int) -> Path:
    """Train one variant, unless it is there already; return its model file."""
    changed = {key: value for key, value in changes.items() if key in SETTINGS}
    options = Options(steps=steps, **{key: value for key, value in changes.items() if key not in SETTINGS})
    if not (out / "last.safetensors").exists():
        Trainer(out, dataclasses.replace(settings, **changed), samples, [], options, progress=True).run()
    return out / "last.safetensors"


if __name__ == "__main__":
    main()
