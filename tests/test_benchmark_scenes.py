"""The rows on other scenes than the default: real images, other embeddings, volumes."""

import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from samples import UNTRAINED

sys.path.insert(0, str(Path(__file__).parents[1]))  # the benchmarks are not part of the package

from benchmarks import __main__ as command
from benchmarks import document, harness, nature, report, scene, variants

from embedseg_ops.model.files import save_model
from embedseg_ops.model.settings import Settings

QUICK = harness.Effort.QUICK


@pytest.fixture
def folder(tmp_path):
    """Two images, the second with more objects, whose numbers have gaps; and a model beside them."""
    for part in ("images", "labels"):
        (tmp_path / part).mkdir()
    random = np.random.default_rng(0)
    for name, objects in (("few", 2), ("many", 5)):
        labels = np.zeros((40, 56), np.uint16)
        for k in range(objects):
            labels[4:20, 2 + 11 * k : 11 + 11 * k] = 3 * k + 1
        image = (labels > 0) * 100 + random.integers(0, 50, labels.shape)
        tifffile.imwrite(tmp_path / "images" / f"{name}.tif", image.astype(np.uint16))
        tifffile.imwrite(tmp_path / "labels" / f"{name}.tif", labels)
    torch.manual_seed(0)
    settings = Settings(dim=4, filters=4, **UNTRAINED)
    save_model(tmp_path / "model.safetensors", settings.build(), settings)
    return tmp_path


def notes(rows):
    return [t.note for row in rows for t in report.judge(row, harness.time_row(row, budget=0.001)).timings]


def test_a_real_scene_is_the_models_prediction_on_the_most_crowded_image(folder):
    found = nature.predicted(folder, folder / "model.safetensors")
    assert found.description == {"name": "many.tif", "size": "40 x 56", "objects": "5", "D": "4", "dtype": "float32"}
    assert torch.equal(found.labels.unique(), torch.arange(6))
    assert found.embedding.shape == (1, 4, 40, 56)
    everything = variants.Variant("", lambda: found, variants.OF_SHAPES).rows(None, QUICK)
    assert not [note for note in notes(everything) if note.startswith(("WRONG", "failed"))]


def test_of_a_large_image_the_most_crowded_part_is_taken():
    labels = np.zeros((20, 30), int)
    labels[10:, 20:] = np.arange(100).reshape(10, 10)
    assert scene.most_crowded(labels, 10) == (slice(10, 20), slice(20, 30))
    assert scene.most_crowded(labels, 64) == (slice(0, 64), slice(0, 64))


def test_the_command_measures_a_real_scene(folder, capsys):
    options = ["--quick", "--scene", str(folder), "--model", str(folder / "model.safetensors"), "--only", "prediction"]
    assert command.main([*options, "--json", str(folder / "run.json")]) == 0
    assert "Mpx/s" in capsys.readouterr().out
    assert document.read(folder / "run.json").scene["name"] == "many.tif"


def test_a_scene_that_cannot_be_had_is_named(folder):
    with pytest.raises(SystemExit, match=r"nothing\.safetensors does not exist"):
        command.main(["--scene", str(folder), "--model", str(folder / "nothing.safetensors")])


@pytest.mark.parametrize("index", [1, -1])
def test_variants(index):
    variant = variants.everything(128, 12)[index]
    rows = list(variant.rows(None, QUICK))
    assert all(row.name.endswith(f", {variant.name}") for row in rows)
    found = notes(rows)
    assert not [note for note in found if note.startswith(("WRONG", "failed"))], found
    assert ("2D only" in found) == (variant.name == "24³")
    assert not list(variant.rows("metrics", QUICK))


def test_variants_are_all_but_the_default():
    names = [variant.name for variant in variants.everything(256, 40)]
    assert len(set(names)) == len(names) == 8
    assert "D = 16, float32" not in names
    assert names[-1] == "40³"
