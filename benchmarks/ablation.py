"""`python -m benchmarks.ablation DATA`: what each deviation from the paper in network and training brings.

DATA holds train/ and val/. Trains as the shipped model was, and with one thing after the other as in the paper, for
equally many steps, and measures all on val/ with the shipped model's postprocessing. Interrupted, it goes on.
"""

import argparse
import dataclasses
import json
from pathlib import Path

from benchmarks.nuclei import predict_folder, score, table
from embedseg_ops.data.samples import Sample, load_folder
from embedseg_ops.model.files import load_model, shipped_model
from embedseg_ops.model.settings import Settings
from embedseg_ops.train.options import Options
from embedseg_ops.train.trainer import Trainer

PAPER = {
    "weights": {"weights": "balanced"},
    "target scale": {"target_scale": 1.0},
    "batch normalisation": {"batch_norm": False},
    "distance features": {"distance_features": False},
}
SETTINGS = {field.name for field in dataclasses.fields(Settings)}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ablation", description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=Path("out/ablation"), help="folder of the runs (%(default)s)")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--json", type=Path, help="write the scores there, too")
    options = parser.parse_args(arguments)

    _, settings = load_model(shipped_model())
    samples = load_folder(options.data / "train", settings.percentiles)
    scores = {}
    for name, changes in variants().items():
        model = train(options.out / name.replace(" ", "-"), settings, changes, samples, options.steps)
        network, found = load_model(model)
        outputs = predict_folder(options.data / "val", network, found)
        scores[name] = score(outputs, settings.postprocess)
        print(table(scores), flush=True)
    scores["and its postprocessing"] = score(outputs, {})
    print(table(scores))
    if options.json:
        options.json.write_text(json.dumps({"steps": options.steps, "scores": scores}, indent=2) + "\n")


def variants() -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = {"ours": {}}
    found |= {f"the paper's {name}" if name in ("weights", "target scale") else f"no {name}": changes
              for name, changes in PAPER.items()}  # fmt: skip
    found["all as in the paper"] = {key: value for changes in PAPER.values() for key, value in changes.items()}
    return found


def train(out: Path, settings: Settings, changes: dict[str, object], samples: list[Sample], steps: int) -> Path:
    """Train one variant, unless it is there already; return its model file."""
    changed = {key: value for key, value in changes.items() if key in SETTINGS}
    options = Options(steps=steps, **{key: value for key, value in changes.items() if key not in SETTINGS})
    if not (out / "last.safetensors").exists():
        Trainer(out, dataclasses.replace(settings, **changed), samples, [], options, progress=True).run()
    return out / "last.safetensors"


if __name__ == "__main__":
    main()
