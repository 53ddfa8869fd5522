"""The table of objects, linked with the layer of labels: choose in one, and the other follows."""

from typing import Any

from embedseg_ops.export.rows import Table
from embedseg_ops.napari.layers import pixel_size, shown_place
from embedseg_ops.napari.session import Session
from embedseg_ops.napari.table import ObjectTable
from embedseg_ops.napari.work import Work


class LinkedTable:
    """Docks a table when there are objects, and measures them in a thread of its own.

    Args:
        viewer: napari's.
        session: whose objects are measured.
    """

    def __init__(self, viewer: Any, session: Session):
        self.viewer, self.session = viewer, session
        self.work = Work()
        self.widget = ObjectTable(self.go_to)
        self.layer: Any = None
        self.image: Any = None
        self.place: tuple[int, ...] = ()
        self.docked = False
        viewer.dims.events.current_step.connect(lambda event: self.turn())

    def follow(self, layer: Any, image: Any) -> None:
        """Show the objects of a layer of labels, which are an image's."""
        if layer is not self.layer:
            layer.events.selected_label.connect(lambda event: self.widget.select(layer.selected_label))
            layer.mouse_drag_callbacks.append(pick)
        self.layer, self.image = layer, image
        self.dock()
        self.measure()

    def dock(self) -> None:
        """Put the table below the viewer, where there is a window."""
        window = getattr(self.viewer, "window", None)
        if window is not None and not self.docked:
            window.add_dock_widget(self.widget, name="Objects", area="bottom")
            self.docked = True

    def turn(self) -> None:
        """Measure another plane, where the viewer shows another one; a model that has seen no image has no objects."""
        if self.session.view is None or self.layer is None or self.layer not in self.viewer.layers:
            return
        if self.shown() != self.place:
            self.measure()

    def shown(self) -> tuple[int, ...]:
        """Return which plane (volume) the viewer shows."""
        return shown_place(self.viewer, self.layer, self.session.image.channel)

    def measure(self) -> None:
        """Measure the objects of the plane that is shown."""
        self.place = place = self.shown()
        size = pixel_size(self.layer)
        dims = self.session.settings.spatial_dims
        known = None if size is None else size[0][-dims:]
        self.work.ask("table", lambda: self.session.table(place, known), self.show)

    def show(self, table: Table) -> None:
        """Show what was measured."""
        self.widget.show_table(table)
        self.widget.select(self.layer.selected_label)

    def go_to(self, number: int, centre: tuple[float, ...]) -> None:
        """Choose an object's label, and bring it to the middle of the viewer."""
        self.layer.selected_label = number
        world = self.layer.data_to_world((*self.place, *centre))
        self.viewer.camera.center = tuple(world[-3:]) if self.viewer.dims.ndisplay == 3 else (0, *world[-2:])
        if len(centre) == 3 and self.viewer.dims.ndisplay == 2:
            self.viewer.dims.set_point(self.viewer.dims.ndim - 3, world[-3])


def pick(layer: Any, event: Any) -> None:
    """Choose the label that somebody clicks on while the layer is not being painted."""
    if str(layer.mode) != "pan_zoom":
        return
    value = layer.get_value(
        event.position, view_direction=event.view_direction, dims_displayed=event.dims_displayed, world=True
    )
    value = value[1] if isinstance(value, tuple) else value  # of a pyramid, the level comes first
    if value:
        layer.selected_label = int(value)
