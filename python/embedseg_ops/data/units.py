"""Units of length, as files spell them."""

import math

MICROMETRES = {
    **dict.fromkeys(("µm", "μm", "um", "micron", "microns", "micrometer", "micrometre", "\\u00b5m"), 1.0),
    **dict.fromkeys(("nm", "nanometer", "nanometre"), 1e-3),
    **dict.fromkeys(("å", "angstrom"), 1e-4),
    **dict.fromkeys(("pm", "picometer"), 1e-6),
    **dict.fromkeys(("mm", "millimeter", "millimetre"), 1e3),
    **dict.fromkeys(("cm", "centimeter", "centimetre"), 1e4),
    **dict.fromkeys(("m", "meter", "metre"), 1e6),
    **dict.fromkeys(("inch", "in", '"'), 25400.0),
}


def micrometres(length: float | str | None, unit: str | None) -> float | None:
    """Return a length in µm; None if it is no positive length or the unit is none that we know."""
    factor = MICROMETRES.get((unit or "").strip().lower())
    try:
        value = float(length) * factor if length is not None and factor else 0.0
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None


def known(sizes: dict[str, float | None]) -> dict[str, float]:
    """Return the sizes that are known."""
    return {axis: size for axis, size in sizes.items() if size is not None}
