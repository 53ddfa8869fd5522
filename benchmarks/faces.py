"""The picture of docs/large-images.md: a face between two blocks, where the usual ways cut.

``python -m benchmarks.faces FOLDER PICTURE``, after ``python -m benchmarks.blocks --keep FOLDER``.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from embedseg_ops.evaluate import figures

SIDE, ZOOM, BLOCK = 96, 4, 1024
# what benchmarks.blocks has kept, and what it is called above the picture
KEPT = {
    "expected": "segment_blocks", "alone": "each block alone", "owner": "the owner keeps",
    "overlap": "merged by overlap",
}  # fmt: skip


def busiest(whole: np.ndarray, others: list[np.ndarray]) -> tuple[int, int]:
    """Return the corner of the window along a vertical face with the most objects that are not the same everywhere."""
    scores: dict[tuple[int, int], int] = {}
    for face in range(BLOCK, whole.shape[1], BLOCK):
        near = slice(face - SIDE // 2, face + SIDE // 2)
        for k in np.unique(whole[:, face - 1 : face + 1]):
            rows = np.nonzero((whole[:, near] == k).any(1))[0]
            place = (slice(rows[0], rows[-1] + 1), near)
            columns = np.count_nonzero((whole[place] == k).any(0))
            if k == 0 or not max(len(rows), columns) < SIDE // 3 or not min(len(rows), columns) > SIDE // 12:
                continue  # neither junk nor dust
            top = int(np.clip(rows.mean() - SIDE / 2, 0, whole.shape[0] - SIDE)) // 24 * 24
            score = sum(is_changed(whole[place] == k, one[place]) for one in others)
            scores[top, near.start] = scores.get((top, near.start), 0) + score
    return max(scores, key=lambda corner: scores[corner])


def is_changed(inside: np.ndarray, labels: np.ndarray) -> bool:
    """Return whether an object's pixels are not just those of one label."""
    found = np.unique(labels[inside])
    return len(found) != 1 or bool(((labels == found[0]) != inside).any())


def outlined(image: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return an enlarged picture with the outlines of the objects, and the face as a line of dots."""
    picture = figures.overlay(*(np.kron(one, np.ones((ZOOM, ZOOM), one.dtype)) for one in (image, labels)))
    picture[::6, SIDE // 2 * ZOOM] = picture[1::6, SIDE // 2 * ZOOM] = (255, 255, 255)
    return picture


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faces", description=__doc__)
    parser.add_argument("folder", type=Path, help="of --keep")
    parser.add_argument("picture", type=Path, help="PNG to write")
    options = parser.parse_args()
    image, *kept = (np.load(options.folder / f"{name}.npy", mmap_mode="r") for name in ("image", *KEPT))
    whole, *others = (np.asarray(one) for one in kept)
    top, left = busiest(whole, others)
    window = (slice(top, top + SIDE), slice(left, left + SIDE))
    pictures = [outlined(np.array(image[window]), one[window].astype(np.int32)) for one in (whole, *others)]
    sheet = figures.panels(pictures, list(KEPT.values()))
    Image.fromarray(sheet).save(options.picture, optimize=True)


if __name__ == "__main__":
    main()
