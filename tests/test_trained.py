"""Our model against a StarDist that was trained to the end, on small inputs."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import tifffile
import torch
from benchmarks.paper import trained
from samples import UNTRAINED, cells

from embedseg_ops.data.samples import Sample
from embedseg_ops.data.scale import median_diameter
from embedseg_ops.evaluate.metrics import average_precision
from embedseg_ops.model.files import load_model, save_model
from embedseg_ops.model.settings import Settings


@pytest.fixture
def folder(tmp_path):
    """A model, and one image in colours with its labels."""
    settings = Settings(filters=2, **UNTRAINED, postprocess={"seed_threshold": 0.3})
    save_model(tmp_path / "model.safetensors", settings.build(), settings)
    labels = cells((48, 40), 3, gap=0.4).numpy().astype(np.uint16)
    for kind, pixels in (("images", np.stack([labels > 0] * 3, -1) * np.uint8(200)), ("labels", labels)):
        (tmp_path / kind).mkdir()
        tifffile.imwrite(tmp_path / kind / "a.tif", pixels)
    return tmp_path


def scores(folder, *options):
    trained.main([str(folder), "--model", str(folder / "model.safetensors"), "--json", str(folder / "json"), *options])
    return json.loads((folder / "json").read_text())["all"]["AP"]


def test_without_the_weights_there_are_only_our_rows(folder, capsys):
    assert list(scores(folder)) == ["model"]
    out, err = capsys.readouterr()
    assert "StarDist: SKIPPED" in err
    assert "all, 1 images\n| method | 0.5 |" in out


def test_the_watershed_finds_free_objects(folder):
    assert scores(folder, "--watershed")["watershed"][0] > 0


def test_a_model_with_a_diameter_is_told_it_in_a_row_of_its_own(folder, monkeypatch):
    assert list(scores(folder, "--diameter")) == ["model"]
    network, settings = load_model(folder / "model.safetensors")
    save_model(folder / "model.safetensors", network, dataclasses.replace(settings, diameter=20))
    told = []
    predict = trained.predict_scaled
    monkeypatch.setattr(trained, "predict_scaled", lambda *args: told.append(args[3]) or predict(*args))
    assert list(scores(folder, "--diameter")) == ["model", "model, true diameter"]
    assert told == [None, median_diameter(torch.from_numpy(tifffile.imread(folder / "labels" / "a.tif").astype(int)))]


def test_a_run_that_was_stopped_goes_on_with_the_labels_it_kept(folder):
    kept = ["--keep", str(folder / "kept")]
    first = scores(folder, *kept)
    assert scores(folder, *kept) == first
    shutil.copy(folder / "labels" / "a.tif", folder / "kept" / "model" / "a.tif")
    assert scores(folder, *kept) == {"model": [1.0] * 10}


def test_stardist_is_told_the_diameter_as_ours_are():
    labels = cells((48, 40), 3, gap=0.4).to(torch.int32)
    sample = Sample("a", labels.clamp(max=1)[None].float(), labels)
    stardist = trained.TrainedStarDist.__new__(trained.TrainedStarDist)
    stardist.bfloat16, stardist.network, seen = False, None, []

    def apply(network, image):
        seen.append(image.shape)
        return torch.cat([image, torch.ones(32, *image.shape[1:])])

    stardist.apply, stardist.segment = apply, lambda output: output
    for stardist.diameter, factor in ((None, 1), (sample.diameter / 4, 1 / 4), (sample.diameter * 2, 2)):
        output = stardist(sample)
        assert seen[-1] == (1, 48 * factor, 40 * factor)
        assert output.shape == (33, 48, 40)
        assert torch.allclose(output[1:], torch.tensor(1 / factor))


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
    rows = {"nuclei": average_precision(truth, truth), "StarDist": average_precision(truth, [*truth[:1], *nothing[1:]])}
    found = trained.compare(rows, np.array([0, 1]))
    assert found["images"] == 2
    assert found["AP"] == {"nuclei": [1.0] * 10, "StarDist": [0.5] * 10}
    ahead = {"mean": [0.5] * 10, "low": [0.0] * 10, "high": [1.0] * 10}
    assert found["ahead of StarDist by"] == {"nuclei": ahead}
    assert "| nuclei ahead of StarDist by mean | 0.500 |" in trained.table(found)
