"""Whether a call gives what the reference gives; where not, whether that is a tie."""

import torch
from torch import Tensor

from .calls import CALLS, Call
from .inputs import Draw

JITTER = 3e-6


def check(seed: int) -> str:
    """Make the call of a seed; return its name, with ``, tie`` behind it where rounding alone decided.

    Raises:
        AssertionError: the results differ.
    """
    draw = Draw(seed)
    call = draw.one_of(CALLS)(draw)
    found, expected = as_tuple(call.ours(*call.tensors)), as_tuple(call.definition(*call.tensors))
    if agree(found, expected, call.tolerance):
        return call.name
    assert is_tie(call, expected, draw), describe(seed, call, found, expected)
    return f"{call.name}, tie"


def as_tuple(result: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Return the results of a call."""
    return (result,) if isinstance(result, Tensor) else tuple(result)


def agree(found: tuple[Tensor, ...], expected: tuple[Tensor, ...], tolerance: float) -> bool:
    """Return whether integers are equal, and numbers within `tolerance` of the largest."""
    for one, other in zip(found, expected, strict=True):
        if one.shape != other.shape:
            return False
        if not other.is_floating_point():
            if not torch.equal(one.long(), other.long()):
                return False
            continue
        finite = other[other.isfinite()].abs()
        largest = float(finite.max()) if len(finite) else 0.0
        close = (one - other).abs() <= tolerance * largest + (2e-6 if tolerance > 1e-8 else 1e-10)
        if not (close | (one.isnan() & other.isnan()) | (one == other)).all():
            return False
    return True


def is_tie(call: Call, expected: tuple[Tensor, ...], draw: Draw) -> bool:
    """Return whether the reference itself changes when its input does by a few millionths."""
    for _ in range(12):
        moved = [
            (t.double() * (1 + JITTER * torch.randn(t.shape, generator=draw.torch, dtype=torch.float64)))
            for t in call.tensors
        ]
        if moved and not agree(as_tuple(call.definition(*moved)), expected, max(call.tolerance / 4, 1e-5)):
            return True
    return False


def describe(seed: int, call: Call, found: tuple[Tensor, ...], expected: tuple[Tensor, ...]) -> str:
    """Return what to look at."""
    parts = [f"seed {seed}: {call.name} differs from the reference"]
    parts += [f"  input {list(t.shape)} {t.dtype} strides {t.stride()}" for t in call.tensors]
    for one, other in zip(found, expected, strict=True):
        unequal = (
            f"{int((one.double() != other.double()).sum())} unequal" if one.shape == other.shape else "other shape"
        )
        parts.append(f"  result {list(one.shape)} {one.dtype}, expected {list(other.shape)}: {unequal}")
    return "\n".join(parts)
