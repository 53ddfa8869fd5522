"""Label maps: renumbered, and what is no label map is noticed."""

import numpy as np
import pytest
import tifffile
from PIL import Image
from samples import cells
from scipy import ndimage

from embedseg_ops.data.errors import DataError, DataWarning
from embedseg_ops.data.labels import read_labels

LABELS = np.array([[0, 0, 5, 5], [9, 0, 5, 5], [9, 9, 0, 70]])
NUMBERED = np.array([[0, 0, 1, 1], [2, 0, 1, 1], [2, 2, 0, 3]], np.int32)
RANDOM = np.random.default_rng(0)
DOTS = np.zeros((9, 12), np.uint8)
DOTS[::3, ::3] = 1

#: a blurred square of light, with the noise of a camera
IMAGE = RANDOM.poisson(10 + 90 * ndimage.gaussian_filter(np.pad(np.ones((30, 30)), 15), 6)).astype(np.uint8)


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", ">u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8", "f2"])
def test_ids_become_one_two_three(tmp_path, dtype):
    tifffile.imwrite(tmp_path / "a.tif", LABELS.astype(dtype))
    labels = read_labels(tmp_path / "a.tif")
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(labels, NUMBERED)


@pytest.mark.parametrize("most", [2**31, 2**53 - 1, 2**64 - 1])
def test_ids_of_any_size_and_ignored_pixels(tmp_path, most):
    tifffile.imwrite(tmp_path / "a.tif", np.array([[0, most, 7]], np.uint64))
    np.testing.assert_array_equal(read_labels(tmp_path / "a.tif"), [[0, 2, 1]])
    tifffile.imwrite(tmp_path / "b.tif", np.array([[-1, 0, min(most, 2**62), 7]], np.int64))
    np.testing.assert_array_equal(read_labels(tmp_path / "b.tif"), [[-1, 0, 2, 1]])


@pytest.mark.parametrize("axes", ["ZYX", "CYX", "TYX", "ZCYX", "TZCYX"])
def test_volumes_of_labels_whatever_their_planes_are_called(tmp_path, axes):
    volume = np.stack([NUMBERED, NUMBERED * 0, NUMBERED]).astype(np.uint16)
    shape = [1] * (len(axes) - 3) + list(volume.shape)
    tifffile.imwrite(tmp_path / "a.tif", volume.reshape(shape), imagej=True, metadata={"axes": axes})
    np.testing.assert_array_equal(read_labels(tmp_path / "a.tif", 3), volume)


def test_axes_of_length_one_are_dropped_and_palettes_are_ids(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", LABELS[None, None].astype(np.uint16), photometric="minisblack")
    np.testing.assert_array_equal(read_labels(tmp_path / "a.tif"), NUMBERED)
    picture = Image.fromarray(NUMBERED.astype(np.uint8))
    picture.putpalette([200, 0, 0, 0, 9, 9, 0, 0, 0, 1, 2, 3])
    picture.save(tmp_path / "b.png")
    np.testing.assert_array_equal(read_labels(tmp_path / "b.png"), NUMBERED)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (DOTS * 255, "looks like a mask, not a label map: 255 is in 12 pieces; number the objects first"),
        (DOTS, "looks like a mask, not a label map: 1 is in 12 pieces"),
        (DOTS * 7, "looks like a mask, not a label map: 7 is in 12 pieces"),
        (DOTS + np.roll(DOTS, 1, 1) * 2, "looks like classes, not a label map: 2 ids are in 12 pieces|24 pieces"),
        (np.where(DOTS, np.arange(12, dtype=np.uint8), np.uint8(255)), "background looks to be 255, and not 0"),
        (1 + np.arange(12, dtype=np.uint8) * DOTS, "background looks to be 1, and not 0"),
        (IMAGE, r"looks like an image, not a label map: its \d+ numbers are scattered"),
        (np.where(IMAGE > 50, IMAGE, 0), "looks like an image"),
    ],
)
def test_what_is_no_label_map_is_noticed(tmp_path, array, message):
    Image.fromarray(array.astype(np.uint8)).save(tmp_path / "mask.png")
    with pytest.warns(DataWarning, match=rf"mask\.png: .*{message}"):
        read_labels(tmp_path / "mask.png")


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((5, 6)),
        np.pad(np.full((3, 3), 255), 1),  # one object
        np.ones((5, 6)),
        np.arange(30).reshape(5, 6),
        np.arange(1, 31).reshape(5, 6),
        np.kron([[0, 1, 2], [3, 0, 1]], np.ones((4, 4))),  # one object in two pieces
        np.kron(np.arange(1, 101).reshape(10, 10), np.ones((2, 2))),  # tiny objects, all touching
        np.repeat(np.arange(1, 31)[:, None], 90, 1).repeat(3, 0),  # long ones, three pixels wide
        np.where(RANDOM.random((60, 60)) < 0.3, 0, np.kron(np.arange(36).reshape(6, 6), np.ones((10, 10)))),  # ragged
        cells((60, 60), 60).numpy(),
    ],
)
def test_label_maps_raise_no_suspicion(tmp_path, array):
    Image.fromarray(array.astype(np.uint8)).save(tmp_path / "labels.png")
    read_labels(tmp_path / "labels.png")


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("float.tif", np.full((4, 5), 0.5), "float.tif: holds fractions, or numbers that are not finite"),
        ("nan.tif", np.full((4, 5), np.nan), "nan.tif: holds fractions"),
        ("colour.png", np.zeros((4, 5, 3), np.uint8), "colour.png: has axes Y 4, X 5, S 3; expected a label map"),
        ("negative.tif", np.full((4, 5), -7, np.int16), "negative.tif: labels from -7 to -7, expected -1, 0 or more"),
        ("lossy.jpg", np.zeros((4, 5), np.uint8), "lossy.jpg: a JPEG, which changes the ids"),
        ("stack.tif", np.zeros((7, 8, 9), np.uint8), r"axes . 7, Y 8, X 9; expected a label map with 2 axes; for vol"),
    ],
)
def test_wrong_labels_are_named(tmp_path, name, array, message):
    if name.endswith(".tif"):
        tifffile.imwrite(tmp_path / name, array)
    else:
        Image.fromarray(array).save(tmp_path / name)
    with pytest.raises(DataError, match=message):
        read_labels(tmp_path / name)
