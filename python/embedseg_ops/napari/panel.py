"""The panel beside the viewer: choose an image and a model, segment, move the sliders, correct and train."""

import time
from pathlib import Path
from typing import Any

import numpy as np
from magicgui.widgets import (
    CheckBox,
    ComboBox,
    Container,
    FloatSpinBox,
    Label,
    LineEdit,
    ProgressBar,
    PushButton,
    SpinBox,
)
from napari.layers import Image, Labels
from qtpy.QtWidgets import QFileDialog

from embedseg_ops.model.registry import MODEL_HELP, MODELS
from embedseg_ops.napari.corrections import fine_tune
from embedseg_ops.napari.forms import Sliders, Training, heading, new_folder, part
from embedseg_ops.napari.layers import OBJECTS, Results, frame, pixels_of, shown_place, spacing_of
from embedseg_ops.napari.linking import LinkedTable
from embedseg_ops.napari.session import MAPS, Session
from embedseg_ops.napari.work import Cancelled, Work


class Panel(Container):
    """Segments the active image layer, and what follows from that.

    Args:
        viewer: napari's.
    """

    def __init__(self, viewer: "napari.viewer.Viewer"):  # type: ignore[name-defined]  # noqa: F821  # napari looks for it
        super().__init__(labels=False)
        self.viewer = viewer
        self.session = Session()
        self.work = Work()
        self.models = dict.fromkeys(MODELS)  # names, files and addresses, in the order of the list
        self.results: Results | None = None
        self.has_edits = False
        self.table = LinkedTable(viewer, self.session)
        self.make_widgets()
        self.work.told.connect(self.show_progress)
        self.work.changed.connect(self.show_busy)
        self.work.failed.connect(self.show_error)
        for event in (viewer.layers.events.inserted, viewer.layers.events.removed):
            event.connect(lambda event: self.list_layers())
        viewer.layers.selection.events.active.connect(lambda event: self.follow(event.value))
        self.list_layers()
        self.follow(viewer.layers.selection.active)
        self.choose_model()

    def make_widgets(self) -> None:
        """Make the parts of the panel."""
        self.image = ComboBox(choices=lambda _: self.layers_of(Image), label="image", nullable=True)
        self.level = SpinBox(value=0, min=0, label="level", tooltip="of the pyramid; 0 is the largest", visible=False)
        self.planes = ComboBox(choices=["the one shown", "all"], label="planes", visible=False)
        self.model = ComboBox(choices=lambda _: list(self.models), label="model")
        self.other = LineEdit(label="or", tooltip=f"{MODEL_HELP}; then press Enter")
        self.open = PushButton(text="Open a model…")
        self.diameter = FloatSpinBox(value=0, min=0, max=10_000, label="diameter", visible=False,
                                     tooltip="of the objects, in pixels; 0: estimated")  # fmt: skip
        self.run = PushButton(text="Segment")
        self.stop = PushButton(text="Cancel", enabled=False)
        self.bar = ProgressBar(value=0, min=0, max=1, label="")
        self.status = Label(value="")
        self.maps = {kind: CheckBox(text=kind, value=False) for kind in MAPS}
        self.sliders = Sliders(self.move)
        self.training = Training(lambda _: self.layers_of(Labels), self.train)
        self.extend([
            part([self.image, self.level, self.planes, self.model, self.other, self.diameter]),
            part([self.open, self.run, self.stop], layout="horizontal"), self.bar, self.status,
            part([Label(value="show"), *self.maps.values()], layout="horizontal"),
            heading("Postprocessing"), self.sliders.container, heading("Correct and train"), self.training.container,
        ])  # fmt: skip
        self.image.changed.connect(lambda layer: self.choose_image(layer))
        self.model.changed.connect(lambda name: self.choose_model())
        self.other.native.returnPressed.connect(lambda: self.add_model(self.other.value.strip()))
        self.open.changed.connect(lambda: self.ask_for_model())
        self.run.changed.connect(lambda: self.segment())
        self.stop.changed.connect(lambda: self.work.cancel())
        for kind, box in self.maps.items():
            box.changed.connect(lambda on, kind=kind: self.toggle(kind, on))

    def layers_of(self, kind: type) -> list[Any]:
        """Return the viewer's layers of a kind, but for the pictures that are made here."""
        made = self.results.layers.values() if self.results and kind is Image else ()
        return [layer for layer in self.viewer.layers if isinstance(layer, kind) and layer not in made]

    def list_layers(self) -> None:
        """Show which layers there are."""
        self.image.reset_choices()
        self.training.labels.reset_choices()

    def follow(self, layer: Any) -> None:
        """Choose the layer that somebody has made active."""
        if layer in self.layers_of(Image):
            self.image.value = layer
        elif layer in self.layers_of(Labels):
            self.training.labels.value = layer

    def choose_image(self, layer: Any) -> None:
        """Show what there is to choose of an image."""
        many = layer is not None and layer.multiscale
        self.level.visible = many
        self.level.value = 0
        self.level.max = len(layer.data) - 1 if many else 0
        self.planes.visible = layer is not None and len(pixels_of(layer, 0).shape) - layer.rgb > self.dims()

    def dims(self) -> int:
        """Return how many spatial axes the model has."""
        return int(self.session.settings.spatial_dims) if self.session.model else 2

    def ask_for_model(self) -> None:
        """Let somebody choose a model's file."""
        path, _ = QFileDialog.getOpenFileName(self.native, "Model file", "", "Models (*.safetensors)")
        self.add_model(path)

    def add_model(self, model: str) -> None:
        """Add a model to the list, unless it is none or there, and choose it."""
        if model:
            self.models[model] = None
            self.model.reset_choices()
            self.model.value = model

    def choose_model(self) -> None:
        """Open the model; its options come with it."""
        name = self.model.value
        self.work.ask("model", lambda: self.session.choose_model(name), lambda _: self.show_model())

    def show_model(self) -> None:
        """Show what the model's file says."""
        self.sliders.set(self.session.options)
        self.diameter.visible = self.session.settings.diameter is not None
        self.choose_image(self.image.value)

    def segment(self) -> None:
        """Run the network over the image, and label its objects."""
        layer, level, model = self.image.value, self.level.value, self.model.value
        if layer is None:
            self.status.value = "choose an image layer first"
            return
        kinds = [kind for kind, box in self.maps.items() if box.value]

        def job() -> dict[str, Any]:
            if not self.look_at(layer, level, model) and self.has_edits:
                self.session.keep_labels()
            self.session.diameter = self.diameter.value or None
            self.session.spacing = spacing_of(layer, level, self.session.settings)
            shown = shown_place(self.viewer, layer, self.session.image.channel)
            self.session.segment([shown] if self.planes.value == "the one shown" else None)
            return {kind: self.session.map(kind) for kind in kinds}

        self.work.ask("segment", job, self.show_segmented)

    def look_at(self, layer: Any, level: int, model: str) -> bool:
        """Bring an image and a model into the session, in the work's thread; return whether that is something new."""
        if self.session.model_name != model:  # it could not be opened: say so again
            self.session.choose_model(model)
        new = self.session.choose_image(pixels_of(layer, level), layer.rgb, layer.name) or self.results is None
        if new:
            self.results = Results(self.viewer, layer.name, frame(layer, level, self.session.settings), self.edit)
        return new

    def show_segmented(self, maps: dict[str, Any]) -> None:
        """Show the labels, and the maps that are wanted."""
        self.show_labels()
        for kind, data in maps.items():
            self.show_map(kind, data)
        self.show_count()

    def show_labels(self) -> None:
        """Show the labels as they are now; those that somebody has edited stay as they are, in their layer."""
        assert self.results is not None
        if self.has_edits:
            self.results.leave()
            self.has_edits = False
        layer = self.results.show(OBJECTS, self.session.labels)
        self.table.follow(layer, self.image.value)

    def show_count(self, milliseconds: float | None = None) -> None:
        """Say how many objects there are."""
        took = "" if milliseconds is None else f", {milliseconds:.0f} ms"
        objects = sum(int(np.max(self.session.labels[place], initial=0)) for place in self.session.outputs)
        self.status.value = f"{objects} objects{took}"

    def move(self, name: str, value: float | None) -> None:
        """Label again with another option; the network's output is kept."""
        self.session.options = {**self.session.options, name: value}  # type: ignore[misc]
        if self.session.outputs:
            self.work.ask("label", self.label, self.show_labelled)

    def label(self) -> tuple[float, Any]:
        """Label again; return how long it took, in ms, and the seeds if they are shown."""
        if self.has_edits:
            self.session.keep_labels()
        start = time.perf_counter()
        self.session.label()
        return (time.perf_counter() - start) * 1e3, self.session.map("seeds") if self.maps["seeds"].value else None

    def show_labelled(self, outcome: tuple[float, Any]) -> None:
        """Show the labels, and the seeds if they are wanted."""
        self.show_labels()
        if outcome[1] is not None:
            self.show_map("seeds", outcome[1])
        self.show_count(outcome[0])

    def toggle(self, kind: str, on: bool) -> None:
        """Show a map, or take its layer away."""
        if on and self.session.outputs:
            self.work.ask(kind, lambda: self.session.map(kind), lambda data: self.show_map(kind, data))
        elif self.results is not None:
            self.results.hide(kind)

    def show_map(self, kind: str, data: Any) -> None:
        """Show a map in its layer."""
        assert self.results is not None
        if self.results.show(kind, data) is None:
            self.status.value = f"no {kind} of an image that does not fit into memory"

    def edit(self) -> None:
        """Remember that somebody has edited the labels."""
        self.has_edits = True

    def train(self) -> None:
        """Train the model further on the labels as they are now."""
        labels, folder, count = self.training.labels.value, Path(self.training.folder.value), self.training.steps.value
        layer, level, model = self.image.value, self.level.value, self.model.value
        if labels is None or layer is None:
            self.status.value = "choose an image layer and a layer of labels first"
            return
        given = np.array(pixels_of(labels, 0), np.int32)

        def job() -> Path:
            self.look_at(layer, level, model)
            session = self.session
            assert session.model_file is not None
            return fine_tune(session.samples(given), session.tuned_settings(), session.model_file, folder, count)

        self.work.ask("train", job, self.trained)

    def trained(self, path: Path) -> None:
        """Choose the model that was trained."""
        self.training.folder.value = new_folder()
        self.add_model(str(path))
        self.status.value = f"trained: {path}"

    def show_progress(self, name: str, done: int, total: int) -> None:
        """Show how far a job has come."""
        self.bar.max, self.bar.value = max(total, 1), done
        self.status.value = f"{name} {done}/{total}"

    def show_busy(self, busy: bool) -> None:
        """Show whether there is work that can be cancelled."""
        self.stop.enabled = busy
        if not busy:
            self.bar.value = 0

    def show_error(self, error: Exception) -> None:
        """Say what went wrong."""
        if isinstance(error, Cancelled):
            self.status.value = "cancelled"
            return
        from napari.utils.notifications import show_error

        self.status.value = str(error)
        show_error(str(error))
