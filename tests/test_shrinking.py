"""Objects far larger than a network knows: found in a coarse image, and shrunk; others stay as they were."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from samples import Bright
from scipy import ndimage
from test_blocks_diameter import look_at, run, windows  # noqa: F401  # a fixture
from test_scale import SETTINGS, discs

from embedseg_ops import segment, segment_blocks
from embedseg_ops.data.crops import CropDataset
from embedseg_ops.data.samples import Sample
from embedseg_ops.data.scale import FAR, median_diameter, rescaling
from embedseg_ops.predict.blocks import diameter as of_windows
from embedseg_ops.predict.blocks.diameter import estimate
from embedseg_ops.predict.memory import memory_needed


class Knows(Bright):
    """Knows bright objects that are 5 to 62 pixels wide and 3 apart.

    It does not see smaller ones, closer ones run together, and larger ones fall to pieces of 30 pixels. It remembers
    how wide the images were that it saw.
    """

    def answer(self, image):
        bright = np.pad(image[0, 0].numpy() > 0.5, 1, "edge")
        objects, _ = ndimage.label(ndimage.binary_closing(bright)[(slice(1, -1),) * bright.ndim])
        boxes = ndimage.find_objects(objects)
        width = np.array([0, *(max(side.stop - side.start for side in box) for box in boxes)])
        pieces = (np.indices(objects.shape) % 32 < 30).all(0)
        found = (objects > 0) & (width >= 5)[objects] & ((width <= 62)[objects] | pieces)
        depth = torch.from_numpy(found).float()[None]
        return torch.stack([depth, 1 - depth], 1), depth


def looked_at(truth, settings=SETTINGS, **options):
    """How far the image was resampled for each pass, and the labels."""
    model = Knows()
    labels = segment(truth.clamp(max=1).float(), (model, settings), **options)
    return [seen / truth.shape[-1] for seen in model.seen], labels


def field(diameter, side, across, down):
    """Discs in rows."""
    rows = [discs(*[diameter] * across, side=side) for _ in range(down)]
    return torch.cat([torch.where(row > 0, row + 1000 * number, 0) for number, row in enumerate(rows)])


def same_objects(labels, truth):
    assert len(labels.unique()) == len(truth.unique())
    return ((labels > 0) != (truth > 0)).sum() <= 0.06 * (truth > 0).sum()


@pytest.mark.parametrize("wide", [70, 90, 115])
def test_large_objects_are_found_whole_where_they_are_shrunk(wide):
    truth = discs(*[wide] * 4, side=2 * wide)
    assert looked_at(truth, diameter=40)[1].max() > 4  # as it is
    factors, labels = looked_at(truth)
    assert factors == pytest.approx([0.25, 0.5, 26 / wide], rel=0.06)
    assert same_objects(labels, truth)
    factors, labels = looked_at(truth, diameter=wide)
    assert factors == pytest.approx([26 / wide], rel=0.02)
    assert same_objects(labels, truth)


def test_so_are_balls():
    z, y, x = np.ogrid[-38:38, -38:38, -88:88]
    balls = z**2 + y**2 + (abs(x) - 44) ** 2 < 35**2
    truth = torch.from_numpy(balls * np.where(x < 0, 1, 2))
    settings = dataclasses.replace(SETTINGS, spatial_dims=3)
    assert looked_at(truth, settings, diameter=40)[1].max() > 2
    factors, labels = looked_at(truth, settings)
    assert factors == pytest.approx([0.25, 0.5, 26 / 70], rel=0.06)
    assert same_objects(labels, truth)


@pytest.mark.parametrize(
    ("truth", "factors"),
    [
        (discs(90, side=200), [0.25, 0.5, 26 / 90]),
        (torch.zeros(120, 130, dtype=torch.int32), [0.25, 1]),
        (field(20, 28, 8, 8), [0.25, 0.5, 1, 1.3]),
        (torch.cat([field(18, 40, 9, 2), field(90, 180, 2, 1)]), [0.25, 0.5, 1, 26 / 18]),
        (torch.cat([field(18, 120, 6, 1), field(90, 120, 6, 2)]), [0.25, 0.5, 26 / 90]),
    ],
    ids=["one", "none", "a crowd that looks like one", "mostly small", "mostly large"],
)
def test_the_image_is_shrunk_only_where_a_finer_pass_agrees(truth, factors):
    assert looked_at(truth)[0] == pytest.approx(factors, rel=0.06)


@pytest.mark.parametrize(("wide", "factor"), [(13, 2), (26, 1), (60, 1)])
def test_other_images_are_seen_as_ever(wide, factor):
    truth = discs(*[wide] * 4, side=100)
    assert torch.equal(looked_at(truth)[1], looked_at(truth, diameter=wide)[1])
    assert looked_at(truth, diameter=wide)[0] == [pytest.approx(factor, rel=0.03)]


def test_the_factor():
    found = (None, 1, 13, 26, 26 * FAR, 26 * FAR + 1e-6, 104, 1e9)
    assert [rescaling(diameter, 26) for diameter in found] == pytest.approx([1, 2.5, 2, 1, 1, 0.4, 0.25, 26e-9])
    assert rescaling(104, None) == 1


def test_training_only_enlarges():
    samples = [Sample(str(size), discs(size)[None].float(), discs(size)) for size in (13, 60)]
    assert CropDataset(samples, (64, 64), diameter=10).zooms == [1, 1]


def test_a_shrunken_image_takes_less_memory():
    settings = dataclasses.replace(SETTINGS, filters=8)
    needed = [memory_needed((1, 900, 900), settings, diameter=diameter) for diameter in (13, 30, 80, 200)]
    assert needed[3] < needed[2]
    assert needed[1] < needed[0]


def test_an_image_may_shrink_to_a_pixel():
    assert looked_at(discs(30), diameter=1e9)[1].max() <= 1


def test_windows_find_large_objects_whole(tmp_path, windows):  # noqa: F811
    truth = discs(*[90] * 3, side=200)
    look = look_at(tmp_path, truth, Knows())
    said = estimate(look, run)
    assert len(look.grid) > 9
    assert said["factor"] == pytest.approx(26 / 90, rel=0.06)
    assert (said["objects"], said["diameter"]) == (3, pytest.approx(median_diameter(truth), rel=0.06))


@pytest.mark.parametrize("blocks", [False, True])
def test_the_windows_of_a_run_say_so(tmp_path, monkeypatch, blocks):
    network = dataclasses.replace(SETTINGS, diameter=None, filters=2, dim=3).build()
    monkeypatch.setattr(of_windows, "find_rescaling", lambda diameter, settings, sizes: 0.25)
    if blocks:
        monkeypatch.setattr(of_windows, "WHOLE", {2: 64})
    image, out = torch.rand(90, 100, generator=torch.Generator().manual_seed(0)).numpy(), tmp_path / "labels.npy"
    model = network.eval(), dataclasses.replace(SETTINGS, filters=2, dim=3)
    segment_blocks(image, out, model, block=32, halo=4, progress=False)
    said = json.loads((tmp_path / "labels.npy.run" / "run.json").read_text())
    assert said["enlarged"] == [22, 25]
    np.testing.assert_array_equal(np.load(out), segment(image, model, diameter=104))
