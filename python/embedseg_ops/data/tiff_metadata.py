"""What the descriptions in TIFF files say: sizes of pixels, names of channels, which samples are colours."""

from typing import Any

import numpy as np
from tifffile import EXTRASAMPLE, PHOTOMETRIC, RESUNIT, TiffFile, TiffPageSeries, xml2dict
from tifffile.tifffile import svs_description_metadata

from embedseg_ops.data.units import known, micrometres, per_unit

ALPHA = (EXTRASAMPLE.ASSOCALPHA, EXTRASAMPLE.UNASSALPHA)
COLOURED = (PHOTOMETRIC.RGB, PHOTOMETRIC.YCBCR, PHOTOMETRIC.SEPARATED, PHOTOMETRIC.PALETTE)
PRINTING = 10.0  # µm; coarser resolutions in dots an inch are meant for printers


def scientific(file: TiffFile) -> bool:
    """Return whether colour tables are there for the display alone, so that numbers are intensities."""
    return bool(file.is_imagej or file.is_ome or file.is_lsm or file.is_stk)


def colour_samples(page: Any) -> int | None:
    """Return how many samples of a pixel are not alpha, None if all are."""
    if page.photometric in COLOURED:
        return 3
    alpha = [sample for sample in page.extrasamples if sample in ALPHA]
    return page.samplesperpixel - len(alpha) if alpha else None


def channel_names(file: TiffFile, series: TiffPageSeries) -> tuple[str, ...]:
    """Return the names of the channels, or none."""
    if file.is_ome:
        channels = listed(ome_pixels(file, series).get("Channel"))
        return tuple(str(channel.get("Name", channel.get("Fluor", ""))) for channel in channels)
    if file.is_lsm and file.lsm_metadata:
        return tuple((file.lsm_metadata.get("ChannelColors") or {}).get("ColorNames", ()))
    labels = (file.imagej_metadata or {}).get("Labels") if file.is_imagej else None
    count = series.shape[series.axes.index("C")] if "C" in series.axes else 1
    return tuple(map(str, labels)) if labels and len(labels) == count else ()


def pixel_size(file: TiffFile, series: TiffPageSeries, level: int = 0) -> dict[str, float]:
    """Return µm of a pixel along Z, Y, X, of a level of a pyramid, as far as the file says them."""
    page: Any = series.keyframe
    if file.is_ome:
        pixels = ome_pixels(file, series)
        sizes = known({
            axis: micrometres(pixels.get(f"PhysicalSize{axis}"), pixels.get(f"PhysicalSize{axis}Unit", "µm"))
            for axis in "ZYX"
        })  # fmt: skip
    elif file.is_lsm and file.lsm_metadata:
        sizes = known({axis: micrometres(file.lsm_metadata.get(f"VoxelSize{axis}"), "m") for axis in "ZYX"})
    elif file.is_imagej:
        said = file.imagej_metadata or {}
        unit = str(said.get("unit", ""))
        sizes = known({"Z": micrometres(said.get("spacing"), unit), **across(page, unit)})
    elif page.is_svs:
        size = micrometres(svs_description_metadata(page.description).get("MPP"), "µm")
        sizes = known({"Y": size, "X": size})
    else:
        sizes = resolution(page)
    whole, part = (dict(zip(one.axes, one.shape, strict=True)) for one in (series, series.levels[level]))
    return {axis: size * whole.get(axis, 1) / part.get(axis, 1) for axis, size in sizes.items()}


def resolution(page: Any) -> dict[str, float]:
    """Return what the resolution tags say, unless they are for a printer."""
    unit = {RESUNIT.INCH: "inch", RESUNIT.CENTIMETER: "cm"}.get(page.resolutionunit)
    if unit is None or "XResolution" not in page.tags:
        return {}
    sizes = known(across(page, unit))
    return sizes if max(sizes.values(), default=0) <= PRINTING else {}


def across(page: Any, unit: str) -> dict[str, float | None]:
    """Return µm of a pixel along Y and X, of which the tags say how many there are in a unit: 1 without them."""
    numbers = {axis: page.tags.valueof(f"{axis}Resolution", (1, 1)) for axis in "YX"}
    return {axis: per_unit(number[0], number[1], unit) for axis, number in numbers.items() if np.shape(number) == (2,)}


def ome_pixels(file: TiffFile, series: TiffPageSeries) -> dict[str, Any]:
    """Return the attributes of OME's Pixels element of a series."""
    images = listed(xml2dict(file.ome_metadata or "<OME/>").get("OME", {}).get("Image"))
    number = number_of(series)
    return dict(images[number].get("Pixels", {})) if number < len(images) else {}


def number_of(series: TiffPageSeries) -> int:
    """Return which series of its file this is."""
    return next(number for number, one in enumerate(series.keyframe.parent.series) if one is series)


def listed(value: Any) -> list[Any]:
    """Return what XML gives as nothing, one or many as a list."""
    return value if isinstance(value, list) else [] if value is None else [value]
