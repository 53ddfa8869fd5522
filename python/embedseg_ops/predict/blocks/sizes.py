"""How large a block may be: from the memory that may be used."""

import math
import re
from collections.abc import Sequence

UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 2**10, "mi": 2**20, "gi": 2**30, "t": 10**12, "ti": 2**40}
HALOS = {2: 64, 3: 16}
STEPS = {2: 512, 3: 64}  # cores are multiples of it: chunks of stores are
LARGEST = {2: 4096, 3: 256}
LIBRARIES = 450 << 20  # bytes that Python, torch and NumPy take


def read_bytes(memory: int | str) -> int:
    """Return a number of bytes: ``"4GiB"``, ``"500 MB"``, or the number itself.

    Raises:
        ValueError: it is no size.
    """
    if isinstance(memory, int):
        return memory
    match = re.fullmatch(r"\s*([\d.]+)\s*([kmgt]i?)?b?\s*", memory.lower())
    if match is None:
        raise ValueError(f'memory must be bytes, such as "4GiB", got {memory!r}')
    return int(float(match[1]) * UNITS[match[2] or ""])


def pixel_bytes(dim: int, itemsize: int = 4) -> int:
    """Return the bytes that a pixel of a window takes at most while it grows; measured, see `benchmarks.blocks`."""
    return (dim + 2) * itemsize + 116


def choose_core(
    shape: Sequence[int], dim: int, halo: int, memory: int | str, itemsize: int = 4, taken: int = 0
) -> tuple[int, ...]:
    """Return the sides of the largest cores whose windows fit.

    Args:
        shape: of the image.
        dim: of the embedding.
        halo: around a core.
        memory: bytes that may be used.
        itemsize: of the embedding's numbers, in bytes.
        taken: bytes that something else needs at the same time.

    Raises:
        ValueError: not even the smallest blocks fit.
    """
    dims, budget = len(shape), read_bytes(memory) - LIBRARIES - taken
    step, needs = STEPS[dims], pixel_bytes(dim, itemsize)
    side = math.floor(max(budget / needs, 0) ** (1 / dims)) - 2 * halo
    if side < step:
        least = LIBRARIES + taken + needs * (step + 2 * halo) ** dims
        raise ValueError(f"memory must be at least {least / 2**30:.1f} GiB for blocks of {step} pixels, got {memory}")
    side = min(side // step * step, LARGEST[dims])
    return tuple(min(side, math.ceil(size / step) * step) for size in shape)
