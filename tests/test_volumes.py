"""Volumes whose planes are further apart than their pixels: trained on, predicted and measured."""

import json

import numpy as np
import pytest
import tifffile
import torch
from commands import run
from samples import Bright, cells

from embedseg_ops.data.augmentation import Augmentation, Random, gaussian_blur, random_crop, random_matrix
from embedseg_ops.data.crops import CropDataset, crop_shape
from embedseg_ops.data.samples import Sample, load_folder
from embedseg_ops.data.scale import common_spacing
from embedseg_ops.model.files import load_model
from embedseg_ops.model.networks import convolutions
from embedseg_ops.model.settings import Settings
from embedseg_ops.ops.distance_map import distance_map
from embedseg_ops.ops.neighbor_pairs import neighbor_pairs
from embedseg_ops.predict.segment import segment
from embedseg_ops.train.options import Options
from embedseg_ops.train.targets import make_targets
from embedseg_ops.train.trainer import Trainer

SPACING = (2.0, 1.0, 1.0)


def write_volume(folder, name="a", seed=0, size=SPACING):
    """Write a volume and its labels as OME-TIFFs that tell the size of a pixel."""
    labels = cells((12, 24, 20), 6, seed, gap=0.4).numpy()
    sizes = {f"PhysicalSize{axis}": 0.25 * length for axis, length in zip("ZYX", size, strict=True)}
    for kind, array in {"images": (labels > 0) * 200, "labels": labels}.items():
        (folder / kind).mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(
            folder / kind / f"{name}.tif", array.astype(np.uint8), ome=True, metadata={"axes": "ZYX", **sizes}
        )


def test_every_command_takes_volumes(tmp_path, capsys):
    data, out = tmp_path / "data", tmp_path / "run"
    write_volume(data / "train")
    write_volume(data / "val", "b", 1)
    small = ["--steps", "3", "--batch", "1", "--crop", "16", "--filters", "2", "--dim", "4", "--spatial-dims", "3"]
    assert run("train", data, "--out", out, *small, "--batch-norm", "--foreground", capsys=capsys) == (0, [])
    assert load_model(out / "best.safetensors")[1].spacing == SPACING
    assert run("train", "--config", out / "run.toml", capsys=capsys) == (0, [])
    found = tmp_path / "found"
    kinds = ["--write", "labels,overlay,table", "--threshold", "0.1"]
    model = ["--model", out / "best.safetensors", "--out", found, *kinds]
    assert run("predict", data / "val" / "images", *model, capsys=capsys)[0] == 0
    with tifffile.TiffFile(found / "b.tif") as labels:
        assert labels.series[0].shape == (12, 24, 20)
    scores = ["--spatial-dims", "3", "--json", tmp_path / "scores.json", "--report", tmp_path / "report.html"]
    images = ["--images", data / "val" / "images"]
    assert run("evaluate", data / "val" / "labels", found, *scores, *images, capsys=capsys) == (0, [])
    assert json.loads((tmp_path / "scores.json").read_text())


def test_the_loss_of_volumes_falls(tmp_path):
    labels = cells((12, 20, 24), 6, gap=0.4)
    volume = Sample("volume", (labels > 0)[None].float(), labels)
    settings = Settings(filters=2, dim=4, spatial_dims=3, spacing=SPACING)
    options = Options(steps=30, batch=1, crop=16, bf16=False, augmentation=None, learning_rate=1e-2)
    Trainer(tmp_path, settings, [volume], [], options).run()
    totals = [float(line.split(",")[1]) for line in (tmp_path / "losses.csv").read_text().splitlines()[1:]]
    assert sum(totals[-3:]) < 0.8 * sum(totals[:3])


@pytest.mark.parametrize("planes", [1, 2, 3])
@pytest.mark.parametrize("channels", [1, 4])
def test_few_planes_have_the_right_gradients_in_bfloat16(planes, channels):
    torch.manual_seed(0)
    volume = torch.randn(1, channels, planes, 8, 8).to(memory_format=torch.channels_last_3d)
    layer = convolutions([channels, 4], 3).to(memory_format=torch.channels_last_3d)
    found = []
    for low in (False, True):
        layer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=low):
            output = layer(volume).float()
        output.square().sum().backward()
        found.append([output.detach(), layer[0].weight.grad.clone()])
    for exact, rounded in zip(*found, strict=True):
        assert (exact - rounded).abs().max() < 0.03 * exact.abs().max()


def test_the_files_tell_the_size_of_a_pixel(tmp_path):
    write_volume(tmp_path)
    assert load_folder(tmp_path, spatial_dims=3)[0].pixel_size == (0.5, 0.25, 0.25)


@pytest.mark.parametrize(
    ("sizes", "spacing"),
    [
        ([], None),
        ([None, None], None),
        ([(0.3, 0.3, 0.301)], None),
        ([(0.5, 0.25, 0.25), None, (1.0, 0.5, 0.5)], (2, 1, 1)),
        ([(0.28371837, 0.12678642, 0.12678642)], (2.24, 1, 1)),
        ([(2, 1, 1), (3, 1, 1), (9, 1, 1)], (3, 1, 1)),
    ],
)
def test_volumes_have_one_spacing_in_common(sizes, spacing):
    assert common_spacing(sizes) == spacing


def test_a_model_keeps_the_spacing_relative_to_the_shortest():
    settings = Settings(spatial_dims=3, spacing=(0.5, 0.25, 0.25))
    assert settings.spacing == SPACING
    assert Settings.from_json(settings.to_json()) == settings
    for wrong in [(1, 1), (0, 1, 1), (1, 1, float("nan"))]:
        with pytest.raises(ValueError, match="spacing"):
            Settings(spatial_dims=3, spacing=wrong)


@pytest.mark.parametrize(
    ("side", "spacing", "shape"),
    [(64, None, (64,) * 3), (64, (2.24, 1, 1), (32, 64, 64)), (50, (1, 1, 9), (50, 50, 8)), (15, (1, 1, 1), (15,) * 3)],
)
def test_a_crop_is_as_long_along_every_axis(side, spacing, shape):
    assert crop_shape(side, 3, spacing) == shape


def test_targets_are_measured_in_the_spacing():
    labels = cells((9, 14, 14), 6, gap=0.4)[None]
    targets = make_targets(labels, distance=2.5, spacing=SPACING)
    assert torch.equal(targets.distance, distance_map(labels, SPACING))
    assert torch.equal(targets.pairs, neighbor_pairs(labels, 2.5, spacing=SPACING))
    labels = torch.tensor([1, 0, 2], dtype=torch.int32).view(1, 3, 1, 1)
    assert [len(make_targets(labels, distance=2.5, spacing=one).pairs) for one in (None, SPACING)] == [6, 4]


def test_axes_of_other_pixels_are_never_exchanged():
    labels = torch.arange(6**3, dtype=torch.int32).view(6, 6, 6) + 1
    still = Augmentation(scale=0, elastic=0, contrast=0, noise=0, blur=0)
    for number in range(20):
        for spacing in [(2.0, 1.0, 1.0), (1.0, 1.0, 3.0)]:
            random = Random(number)
            found = random_crop(labels[None].float(), labels, (6, 6, 6), random, still, spacing=spacing)[1]
            steps = [int(found.diff(dim=axis).abs().flatten()[0]) for axis in range(3)]
            assert steps[0] == 36
            assert set(steps[1:]) == {6, 1}
            assert spacing[1] == spacing[2] or steps == [36, 6, 1]


def test_rotations_keep_planes_and_lengths():
    rotated = Augmentation(turn=False, scale=0, rotate=True)
    for number in range(10):
        matrix = random_matrix(SPACING, Random(number), rotated)
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-12)
        assert abs(matrix[0, 0]) == 1
        assert 0 < abs(matrix[1, 2]) < 1
    assert abs(random_matrix((1.0, 1.0, 2.0), Random(0), rotated)).max(0).tolist() == [1, 1, 1]


def test_what_is_blurred_and_bent_is_so_alike_in_every_direction():
    point = torch.zeros(1, 21, 41, 41)
    point[0, 10, 20, 20] = 1
    blurred = gaussian_blur(point, 2.0, SPACING)[0]
    torch.testing.assert_close(blurred[8:13, 20, 20], blurred[10, 16:25:2, 20], rtol=0.02, atol=1e-5)
    labels = torch.zeros(16, 32, 32, dtype=torch.int32)
    ramps = torch.stack(torch.meshgrid(*[torch.arange(float(size)) for size in labels.shape], indexing="ij"))
    bent = Augmentation(flip=False, turn=False, scale=0, elastic=2, probability=1, contrast=0, noise=0, blur=0)
    crops = [random_crop(ramps, labels, (16, 32, 32), Random(number), bent, spacing=SPACING)[0] for number in range(40)]
    deviations = (torch.stack(crops) - ramps)[..., 4:12, 8:24, 8:24].std((0, 2, 3, 4))
    assert deviations[0] * 2 == pytest.approx(float(deviations[1:].mean()), rel=0.25)


def test_crops_of_one_number_have_the_spacing():
    labels = cells((12, 24, 24), 6, gap=0.4)
    crops = CropDataset([Sample("a", labels[None].float(), labels)], (8, 16, 16), 0, Augmentation(), spacing=SPACING)
    assert crops[0][1].shape == (8, 16, 16)


@pytest.mark.parametrize(
    ("spacing", "shape"),
    [(None, (12, 20, 24)), ((4, 2, 2), (12, 20, 24)), ((1, 1, 1), (6, 20, 24)), ((4, 1, 1), (24, 20, 24)),
     ((2.1, 1, 1), (12, 20, 24)), ((2, 1.5, 1), (12, 30, 24))],
)  # fmt: skip
def test_volumes_of_another_spacing_are_seen_in_the_models(spacing, shape):
    truth = np.zeros((12, 20, 24), np.uint8)
    truth[2:10, 4:16, 2:10] = truth[2:10, 4:16, 14:22] = 1
    network = Bright()
    settings = Settings(spatial_dims=3, spacing=SPACING, postprocess={"seed_threshold": 0.5})
    labels = segment(truth * 200, (network, settings), spacing=spacing)
    assert network.shapes == [shape]
    assert labels.max() == 2
    assert labels.shape == truth.shape


def test_a_spacing_is_three_lengths():
    settings = Settings(spatial_dims=3, spacing=SPACING)
    with pytest.raises(ValueError, match="spacing must have one length for each of the 3"):
        segment(np.zeros((3, 4, 4)), (Bright(), settings), spacing=(1, 1))
