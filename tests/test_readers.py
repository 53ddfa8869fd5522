"""Readers: every layout and type, and errors that name the file."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from embedseg_ops.data.readers import DataError, find_sources, read_image, read_labels, read_source_labels

RANDOM = np.random.default_rng(0)


def write(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".png":
        Image.fromarray(array).save(path)
    else:
        tifffile.imwrite(path, array, photometric="minisblack")
    return path


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_grey_images_are_read_as_they_are(tmp_path, suffix, dtype):
    pixels = RANDOM.integers(0, np.iinfo(dtype).max, (6, 9)).astype(dtype)
    image = read_image(write(tmp_path / f"image{suffix}", pixels))
    assert image.dtype == dtype
    np.testing.assert_array_equal(image, pixels[None])


def test_float_volumes_and_channels(tmp_path):
    volume = RANDOM.random((5, 6, 7), dtype=np.float32)
    np.testing.assert_array_equal(read_image(write(tmp_path / "volume.tif", volume), spatial_dims=3), volume[None])
    np.testing.assert_array_equal(read_image(write(tmp_path / "planar.tif", volume[:2])), volume[:2])
    last = np.ascontiguousarray(np.moveaxis(volume[:2], 0, -1))
    np.testing.assert_array_equal(read_image(write(tmp_path / "last.tif", last)), volume[:2])


def test_alpha_is_dropped_and_equal_channels_are_grey(tmp_path):
    colour = RANDOM.integers(0, 255, (4, 6, 3)).astype(np.uint8)
    alpha = np.full((4, 6, 1), 255, np.uint8)
    assert read_image(write(tmp_path / "colour.png", np.concatenate([colour, alpha], -1))).shape == (3, 4, 6)
    grey = np.concatenate([colour[..., :1]] * 3 + [alpha], -1)
    assert read_image(write(tmp_path / "grey.png", grey)).shape == (1, 4, 6)


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("float.tif", np.zeros((4, 5), np.float32), "float.tif: dtype float32, expected integer labels"),
        ("colour.png", np.zeros((4, 5, 3), np.uint8), "colour.png: shape .4, 5, 3., expected a label map with 2 axes"),
        ("negative.tif", np.full((4, 5), -7, np.int16), "negative.tif: labels from -7 to -7, expected -1, 0 or"),
    ],
)
def test_wrong_labels_are_named(tmp_path, name, array, message):
    with pytest.raises(DataError, match=message):
        read_labels(write(tmp_path / name, array))


@pytest.mark.parametrize("name", ["broken.png", "broken.tif"])
def test_unreadable_files_are_named(tmp_path, name):
    (tmp_path / name).write_bytes(b"not a picture")
    with pytest.raises(DataError, match=f"{name}: not a readable image"):
        read_image(tmp_path / name)
    with pytest.raises(DataError, match=r"nothing\.png: no such file"):
        read_image(tmp_path / "nothing.png")


def test_truncated_files_are_named(tmp_path):
    path = write(tmp_path / "cut.png", RANDOM.integers(0, 255, (50, 50)).astype(np.uint8))
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(DataError, match=r"cut\.png: not a readable image"):
        read_image(path)


@pytest.mark.parametrize("labels", ["labels/a.tif", "masks/a.png", "masks/a_mask.png"])
def test_images_are_paired_with_labels(tmp_path, labels):
    image = write(tmp_path / "images" / "a.png", np.zeros((4, 5), np.uint8))
    label = write(tmp_path / labels, np.full((4, 5), 7, np.uint8))
    (source,) = find_sources(tmp_path)
    assert (source.image, source.labels) == (image, (label,))
    np.testing.assert_array_equal(read_source_labels(source, (4, 5)), np.full((4, 5), 7, np.int32))


def test_kaggle_masks_become_one_label_map(tmp_path):
    write(tmp_path / "x" / "images" / "x.png", np.zeros((2, 3), np.uint8))
    write(tmp_path / "x" / "masks" / "1.png", np.array([[255, 255, 0], [0, 0, 0]], np.uint8))
    write(tmp_path / "x" / "masks" / "2.png", np.array([[0, 0, 0], [0, 0, 255]], np.uint8))
    (source,) = find_sources(tmp_path)
    np.testing.assert_array_equal(read_source_labels(source, (2, 3)), [[1, 1, 0], [0, 0, 2]])


def test_bbbc006_gives_the_nuclei(tmp_path):
    images, labels = tmp_path / "BBBC006_v1_images_z_16", tmp_path / "BBBC006_v1_labels"
    for field in ("a01_s1", "p24_s2"):
        for channel in (1, 2):
            write(images / f"mcf-z-stacks-03212011_{field}_w{channel}1a-2b.tif", np.full((4, 5), channel, np.uint16))
        write(labels / f"mcf-z-stacks-03212011_{field}.png", np.full((4, 5), 3, np.uint8))
    sources = find_sources(tmp_path)
    assert len(sources) == 2
    assert (read_image(sources[1].image) == 1).all()
    assert (read_source_labels(sources[1], (4, 5)) == 3).all()
    (labels / "mcf-z-stacks-03212011_p24_s2.png").unlink()
    with pytest.raises(DataError, match=r"p24_s2\.png: no such file"):
        read_source_labels(sources[1], (4, 5))


def test_cvppp_2017_gives_leaves(tmp_path):
    write(tmp_path / "plant001_rgb.png", RANDOM.integers(0, 255, (4, 5, 3), np.uint8))
    write(tmp_path / "plant001_fg.png", np.ones((4, 5), np.uint8))
    write(tmp_path / "plant001_label.png", np.full((4, 5), 2, np.uint8))
    (source,) = find_sources(tmp_path)
    assert read_image(source.image).shape == (3, 4, 5)
    assert (read_source_labels(source, (4, 5)) == 2).all()


def test_folders_that_do_not_fit_are_named(tmp_path):
    with pytest.raises(DataError, match="nothing: no such folder"):
        find_sources(tmp_path / "nothing")
    with pytest.raises(DataError, match="expected images/ beside labels/"):
        find_sources(tmp_path)
    image = write(tmp_path / "images" / "a.png", np.zeros((4, 5), np.uint8))
    with pytest.raises(DataError, match="has images/, but neither labels/ nor masks/"):
        find_sources(tmp_path)
    write(tmp_path / "labels" / "b.png", np.zeros((4, 4), np.uint8))
    with pytest.raises(DataError, match=r"a\.png: no labels of this name in .*labels"):
        find_sources(tmp_path)
    label = write(tmp_path / "labels" / "a.png", np.zeros((4, 4), np.uint8))
    with pytest.raises(DataError, match=r"b\.png: no image of this name in .*images"):
        find_sources(tmp_path)
    (tmp_path / "labels" / "b.png").unlink()
    (source,) = find_sources(tmp_path)
    assert (source.image, source.labels) == (image, (label,))
    with pytest.raises(DataError, match=r"a.png: size \(4, 4\), but its image .*a.png has size \(4, 5\)"):
        read_source_labels(source, (4, 5))
