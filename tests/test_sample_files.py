"""Samples that stay in their files: the same crops as of samples in memory, in every process, for little memory."""

import multiprocessing
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image
from samples import cells
from torch.nn import functional as F
from torch.utils.data import DataLoader

from embedseg_ops.data import recent, tiff
from embedseg_ops.data.augmentation import Augmentation, Random
from embedseg_ops.data.crops import CropDataset
from embedseg_ops.data.errors import DataError
from embedseg_ops.data.recent import Recent
from embedseg_ops.data.sample_files import open_folder
from embedseg_ops.data.samples import Opened, Sample, load_folder
from embedseg_ops.data.windows import in_place, nearest_places, window_around
from embedseg_ops.train.identity import differences, identity, old_digest_of_images
from embedseg_ops.train.options import Options


def draw(shape=(90, 70), seed=0):
    """An image uint16 and labels with gaps in their ids, some to ignore."""
    random = np.random.default_rng(seed)
    labels = cells(shape, 12, seed, gap=0.3).numpy()
    labels = np.where(labels > 0, 3 * labels + 1, labels)
    labels[:3] = -1
    image = (labels.clip(0) * 100 + random.integers(0, 50, shape)).astype(np.uint16)
    return image, labels


def save_png(path, array):
    Image.fromarray(array.clip(0).astype(np.uint16)).save(path)


def save_tiff(**how):
    return lambda path, array: tifffile.imwrite(path, array, **how)


def save_zarr(path, array):
    zarr = pytest.importorskip("zarr")
    zarr.save_array(str(path), array)


FORMATS = {
    "png": ("png", save_png),
    "npy": ("npy", np.save),
    "tiff": ("tif", save_tiff()),
    "tiled tiff": ("tif", save_tiff(tile=(16, 16))),
    "packed tiff": ("tif", save_tiff(compression="zlib", rowsperstrip=8)),
    "big-endian tiff": ("tif", save_tiff(byteorder=">")),
    "zarr": ("zarr", save_zarr),
}


def write_folder(folder, how="tiff", count=3, shape=(90, 70)):
    suffix, save = FORMATS[how]
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True)
    for number in range(count):
        image, labels = draw(shape, number)
        save(folder / "images" / f"{number:05}.{suffix}", image)
        save(folder / "labels" / f"{number:05}.{suffix}", labels)
    return folder


def datasets(folder, crop=(32, 32), dims=2, **more):
    return [
        CropDataset(load(folder, spatial_dims=dims), crop, 3, Augmentation(), **more)
        for load in (load_folder, open_folder)
    ]


def assert_same(one, other):
    for first, second in zip(one, other, strict=True):
        assert first.dtype == second.dtype
        assert torch.equal(first, second)


@pytest.mark.parametrize("how", FORMATS)
def test_crops_of_files_are_those_of_samples_in_memory(tmp_path, monkeypatch, how):
    monkeypatch.setattr(tiff, "WINDOWS_BYTES", 0)  # as if the images were large
    write_folder(tmp_path, how)
    memory, files = datasets(tmp_path, diameter=40)
    assert files.zooms == memory.zooms
    assert max(files.zooms) > 1
    for item in range(12):
        assert_same(memory[item], files[item])
    for one, other in zip(memory.samples, files.samples, strict=True):
        assert_same((one.image, one.labels), (other.image, other.labels))
        for known in ("name", "shape", "digest", "diameter"):
            assert getattr(one, known) == getattr(other, known)
    assert (files.samples[0].open().held > 0) == (how == "png")


def test_crops_of_volumes_in_colour_are_those_in_memory(tmp_path):
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
    image, labels = draw((12, 40, 36))
    tifffile.imwrite(tmp_path / "images" / "a.tif", np.stack([image, image[::-1]], 1), metadata={"axes": "ZCYX"})
    tifffile.imwrite(tmp_path / "labels" / "a.tif", labels, metadata={"axes": "ZYX"})
    memory, files = datasets(tmp_path, (8, 16, 16), 3)
    for item in range(4):
        assert_same(memory[item], files[item])
    assert memory.samples[0].digest == files.samples[0].digest


def test_colours_become_grey_in_windows_as_in_the_whole(tmp_path):
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
    image = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    tifffile.imwrite(tmp_path / "images" / "a.tif", image, photometric="rgb")
    save_png(tmp_path / "labels" / "a.png", draw((40, 50))[1])
    memory, files = (load(tmp_path, channels=1) for load in (load_folder, open_folder))
    assert torch.equal(memory[0].image, files[0].image)
    assert torch.equal(memory[0].image[:, 5:9, 7:20], files[0].open().image[:, 5:9, 7:20])


def test_masks_are_kept_compressed(tmp_path):
    for number in range(2):
        folder = tmp_path / f"cell{number}"
        image, labels = draw(seed=number)
        for name in ("images", "masks"):
            (folder / name).mkdir(parents=True)
        save_png(folder / "images" / "a.png", image)
        for one in np.unique(labels[labels > 0]):
            save_png(folder / "masks" / f"{one:03}.png", 255 * (labels == one))
    memory, files = datasets(tmp_path)
    for item in range(4):
        assert_same(memory[item], files[item])
    assert len(files.samples[0].packed) < 1000


def test_large_ids_do_not_merge(tmp_path):
    write_folder(tmp_path, count=1)
    path = tmp_path / "labels" / "00000.tif"
    labels = tifffile.imread(path)
    tifffile.imwrite(path, np.where(labels > 0, 2**31 - 1 - labels, 0).astype(np.uint32))
    sample = open_folder(tmp_path)[0]
    assert sample.labels.unique().tolist() == list(range(len(np.unique(labels.clip(0)))))
    memory = Sample("large", torch.zeros(1, 2, 2), torch.tensor([[2**24, 2**24 + 1], [2**24 + 2, 2**24 + 3]]))
    assert CropDataset([memory], (2, 2))[0][1].unique().tolist() == [2**24 + one for one in range(4)]


def test_a_window_in_place_is_the_image_there():
    image = torch.rand(2, 20, 30)
    window = (slice(5, 9), slice(10, 17))
    assert torch.equal(in_place(image[(slice(None), *window)], window, (20, 30))[:, 5:9, 10:17], image[:, 5:9, 10:17])


def test_the_window_holds_what_interpolation_reads():
    image = torch.rand(1, 1, 12, 15)
    grid = torch.rand(1, 6, 6, 2) * 3 - 1.5  # beyond the border, too
    window = window_around(nearest_places(grid, (12, 15)), (12, 15))
    outside = torch.ones(12, 15, dtype=torch.bool)
    outside[window] = False
    spoilt = image.masked_fill(outside, torch.nan)
    sampled = [F.grid_sample(one, grid, "bilinear", "reflection", align_corners=False) for one in (image, spoilt)]
    assert torch.equal(*sampled)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers_of_every_kind_give_the_same_crops(tmp_path, method):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} here")
    write_folder(tmp_path, count=2)

    def dataset(samples, count):
        many = [replace(one) for one in samples * (count // 2)]  # each travels by itself
        return CropDataset(many, (16, 16), 1, Augmentation(), length=8)

    memory, files = load_folder(tmp_path), open_folder(tmp_path)
    for count, samples in ((10000, files), (300, memory)):
        crops, expected = dataset(samples, count), dataset(memory, count)
        crops[0]  # opens a file, which a fork must not share
        loader = DataLoader(crops, batch_size=4, num_workers=1, multiprocessing_context=method)
        found = [list(parts) for batch in loader for parts in zip(*batch, strict=True)]
        for item, crop in enumerate(found):
            assert_same(crop, expected[item])


def test_samples_travel_as_bytes_and_not_as_open_files():
    one = Sample("a", torch.rand(1, 4, 5), torch.ones(4, 5, dtype=torch.int32))
    sent = multiprocessing.reduction.ForkingPickler.dumps(one)
    other = pickle.loads(bytes(sent))
    assert (other.name, other.digest) == (one.name, one.digest)


def test_what_is_known_of_a_sample_is_small(tmp_path):
    samples = open_folder(write_folder(tmp_path, count=20))
    assert len(pickle.dumps(samples)) < 20 * 1000


def test_an_epoch_is_permuted_once(monkeypatch):
    sample = Sample("a", torch.rand(1, 8, 8), torch.ones(8, 8, dtype=torch.int32))
    crops = CropDataset([sample] * 5, (4, 4), seed=2)
    made = []
    monkeypatch.setattr("embedseg_ops.data.crops.Random", lambda *key: made.append(key) or Random(*key))
    for item in range(len(crops.epoch) * 2):
        crops[item]
    assert [epoch for _, kind, epoch in made if kind == 0] == [0, 1]


def test_what_is_kept_open_is_bounded(monkeypatch):
    kept = Recent()
    monkeypatch.setattr(recent, "MEMORY", 100)
    opened = []

    def opening(number):
        return lambda: opened.append(number) or Opened(torch.zeros(1), torch.zeros(1), 40)

    for number in (0, 1, 0, 2, 0, 1):
        kept.get(number, opening(number))
    assert opened == [0, 1, 2, 1]  # two fit; the one not used for longest goes
    assert not pickle.loads(pickle.dumps(kept)).opened
    monkeypatch.setattr(recent, "MEMORY", 10)
    kept.get(5, opening(5))
    assert list(kept.opened) == [5]
    monkeypatch.setattr(recent, "FILES", 3)
    monkeypatch.setattr(recent, "MEMORY", 10000)
    for number in range(6):
        kept.get(number, opening(number))
    assert list(kept.opened) == [3, 4, 5]


def test_a_file_that_changes_meanwhile_is_refused(tmp_path):
    sample = open_folder(write_folder(tmp_path, count=1))[0]
    tifffile.imwrite(tmp_path / "labels" / "00000.tif", np.zeros((90, 70), np.uint8))
    with pytest.raises(DataError, match=r"00000\.tif: it, or its labels, changed"):
        sample.open()
    Path(sample.name).unlink()
    with pytest.raises(DataError, match=r"00000\.tif: no such file"):
        sample.open()


def test_a_run_in_memory_goes_on_in_files(tmp_path):
    write_folder(tmp_path)
    from test_training import SETTINGS

    memory, files = (load(tmp_path) for load in (load_folder, open_folder))
    begun, now = (identity(SETTINGS, Options(), samples) for samples in (memory, files))
    assert begun == now
    begun["start"]["images"] = old_digest_of_images(memory)  # as checkpoints hold it that were written before
    assert differences(begun, now, files) == []
    assert differences(begun, now, files[::-1]) == ["images"]
