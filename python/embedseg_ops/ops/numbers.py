"""What the public functions accept as numbers: thresholds, lengths and sizes."""

import math
import operator
from collections.abc import Sequence

LARGEST_SIZE = 2**31 - 1  # no image has more pixels, and no label map more objects
LARGEST_SIGMA = 1000.0  # pixels


def check_finite(value: float, name: str) -> float:
    """Raise unless `value` is a finite real number; return it as a float."""
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} must be a number, got {type(value).__name__}") from error
    except OverflowError:
        number = math.inf
    if not -math.inf < number < math.inf:  # also false for NaN, and torch.compile can follow it
        raise ValueError(f"{name} must be finite, got {value}")
    return number


def check_positive(value: float, name: str) -> float:
    """Raise unless `value` is a finite number above 0; return it as a float."""
    number = check_finite(value, name)
    if number <= 0:
        raise ValueError(f"{name} must be above 0, got {value}")
    return number


def check_not_negative(value: float, name: str) -> float:
    """Raise unless `value` is a finite number, 0 or above; return it as a float."""
    number = check_finite(value, name)
    if number < 0:
        raise ValueError(f"{name} must be 0 (off) or above, got {value}")
    return number


def check_sigma(value: float, name: str) -> float:
    """Raise unless `value` is from 0 to `LARGEST_SIGMA` pixels: a kernel has 8 times as many taps; return a float."""
    number = check_not_negative(value, name)
    if number > LARGEST_SIGMA:
        raise ValueError(f"{name} must be at most {LARGEST_SIGMA:g} pixels, got {value}")
    return number


def check_size(value: int, name: str, smallest: int = 1) -> int:
    """Raise unless `value` is a whole number from `smallest` to 2³¹ − 1; return it."""
    if isinstance(value, bool) or not (isinstance(value, int) or hasattr(value, "__index__")):
        raise TypeError(f"{name} must be an integer, got {type(value).__name__}")
    if value < smallest:
        raise ValueError(f"{name} must be {f'at least {smallest}' if smallest else '0 or more'}, got {value}")
    if value > LARGEST_SIZE:
        raise ValueError(f"{name} must be at most {LARGEST_SIZE}, got {value}")
    return value if isinstance(value, int) else operator.index(value)  # int() would tie torch.compile to the value


def check_spatial_dims(spatial_dims: int | None) -> None:
    """Raise a ValueError unless `spatial_dims` is 2, 3 or None."""
    if spatial_dims not in (None, 2, 3):
        raise ValueError(f"spatial_dims must be 2 (images), 3 (volumes) or None, got {spatial_dims}")


def check_percentiles(percentiles: Sequence[float]) -> tuple[float, float]:
    """Return `percentiles` as two numbers, in percent: from 0 to 100, the lower one first."""
    if not hasattr(percentiles, "__len__") or len(percentiles) != 2:
        raise ValueError(f"percentiles must be two numbers, in percent, got {percentiles!r}")
    low, high = (check_finite(one, "percentiles") for one in percentiles)
    if not 0 <= low < high <= 100:
        raise ValueError(f"percentiles must be from 0 to 100, the lower one first, got {percentiles!r}")
    return low, high


def check_spacing(spacing: Sequence[float] | None, spatial_dims: int) -> list[float]:
    """Return `spacing` as one positive length per spatial axis; None is 1 everywhere."""
    if spacing is None:
        return [1.0] * spatial_dims
    if not hasattr(spacing, "__len__"):
        raise TypeError(f"spacing must be one length for each spatial axis, got {type(spacing).__name__}")
    lengths = [check_positive(length, "spacing") for length in spacing]
    if len(lengths) != spatial_dims:
        raise ValueError(f"spacing must have one length for each of the {spatial_dims} spatial axes, got {spacing}")
    return lengths
