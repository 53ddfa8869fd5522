"""`python -m benchmarks.gigapixel`: more than 2³¹ pixels through `postprocess_blocks`, computed as they are read.

Discs lie in the last corner of an image that is empty otherwise, some on the faces between blocks. A disc's embedding
is one axis, so each disc is an object with all its pixels. What is written is counted, not kept.
"""

import argparse
import resource
import time

import numpy as np

from embedseg_ops import postprocess_blocks

SHAPE = (65_600, 32_800)
RADIUS = 12
DIM = 2
SIDE = 3000  # of the corner
FROM_END = 16  # of the last row and column of discs: the row before lies on a face between blocks of 2048


class Discs:
    """Discs in a corner of an image that is never there as a whole."""

    def __init__(self, count: int) -> None:
        random = np.random.default_rng(0)
        cells = [SIDE // (4 * RADIUS)] * 2
        places = random.choice(np.prod(cells), count, replace=False)
        self.centres = np.array(SHAPE) - np.stack(np.unravel_index(places, cells), 1) * 4 * RADIUS - FROM_END

    def near(self, window: tuple[slice, ...]) -> np.ndarray:
        low, high = (np.array([getattr(part, end) for part in window]) for end in ("start", "stop"))
        return self.centres[((self.centres > low - RADIUS) & (self.centres < high + RADIUS)).all(1)]

    def distance(self, window: tuple[slice, ...]) -> np.ndarray:
        """1 in a disc's middle, falling to 0."""
        values = np.zeros([part.stop - part.start for part in window], np.float32)
        for centre in self.near(window):
            spans = [
                np.arange(max(c - RADIUS, part.start), min(c + RADIUS + 1, part.stop))
                for c, part in zip(centre, window, strict=True)
            ]
            y, x = spans[0][:, None] - centre[0], spans[1][None] - centre[1]
            depth = np.maximum(1 - np.sqrt(y * y + x * x, dtype=np.float32) / RADIUS, 0)
            values[np.ix_(*(span - part.start for span, part in zip(spans, window, strict=True)))] = depth
        return values


class Distance:
    shape, dtype = SHAPE, np.dtype(np.float32)

    def __init__(self, discs: Discs) -> None:
        self.discs = discs

    def __getitem__(self, window: tuple[slice, ...]) -> np.ndarray:
        return self.discs.distance(window)


class Embedding(Distance):
    shape = (DIM, *SHAPE)

    def __getitem__(self, window: tuple[slice, ...]) -> np.ndarray:
        inside = self.discs.distance(window[1:]) > 0
        return np.stack([inside, ~inside]).astype(np.float32)


class Counted:
    """Labels of which only the objects' sizes are kept."""

    shape, dtype = SHAPE, np.dtype(np.uint32)

    def __init__(self, objects: int) -> None:
        self.sizes = np.zeros(objects + 1, np.int64)

    def __getitem__(self, window: tuple[slice, ...]) -> np.ndarray:
        raise NotImplementedError("labels are only written")

    def __setitem__(self, window: tuple[slice, ...], labels: np.ndarray) -> None:
        if labels.any():
            ids, sizes = np.unique(labels, return_counts=True)
            self.sizes[ids] += sizes


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gigapixel", description=__doc__)
    parser.add_argument("--objects", type=int, default=3000, help="discs (%(default)s)")
    parser.add_argument("--block", type=int, default=2048, help="side of a block, in pixels (%(default)s)")
    options = parser.parse_args()
    discs = Discs(options.objects)
    one = tuple(slice(c - 2 * RADIUS, c + 2 * RADIUS) for c in discs.centres[0])
    expected = int(np.count_nonzero(discs.distance(one)))
    out = Counted(options.objects)
    start, before = time.perf_counter(), time.process_time()
    summary = postprocess_blocks(
        Embedding(discs), Distance(discs), out, block=options.block, seed_threshold=0.5, seed_smoothing=1.0,
        min_seed_size=5, background_threshold=None, max_cosine_distance=0.5, min_depth_pixels=0,
    )  # fmt: skip
    seconds, cpu = time.perf_counter() - start, time.process_time() - before
    wrong = int(np.count_nonzero(out.sizes[1:] != expected))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(f"{np.prod(SHAPE)} pixels, {np.prod(SHAPE) / 2**31:.3f} x 2^31: {vars(summary)}; {wrong} objects of another "
          f"size than {expected}; {seconds:.0f} s, {cpu:.0f} s of processor, {peak / 2**20:.0f} MiB")  # fmt: skip
    assert summary.objects == options.objects
    assert wrong == 0


if __name__ == "__main__":
    main()
