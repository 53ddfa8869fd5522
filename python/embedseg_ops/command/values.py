"""Readers of options' values, which say what they expect."""

import argparse
import math
import re
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

from embedseg_ops.data.units import micrometres
from embedseg_ops.model.devices import DEVICES, choose_device


def whole(least: int, also: Collection[int] = (), most: float = math.inf) -> Callable[[str], int]:
    """Return a reader of whole numbers from `least` to `most`, and of those in `also`."""

    def read(text: str) -> int:
        value = int(text)
        if value > most:
            raise argparse.ArgumentTypeError(f"expected {most} or less, got {value}")
        if value < least and value not in also:
            others = "".join(f"{number} or " for number in also)
            raise argparse.ArgumentTypeError(f"expected {others}{least} or more, got {value}")
        return value

    read.__name__ = "int"  # argparse says it in its errors
    return read


def number(least: float = 0.0, above: bool = False) -> Callable[[str], float]:
    """Return a reader of finite numbers from `least`, or above it."""

    def read(text: str) -> float:
        value = float(text)
        if not (math.isfinite(value) and (value > least if above else value >= least)):
            expected = f"above {least:g}" if above else f"of {least:g} or more"
            raise argparse.ArgumentTypeError(f"expected a finite number {expected}, got {text}")
        return value

    read.__name__ = "float"
    return read


def one_of(*known: int) -> Callable[[str], int]:
    """Return a reader of a whole number that is one of those known."""

    def read(text: str) -> int:
        value = int(text)
        if value not in known:
            raise argparse.ArgumentTypeError(f"expected {' or '.join(map(str, known))}, got {value}")
        return value

    read.__name__ = "int"
    return read


def add_device(parser: argparse.ArgumentParser) -> None:
    """Give a parser the option of the network's device."""
    parser.add_argument("--device", type=device, help=f"{DEVICES} (default: CUDA where there is one, else the CPU)")


def device(text: str) -> str:
    """Read the name of a device that this torch can use."""
    if not re.fullmatch(r"(cpu|cuda|mps)(:\d+)?", text):
        raise argparse.ArgumentTypeError(f"expected {DEVICES}, got {text!r}")
    try:
        choose_device(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def words(known: Collection[str]) -> Callable[[str], list[str]]:
    """Return a reader of words with commas between them."""

    def read(text: str) -> list[str]:
        given = [word.strip() for word in text.split(",")]
        unknown = sorted(set(given) - set(known))
        if unknown:
            raise argparse.ArgumentTypeError(f"unknown {', '.join(map(repr, unknown))}; expected {', '.join(known)}")
        return given

    return read


def plane(text: str) -> Any:
    """Read the number of a plane, or the word all."""
    return text if text == "all" else whole(0)(text)


plane.__name__ = "plane"


class Length(NamedTuple):
    """A length in pixels, or in µm.

    Args:
        value: how much.
        unit: "µm", or nothing for pixels.
    """

    value: float
    unit: str = ""

    def pixels(self, sizes: Sequence[float] | None) -> float:
        """Return the length in pixels of these sides, in µm: of the square (cube) that is as large.

        Raises:
            ValueError: it is in µm, and nobody knows how large a pixel is.
        """
        if not self.unit:
            return self.value
        if sizes is None:
            raise ValueError(
                f"a length of {self.value:g} µm needs the size of a pixel, which the file does not tell: give pixels"
            )
        return self.value / math.prod(sizes) ** (1 / len(sizes))


def length(text: str) -> Length:
    """Read a length above 0, in pixels or with a unit."""
    match = re.fullmatch(r"([-+.\deE]+)\s*(\D*)", text)
    digits, unit = match.groups() if match else (text, "")
    try:
        value: float | None = number(above=True)(digits)
    except ValueError:
        value = None
    if value is not None and unit:
        value = micrometres(value, unit)
    if value is None:
        raise argparse.ArgumentTypeError(f"expected a number of pixels, or a length such as 8um, got {text!r}")
    return Length(value, "µm" if unit else "")
