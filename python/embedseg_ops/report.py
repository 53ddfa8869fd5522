"""An evaluation as one HTML file: the measures, two charts, and pictures of matches and misses, worst images first."""

import base64
import io
from collections.abc import Sequence
from html import escape
from itertools import pairwise
from typing import Any

import numpy as np
from PIL import Image

from embedseg_ops import figures

WIDTH, HEIGHT, MARGIN = 420, 300, 48  # of a chart, in pixels
MATCHED, MISSED, FALSE = ("#{:02x}{:02x}{:02x}".format(*c) for c in (figures.MATCHED, figures.MISSED, figures.FALSE))
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 1200px; padding: 0 1em; color: #222 }
table { border-collapse: collapse; margin-right: 2em } td, th { padding: .1em .8em; text-align: right }
th { border-bottom: 1px solid #aaa } td:first-child, th:first-child { text-align: left }
.row { display: flex; flex-wrap: wrap; gap: 1.5em; align-items: flex-start }
figure { margin: 0 } figcaption { font-size: 13px; max-width: 380px; overflow-wrap: anywhere }
figure img { width: 380px; image-rendering: auto; border-radius: 4px } svg text { font: 12px system-ui, sans-serif }
"""


def html_report(
    summary: dict[str, Any],
    truth: Sequence[np.ndarray],
    prediction: Sequence[np.ndarray],
    images: Sequence[np.ndarray] | None = None,
    pictures: int = 24,
) -> str:
    """Return a page that needs no other file.

    Args:
        summary: from `embedseg_ops.evaluation.summarize`.
        truth: label maps, integer ``[*spatial]``, in the summary's order; of a volume the middle plane is shown.
        prediction: label maps of the same sizes.
        images: what to draw on, ``[C, *spatial]``; None: black.
        pictures: how many images to show, the worst first.
    """
    precisions = summary["image mean AP"]
    order = sorted(range(len(truth)), key=lambda i: list(precisions.values())[i])[:pictures]
    shown = [
        figure(name, summary, truth[i], prediction[i], None if images is None else images[i])
        for i, name in ((i, list(precisions)[i]) for i in order)
    ]
    key = "".join(
        f'<span style="color:{colour}">■</span> {word} ' for colour, word in
        ((MATCHED, "matched"), (MISSED, "missed"), (FALSE, "false"))
    )  # fmt: skip
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Evaluation</title><style>{STYLE}</style>'
        f"<h1>Mean AP {summary['mean AP']:.3f} on {summary['images']} images</h1>"
        f'<div class="row">{measures(summary)}{precision_chart(summary)}{count_chart(summary)}</div>'
        f'<h2>Worst images first</h2><p>{key} at IoU 0.5</p><div class="row">{"".join(shown)}</div></html>\n'
    )


def measures(summary: dict[str, Any]) -> str:
    """Return the measures as a table."""
    lines = [
        f"<tr><td>AP at IoU {level:.2f}<td>{value:.3f}"
        for level, value in zip(summary["thresholds"], summary["AP"], strict=True)
    ]
    for name in ("mean AP", "SBD", "FBD", "DiC", "|DiC|", "area ratio"):
        value = summary[name]
        lines.append(f"<tr><td>{name}<td>{'-' if value is None else f'{value:.3f}'}")
    return f"<table><tr><th>measure<th>value{''.join(lines)}</table>"


def precision_chart(summary: dict[str, Any]) -> str:
    """Draw AP against IoU: the mean over the images, and of all objects together."""
    levels = summary["thresholds"]
    chart = Chart((levels[0], levels[-1]), (0.0, 1.0), "IoU", "AP")
    for values, colour, name in ((summary["AP"], "#1f6feb", "per image"), (summary["pooled AP"], "#999", "pooled")):
        chart.line(levels, values, colour, name)
    return chart.svg()


def count_chart(summary: dict[str, Any]) -> str:
    """Draw every image's number of predicted objects against the true one."""
    counts = np.array(list(summary["image objects"].values())).reshape(-1, 2)
    most = float(max(counts.max(initial=1), 1))
    chart = Chart((0.0, most), (0.0, most), "true objects", "predicted objects")
    chart.line([0, most], [0, most], "#bbb", "")
    for true, predicted in counts:
        chart.dot(true, predicted, "#1f6feb")
    return chart.svg()


def figure(
    name: str, summary: dict[str, Any], truth: np.ndarray, prediction: np.ndarray, image: np.ndarray | None
) -> str:
    """Return one image with its matches and misses, and its numbers below."""
    truth, prediction = figures.middle_plane(truth), figures.middle_plane(prediction)
    image = None if image is None else figures.drawable(image)
    scale = max(1, round(760 / max(truth.shape[1], 1)))
    picture = figures.matches(truth, prediction, image, scale=scale)
    true, predicted = summary["image objects"][name]
    words = f"{escape(name)}: mean AP {summary['image mean AP'][name]:.3f}, {predicted} objects for {true}"
    return f'<figure><img src="{data_url(picture)}" alt=""><figcaption>{words}</figcaption></figure>'


def data_url(picture: figures.Picture) -> str:
    """Return a picture as a PNG within a URL."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "png")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


class Chart:
    """A small chart with two axes, as SVG.

    Args:
        across: first and last value of the horizontal axis.
        up: of the vertical one.
        across_name: of the horizontal axis.
        up_name: of the vertical one.
    """

    def __init__(self, across: tuple[float, float], up: tuple[float, float], across_name: str, up_name: str):
        self.across, self.up = across, up
        self.parts = [
            f'<text x="{WIDTH / 2}" y="{HEIGHT - 8}" text-anchor="middle">{across_name}</text>',
            f'<text x="8" y="{MARGIN / 2}">{up_name}</text>',
        ]
        for share in (0, 0.25, 0.5, 0.75, 1):
            x, y = (low + share * (high - low) for low, high in (across, up))
            column, row = self.place(x, y)
            self.parts += [
                f'<path d="M{MARGIN} {row:.1f}H{WIDTH - MARGIN / 2}" stroke="#eee"/>',
                f'<text x="{column:.1f}" y="{HEIGHT - MARGIN + 16}" text-anchor="middle">{x:.3g}</text>',
                f'<text x="{MARGIN - 6}" y="{row + 4:.1f}" text-anchor="end">{y:.3g}</text>',
            ]

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Return where a point lies in the picture."""
        (left, right), (bottom, top) = self.across, self.up
        column = MARGIN + (x - left) / (right - left or 1) * (WIDTH - 1.5 * MARGIN)
        return column, HEIGHT - MARGIN - (y - bottom) / (top - bottom or 1) * (HEIGHT - 1.5 * MARGIN)

    def line(self, xs: Sequence[float], ys: Sequence[float], colour: str, name: str) -> None:
        """Draw a line through points, with its name at the last."""
        points = [self.place(x, y) for x, y in zip(xs, ys, strict=True)]
        for (x, y), (to_x, to_y) in pairwise(points):
            self.parts.append(f'<path d="M{x:.1f} {y:.1f}L{to_x:.1f} {to_y:.1f}" stroke="{colour}" stroke-width="2"/>')
        x, y = points[0]
        self.parts.append(f'<text x="{x + 6:.1f}" y="{y - 8:.1f}" fill="{colour}">{name}</text>')

    def dot(self, x: float, y: float, colour: str) -> None:
        """Draw a point."""
        column, row = self.place(x, y)
        self.parts.append(f'<circle cx="{column:.1f}" cy="{row:.1f}" r="3.5" fill="{colour}" fill-opacity=".5"/>')

    def svg(self) -> str:
        """Return the chart."""
        return f'<svg width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}">{"".join(self.parts)}</svg>'
