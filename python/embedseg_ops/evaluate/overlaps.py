"""Which true object shares how many pixels with which predicted one: what every measure is a sum over."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import sparse
from torch import Tensor

Image = np.ndarray | Tensor
Images = Image | Sequence[Image]


class Overlaps(NamedTuple):
    """The sparse contingency table of one image: the objects' sizes, and the pairs of objects that share pixels."""

    true_sizes: np.ndarray  # int64 [T], the pixels of each true object, in the order of the labels
    predicted_sizes: np.ndarray  # int64 [P]
    true: np.ndarray  # int64 [N], for each pair its true object, an index into true_sizes
    predicted: np.ndarray  # int64 [N]
    shared: np.ndarray  # int64 [N], the pixels in both

    @property
    def iou(self) -> np.ndarray:
        """Intersection over union of each pair, float64 ``[N]``."""
        return np.asarray(
            self.shared / (self.true_sizes[self.true] + self.predicted_sizes[self.predicted] - self.shared)
        )

    @property
    def dice(self) -> np.ndarray:
        """Dice coefficient of each pair, float64 ``[N]``."""
        return np.asarray(2 * self.shared / (self.true_sizes[self.true] + self.predicted_sizes[self.predicted]))


def overlaps(truth: Images, prediction: Images) -> list[Overlaps]:
    """Build the contingency table of each image.

    Args:
        truth: integer label maps, NumPy or torch: one image ``[H, W]``, a batch ``[B, H, W]`` or ``[B, D, H, W]``, or
            a list of images or volumes, which may differ in size. 0 is background; pixels of −1 count for neither.
        prediction: the same number of label maps, of the same shapes; a label below 0 is background.

    Raises:
        TypeError: a label map is not an array, or its dtype not an integer.
        ValueError: shapes or numbers of images differ, or a true label is below −1.

    >>> [table] = overlaps(np.array([[1, 1, 0, 5, 5, 5]]), np.array([[4, 4, 4, 0, 7, 7]]))
    >>> table.true_sizes, table.predicted_sizes, table.shared
    (array([2, 3]), array([3, 2]), array([2, 2]))
    """
    true_images, predicted_images = _images(truth, "truth"), _images(prediction, "prediction")
    if len(true_images) != len(predicted_images):
        raise ValueError(
            f"truth and prediction must be as many images, got {len(true_images)} and {len(predicted_images)}"
        )
    return [_overlaps(*pair) for pair in zip(true_images, predicted_images, strict=True)]


def _overlaps(truth: np.ndarray, prediction: np.ndarray) -> Overlaps:
    if truth.shape != prediction.shape:
        raise ValueError(
            "truth and prediction must have the same shape, "
            f"got {list(truth.shape)} and {list(prediction.shape)}: one pixel of each is compared with one"
        )
    true_labels, predicted_labels, lengths = _runs(truth.ravel(), prediction.ravel())
    if true_labels.min(initial=0) < -1:
        raise ValueError(f"truth must be -1 (ignored), 0 (background) or positive, got {true_labels.min()}")
    counted = true_labels != -1 if true_labels.min(initial=0) < 0 else slice(None)
    rows, columns = _table_index(true_labels[counted]), _table_index(predicted_labels[counted])
    shape = (rows.max(initial=0) + 1, columns.max(initial=0) + 1)
    table = sparse.coo_array((lengths[counted], (rows, columns)), shape).tocsr()  # adds equal entries up
    return _without_background(table)


def _runs(truth: np.ndarray, prediction: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compress both images along the pixels where neither changes: labels are runs, and runs are what costs."""
    change = np.ones(truth.size, dtype=bool)
    np.not_equal(truth[1:], truth[:-1], out=change[1:])
    change[1:] |= prediction[1:] != prediction[:-1]
    starts = np.flatnonzero(change)
    return truth[starts], prediction[starts], np.diff(starts, append=truth.size)


def _table_index(labels: np.ndarray) -> np.ndarray:
    """Return the labels themselves where a table can have that many rows, else their ranks; 0 stays 0."""
    labels = np.maximum(labels, 0)
    if labels.max(initial=0) <= max(4 * labels.size, 65_536):
        return labels.astype(np.int32)
    _, ranks = np.unique(np.append(labels, labels.dtype.type(0)), return_inverse=True)
    return ranks[:-1]


def _without_background(table: sparse.csr_array) -> Overlaps:
    """Take the first row and column off, and the labels that do not occur."""
    true_sizes, predicted_sizes = table.sum(1)[1:], table.sum(0)[1:]
    pairs = table.tocoo()
    objects = (pairs.row > 0) & (pairs.col > 0)
    true_rank, predicted_rank = np.cumsum(true_sizes > 0) - 1, np.cumsum(predicted_sizes > 0) - 1
    return Overlaps(
        true_sizes[true_sizes > 0],
        predicted_sizes[predicted_sizes > 0],
        true_rank[pairs.row[objects] - 1],
        predicted_rank[pairs.col[objects] - 1],
        pairs.data[objects],
    )


def _images(labels: Images, name: str) -> list[np.ndarray]:
    """Return the images of a batch or of a list, or the only one, as checked NumPy arrays."""
    if isinstance(labels, Sequence) and not isinstance(labels, str):
        return [_integers(image, f"{name}[{index}]", (2, 3)) for index, image in enumerate(labels)]
    array = _integers(labels, name, (2, 3, 4))
    return [array] if array.ndim == 2 else list(array)


def _integers(labels: Image, name: str, dimensions: tuple[int, ...]) -> np.ndarray:
    array = labels.detach().cpu().numpy() if isinstance(labels, Tensor) else labels
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{name} must be a torch.Tensor, a numpy.ndarray or a list of them, got {type(array).__name__}")
    if not np.issubdtype(array.dtype, np.integer):
        raise TypeError(f"{name} must have an integer dtype, got {array.dtype}")
    if array.ndim not in dimensions:
        form = "[H, W] or [D, H, W]" if dimensions == (2, 3) else "[H, W], [B, H, W] or [B, D, H, W]"
        raise ValueError(f"{name} must be {form}, got shape {list(array.shape)}")
    return array
