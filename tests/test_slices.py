"""A volume as three pictures."""

import numpy as np

from embedseg_ops.evaluate import slices


def test_the_middle_planes_keep_the_proportions():
    volume = np.arange(6 * 8 * 10).reshape(6, 8, 10)
    planes = slices.middle_planes(volume, (0.42, 0.2, 0.2))
    assert [plane.shape for plane in planes] == [(8, 10), (12, 10), (12, 8)]
    np.testing.assert_array_equal(planes[0], volume[3])
    np.testing.assert_array_equal(planes[1][::2], volume[:, 4])
    np.testing.assert_array_equal(planes[2][1::2], volume[:, :, 5])
    assert [plane.shape for plane in slices.middle_planes(volume)] == [(8, 10), (6, 10), (6, 8)]


def test_outlines_are_drawn_on_every_plane():
    labels = np.zeros((6, 8, 10), np.int32)
    labels[1:5, 2:6, 3:8] = 1
    pictures = slices.overlays(np.zeros((6, 8, 10)), labels, (2, 1, 1), scale=2)
    assert [picture.shape for picture in pictures] == [(16, 20, 3), (24, 20, 3), (24, 16, 3)]
    assert all(picture.any() for picture in pictures)
