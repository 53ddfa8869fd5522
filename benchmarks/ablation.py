"""`python -m benchmarks.ablation DATA`: what each deviation from the paper in network and training brings.

DATA holds train/ and val/. Trains as `nuclei` was, but without a foreground, with one thing after the other as in the
paper, and with what the paper does not have, for equally many steps. All are measured on val/, and on every seventh
image that they were trained on: a network that does no better there lacks capacity, or its labels contradict each
other. Interrupted, it goes on; a run that is there is not done again, so `--rows` and `--seeds` can add what is close.
"""

import argparse
import dataclasses
import itertools
import json
import time
from collections.abc import Iterable
from pathlib import Path
from statistics import fmean, stdev

from benchmarks.nuclei import Output, load_samples, predict_samples, score
from embedseg_ops.data.samples import Sample
from embedseg_ops.model.files import load_model
from embedseg_ops.model.registry import DEFAULT
from embedseg_ops.model.settings import Settings
from embedseg_ops.ops.options import TUNED
from embedseg_ops.predict.prepare import prepare
from embedseg_ops.train.options import Options
from embedseg_ops.train.trainer import Trainer

PAPER = {
    "weights": {"weights": "balanced"},
    "target scale": {"target_scale": 1.0},
    "batch normalisation": {"batch_norm": False},
    "distance features": {"distance_features": False},
    "Muon": {"optimizer": "adamw"},
}
START = {"foreground": False, "postprocess": TUNED}  # of the rows, where they do not say otherwise
FOREGROUND = {**TUNED, "min_depth_pixels": 0.5}  # the postprocessing that suits one
# one more with every row
MORE = {
    "and a foreground": {"foreground": True, "postprocess": FOREGROUND},
    "and a diameter": {"diameter": 26.0},
    "and object weights": {"object_weights": True},
    "and residual blocks": {"residual": 1},
    "and 24 filters": {"filters": 24},
}
TRAINING = slice(None, None, 7)  # of the training images, those that are measured
SETTINGS = {field.name for field in dataclasses.fields(Settings)}
LEVELS = ("0.5", "0.75", "0.9")
SPEED = "megapixels a second of processor"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ablation", description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=Path("out/ablation"), help="folder of the runs (%(default)s)")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=1, help="runs of every row (%(default)s)")
    parser.add_argument(
        "--rows", nargs="+", choices=list(variants()), default=list(variants()), help="all if not given"
    )
    parser.add_argument("--json", type=Path, help="write the scores there, too")
    options = parser.parse_args(arguments)

    settings = dataclasses.replace(load_model(DEFAULT)[1], **START)
    train_samples, validation = (load_samples(options.data / part, settings) for part in ("train", "val"))
    scores: dict[str, list[dict[str, object]]] = {}
    for seed, name in itertools.product(range(options.seeds), options.rows):
        row = f"{name}, seed {seed}" if seed else name
        changes = {**variants()[name], "seed": seed}
        model = train(options.out / row.replace(" ", "-"), settings, changes, train_samples, options.steps)
        ways = {name: changes.get("postprocess", settings.postprocess)}
        if name == "all as in the paper":
            ways["and its postprocessing"] = {}
        for label, measured in measure(model, ways, train_samples[TRAINING], validation).items():
            scores.setdefault(label, []).append(measured)
        print(table(scores), flush=True)
        if options.json:
            options.json.write_text(json.dumps({"steps": options.steps, "scores": scores}, indent=2) + "\n")


def measure(
    model: Path, ways: dict[str, dict[str, float]], seen: list[Sample], validation: list[Sample]
) -> dict[str, dict[str, object]]:
    """Scores by row: on images that the model was trained on, and on others.

    Args:
        model: its file.
        ways: options of the postprocessing by row; the first is measured on `seen`, and timed, too.
        seen: images that the model was trained on.
        validation: other images.
    """
    network, settings = load_model(model)
    prepared = prepare(network, "auto")

    def outputs(samples: list[Sample]) -> list[Output]:
        return predict_samples(samples, prepared, settings)

    first = next(iter(ways))
    fit = score(outputs(seen), ways[first])
    start = time.process_time()
    found = outputs(validation)
    seconds = time.process_time() - start  # of all threads together: other programs hardly change it
    rows = {row: score(found, chosen) for row, chosen in ways.items()}
    rows[first][SPEED] = round(sum(one.truth.size for one in found) / 1e6 / seconds, 3)
    return {f"{first}, on training images": fit, **rows}


def table(scores: dict[str, list[dict]]) -> str:
    """Mean, and standard deviation where there are several seeds, as Markdown."""
    lines = [
        f"| training | seeds | AP50 | AP75 | AP90 | mean AP | {SPEED} |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, runs in scores.items():
        values = [spread([run["AP"][level] for run in runs]) for level in LEVELS]
        speeds = [run.get(SPEED, 0.0) for run in runs]
        speed = f"{fmean(speeds):.2f}" if all(speeds) else ""
        cells = [name, str(len(runs)), *values, spread([run["mean AP"] for run in runs]), speed]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def spread(values: list[float]) -> str:
    return f"{fmean(values):.3f}" + (f" ± {stdev(values):.3f}" if len(values) > 1 else "")


def variants() -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = {"ours": {}}
    found |= {f"the paper's {name}" if name in ("weights", "target scale") else f"no {name}": changes
              for name, changes in PAPER.items()}  # fmt: skip
    found |= {name: merged(list(MORE.values())[: number + 1]) for number, name in enumerate(MORE)}
    found["residual blocks, but no Muon"] = {**found["and residual blocks"], **PAPER["Muon"]}
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
