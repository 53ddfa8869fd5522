"""Objects brought to the size that a network knows: measured, enlarged in training and prediction, and brought back."""

import math

import pytest
import torch
from samples import UNTRAINED, Bright, cells

import embedseg_ops
from embedseg_ops.data.augmentation import Random, random_crop
from embedseg_ops.data.crops import CropDataset
from embedseg_ops.data.samples import Sample
from embedseg_ops.data.scale import LARGEST, enlargement, median_diameter
from embedseg_ops.model.settings import Settings
from embedseg_ops.predict import scale
from embedseg_ops.predict.network import predict_network
from embedseg_ops.predict.scale import COARSE, predict_scaled
from embedseg_ops.predict.zoom import Zoom


def discs(*diameters, side=64):
    """One disc beside the other."""
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side * len(diameters)), indexing="ij")
    labels = torch.zeros(y.shape, dtype=torch.int32)
    for number, diameter in enumerate(diameters):
        centre = side * number + side / 2
        labels[(y - side / 2) ** 2 + (x - centre) ** 2 < (diameter / 2) ** 2] = 3 * number + 2
    return labels


@pytest.mark.parametrize(("diameters", "median"), [((20,), 20), ((10, 20, 40), 20), ((11, 11, 11, 50, 50), 11)])
def test_the_median_diameter_is_that_of_discs(diameters, median):
    assert median_diameter(discs(*diameters)) == pytest.approx(median, rel=0.02)


def test_without_objects_there_is_no_diameter():
    assert median_diameter(torch.zeros(5, 5, dtype=torch.int32)) is None
    assert median_diameter(torch.full((5, 5), -1)) is None


def test_the_diameter_of_a_volume_is_that_of_balls():
    grid = torch.stack(torch.meshgrid(*[torch.arange(30.0)] * 3, indexing="ij")) - 15
    assert median_diameter((grid.norm(dim=0) < 9).int()) == pytest.approx(18, rel=0.02)


def test_images_are_enlarged_only_and_not_too_far():
    assert [enlargement(found, 26) for found in (None, 52, 26, 13, 1)] == [1, 1, 1, 2, LARGEST]
    assert enlargement(13, None) == 1


@pytest.mark.parametrize("zoom", [1.0, 2.0])
def test_a_crop_of_an_enlarged_image_is_a_part_of_it(zoom):
    labels = cells((24, 24), 5, gap=0.3)
    size = round(24 * zoom)
    image, found, inside = random_crop(labels[None].float(), labels, (size, size), Random(1), None, zoom)
    assert inside.all()
    expected = torch.nn.functional.interpolate(labels[None, None].float(), (size, size), mode="nearest-exact")[0, 0]
    assert torch.equal(found, expected.int())
    expected = Zoom.by(zoom, (24, 24))(labels[None].float())
    torch.testing.assert_close(image[:, 1:-1, 1:-1], expected[:, 1:-1, 1:-1], atol=1e-4, rtol=0)


def test_small_objects_come_to_the_diameter_in_training_and_are_seen_more_often():
    samples = [Sample(str(size), discs(size)[None].float(), discs(size)) for size in (13, 40)]
    crops = CropDataset(samples, (64, 64), diameter=26)
    assert crops.zooms == pytest.approx([2, 1], rel=0.03)
    assert crops.epoch.tolist() == [0, 0, 1]
    assert CropDataset(samples, (64, 64)).epoch.tolist() == [0, 1]


SETTINGS = Settings(diameter=26, postprocess={"seed_threshold": 0.5})


def segment_discs(*diameters, settings=SETTINGS, diameter=None):
    model = Bright()
    truth = discs(*diameters)
    labels = embedseg_ops.segment(truth.clamp(max=1).float(), (model, settings), diameter=diameter)
    return [seen / truth.shape[-1] for seen in model.seen], truth, labels


@pytest.mark.parametrize(
    ("diameters", "zooms"),
    [((13,), [1, 2]), ((26,), [1]), ((60,), [1]), ((5,), [1, 2.5]), ((13, 13, 13, 40), [1, 2]), ((0,), [1])],
    ids=["small", "as wanted", "large", "tiny", "two sizes", "none"],
)
def test_the_diameter_is_estimated(diameters, zooms):
    seen, truth, labels = segment_discs(*diameters)
    assert seen == pytest.approx([COARSE, *zooms], rel=0.05)
    assert labels.shape == truth.shape
    assert len(labels.unique()) == len(truth.unique())
    assert ((labels > 0) != (truth > 0)).sum() <= 0.05 * (truth > 0).sum()


def test_objects_that_merge_in_the_first_pass_are_told_apart_in_the_next(monkeypatch):
    diameters = iter([20, 18, 12, 11])  # what each pass finds, the coarse one first
    monkeypatch.setattr(scale, "diameter_of", lambda sizes, dims: next(diameters))
    seen, *_ = segment_discs(12)
    assert seen == pytest.approx([COARSE, 1, 26 / 18, 26 / 12], rel=0.02)
    assert next(diameters) == 11  # nor is it asked for after the last


def test_a_given_diameter_saves_the_first_passes():
    assert segment_discs(13, diameter=13)[0] == [2]
    assert segment_discs(13, diameter=60)[0] == [1]


def test_without_a_diameter_of_its_own_a_model_sees_the_image_as_it_is():
    image = torch.rand(1, 20, 24, generator=torch.Generator().manual_seed(0))
    settings = Settings(filters=2, dim=3, **UNTRAINED)
    model = settings.build().eval()
    for one, other in zip(predict_scaled(image, model, settings), predict_network(image, model), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(("settings", "diameter", "message"), [
    (Settings(), 10, "has none of its own"), (SETTINGS, 0, "must be above 0, got 0"),
    (SETTINGS, math.nan, "must be finite, got nan"),
])  # fmt: skip
def test_wrong_diameters_are_refused(settings, diameter, message):
    with pytest.raises(ValueError, match=message):
        segment_discs(13, settings=settings, diameter=diameter)
