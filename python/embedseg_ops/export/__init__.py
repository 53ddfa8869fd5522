"""Label maps as other programs read them: TIFF, OME-Zarr, tables, outlines, pictures; one short file a format.

Every function takes labels, integer ``[*spatial]`` (0 background, 1, 2, … objects), and writes atomically.
"""

from embedseg_ops.export.blocks import write_objects
from embedseg_ops.export.cellpose import write_seg
from embedseg_ops.export.geojson import geojson, write_geojson
from embedseg_ops.export.outlines import outlines
from embedseg_ops.export.overlay import write_overlay
from embedseg_ops.export.rois import write_rois
from embedseg_ops.export.table import object_table, write_table
from embedseg_ops.export.tiff import write_labels
from embedseg_ops.export.zarr import write_zarr

__all__ = [
    "geojson",
    "object_table",
    "outlines",
    "write_geojson",
    "write_labels",
    "write_objects",
    "write_overlay",
    "write_rois",
    "write_seg",
    "write_table",
    "write_zarr",
]
