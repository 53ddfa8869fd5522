"""Training runs and scores that the paper's tables share; a run that is there already is not done again."""

import dataclasses
import itertools
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from benchmarks.nuclei import Output, predict_samples, score_labels, table
from benchmarks.paper.methods import Method, MethodTrainer
from benchmarks.plots import PALETTE
from embedseg_ops.data.samples import Sample, load_folder
from embedseg_ops.evaluate.charts import Axis, Chart
from embedseg_ops.model.files import load_model
from embedseg_ops.model.settings import Settings
from embedseg_ops.train.options import Options
from embedseg_ops.train.trainer import Trainer

HOLD_OUT = 8  # every eighth training image is for validation


@dataclass(frozen=True)
class Data:
    train: list[Sample]
    validation: list[Sample]
    test: list[Sample]


@dataclass(frozen=True)
class Budget:
    """What every method gets."""

    steps: int = 3000
    batch: int = 8
    crop: int = 192
    filters: int = 16

    def options(self, **more: object) -> Options:
        return Options(steps=self.steps, batch=self.batch, crop=self.crop, **more)


def load_data(folder: Path) -> Data:
    """Of a folder with train/ and test/."""
    samples = load_folder(folder / "train", progress=True)
    test = load_folder(folder / "test", channels=len(samples[0].image), progress=True)
    train = [sample for number, sample in enumerate(samples) if number % HOLD_OUT]
    return Data(train, samples[::HOLD_OUT], test)


def train_embedding(out: Path, data: Data, budget: Budget, settings: Settings, **options: object) -> Path:
    """Train the library's network with these options; return its model file."""
    settings = dataclasses.replace(settings, channels=len(data.train[0].image), filters=budget.filters)
    if not (out / "last.safetensors").exists():
        Trainer(out, settings, data.train, [], budget.options(**options), progress=True).run()
    return out / "last.safetensors"


def train_method(out: Path, data: Data, budget: Budget, method: Method, seed: int = 0) -> torch.nn.Module:
    """Train another method's network; return it in evaluation mode."""
    torch.manual_seed(seed)
    channels = len(data.train[0].image)
    network = method.build(budget.filters, channels)
    settings = Settings(channels=channels, filters=budget.filters, postprocess={})  # the method has its own
    trainer = MethodTrainer(out, settings, data.train, [], budget.options(seed=seed), model=network, progress=True)
    trainer.method = method
    if trainer.step < budget.steps:
        trainer.run()
    return network.eval()


def embedding_outputs(model: Path, samples: list[Sample]) -> list[Output]:
    return predict_samples(samples, *load_model(model))


@torch.no_grad()
def method_scores(
    network: torch.nn.Module, method: Method, samples: list[Sample], candidates: list[dict[str, float]]
) -> list[dict[str, object]]:
    """With each of these sets of thresholds; the method is left with the last."""
    labels: list[list[np.ndarray]] = [[] for _ in candidates]
    for sample in tqdm(samples, desc="network", unit="image"):
        output = method.apply(network, sample.image)
        for thresholds, found in zip(candidates, labels, strict=True):
            vars(method).update(thresholds)
            found.append(method.segment(output))
    truth = [sample.labels.numpy() for sample in samples]
    return [{"options": thresholds, **score_labels(truth, found)}
            for thresholds, found in zip(candidates, labels, strict=True)]  # fmt: skip


def report(path: Path, scores: dict[str, dict], **facts: object) -> None:
    """Print the scores, keep them and the facts as JSON, and draw AP against IoU beside it."""
    print(table(scores), flush=True)
    write_json(path, {**facts, "scores": scores})
    draw(path.with_suffix(".svg"), scores)


def draw(path: Path, scores: dict[str, dict]) -> None:
    """Draw AP against IoU as SVG."""
    levels = [float(level) for level in next(iter(scores.values()))["AP"]]
    chart = Chart(Axis("IoU", levels[0], levels[-1]), Axis("AP", 0.0, 1.0))
    for (name, row), colour in zip(scores.items(), itertools.cycle(PALETTE), strict=False):
        chart.line(levels, list(row["AP"].values()), colour, name)
    path.write_text(chart.svg() + "\n", encoding="utf-8")


def write_json(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
