"""The scripts that reproduce the paper, on small inputs."""

import json

import numpy as np
from benchmarks.paper import fig1
from PIL import Image

from embedseg_ops import neighbor_pairs


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
