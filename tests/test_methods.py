"""The methods that the paper competes with, on small inputs."""

import importlib
from typing import ClassVar

import numpy as np
import pytest
import torch
from benchmarks.paper import competitors, fig1, methods, runs
from samples import cells
from scipy.ndimage import distance_transform_cdt
from torch.nn.functional import one_hot

from embedseg_ops import connected_components
from embedseg_ops.data.samples import Sample
from embedseg_ops.evaluate.metrics import average_precision
from embedseg_ops.model.settings import Settings
from embedseg_ops.train.options import Options


def samples():
    maps = [cells((70, 61), 9, seed, gap=0.4) for seed in range(2)]
    return [Sample(str(number), (labels > 0)[None].float(), labels) for number, labels in enumerate(maps)]


def test_three_labels_give_the_truth_back():
    labels = fig1.pattern(rows=3)[0]
    method = methods.ThreeLabels()
    classes = method.classes(labels[None])
    assert torch.equal(classes[0] > 0, labels > 0)
    cores = (distance_transform_cdt(np.pad(labels.numpy() == 3, 3, mode="edge"), "chessboard") > 2)[3:-3, 3:-3]
    assert np.array_equal((classes[0] == 1).numpy() & (labels.numpy() == 3), cores)
    found = method.segment(one_hot(classes[0], 3).permute(2, 0, 1).float())
    assert average_precision(labels.numpy(), found, [0.9]).mean == 1
    sizes = np.sort(np.bincount(found.ravel())[1:])
    method.smallest = int(sizes[0]) + 1
    kept = np.unique(method.segment(one_hot(classes[0], 3).permute(2, 0, 1).float()), return_counts=True)[1][1:]
    assert np.array_equal(np.sort(kept), sizes[sizes > sizes[0]])


def test_stardist_gives_the_truth_back():
    pytest.importorskip("stardist.geometry")
    labels = samples()[0].labels
    method = methods.StarDist()
    probability, lengths = method.targets(labels.numpy())
    found = method.segment(torch.cat([probability.logit(1e-4)[None], lengths / method.unit]))
    assert average_precision(labels.numpy(), found, [0.5]).mean > 0.9


def test_mask_rcnn_is_told_of_every_object():
    mask_rcnn = pytest.importorskip("benchmarks.paper.mask_rcnn", reason="torchvision is not installed")
    labels = torch.zeros(6, 8, dtype=torch.int32)
    labels[1:3, 2:7], labels[4, 0] = 5, 2
    told = mask_rcnn.target(labels)
    assert told["boxes"].tolist() == [[0, 4, 1, 5], [2, 1, 7, 3]]
    assert torch.equal(told["masks"], torch.stack([labels == 2, labels == 5]).to(torch.uint8))
    assert mask_rcnn.target(torch.zeros(4, 4, dtype=torch.int32))["boxes"].shape == (0, 4)


@pytest.mark.parametrize(
    ("module", "name", "needs"),
    [
        ("methods", "ThreeLabels", "torch"),
        ("methods", "StarDist", "stardist.geometry"),
        ("mask_rcnn", "MaskRCNN", "torchvision"),
    ],
)
def test_methods_train(module, name, needs, tmp_path):
    pytest.importorskip(needs)
    torch.manual_seed(0)
    method = getattr(importlib.import_module(f"benchmarks.paper.{module}"), name)()
    options = Options(steps=20, batch=2, crop=32, validate_every=20, bf16=False)
    trainer = methods.MethodTrainer(
        tmp_path, Settings(filters=2), samples(), samples(), options, "cpu", method.build(2)
    )
    trainer.method = method
    batch = torch.utils.data.default_collate([trainer.crops[i] for i in range(2)])
    before = trainer.loss(*batch).total.item()
    trainer.run()
    trainer.model.train()
    assert trainer.loss(*batch).total.item() < before
    assert (tmp_path / "losses.csv").read_text().startswith("step,total,classes,shape\n1,")
    assert trainer.best >= 0


def test_spread_is_over_the_seeds_of_a_method():
    row = {"method": "embedding", "AP": {"0.5": 0.75}}
    found = competitors.spread({"a": {**row, "mean AP": 0.5}, "b": {**row, "mean AP": 0.7}})["embedding"]
    assert found == {"mean AP": (pytest.approx(0.6), pytest.approx(0.02**0.5)), "AP 0.5": (0.75, 0.0)}


class Threshold(methods.Method):
    """Its network is the image, its objects what is above a threshold."""

    choices: ClassVar = {"threshold": (-0.5, 0.5, 1.5)}

    def build(self, filters, channels=1):
        return torch.nn.Identity()

    def step(self, network, image, labels, inside):
        raise NotImplementedError

    def apply(self, network, image):
        return network(image)[0]

    def segment(self, output):
        return connected_components(output > self.threshold).numpy()


def test_thresholds_are_chosen_on_the_validation_images(tmp_path, monkeypatch):
    monkeypatch.setattr(methods, "Threshold", Threshold, raising=False)
    monkeypatch.setattr(competitors, "train_method", lambda out, data, budget, method, seed: method.build(2))
    right, dim = samples()
    # one threshold is best for the validation image, another for the test image
    data = runs.Data([], [right], [Sample("dim", dim.image - 1, dim.labels)])
    found = competitors.other("benchmarks.paper.methods", "Threshold")(tmp_path, data, runs.Budget(), 0)
    assert found["options"] == {"threshold": 0.5}
    assert found["mean AP"] == 0
    other = runs.method_scores(torch.nn.Identity(), Threshold(), data.test, [{"threshold": t} for t in (-0.5, 0.5)])
    assert [row["options"]["threshold"] for row in other] == [-0.5, 0.5]
    assert other[0]["mean AP"] > other[1]["mean AP"] == 0
