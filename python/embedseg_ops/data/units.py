"""Units of length, as files spell them."""

import math
from decimal import Decimal
from fractions import Fraction

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
ROUNDED = 10_000  # as many pixels in so many units are an approximation, wrong by up to 1


def micrometres(length: float | str | None, unit: str | None) -> float | None:
    """Return a length in µm; None if it is no positive length or the unit is none that we know."""
    factor = factor_of(unit)
    try:  # as decimals, for in binary 3.25e-07 m are not 0.325 µm
        value = float(Decimal(str(length)) * Decimal(str(factor))) if length is not None and factor else 0.0
    except ArithmeticError:
        return None
    return value if math.isfinite(value) and value > 0 else None


def per_unit(many: int, units: int, unit: str | None) -> float | None:
    """Return µm of a pixel, of which there are `many` in so many units; None as above.

    Large numbers approximate a fraction: then it is the shortest length for which they may have been written.
    """
    factor = factor_of(unit)
    if not (many > 0 and units > 0 and factor):
        return None
    length = Fraction(units, many) * Fraction(str(factor))
    if many < ROUNDED or units == 1:
        return float(length)
    digits = (float(f"{float(length):.{count}g}") for count in range(1, 18))
    return next(short for short in digits if abs(Fraction(short) - length) * many <= length)


def factor_of(unit: str | None) -> float | None:
    """Return the µm of a unit; None for one that we do not know."""
    return MICROMETRES.get((unit or "").strip().lower())


def known(sizes: dict[str, float | None]) -> dict[str, float]:
    """Return the sizes that are known."""
    return {axis: size for axis, size in sizes.items() if size is not None}
