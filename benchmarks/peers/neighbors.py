"""Neighbouring objects, as SciPy and OpenCV users find them. All give the sorted int64 [P, 3]."""

import numpy as np
from scipy import ndimage, spatial

from benchmarks.peers import optional

cv2 = optional("cv2")


def cropped_distance_transforms(labels: np.ndarray, distance: float) -> np.ndarray:
    """Around each object, in a crop `distance` wider than it, see which labels lie within that distance."""
    margin, pairs = int(np.ceil(distance)), []
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is None:
            continue
        crop = labels[tuple(slice(max(s.start - margin, 0), s.stop + margin) for s in box)]
        away = cv2.distanceTransform((crop != label).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        near = np.flatnonzero(np.bincount(crop[away < distance]))
        pairs += [(label, other) for other in near if other not in (0, label)]
    return with_background(np.array(pairs, np.int64).reshape(-1, 2), labels)


def kd_trees(labels: np.ndarray, distance: float) -> np.ndarray:
    """A k-d tree of each object's boundary; of the objects whose boxes are close, ask for the closest points."""
    boundary = labels != 0
    boundary[(slice(1, -1),) * labels.ndim] &= _touches_another(labels)
    points, owner = np.argwhere(boundary), labels[boundary]
    order = np.argsort(owner, kind="stable")
    names, starts = np.unique(owner[order], return_index=True)
    groups = np.split(points[order], starts[1:])
    trees = [spatial.cKDTree(group) for group in groups]
    low, high = (np.array([edge(group, 0) for group in groups]).reshape(-1, labels.ndim) for edge in (np.min, np.max))
    pairs = []
    for index, tree in enumerate(trees):
        gaps = np.maximum(np.maximum(low[index] - high, low - high[index]), 0)
        for other in np.flatnonzero((gaps**2).sum(1) < distance**2):
            if other > index and tree.query(groups[other], distance_upper_bound=distance)[0].min() < distance:
                pairs += [(names[index], names[other]), (names[other], names[index])]
    return with_background(np.array(pairs, np.int64).reshape(-1, 2), labels)


def _touches_another(labels: np.ndarray) -> np.ndarray:
    inner = (slice(1, -1),) * labels.ndim
    found = np.zeros(labels[inner].shape, bool)
    for axis in range(labels.ndim):
        for shift in (slice(None, -2), slice(2, None)):
            found |= labels[(*inner[:axis], shift, *inner[axis + 1 :])] != labels[inner]
    return found


def with_background(pairs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Make the background, where it occurs, everyone's neighbour; sort, and name the image."""
    names = np.unique(labels)
    objects = names[names > 0].astype(np.int64)
    if names[0] == 0 and len(objects):
        zeros = np.zeros_like(objects)
        pairs = np.concatenate([pairs, np.stack([zeros, objects], 1), np.stack([objects, zeros], 1)])
    pairs = pairs[np.lexsort(pairs.T[::-1])]
    return np.concatenate([np.zeros((len(pairs), 1), np.int64), pairs], 1)
