"""Outlines as GeoJSON, which QuPath imports as detections."""

import json
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from embedseg_ops.data.writing import write_atomically
from embedseg_ops.export.arguments import label_array
from embedseg_ops.export.outlines import Polygon, outlines


def geojson(labels: ArrayLike, origin: Sequence[int] | None = None) -> dict[str, Any]:
    """Return the exact outlines of all objects as a GeoJSON ``FeatureCollection``.

    Each object is a feature, a QuPath detection whose name and measurement ``label`` are its id; in a volume, an object
    is a feature in each plane, which the member ``plane`` of its geometry tells. Coordinates are (x, y) in pixels, as
    :func:`embedseg_ops.export.outlines` gives them: the same labels can be drawn from them again.

    Args:
        labels: integer ``[H, W]`` or ``[D, H, W]``.
        origin: where `labels` begin in a larger image, in pixels along each axis; None: at 0.

    Raises:
        TypeError: `labels` are not integers.
        ValueError: they have other axes.
    """
    array = label_array(labels)
    *first, top, left = origin or [0] * array.ndim
    planes = [(None, array)] if array.ndim == 2 else list(enumerate(array, *first))
    features = [
        {
            "type": "Feature",
            "geometry": geometry([[np.add(ring, (left, top)) for ring in polygon] for polygon in polygons], plane),
            "properties": {"objectType": "detection", "name": str(number), "measurements": {"label": number}},
        }
        for plane, flat in planes
        for number, polygons in outlines(flat).items()
    ]
    return {"type": "FeatureCollection", "features": features}


def geometry(polygons: list[Polygon], plane: int | None) -> dict[str, Any]:
    """Return one polygon, or several, as a GeoJSON geometry."""
    rings = [[np.asarray(ring).tolist() for ring in polygon] for polygon in polygons]
    several = len(rings) > 1
    shape = {"type": "MultiPolygon" if several else "Polygon", "coordinates": rings if several else rings[0]}
    return shape if plane is None else {**shape, "plane": {"c": -1, "z": plane, "t": 0}}


def write_geojson(path: str | os.PathLike[str], labels: ArrayLike) -> None:
    """Write what :func:`geojson` returns."""
    write_atomically(path, json.dumps(geojson(labels), separators=(",", ":")).encode())
