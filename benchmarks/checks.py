"""Whether an output is right: functions that raise an AssertionError, and say what they saw."""

from collections.abc import Callable

import numpy as np
import torch

import embedseg_ops
from embedseg_ops.evaluate import metrics

Check = Callable[[object], str | None]


# What peers may be off: float32 sums, one after the other, of a million directions that are nearly the same.
ROUGHLY = 1e-2


def close(expected: object, tolerance: float = 1e-5) -> Check:
    """Within `tolerance` of the largest expected value, tensor by tensor; say how far off it is."""

    def check(output: object) -> str:
        largest = 0.0
        outputs, wanted = ([part] if not isinstance(part, tuple) else part for part in (output, expected))
        for one, other in zip(outputs, wanted, strict=True):
            one, other = (torch.as_tensor(value).detach().double() for value in (one, other))
            error = (one.reshape(other.shape) - other).abs().max() / other.abs().max().clamp(min=1e-30)
            assert error <= tolerance, f"off by {error:.1e} of the largest value"
            largest = max(largest, float(error))
        return f"off by {largest:.0e}" if largest else "equal"

    return check


def equal(expected: object) -> Check:
    """Equal everywhere."""

    def check(output: object) -> str:
        different = np.asarray(output).squeeze() != np.asarray(expected).squeeze()
        assert not np.any(different), f"{np.count_nonzero(different)} values differ"
        return "equal"

    return check


def same_components(expected: object) -> Check:
    """Equal but for the numbering."""

    def check(output: object) -> str:
        one, other = np.ravel(output).astype(np.int64), np.ravel(expected).astype(np.int64)
        pairs = np.unique(one * (other.max() + 1) + other)
        assert len(pairs) == len(np.unique(one)) == len(np.unique(other)), "the components differ"
        assert not np.any((one == 0) != (other == 0)), "the masks differ"
        return "equal components"

    return check


def scored(truth: np.ndarray, expected: object | None = None, ties: float = 1e-4) -> Check:
    """Say how good a segmentation is; where one is expected, allow the ties that rounding decides.

    A network gives objects that touch one direction where it takes them for one: their pixels are as close to either,
    to the last bit.
    """

    def check(output: object) -> str:
        labels = np.asarray(output).squeeze()
        if expected is not None:
            different = float(np.mean(labels != np.asarray(expected).squeeze()))
            assert different <= ties, f"{different:.1e} of the pixels differ"
        scores = metrics.evaluate(truth, labels)
        precision = scores.average_precision
        return f"AP50 {precision.values[0]:.3f}, mean AP {precision.mean:.3f}, SBD {scores.symmetric_best_dice:.3f}"

    return check


def reference(operator: str) -> Callable | None:
    return getattr(embedseg_ops.reference, operator, None)
