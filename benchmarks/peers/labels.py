"""Components and distance maps, as other packages' users get them."""

import numpy as np
from scipy import ndimage

from benchmarks.peers import optional

cv2, cc3d, edt, measure = (optional(name) for name in ("cv2", "cc3d", "edt", "skimage.measure"))


def opencv_algorithms() -> dict[str, int]:
    """OpenCV's labelling algorithms by name, all of them where it is not installed."""
    names = ("CCL_SAUF", "CCL_BBDT", "CCL_BOLELLI")
    return {name: getattr(cv2, name, -1) for name in names if cv2 is None or hasattr(cv2, name)}


def opencv_components(mask: np.ndarray, algorithm: int) -> np.ndarray:
    return cv2.connectedComponentsWithAlgorithm(mask, 8, cv2.CV_32S, algorithm)[1]


def cc3d_components(mask: np.ndarray) -> np.ndarray:
    return cc3d.connected_components(mask, connectivity=8 if mask.ndim == 2 else 26)


def skimage_components(mask: np.ndarray) -> np.ndarray:
    return measure.label(mask, connectivity=mask.ndim)


def scipy_components(mask: np.ndarray) -> np.ndarray:
    return ndimage.label(mask, np.ones((3,) * mask.ndim))[0]


def edt_normalised(labels: np.ndarray, threads: int) -> np.ndarray:
    """edt knows many labels; the division by each object's largest distance is left to NumPy."""
    depth = edt.edt(labels, black_border=False, parallel=threads)
    deepest = np.zeros(labels.max() + 1, np.float32)
    np.maximum.at(deepest, labels.ravel(), depth.ravel())
    deepest[0] = np.inf
    return depth / deepest[labels]
