"""The layers of a viewer that show a session's results, where the image's layer lies."""

from collections.abc import Callable
from typing import Any

import numpy as np
from napari.layers import Image, Labels

from embedseg_ops.data.units import micrometres
from embedseg_ops.model.settings import Settings
from embedseg_ops.napari.pixels import Place, name_axes

OBJECTS = "objects"
KINDS = {OBJECTS: Labels, "seeds": Labels, "distance map": Image, "embedding": Image}
LOOKS: dict[str, dict[str, Any]] = {
    "distance map": {"colormap": "inferno"},
    "embedding": {"rgb": True},
    "seeds": {"opacity": 0.9},
    OBJECTS: {"opacity": 0.6},
}


def pixels_of(layer: Any, level: int) -> Any:
    """Return a layer's data; of a pyramid, one level."""
    return layer.data[level] if layer.multiscale else layer.data


def spatial_axes(layer: Any, settings: Settings) -> list[int]:
    """Return the axes of a layer that its labels have, too: all but the channels."""
    shape = tuple(pixels_of(layer, 0).shape)
    names = name_axes(shape, layer.rgb, settings)
    return [axis for axis, name in enumerate(names) if name not in "CS"]


def frame(layer: Any, level: int, settings: Settings) -> dict[str, Any]:
    """Return where results of a layer lie in the world: the keywords of a new layer."""
    axes = spatial_axes(layer, settings)
    full, used = (np.array(pixels_of(layer, number).shape)[axes] for number in (0, level))
    factors = full / used
    scale = layer.scale[axes]
    place = {
        "scale": scale * factors,
        "translate": layer.translate[axes] + scale * (factors - 1) / 2,
        "units": [layer.units[axis] for axis in axes],
        "axis_labels": [layer.axis_labels[axis] for axis in axes],
    }
    if len(axes) == layer.ndim:
        place |= {"rotate": layer.rotate, "shear": layer.shear, "affine": layer.affine}
    return place


def shown_place(viewer: Any, layer: Any, planes: int) -> Place:
    """Return which of a layer's planes (volumes) the viewer shows."""
    point = layer.world_to_data(viewer.dims.point[-layer.ndim :])
    lengths = pixels_of(layer, 0).shape
    return tuple(int(np.clip(round(point[axis]), 0, lengths[axis] - 1)) for axis in range(planes))


def pixel_size(layer: Any) -> tuple[tuple[float, ...], str] | None:
    """Return the lengths of a pixel of labels along Z (of volumes), Y and X, and their unit; None without a unit."""
    sizes = [micrometres(abs(size), str(unit)) for size, unit in zip(layer.scale, layer.units, strict=True)]
    known = tuple(size for size in sizes if size is not None)
    return (known, "µm") if len(known) == len(sizes) else None


def spacing_of(layer: Any, level: int, settings: Settings) -> tuple[float, ...] | None:
    """Return the lengths of a level's pixels along the model's spatial axes, in µm; None without units."""
    place = frame(layer, level, settings)
    sizes = [micrometres(abs(size), str(unit)) for size, unit in zip(place["scale"], place["units"], strict=True)]
    known = tuple(size for size in sizes[-settings.spatial_dims :] if size is not None)
    return known if len(known) == settings.spatial_dims else None


class Results:
    """The layers of one image's results.

    Args:
        viewer: napari's.
        name: of the image's layer.
        place: of new layers; see `frame`.
        edited: is called when somebody edits the labels.
    """

    def __init__(self, viewer: Any, name: str, place: dict[str, Any], edited: Callable[[], None]):
        self.viewer, self.name, self.place, self.edited = viewer, name, place, edited
        self.layers: dict[str, Any] = {}

    def show(self, kind: str, data: np.ndarray | None) -> Any:
        """Show an array in the layer of its kind, a new one if there is none; return the layer."""
        if data is None:
            return None
        layer = self.get(kind)
        if layer is None:
            layer = self.add(kind, data)
        elif layer.data is data:
            layer.refresh()
        else:
            layer.data = data
        return layer

    def get(self, kind: str) -> Any:
        """Return the layer of a kind, if it has not been removed."""
        layer = self.layers.get(kind)
        return layer if layer in self.viewer.layers else None

    def add(self, kind: str, data: np.ndarray) -> Any:
        """Add a layer; the objects are above all others, and active."""
        active = self.viewer.layers.selection.active
        layer = KINDS[kind](data, name=f"{self.name} {kind}", **LOOKS[kind], **self.place)
        self.layers[kind] = layer  # first: who hears of the layer asks whether it is one of these
        self.viewer.add_layer(layer)
        objects = self.get(OBJECTS)
        if kind == OBJECTS:
            layer.events.paint.connect(lambda event: self.edited())
        elif objects is not None:
            self.viewer.layers.move(self.viewer.layers.index(layer), self.viewer.layers.index(objects))
            self.viewer.layers.selection.active = active
        return layer

    def hide(self, kind: str) -> None:
        """Remove the layer of a kind."""
        layer = self.get(kind)
        if layer is not None:
            self.viewer.layers.remove(layer)

    def leave(self) -> None:
        """Give the objects' layer to whoever has edited it; the next objects get another."""
        layer = self.layers.pop(OBJECTS, None)
        if layer is not None:
            layer.name = f"{self.name} corrected"
