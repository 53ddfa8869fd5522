"""Charts as SVG, without a plotting library."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

INTERVALS = 5  # between an axis's values, at most
SLACK = 1e-6  # of a step, for rounding
WIDTH, HEIGHT, MARGIN, KEY = 420, 300, 48, 170  # of a chart, around it, and of the key beside it at least, in pixels
LETTER = 7  # pixels; the widest that a letter of a name is on average


@dataclass(frozen=True)
class Axis:
    """An axis from one value to another.

    Args:
        name: what is written on it.
        first: the value at its start.
        last: the value at its end.
        log: whether equal ratios are equally long.
    """

    name: str
    first: float
    last: float
    log: bool = False

    @classmethod
    def decades(cls, name: str, values: Sequence[float]) -> "Axis":
        """Return a logarithmic axis of whole powers of ten around `values`, all above 0."""
        low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
        return cls(name, 10.0**low, 10.0 ** max(high, low + 1), log=True)

    def share(self, value: float) -> float:
        """Return where a value lies: 0 at the first, 1 at the last."""
        first, last = self.first, self.last
        if self.log:
            first, last, value = math.log10(first), math.log10(last), math.log10(value)
        return (value - first) / (last - first or 1)

    def ticks(self) -> list[float]:
        """Return the values to write on the axis: powers of ten, or multiples of a round step."""
        if self.log:
            return [10.0**power for power in range(round(math.log10(self.first)), round(math.log10(self.last)) + 1)]
        if self.last <= self.first:
            return [self.first]
        step = round_step((self.last - self.first) / INTERVALS)
        low, high = math.ceil(self.first / step - SLACK), math.floor(self.last / step + SLACK)
        return [multiple * step for multiple in range(low, high + 1)]


class Chart:
    """A small chart with two axes.

    Args:
        across: the horizontal axis.
        up: the vertical one.
    """

    def __init__(self, across: Axis, up: Axis):
        self.across, self.up = across, up
        self.parts = [
            text(WIDTH / 2, HEIGHT - 8, across.name, anchor="middle"),
            text(8, MARGIN / 2 - 10, up.name),
        ]
        self.names: list[str] = []
        self.colours: list[str] = []
        for x in across.ticks():
            self.parts.append(text(self.place(x, up.first)[0], HEIGHT - MARGIN + 16, number(x), anchor="middle"))
        for y in up.ticks():
            _, row = self.place(across.first, y)
            self.parts.append(f'<path d="M{MARGIN} {row:.1f}H{WIDTH - MARGIN / 2}" stroke="#eee"/>')
            self.parts.append(text(MARGIN - 6, row + 4, number(y), anchor="end"))

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Return where a point lies in the picture."""
        column = MARGIN + self.across.share(x) * (WIDTH - 1.5 * MARGIN)
        return column, HEIGHT - MARGIN - self.up.share(y) * (HEIGHT - 1.5 * MARGIN)

    def line(self, xs: Sequence[float], ys: Sequence[float], colour: str, name: str = "") -> None:
        """Draw a line through points, in dashes if its colour is in use; its name goes into the key at the side."""
        points = "L".join(f"{x:.1f} {y:.1f}" for x, y in (self.place(*point) for point in zip(xs, ys, strict=True)))
        mark, dashes = ("╌", ' stroke-dasharray="6 4"') if colour in self.colours else ("―", "")
        self.parts.append(f'<path d="M{points}" fill="none" stroke="{colour}" stroke-width="2"{dashes}/>')
        self.colours.append(colour)
        if name:
            self.names.append(name)
            self.parts.append(text(WIDTH, MARGIN / 2 + 18 * len(self.names), f"{mark} {name}", colour))

    def dot(self, x: float, y: float, colour: str) -> None:
        """Draw a point."""
        column, row = self.place(x, y)
        self.parts.append(f'<circle cx="{column:.1f}" cy="{row:.1f}" r="3.5" fill="{colour}" fill-opacity=".5"/>')

    def svg(self) -> str:
        """Return the chart."""
        key = max(KEY, LETTER * (2 + max(map(len, self.names)))) if self.names else 0
        return svg(WIDTH + key, HEIGHT, self.parts)


def round_step(least: float) -> float:
    """Return the smallest of 1, 2 and 5 times a power of ten that is at least `least`, but for rounding."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(power * digit for digit in (1, 2, 5, 10) if power * digit >= least * (1 - SLACK))


def number(value: float) -> str:
    """Return a number with three digits, or with all before the point."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def text(x: float, y: float, words: str, colour: str = "#222", anchor: str = "start") -> str:
    """Return words at a place, which `anchor` calls their start, middle or end."""
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" text-anchor="{anchor}">{escape(words)}</text>'


def svg(width: float, height: float, parts: Sequence[str]) -> str:
    """Return a picture that can stand in a page as well as in a file, readable on any background."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'font-family="system-ui, sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>'
        f"{''.join(parts)}</svg>"
    )
