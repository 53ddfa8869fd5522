"""How far an image of any size is enlarged: as `segment` says where it is small, and close to that where it is not."""

import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest
from samples import Bright, cells
from test_blocks_segment import image_of, small_model
from test_scale import discs

from embedseg_ops import segment, segment_blocks
from embedseg_ops.model.settings import Settings
from embedseg_ops.predict import scale
from embedseg_ops.predict.blocks import diameter
from embedseg_ops.predict.blocks import segment_blocks as blocks
from embedseg_ops.predict.blocks.diameter import Look, cut, estimate
from embedseg_ops.predict.blocks.folder import Folder

SETTINGS = Settings(diameter=26, postprocess={"seed_threshold": 0.5})


def run(task, arguments, name):
    for argument in arguments:
        task(argument)


@pytest.fixture
def windows(monkeypatch):
    """Windows small enough for drawn images."""
    for name, values in {"WHOLE": 64 * 64, "CORES": 40, "MARGINS": 40}.items():
        monkeypatch.setattr(diameter, name, {2: values, 3: values})


def look_at(folder, labels, network=None):
    image, network = labels.clamp(max=1).float()[None], network or Bright()
    source = SimpleNamespace(read=lambda box: image[(slice(None), *box)], network=lambda: network)
    return Look(Folder(folder), source, SETTINGS, *cut(tuple(labels.shape)), (1.0, 1.0), 1024, 144)


@pytest.mark.parametrize(
    ("diameters", "found", "factor"),
    [
        ((0, 0, 0), None, 1), ((13, 0, 0, 0), 13, 2), ((13, 13, 13, 40), 13, 2), ((40, 40, 13), 40, 1),
        ((30, 30), 30, 1), ((5, 5, 5), 5, 2.5),
    ],
    ids=["none", "one", "mostly small", "mostly large", "large", "tiny"],
)  # fmt: skip
def test_windows_say_what_the_whole_image_would(tmp_path, windows, diameters, found, factor):
    said = estimate(look_at(tmp_path, discs(*diameters)), run)
    assert said["factor"] == pytest.approx(factor, rel=0.05)
    assert said["diameter"] == (found and pytest.approx(found, rel=0.05))
    assert said["objects"] == np.count_nonzero(diameters)


def test_every_object_counts_once_and_whole(tmp_path, windows):
    labels = cells((150, 130), 40, seed=1, gap=0.8)  # no wider than the margin
    look = look_at(tmp_path, labels)
    sizes = look.sizes(range(len(look.grid)), 1.0, run)
    (_, *expected) = np.unique(segment(labels.clamp(max=1).float(), (Bright(), SETTINGS), diameter=26),
                               return_counts=True)[1]  # fmt: skip
    assert len(look.grid) == 16
    assert sorted(sizes) == sorted(expected)


def test_windows_are_few_and_more_where_objects_are(tmp_path, windows, monkeypatch):
    monkeypatch.setattr(diameter, "FEW", 3)
    monkeypatch.setattr(diameter, "MOST", 9)
    for some, enough in ((8, 1), (9, 10**6)):
        monkeypatch.setattr(diameter, "ENOUGH", enough)
        said = estimate(look_at(tmp_path / str(some), cells((300, 300), 200, gap=0.5)), run)
        assert len(list((tmp_path / str(some) / "objects" / "1.0").iterdir())) == some
        assert set(said["windows"]) <= set(range(64))
    assert said["windows"] == estimate(look_at(tmp_path / "9", cells((300, 300), 200, gap=0.5)), run)["windows"]


@pytest.mark.parametrize(("shape", "tile"), [((61, 90), 40), ((2, 40, 33), 64), ((14, 18, 20), 32)])
def test_a_small_image_is_segmented_as_in_one_piece(tmp_path, shape, tile):
    network, settings = small_model(3 if shape[0] == 14 else 2, 2 if shape[0] == 2 else 1)
    model = network, dataclasses.replace(settings, diameter=26)
    expected = segment(image_of(shape), model, tile=tile, overlap=16)
    out = tmp_path / "labels.npy"
    segment_blocks(image_of(shape), out, model, tile=tile, overlap=16, block=16, halo=4, progress=False)
    np.testing.assert_array_equal(np.load(out), expected)
    said = json.loads((tmp_path / "labels.npy.run" / "run.json").read_text())
    assert said["estimate"]["factor"] > 1.1
    assert said["enlarged"] == [round(said["estimate"]["factor"] * side) for side in expected.shape]


def test_what_was_estimated_stays(tmp_path, windows, monkeypatch):
    network, settings = small_model()
    model = network, dataclasses.replace(settings, diameter=26)
    how = {"tile": 64, "overlap": 16, "block": 32, "halo": 4, "progress": False}
    image, out = image_of((90, 80)), tmp_path / "labels.npy"
    monkeypatch.setattr(blocks, "network_maps", None)
    with pytest.raises(TypeError):
        segment_blocks(image, out, model, **how)
    monkeypatch.undo()
    monkeypatch.setattr(scale, "enlargement", None)  # nobody asks again
    summary = segment_blocks(image, out, model, **how)
    monkeypatch.undo()
    said = json.loads((tmp_path / "labels.npy.run" / "run.json").read_text())["estimate"]
    assert summary.objects == np.load(out).max() > 0
    wanted = segment(image, model, diameter=26 / said["factor"], tile=64, overlap=16)
    np.testing.assert_array_equal(np.load(out), wanted)
    with pytest.raises(ValueError, match="enlarged was"):
        segment_blocks(image, out, model, diameter=20, **how)
