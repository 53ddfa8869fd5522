"""What TensorBoard gets to see, whether or not it is installed."""

import numpy as np
import pytest
import torch
from samples import cells

from embedseg_ops.data.samples import Sample
from embedseg_ops.train.log import RunLog


class Board:
    def __init__(self):
        self.shown = {}

    def add_scalar(self, name, value, step):
        self.shown[name, step] = value

    def add_image(self, name, picture, step, dataformats):
        assert dataformats == "HWC"
        self.shown[name, step] = picture

    def close(self):
        pass


@pytest.mark.parametrize("shape", [(20, 30), (5, 20, 30)])
def test_pictures_of_images_and_of_the_middle_of_volumes(tmp_path, shape):
    labels = cells(shape, 6)
    log = RunLog(tmp_path, 0, 10)
    log.board = Board()
    log.pictures(7, Sample("cells", torch.rand(1, *shape), labels), torch.rand(4, *shape), torch.rand(shape), labels)
    log.scores(7, {"mean AP": 0.5})
    log.close()
    names = {"image", "distance", "embedding", "segmentation", "validation/mean AP"}
    assert {name for name, step in log.board.shown if step == 7} == names
    pictures = [value for value in log.board.shown.values() if isinstance(value, np.ndarray)]
    assert all(picture.shape == (20, 30, 3) and picture.dtype == np.uint8 for picture in pictures)
