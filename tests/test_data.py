"""Training crops: geometry, reproducibility, and labels that stay with their image."""

import numpy as np
import pytest
import tifffile
import torch
from samples import cells

from embedseg_ops.data.augmentation import Augmentation, Random, gaussian_blur, random_crop
from embedseg_ops.data.crops import CropDataset
from embedseg_ops.data.errors import DataError
from embedseg_ops.data.samples import Sample, load_folder, normalize

STILL = {"contrast": 0, "noise": 0, "blur": 0}


def sample(shape=(40, 50), seed=0):
    labels = cells(shape, 12, seed, gap=0.3)
    return Sample("cells", labels[None].float(), labels)


def test_normalisation_maps_percentiles_to_0_and_1():
    image = np.stack([np.arange(101.0), np.full(101, 7.0)]).astype(np.uint16)[:, :, None]
    normalized = normalize(image, (10, 90))
    assert normalized.dtype == torch.float32
    assert normalized[0, [10, 90], 0].tolist() == [0, 1]
    assert (normalized[1] == 0).all()


@pytest.mark.parametrize("shape", [(40, 50), (12, 20, 16)])
def test_plain_crops_are_pieces_of_the_image(shape):
    whole = sample(shape)
    image, labels, inside = random_crop(whole.image, whole.labels, (8,) * len(shape), Random(3), None)
    assert inside.all()
    torch.testing.assert_close(image[0], labels.float(), atol=1e-4, rtol=0)
    windows = whole.labels
    for axis in range(len(shape)):
        windows = windows.unfold(axis, 8, 1)
    assert (windows == labels).flatten(-len(shape)).all(-1).any()


@pytest.mark.parametrize("number", range(8))
def test_flips_and_turns_move_pixels_without_changing_them(number):
    whole = sample((32, 32))
    image, labels, inside = random_crop(
        whole.image, whole.labels, (32, 32), Random(number), Augmentation(scale=0, elastic=0, **STILL)
    )
    assert inside.all()
    torch.testing.assert_close(image[0], labels.float(), atol=1e-4, rtol=0)
    turned = [torch.rot90(turn, k) for turn in (whole.labels, whole.labels.T) for k in range(4)]
    assert any(torch.equal(labels, candidate) for candidate in turned)


@pytest.mark.parametrize("shape", [(40, 50), (12, 20, 16)])
def test_image_and_labels_are_deformed_alike(shape):
    whole = sample(shape)
    smooth = torch.arange(whole.labels.numel(), dtype=torch.float32).view(shape) / 100
    for number in range(5):
        image, labels, inside = random_crop(
            smooth[None], (smooth * 100).int(), (16,) * len(shape), Random(number), Augmentation(probability=1, **STILL)
        )
        position = torch.tensor(np.array(np.unravel_index(labels[inside].numpy(), shape)))
        # the image's value tells where it was sampled: within half a pixel of the labels' along every axis
        allowed = 0.5 * sum(np.prod(shape[axis + 1 :]) for axis in range(len(shape))) + 1
        assert ((image[0] * 100 - labels)[inside].abs() <= allowed).all()
        assert position.shape[0] == len(shape)


def test_beyond_the_border_is_marked():
    whole = sample((10, 12))
    _, labels, inside = random_crop(whole.image, whole.labels, (16, 16), Random(0), None)
    assert inside.sum() == 10 * 12
    assert torch.equal(labels[inside].view(10, 12), whole.labels)


def test_a_crop_depends_on_seed_and_number_alone():
    samples = [sample(seed=1), sample((80, 90), seed=2)]
    first = CropDataset(samples, (16, 16), seed=5, augmentation=Augmentation())
    items = [first[number] for number in range(6)]
    again = CropDataset(samples, (16, 16), seed=5, augmentation=Augmentation())
    for number in (4, 0, 5):
        for one, other in zip(items[number], again[number], strict=True):
            assert torch.equal(one, other)
    other = CropDataset(samples, (16, 16), seed=6, augmentation=Augmentation())
    assert not torch.equal(items[0][0], other[0][0])


def test_an_epoch_shows_larger_images_more_often():
    crops = CropDataset([sample((16, 16)), sample((64, 64))], (16, 16))
    assert crops.epoch.tolist() == [0, 1, 1, 1, 1]


def test_blur_keeps_the_mean_and_flattens_noise():
    image = torch.from_numpy(np.random.default_rng(0).normal(5, 1, (2, 30, 30)).astype(np.float32))
    blurred = gaussian_blur(image, 1.0, (1, 1))
    assert blurred.mean().sub(5).abs() < 0.1
    assert blurred.std() < 0.4


def test_load_folder_names_files_that_do_not_fit(tmp_path):
    for name, array in {"a": np.zeros((6, 7), np.uint8), "b": np.zeros((2, 6, 7), np.uint8)}.items():
        for folder in ("images", "labels"):
            (tmp_path / folder).mkdir(exist_ok=True)
            plane = array if folder == "images" else np.zeros((6, 7), np.uint8)
            tifffile.imwrite(tmp_path / folder / f"{name}.tif", plane, metadata={"axes": "CYX"[-plane.ndim :]})
    with pytest.raises(DataError, match=r"b\.tif: 2 channels, expected 1"):
        load_folder(tmp_path)
    tifffile.imwrite(tmp_path / "images" / "b.tif", np.full((6, 7), np.nan, np.float32))
    with pytest.raises(DataError, match=r"b\.tif: holds values that are not finite"):
        load_folder(tmp_path)
    tifffile.imwrite(tmp_path / "images" / "b.tif", np.ones((6, 7), np.float32))
    samples = load_folder(tmp_path)
    assert [tuple(sample.image.shape) for sample in samples] == [(1, 6, 7)] * 2
