"""A session: an image, a model, the network's outputs kept, and labels from them. No window, no napari, no Qt."""

import dataclasses
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from embedseg_ops.data.progress import steps
from embedseg_ops.data.samples import Sample, normalize
from embedseg_ops.data.views import View
from embedseg_ops.evaluate.figures import embedding_rgb
from embedseg_ops.export.blocks import table_in_blocks
from embedseg_ops.export.rows import Table
from embedseg_ops.model.devices import choose_device
from embedseg_ops.model.files import load_model
from embedseg_ops.model.registry import ModelName, find_model
from embedseg_ops.napari.outputs import LARGE, Model, Output, Scratch, Whole, largest, run_network
from embedseg_ops.napari.pixels import Part, Place, places, see
from embedseg_ops.ops.options import PostprocessOptions
from embedseg_ops.predict.blocks.options import complete

MAPS = ("distance map", "embedding", "seeds")  # what can be looked at beside the labels


class Session:
    """What is done with one image after another.

    Args:
        memory: bytes that the network may use; None: half of what is free. Larger images go to the disk, in blocks.
        side: of these blocks, in pixels; None: as large as fits.
    """

    def __init__(self, memory: int | None = None, side: int | None = None):
        self.memory, self.side = memory, side
        self.model_name: ModelName | None = None
        self.model_file: Path | None = None
        self.model: Model | None = None
        self.options: PostprocessOptions = {}
        self.diameter: float | None = None
        self.spacing: Sequence[float] | None = None
        self.source: tuple[Any, bool, str] | None = None
        self.view: View | None = None
        self.outputs: dict[Place, Output] = {}
        self.labels = np.zeros((0, 0), np.int32)
        self.folder: Scratch | None = None

    def choose_model(self, model: ModelName, device: str | torch.device | None = None) -> None:
        """Open a model; the options become those that it was made with, and outputs of another are forgotten.

        Args:
            model: a name, a file or an address; see `embedseg_ops.model.registry.find_model`, which tells its errors.
            device: where the network runs; None: CUDA where there is one, else the CPU.
        """
        file = find_model(model)
        self.model = load_model(file, choose_device(device))
        self.model_name, self.model_file = model, file
        self.options = complete(self.model[1].postprocess)
        self.view = None
        self.outputs = {}

    def choose_image(self, data: Any, rgb: bool = False, name: str = "image") -> bool:
        """Look at a layer's data, whose axes must suit the model; return whether that is something new.

        Raises:
            ValueError: the axes or channels are not the model's.
        """
        if self.view is not None and self.source is not None and self.source[0] is data:
            return False
        self.view = see(data, rgb, self.settings, name)
        self.source = (data, rgb, name)
        self.outputs = {}
        self.labels = self.no_labels()
        return True

    @property
    def settings(self) -> Any:
        """Of the model."""
        if self.model is None:
            raise ValueError("choose a model first")
        return self.model[1]

    @property
    def image(self) -> View:
        """What the network sees: ``[planes, C, *spatial]``."""
        if self.view is None:
            raise ValueError("choose an image first")
        return self.view

    def no_labels(self) -> np.ndarray:
        """Return labels int32 ``[planes, *spatial]`` without an object; large ones are on the disk."""
        planes = self.image.channel
        shape = (*self.image.shape[:planes], *self.image.shape[planes + 1 :])
        if np.prod(shape, dtype=np.int64) <= LARGE:
            return np.zeros(shape, np.int32)
        self.folder = Scratch()
        return np.lib.format.open_memmap(self.folder.path / "labels.npy", "w+", np.int32, shape)

    def keep_labels(self) -> None:
        """Leave the labels to whoever has them, for they were edited, and make new ones of what the network said."""
        self.labels = self.no_labels()
        self.label()

    def segment(self, wanted: Sequence[Place] | None = None) -> None:
        """Run the network over some planes, or all, and label their objects."""
        wanted = list(places(self.image)) if wanted is None else wanted
        for place in steps(wanted, "planes", "plane", shown=False) if len(wanted) > 1 else wanted:
            model = (self.model[0], self.settings) if self.model else None
            assert model is not None
            part = Part(self.image, place)
            self.outputs[place] = run_network(part, model, self.memory, self.diameter, self.side, self.spacing)
            self.label([place])

    def label(self, wanted: Collection[Place] | None = None) -> int:
        """Label the objects of some planes, or all that the network has seen; return how many those of them are."""
        objects = 0
        for place in list(self.outputs) if wanted is None else wanted:
            part = Part(self.labels, place)
            self.outputs[place].label(self.options, part)
            objects += largest(part)
        return objects

    def map(self, kind: str) -> np.ndarray | None:
        """Return one of `MAPS` for all that was segmented; None where that did not fit into memory.

        The distance map is float32, the seeds are int32 ``[planes, *spatial]``, the embedding uint8 with a last axis
        of red, green and blue: its three main components in every plane (volume).
        """
        found = {place: output for place, output in self.outputs.items() if isinstance(output, Whole)}
        if not found:
            return None
        colours, dtype = {"embedding": ((3,), np.uint8), "seeds": ((), np.int32)}.get(kind, ((), np.float32))
        picture = np.zeros((*self.labels.shape, *colours), dtype)
        for place, output in found.items():
            picture[place] = self.map_of(kind, output)
        return picture

    def map_of(self, kind: str, output: Whole) -> np.ndarray:
        """Return one of `MAPS` of one output."""
        if kind == "seeds":
            return output.seeds(self.options)
        if kind == "distance map":
            return output.prediction.distance[0].numpy()
        embedding = output.prediction.embedding
        channels, *spatial = embedding.shape[1:]
        flat = embedding.reshape(channels, -1, spatial[-1]).numpy()
        return embedding_rgb(flat).reshape(*spatial, 3)

    def table(self, place: Place, pixel_size: Sequence[float] | None = None, unit: str = "µm") -> Table:
        """Measure and, if the model can, score the objects of a plane; in blocks if it did not fit into memory."""
        if place not in self.outputs:
            return {"id": np.zeros(0, np.int64)}
        labels, calibration = self.labels[place], self.settings.calibration
        scores = self.outputs[place].scores(labels, calibration) if calibration else None
        pixels = Part(self.image, place)
        return table_in_blocks(labels, pixels, pixel_size=pixel_size, unit=unit, scores=scores)

    def samples(self, labels: np.ndarray | None = None) -> list[Sample]:
        """Return the image's planes (volumes) that have labels, to train on.

        Args:
            labels: integers ``[planes, *spatial]``, -1 where no loss is wanted; None: the labels as they are now.

        Raises:
            ValueError: there is no object, or the shape is not the image's.
        """
        labels = self.labels if labels is None else labels
        if labels.shape != self.labels.shape:
            raise ValueError(f"labels must be {list(self.labels.shape)}, as the image, got shape {list(labels.shape)}")
        found = []
        for place in places(self.image):
            own = np.array(labels[place], np.int32)
            if own.max(initial=0) > 0:
                pixels = normalize(np.asarray(Part(self.image, place)[...]), self.settings.percentiles)
                found.append(Sample(str(place), pixels, torch.from_numpy(own)))
        if not found:
            raise ValueError("there are no labels to train on: segment an image, and correct its labels")
        return found

    def tuned_settings(self) -> Any:
        """Return the model's settings with the options that are in use."""
        return dataclasses.replace(self.settings, postprocess=self.options)
