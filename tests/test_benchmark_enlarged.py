"""The benchmark of images whose nuclei are far too large, on a small image."""

import json

import numpy as np
import pytest
import tifffile
import torch
from benchmarks import enlarged
from samples import UNTRAINED, cells

from embedseg_ops.data.samples import load_folder
from embedseg_ops.model.files import save_model
from embedseg_ops.model.settings import Settings


@pytest.fixture
def folder(tmp_path, monkeypatch):
    labels = cells((48, 40), 3, gap=0.4).numpy().astype(np.uint16)
    for kind, pixels in (("images", (labels > 0) * np.uint8(200)), ("labels", labels)):
        (tmp_path / kind).mkdir()
        tifffile.imwrite(tmp_path / kind / "abcdef99.tif", pixels)
    monkeypatch.setattr(enlarged, "JOBS", [("abcdef", 3, 44)])
    return tmp_path


def test_the_middle_of_an_image_is_enlarged_with_its_labels(folder):
    samples = load_folder(folder, channels=1)
    (smooth,), (mottled,) = (list(enlarged.enlarged(samples, mottled)) for mottled in (False, True))
    expected = np.kron(samples[0].labels.numpy()[2:46], np.ones((3, 3), int))
    for sample in (smooth, mottled):
        np.testing.assert_array_equal(sample.labels, expected)
        assert sample.image.shape == (1, 132, 120)
        assert sample.image.flatten().quantile(torch.tensor([0.01, 0.998])).tolist() == pytest.approx([0, 1], abs=0.01)
    inside = torch.from_numpy(expected > 0)
    assert mottled.image[0][inside].std() > 1.5 * smooth.image[0][inside].std()


def test_every_size_has_a_row(folder):
    settings = Settings(filters=2, **UNTRAINED, diameter=2, postprocess={"seed_threshold": 0.3})
    save_model(folder / "model.safetensors", settings.build(), settings)
    enlarged.main([str(folder), "--model", str(folder / "model.safetensors"), "--json", str(folder / "json")])
    found = json.loads((folder / "json").read_text())
    assert set(found) == {"columns", "smooth", "mottled"}
    assert list(found["smooth"]["AP"]) == ["as it is", *(f"to {wanted}" for wanted in enlarged.WANTED), "estimated"]
    assert found["smooth"]["images"] == 1
