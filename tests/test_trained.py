"""Our model against a StarDist that was trained to the end, on small inputs."""

import json

import numpy as np
import pytest
import tifffile
from benchmarks.paper import trained
from samples import cells

from embedseg_ops.evaluate.metrics import average_precision
from embedseg_ops.model.files import save_model
from embedseg_ops.model.settings import Settings


def test_without_the_weights_there_are_only_our_rows(tmp_path, capsys):
    settings = Settings(filters=2, postprocess={"seed_threshold": 0.3})
    save_model(tmp_path / "model", settings.build(), settings)
    for kind in ("images", "labels"):
        (tmp_path / kind).mkdir()
        tifffile.imwrite(tmp_path / kind / "a.tif", cells((24, 24), 4, gap=0.4).numpy().astype(np.uint16))
    trained.main([str(tmp_path), "--model", str(tmp_path / "model"), "--json", str(tmp_path / "scores.json")])
    out, err = capsys.readouterr()
    assert "StarDist: SKIPPED" in err
    assert "all, 1 images\n| method | 0.5 |" in out
    assert list(json.loads((tmp_path / "scores.json").read_text())["all"]["AP"]) == ["ours"]


def test_an_image_is_seen_if_a_file_begins_with_its_name(tmp_path):
    for name in ("abc123.tif", "ffff.tif"):
        (tmp_path / name).touch()
    assert trained.unseen(["abc", "123", "ffff"], tmp_path).tolist() == [1]


def test_the_bootstrap_draws_images():
    differences = np.random.default_rng(1).normal(0.1, 0.2, (100, 3))
    found = trained.paired_bootstrap(differences)
    assert found["mean"][:3] == pytest.approx(differences.mean(0), abs=1e-4)
    assert found["mean"][3] == pytest.approx(differences.mean(), abs=1e-4)
    error = 1.96 * differences.std(0) / 10  # of a mean of 100, if they were normal
    assert found["low"][:3] == pytest.approx(differences.mean(0) - error, abs=0.01)
    assert found["high"][:3] == pytest.approx(differences.mean(0) + error, abs=0.01)


def test_both_methods_are_compared_on_the_chosen_images():
    truth = [cells((24, 24), 4, seed, gap=0.4).numpy() for seed in range(3)]
    nothing = [np.zeros_like(labels) for labels in truth]
    rows = {"ours": average_precision(truth, truth), "StarDist": average_precision(truth, [*truth[:1], *nothing[1:]])}
    found = trained.compare(rows, np.array([0, 1]))
    assert found["images"] == 2
    assert found["AP"] == {"ours": [1.0] * 10, "StarDist": [0.5] * 10}
    assert found["ours ahead by"] == {"mean": [0.5] * 10, "low": [0.0] * 10, "high": [1.0] * 10}
    assert "| ours ahead, mean | 0.500 |" in trained.table(found)
