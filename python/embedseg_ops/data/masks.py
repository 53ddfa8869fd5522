"""Files that look like something else than a label map, and what to do about them."""

import numpy as np
from scipy import ndimage

FEW_IDS = 8  # more are no mask and no classes
PIECES = 3  # an id, on average; more are objects that nobody numbered
HOW = (
    "number the objects first: skimage.measure.label(mask), or Analyze Particles… with Count Masks in Fiji; "
    "touching objects need a watershed"
)


def suspicion(labels: np.ndarray) -> str | None:
    """Return what a label map looks like if not like one, and what to do about it.

    Args:
        labels: integers ``[*spatial]`` as they are stored, before they are renumbered.
    """
    if not labels.size:
        return None
    ids, sizes = np.unique(labels, return_counts=True)
    background = background_id(labels, ids, sizes)
    if background:
        return f"its background looks to be {background}, and not 0: set it to 0"
    ids = ids[ids > 0]
    if not 0 < len(ids) <= FEW_IDS:
        return None
    pieces = sum(pieces_of(labels == number) for number in ids)
    if len(ids) == 1 and pieces > 1:
        return f"looks like a mask, not a label map: {ids[0]} is in {pieces} pieces; {HOW}"
    if pieces >= PIECES * len(ids) and pieces > FEW_IDS:
        return f"looks like classes, not a label map: {len(ids)} ids are in {pieces} pieces; {HOW}"
    return None


def background_id(labels: np.ndarray, ids: np.ndarray, sizes: np.ndarray) -> int:
    """Return the number above 0 that the background seems to have; 0 if it is 0, or if there is none."""
    largest = int(ids[sizes.argmax()])
    if largest > 0 and len(ids) > 1 and 2 * sizes.max() > labels.size:
        whole = labels.dtype.kind == "u" and largest == np.iinfo(labels.dtype).max
        if (whole and on_the_border(labels == largest) > 0.5) or not (ids == 0).any():
            return largest
    return 0


def on_the_border(mask: np.ndarray) -> float:
    """Return which part of the image's border is in a mask."""
    faces = [mask.take(end, axis) for axis in range(mask.ndim) for end in (0, -1)]
    return float(sum(face.sum() for face in faces) / sum(face.size for face in faces))


def pieces_of(mask: np.ndarray) -> int:
    """Return how many pieces a mask has, corners touching."""
    return int(ndimage.label(mask, np.ones((3,) * mask.ndim))[1])
