"""Files of microscopes (ND2, CZI, LIF), read lazily by bioio and its readers."""

from pathlib import Path

from embedseg_ops.data.errors import DataError, needed
from embedseg_ops.data.stored import Stored
from embedseg_ops.data.units import known, micrometres

READERS = {".nd2": "bioio_nd2", ".czi": "bioio_czi", ".lif": "bioio_lif"}


def open_microscope(path: Path, series: int | None = None, level: int = 0) -> Stored:
    """Open one scene of a microscope's file; `series` and `level` as of `open_tiff`."""
    bioio = needed("bioio", "bio", path)
    reader = needed(READERS[path.suffix.lower()], "bio", path)
    image = bioio.BioImage(path, reader=reader.Reader)
    scenes = image.scenes
    if series is None and len(scenes) > 1:
        listed = ", ".join(f"{number}: {name}" for number, name in enumerate(scenes[:8]))
        raise DataError(f"{path}: holds {len(scenes)} images; choose one with series (--series): {listed}")
    if not 0 <= (series or 0) < len(scenes):
        raise DataError(f"{path}: no series {series}; it has {len(scenes)}, from 0")
    image.set_scene(scenes[series or 0])
    if level not in image.resolution_levels:
        raise DataError(f"{path}: no level {level}; it has {len(image.resolution_levels)}, from 0")
    image.set_resolution_level(level)
    sizes = image.physical_pixel_sizes
    named = known({axis: micrometres(getattr(sizes, axis), "µm") for axis in "ZYX"})
    return Stored(path, image.dask_data, image.dims.order, named, tuple(map(str, image.channel_names or ())))
