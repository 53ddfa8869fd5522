"""From an embedding and seeds to objects, as others do it. All take NumPy: embedding [D, H, W], distance [H, W]."""

import numpy as np
from scipy import ndimage

from benchmarks.peers import optional

cv2, segmentation, measure, cluster = (
    optional(name) for name in ("cv2", "skimage.segmentation", "skimage.measure", "sklearn.cluster")
)
SQUARE = np.ones((3, 3), np.uint8)


def unit(embedding: np.ndarray) -> np.ndarray:
    return embedding / np.maximum(np.linalg.norm(embedding, axis=0), 1e-12)


def seeds_and_means(pixels: np.ndarray, distance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Components of distance > 0.7, and their unit means [K, D] with a zero row for the background."""
    count, seeds = cv2.connectedComponents((distance > 0.7).astype(np.uint8), connectivity=8, ltype=cv2.CV_32S)
    chosen = np.flatnonzero(seeds)
    owner, rows = seeds.ravel()[chosen], pixels.reshape(len(pixels), -1)[:, chosen]
    sums = np.stack([np.bincount(owner, row, minlength=count) for row in rows], 1)
    return seeds, (sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)).astype(np.float32)


def original(embedding: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """The paper's: region after region, dilate by 3×3 and take what is free and similar, until nothing changes."""
    pixels = unit(embedding)
    labels, means = seeds_and_means(pixels, distance)
    growing = set(range(1, len(means)))
    while growing:
        for region in sorted(growing):
            mask = (labels == region).astype(np.uint8)
            front = np.flatnonzero((cv2.dilate(mask, SQUARE) > 0) & (labels == 0))
            similar = front[1 - means[region] @ pixels.reshape(len(pixels), -1)[:, front] < 0.3]
            labels.ravel()[similar] = region
            if not len(similar):
                growing.discard(region)
    return labels


def frontier(embedding: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """Level by level, all regions at once: OpenCV dilates the label image, NumPy looks at the front."""
    pixels = unit(embedding)
    seeds, means = seeds_and_means(pixels, distance)
    flat, labels = pixels.reshape(len(pixels), -1), seeds.astype(np.float32)  # OpenCV dilates no int32
    while True:
        candidates = cv2.dilate(labels, SQUARE)
        front = np.flatnonzero((labels == 0) & (candidates > 0))
        owner = candidates.ravel()[front].astype(np.int32)
        similar = 1 - np.einsum("dn,nd->n", flat[:, front], means[owner]) < 0.3
        if not similar.any():
            return labels.astype(np.int32)
        labels.ravel()[front[similar]] = owner[similar]


def watershed(embedding: np.ndarray, distance: np.ndarray) -> np.ndarray:
    seeds = ndimage.label(distance > 0.7, np.ones((3,) * distance.ndim))[0]
    return segmentation.watershed(-distance, seeds, mask=distance > 0.1)


def expand_labels(embedding: np.ndarray, distance: np.ndarray) -> np.ndarray:
    seeds = ndimage.label(distance > 0.7, np.ones((3,) * distance.ndim))[0]
    return segmentation.expand_labels(seeds, 12) * (distance > 0.1)


def mean_shift(embedding: np.ndarray) -> np.ndarray:
    """The paper's slow alternative. The densest cluster comes first: the background; the others' components count."""
    pixels = unit(embedding).reshape(len(embedding), -1).T
    clusters = cluster.MeanShift(bandwidth=0.7, bin_seeding=True).fit_predict(pixels)
    return measure.label(clusters.reshape(embedding.shape[1:]), background=0)


class Cellpose:
    """Cellpose's tracking of ideal flows, with or without its check of the objects' flows."""

    def __init__(self, labels: np.ndarray, flow_threshold: float) -> None:
        from cellpose import dynamics

        self.flows = 5 * dynamics.masks_to_flows(labels).astype(np.float32)  # in the network's unit
        self.logits = np.where(labels > 0, 6, -6).astype(np.float32)
        self.flow_threshold = flow_threshold

    def __call__(self) -> np.ndarray:
        from cellpose import dynamics

        found = dynamics.compute_masks(self.flows, self.logits, flow_threshold=self.flow_threshold)
        return found[0] if isinstance(found, tuple) else found  # older versions also return where the pixels ended


class StarDist:
    """Non-maximum suppression and drawing of ideal polygons, on every `grid`-th pixel."""

    def __init__(self, labels: np.ndarray, grid: int) -> None:
        from stardist import geometry, utils

        self.shape, self.grid = labels.shape, (grid, grid)
        self.rays = geometry.star_dist(labels, n_rays=32, grid=self.grid)
        self.probability = utils.edt_prob(labels)[::grid, ::grid]

    def __call__(self) -> np.ndarray:
        from stardist import geometry, nms

        points, scores, rays = nms.non_maximum_suppression(
            self.rays, self.probability, grid=self.grid, prob_thresh=0.5, nms_thresh=0.4
        )
        return geometry.polygons_to_label(rays, points, shape=self.shape, prob=scores)
