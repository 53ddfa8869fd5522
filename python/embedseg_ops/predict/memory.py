"""How much memory a prediction takes, and how much there is."""

import math
from collections.abc import Sequence
from pathlib import Path

from embedseg_ops.data.scale import rescaling
from embedseg_ops.model.settings import Settings
from embedseg_ops.predict.network import TILES

WORK = 24  # bytes a pixel of postprocessing: smoothed distance, seeds, labels, and the growth's lists
MAPS = 12  # maps of a network's tile that are alive at once, each of as many channels as it has filters


def memory_needed(
    shape: Sequence[int], settings: Settings, tile: int | None = None, diameter: float | None = None
) -> int:
    """Return about how many bytes `embedseg_ops.segment` takes beside the image itself.

    Args:
        shape: of the image, ``[C, *spatial]``.
        settings: of the model.
        tile: see `embedseg_ops.predict.network.predict_network`.
        diameter: of the objects; None: for a model that has one, the image may be enlarged as far as that goes.
    """
    channels, *spatial = shape
    zoom = rescaling(diameter or 1e-9, settings.diameter)
    side = tile or TILES[len(spatial)]
    in_tile = math.prod(min(length * zoom, side) for length in spatial)
    outputs = 4 * (settings.dim + 1)  # embedding and distance map, float32
    normalised = 16 * channels  # percentiles in float64, then float32
    zoomed = (outputs + 4 * channels) * zoom ** len(spatial) if zoom != 1 else 0
    a_pixel = outputs + normalised + WORK + zoomed
    return round(math.prod(spatial) * a_pixel + in_tile * 4 * (MAPS * settings.filters + settings.dim))


def memory_free() -> int | None:
    """Return how many bytes can still be had, of the machine and of this process's control group; None: not known."""
    free = [limit for limit in (machine_free(), group_free(Path("/sys/fs/cgroup"))) if limit is not None]
    return min(free, default=None)


def machine_free() -> int | None:
    """Return what Linux calls available."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")), None)


def group_free(group: Path) -> int | None:
    """Return what a control group (version 2) still allows; files that are only cached count as free."""
    try:
        limit = int((group / "memory.max").read_text(encoding="ascii"))
        used = int((group / "memory.current").read_text(encoding="ascii"))
        counts = dict(line.split() for line in (group / "memory.stat").read_text(encoding="ascii").splitlines())
    except (OSError, ValueError):  # no group, or no limit: "max"
        return None
    return max(0, limit - used + int(counts.get("inactive_file", 0)))
