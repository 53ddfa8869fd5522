"""Folders: every layout, and errors that name the file."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from embedseg_ops.data.errors import DataError
from embedseg_ops.data.folders import find_sources, read_source_labels
from embedseg_ops.data.images import read_image

RANDOM = np.random.default_rng(0)


def write(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".png":
        Image.fromarray(array).save(path)
    else:
        tifffile.imwrite(path, array, photometric="minisblack")
    return path


@pytest.mark.parametrize("labels", ["labels/a.tif", "masks/a.png", "masks/a_mask.png"])
def test_images_are_paired_with_labels(tmp_path, labels):
    image = write(tmp_path / "images" / "a.png", np.zeros((4, 5), np.uint8))
    label = write(tmp_path / labels, np.full((4, 5), 7, np.uint8))
    (source,) = find_sources(tmp_path)
    assert (source.image, source.labels) == (image, (label,))
    np.testing.assert_array_equal(read_source_labels(source, (4, 5)), np.ones((4, 5), np.int32))


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
    assert (read_source_labels(sources[1], (4, 5)) == 1).all()
    (labels / "mcf-z-stacks-03212011_p24_s2.png").unlink()
    with pytest.raises(DataError, match=r"p24_s2\.png: no such file"):
        read_source_labels(sources[1], (4, 5))


def test_cvppp_2017_gives_leaves(tmp_path):
    write(tmp_path / "plant001_rgb.png", RANDOM.integers(0, 255, (4, 5, 3), np.uint8))
    write(tmp_path / "plant001_fg.png", np.ones((4, 5), np.uint8))
    write(tmp_path / "plant001_label.png", np.full((4, 5), 2, np.uint8))
    (source,) = find_sources(tmp_path)
    assert read_image(source.image).shape == (3, 4, 5)
    assert (read_source_labels(source, (4, 5)) == 1).all()


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
