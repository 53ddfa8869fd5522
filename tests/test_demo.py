"""The model that ships, on a real image that it was not trained on; and the command that shows it."""

import importlib.util

import numpy as np
import pytest
import tifffile
from PIL import Image

from embedseg_ops import segment
from embedseg_ops.command import demo
from embedseg_ops.command.main import main
from embedseg_ops.evaluate.metrics import average_precision

HAS_IMAGE = importlib.util.find_spec("stardist") is not None
needs_image = pytest.mark.skipif(not HAS_IMAGE, reason="the image comes with stardist: pip install --no-deps stardist")


@needs_image
def test_the_demo_finds_the_nuclei_and_draws_them(tmp_path, capsys):
    assert main(["demo", "--out", str(tmp_path / "demo")]) == 0
    _, truth = demo.find_files()
    labels = tifffile.imread(tmp_path / "demo" / "labels.tif")
    precision = average_precision(tifffile.imread(truth), labels)
    assert precision.values[0] > 0.85
    assert f"AP at IoU 0.5: {precision.values[0]:.3f}" in capsys.readouterr().out
    assert np.asarray(Image.open(tmp_path / "demo" / "overlay.png")).shape == (1024, 1024, 3)
    assert np.asarray(Image.open(tmp_path / "demo" / "steps.png")).shape[1] > 5 * 512


@needs_image
def test_the_demo_of_a_volume(tmp_path, capsys):
    assert main(["demo", "--3d", "--out", str(tmp_path)]) == 0
    _, truth = demo.find_files(3)
    labels = tifffile.imread(tmp_path / "labels.tif")
    precision = average_precision([tifffile.imread(truth)], [labels])  # the volume as one, not plane by plane
    assert precision.values[0] > 0.4
    assert f"AP at IoU 0.5: {precision.values[0]:.3f}" in capsys.readouterr().out
    assert np.asarray(Image.open(tmp_path / "overlay.png")).shape[1] > 6 * 5 * 57
    assert np.asarray(Image.open(tmp_path / "steps.png")).shape[1] > 5 * 57


@needs_image
def test_segment_needs_nothing_but_the_image(tmp_path):
    image, truth = (tifffile.imread(path) for path in demo.find_files())
    corner = np.s_[:200, :256]
    labels = segment(image[corner])
    assert labels.dtype == np.int32
    assert average_precision(truth[corner], labels).values[0] > 0.8


@needs_image
@pytest.mark.parametrize(
    ("words", "hint"), [(["--model", "nuclei", "--3d"], "leave --3d out"), (["--model", "nuclei-3d"], "give --3d")]
)
def test_a_model_of_the_other_kind_is_refused(words, hint, tmp_path, capsys):
    assert main(["demo", *words, "--out", str(tmp_path / "demo")]) == 2
    assert f"--model {words[1]}: " in (said := capsys.readouterr().err)
    assert hint in said
    assert not (tmp_path / "demo").exists()


def test_without_the_image_the_demo_says_where_to_get_it(monkeypatch, capsys):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert main(["demo"]) == 2
    assert "pip install --no-deps stardist" in capsys.readouterr().err
