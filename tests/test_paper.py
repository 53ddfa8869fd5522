"""The scripts that reproduce the paper, on small inputs."""

import json

import numpy as np
import pytest
import torch
from benchmarks.paper import fig1, methods
from PIL import Image
from samples import cells
from scipy.ndimage import distance_transform_cdt
from torch.nn.functional import one_hot

from embedseg_ops import neighbor_pairs
from embedseg_ops.data import Sample
from embedseg_ops.metrics import average_precision
from embedseg_ops.training import Options
from embedseg_ops.weights import Settings


def test_discs_neighbor_the_four_beside_them():
    pairs = neighbor_pairs(fig1.pattern(rows=3), 10.0, background=False).tolist()
    middle = 5
    assert sorted(n for _, k, n in pairs if k == middle) == [2, 4, 6, 8]


def test_the_local_constraint_separates_where_the_global_one_cannot(tmp_path):
    labels = fig1.pattern(rows=4)
    neighbors, everyone = neighbor_pairs(labels, 10.0), neighbor_pairs(labels, 160.0)
    courses = {name: fig1.optimise(labels, p, neighbors, 100) for name, p in {"l": neighbors, "g": everyone}.items()}
    assert courses["l"].acute[100] > 80 > 65 > courses["g"].acute[100]
    fig1.write(courses, tmp_path)
    assert json.loads((tmp_path / "fig1.json").read_text())["l"]["acute"]["100"] == courses["l"].acute[100]
    assert np.asarray(Image.open(tmp_path / "fig1.png")).shape[1] > 4 * 240


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


def test_stardist_gives_the_truth_back():
    pytest.importorskip("stardist.geometry")
    labels = samples()[0].labels
    method = methods.StarDist()
    probability, lengths = method.targets(labels.numpy())
    found = method.segment(torch.cat([probability.logit(1e-4)[None], lengths]))
    assert average_precision(labels.numpy(), found, [0.5]).mean > 0.9


@pytest.mark.parametrize("name", ["ThreeLabels", "StarDist"])
def test_methods_train(name, tmp_path):
    if name == "StarDist":
        pytest.importorskip("stardist.geometry")
    torch.manual_seed(0)
    method = getattr(methods, name)()
    options = Options(steps=6, batch=2, crop=32, validate_every=6, bf16=False)
    trainer = methods.MethodTrainer(
        tmp_path, Settings(filters=2), samples(), samples(), options, "cpu", method.build(2)
    )
    trainer.method = method
    trainer.run()
    rows = (tmp_path / "losses.csv").read_text().splitlines()
    assert rows[0] == "step,total,classes,shape"
    first, last = (float(rows[i].split(",")[1]) for i in (1, -1))
    assert last < first
    assert trainer.best >= 0
