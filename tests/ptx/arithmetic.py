"""What PTX's arithmetic computes, on vectors of threads. Rounding is IEEE's, to nearest.

float32 fma is computed in float64, float64 fma in extended precision, and rounded again: the last bit can differ from
the hardware's once in 2²⁹ and in 2¹¹ cases.
"""

from collections.abc import Callable

import numpy as np

BFLOAT16_LOW = np.uint32(0x7FFF)


def compute(name: list[str], dtype: np.dtype) -> Callable[..., np.ndarray]:
    """The function of an instruction's operands, all of the given type but shift widths, which are uint32."""
    opcode, modifiers = name[0], name[1:]
    if opcode in ("mul", "mad", "mul24") and dtype.kind != "f":
        multiply = _multiply_wide if "wide" in modifiers else _multiply_high if "hi" in modifiers else np.multiply
        return multiply if opcode == "mul" else lambda a, b, c: multiply(a, b) + c
    if opcode in ("div", "rem") and dtype.kind != "f":
        return _divide if opcode == "div" else lambda a, b: a - b * _divide(a, b)
    if opcode in ("min", "max") and dtype.kind == "f":
        return np.fmin if opcode == "min" else np.fmax
    if opcode == "bfind" and "shiftamt" in modifiers:
        return lambda a: np.where(a == 0, np.uint32(0xFFFFFFFF), leading_zeros(a))
    if opcode == "shf":
        return lambda low, high, width: _funnel_shift(low, high, width, "l" in modifiers)
    return SIMPLE[opcode]


def compare(operator: str) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Of setp; those with a u behind are true for what is no number, too."""
    if operator in ("nan", "num"):
        return lambda a, b: (np.isnan(a) | np.isnan(b)) == (operator == "nan")
    if operator == "ne":
        return lambda a, b: (a != b) & (a == a) & (b == b)
    if operator in NEGATED:
        return lambda a, b: ~NEGATED[operator](a, b)
    return COMPARE[operator]


def convert(name: list[str]) -> Callable[[np.ndarray], np.ndarray]:
    """Of cvt: from the last type in its name to the one before."""
    to, source = name[-2:]
    if source == "bf16":
        return lambda a: (a.astype(np.uint32) << 16).view(np.float32)
    if to == "bf16":
        return _to_bfloat16
    target = np.dtype({"s": "i", "f": "f"}.get(to[0], "u") + str(int(to[1:]) // 8))
    rounded = next((ROUND[modifier] for modifier in name if modifier in ROUND), None)
    if source[0] == "f" and target.kind != "f":
        return lambda a: _saturate((rounded or np.trunc)(a), target)
    return lambda a: (rounded(a) if rounded else a).astype(target)


def leading_zeros(a: np.ndarray) -> np.ndarray:
    bits, length = a.dtype.itemsize * 8, np.zeros(np.shape(a), np.uint32)
    for shift in (32, 16, 8, 4, 2, 1):
        if shift < bits:
            high = a >> a.dtype.type(shift) != 0
            length, a = length + np.where(high, np.uint32(shift), np.uint32(0)), np.where(high, a >> shift, a)
    return np.uint32(bits) - length - (a != 0).astype(np.uint32)


def _multiply_wide(a, b):
    wide = np.dtype(f"{a.dtype.kind}{2 * a.dtype.itemsize}")
    return a.astype(wide) * b.astype(wide)


def _multiply_high(a, b):
    product = np.multiply(a, b, dtype=object) >> (8 * a.dtype.itemsize)
    return np.asarray(product).astype(a.dtype)


def _divide(a, b):
    quotient = np.abs(a) // np.where(b == 0, 1, np.abs(b)).astype(a.dtype)
    signed = np.where((a < 0) != (b < 0), -quotient, quotient) if a.dtype.kind == "i" else quotient
    return np.where(b == 0, a.dtype.type(-1 if a.dtype.kind == "i" else np.iinfo(a.dtype).max), signed)


def _shift_left(a, width):
    bits = a.dtype.itemsize * 8
    return np.where(width >= bits, a.dtype.type(0), a << np.minimum(width, bits - 1).astype(a.dtype))


def _shift_right(a, width):
    bits = a.dtype.itemsize * 8
    shifted = a >> np.minimum(width, bits - 1).astype(a.dtype)
    return shifted if a.dtype.kind == "i" else np.where(width >= bits, a.dtype.type(0), shifted)


def _funnel_shift(low, high, width, left: bool):
    both, width = np.asarray(high, np.uint64) << np.uint64(32) | low, np.asarray(width, np.uint64) & np.uint64(31)
    return ((both << width) >> np.uint64(32) if left else both >> width).astype(np.uint32)


def _reverse_bits(a):
    for shift, mask in ((1, 0x55555555), (2, 0x33333333), (4, 0x0F0F0F0F), (8, 0x00FF00FF), (16, 0x0000FFFF)):
        a = ((a >> np.uint32(shift)) & np.uint32(mask)) | ((a & np.uint32(mask)) << np.uint32(shift))
    return a


def _insert_bits(a, b, start, length):
    kind = a.dtype.type
    mask = _shift_left(kind(1), length) - kind(1)
    return (b & ~_shift_left(mask, start)) | _shift_left(a & mask, start)


def _fused(a, b, c):
    wide = np.float64 if a.dtype == np.float32 else np.longdouble
    return (a.astype(wide) * b.astype(wide) + c.astype(wide)).astype(a.dtype)


def _saturate(a, target):
    limits = np.iinfo(target)
    inside = np.nan_to_num(a.astype(np.longdouble), nan=0.0, posinf=limits.max, neginf=limits.min)
    return np.clip(inside, limits.min, limits.max).astype(target)


def _to_bfloat16(a):
    bits = a.view(np.uint32)
    rounded = (bits + BFLOAT16_LOW + (bits >> 16 & 1)) >> 16
    return np.where(np.isnan(a), 0x7FFF, rounded).astype(np.uint16)


ROUND = {"rni": np.rint, "rzi": np.trunc, "rmi": np.floor, "rpi": np.ceil}
COMPARE = {
    "eq": np.equal, "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal,
    "lo": np.less, "ls": np.less_equal, "hi": np.greater, "hs": np.greater_equal,
}  # fmt: skip
NEGATED = {
    "neu": np.equal, "gtu": np.less_equal, "geu": np.less, "ltu": np.greater_equal, "leu": np.greater,
    "equ": lambda a, b: (a < b) | (a > b),
}  # fmt: skip
SIMPLE = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "fma": _fused, "neg": np.negative,
    "abs": np.abs, "min": np.minimum, "max": np.maximum, "sqrt": np.sqrt, "rcp": lambda a: a.dtype.type(1) / a,
    "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor, "not": np.invert,
    "shl": _shift_left, "shr": _shift_right, "popc": lambda a: np.bitwise_count(a).astype(np.uint32),
    "clz": leading_zeros, "brev": _reverse_bits, "bfi": _insert_bits, "lg2": np.log2, "ex2": np.exp2,
    "copysign": lambda sign, size: np.copysign(size, sign),
    "selp": lambda a, b, condition: np.where(condition, a, b), "mov": lambda a: a, "cvta": lambda a: a,
}  # fmt: skip
