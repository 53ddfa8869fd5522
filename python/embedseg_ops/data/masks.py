"""Files that look like something else than a label map, and what to do about them."""

import numpy as np
from scipy import ndimage

FEW_IDS = 8  # more are no mask and no classes
PIECES = 3  # an id, on average; more are objects that nobody numbered
RAGGED = 3  # times as many edges as compact objects of this size would have, side by side
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
    if is_image(labels, ids, sizes):
        return f"looks like an image, not a label map: its {(ids > 0).sum()} numbers are scattered over their pixels"
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


def is_image(labels: np.ndarray, ids: np.ndarray, sizes: np.ndarray) -> bool:
    """Return whether so many neighbouring pixels differ that numbers are intensities, not objects.

    Where objects fill an image, the share of neighbours that differ is one over their width. Intensities have many
    pixels each, but as soon as a camera's noise is among them, few neighbours that are equal.
    """
    many = ids > 0
    if many.sum() <= FEW_IDS:
        return False
    edges = pairs = 0
    for axis in range(labels.ndim):
        lines = np.moveaxis(labels, axis, 0)
        after, before = lines[1:], lines[:-1]
        both = (after > 0) & (before > 0)
        pairs += int(both.sum())
        edges += int((both & (after != before)).sum())
    width = float(sizes[many].mean()) ** (1 / labels.ndim)
    return bool(edges * width > RAGGED * pairs)


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
