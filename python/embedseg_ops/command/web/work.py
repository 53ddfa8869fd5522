"""What is done with an image: read, segmented, labelled again, drawn, written."""

import argparse
import io
import math
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from embedseg_ops.command.sliders import Slider, sliders
from embedseg_ops.command.web.limits import Busy, Limits, TooMuch, until
from embedseg_ops.command.web.store import Kept, Store
from embedseg_ops.command.writers import WRITERS, Result
from embedseg_ops.data.errors import DataError, allowing, reading
from embedseg_ops.data.formats import PICTURES, TIFFS
from embedseg_ops.data.images import ImageFile, open_image
from embedseg_ops.data.progress import listening
from embedseg_ops.evaluate import figures
from embedseg_ops.model.networks import EmbeddingModel
from embedseg_ops.model.settings import Settings
from embedseg_ops.predict.blocks.options import complete
from embedseg_ops.predict.memory import memory_free, memory_needed
from embedseg_ops.predict.prediction import predict_image
from embedseg_ops.predict.prepare import prepare

DOWNLOADS = ("labels", "overlay", "rois", "geojson", "table")  # of the command line's writers
PLACES = 8  # images that are on their way at once: arriving, waiting, being segmented
SMALL = 400  # pixels
BYTES_A_PIXEL = 16  # of a file's image: a few channels, or many of few bytes


class Worker:
    """A model, and the images that it has segmented.

    Args:
        model: the network and its settings.
        limits: of all visitors.
    """

    def __init__(self, model: tuple[EmbeddingModel, Settings], limits: Limits):
        self.network, self.settings = prepare(model[0]), model[1]
        self.limits = limits
        self.store = Store(limits)
        self.turn = threading.Lock()
        self.places = threading.Semaphore(PLACES)

    def sliders(self) -> list[Slider]:
        """Return the options that can be moved."""
        options: Any = complete(self.settings.postprocess)
        return sliders(options)

    def segment(self, path: Path, name: str, choice: Mapping[str, Any]) -> tuple[str, Kept]:
        """Read an image file, run the network, and keep what it says; return the image's name in the store.

        Args:
            path: the file.
            name: what the visitor calls it.
            choice: which channel, plane or time point.

        Raises:
            ValueError: unreadable, not what the model takes, or above the limits.
            Busy: there was no turn within the time.
            MemoryError: there is not enough.
        """
        with self.one_at_a_time(), listening(until(self.limits.max_seconds)):
            image = self.read(path, name, choice)
            pixels = np.asarray(image.pixels)
            spacing = image.size_of("ZYX"[-self.settings.spatial_dims :])
            prediction = predict_image(pixels, (self.network, self.settings), spacing=spacing)
            options = complete(self.settings.postprocess)
            kept = Kept(image, prediction, options, np.zeros(pixels.shape[1:], np.int32))
            self.label(kept, options)
            return self.store.add(kept), kept

    @contextmanager
    def a_place(self) -> Iterator[None]:
        """Take one of a few places, so that uploads do not fill the disk nor those that wait all the threads."""
        if not self.places.acquire(blocking=False):
            raise Busy("too many images are waiting; try again in a minute")
        try:
            yield
        finally:
            self.places.release()

    @contextmanager
    def one_at_a_time(self) -> Iterator[None]:
        """Wait for one's turn: the network takes all of the processor, and most of the memory."""
        if not self.turn.acquire(timeout=self.limits.max_seconds):
            raise Busy("others' images are being segmented; try again in a minute")
        try:
            yield
        finally:
            self.turn.release()

    def read(self, path: Path, name: str, choice: Mapping[str, Any]) -> ImageFile:
        """Read an image within the limits."""
        if path.suffix.lower() not in (*PICTURES, *TIFFS):
            raise DataError(f"{name}: not one of {', '.join((*PICTURES, *TIFFS))}")
        dims, channels = self.settings.spatial_dims, self.settings.channels
        with allowing(self.limits.pixels * BYTES_A_PIXEL):
            image = open_image(path, dims, channels=channels, **choice)
            pixels = math.prod(image.pixels.shape[-dims:])
            if pixels > self.limits.pixels:
                raise TooMuch(f"{pixels / 1e6:.1f} megapixels; {self.limits.max_megapixels} are allowed")
            needed, free = memory_needed(image.pixels.shape, self.settings), memory_free()
            if free is not None and needed > free:
                raise MemoryError(f"needs {needed / 2**30:.1f} GiB of memory, {free / 2**30:.1f} GiB are free")
            with reading(path):
                return replace(image, path=Path(name), pixels=np.asarray(image.pixels[...]))

    def label(self, kept: Kept, options: Mapping[str, Any]) -> None:
        """Make labels with other options; the network is not needed."""
        with kept.lock:
            how: Any = {**kept.options, **options}
            kept.options, kept.labels = how, kept.prediction.label(how).numpy()

    def chosen(self, given: Any) -> dict[str, float | None]:
        """Return the options that a visitor sent; raise a ValueError for what no slider can show."""
        known = {slider.name: slider for slider in self.sliders()}
        if not isinstance(given, dict) or set(given) - set(known):
            raise ValueError(f"options must be some of {', '.join(known)}")
        for name, value in given.items():
            slider = known[name]
            if value is None and slider.may_be_off:
                continue
            kinds = (int,) if slider.whole else (int, float)
            if isinstance(value, bool) or not isinstance(value, kinds) or not slider.low <= value <= slider.high:
                kind = "a whole number" if slider.whole else "a number"
                raise ValueError(f"{name} must be {kind} from {slider.low:g} to {slider.high:g}")
        return given

    def write(self, kept: Kept, kind: str) -> bytes:
        """Return one of `DOWNLOADS` as the command line writes it."""
        with kept.lock:
            labels = kept.labels
        scores: dict[tuple[int, ...], np.ndarray] = {}
        if kind == "table" and self.settings.calibration:
            scores[()] = kept.prediction.scores(labels)
        result = Result(kept.image, labels, argparse.Namespace(gamma=figures.DIM, ids=False), scores)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"file{WRITERS[kind].ending}"
            WRITERS[kind].write(path, result)
            return path.read_bytes()


def draw_image(kept: Kept) -> bytes:
    """Return the image as a PNG; of a volume, the middle plane."""
    flat = figures.middle_plane(kept.labels)
    pixels = figures.drawable(np.asarray(kept.image.pixels))
    return png(figures.overlay(pixels, np.zeros_like(flat), gamma=figures.DIM))


def draw_outlines(kept: Kept) -> bytes:
    """Return the outlines as a PNG that lets the image through; finer ones on small images."""
    flat = figures.middle_plane(kept.labels)
    lines = figures.overlay(np.zeros_like(flat), flat, scale=2 if max(flat.shape) <= SMALL else 1)
    return png(np.dstack([lines, lines.any(-1) * np.uint8(255)]))


def png(picture: np.ndarray) -> bytes:
    """Return a picture as a PNG, quickly."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "png", compress_level=1)
    return file.getvalue()
