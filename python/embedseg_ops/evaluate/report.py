"""An evaluation as one HTML file: the measures, two charts, and pictures of matches and misses, worst images first."""

import base64
import io
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
from PIL import Image

from embedseg_ops.evaluate import figures
from embedseg_ops.evaluate.charts import Axis, Chart

MATCHED, MISSED, FALSE = ("#{:02x}{:02x}{:02x}".format(*c) for c in (figures.MATCHED, figures.MISSED, figures.FALSE))
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 1200px; padding: 0 1em; color: #222 }
table { border-collapse: collapse; margin-right: 2em } td, th { padding: .1em .8em; text-align: right }
th { border-bottom: 1px solid #aaa } td:first-child, th:first-child { text-align: left }
.row { display: flex; flex-wrap: wrap; gap: 1.5em; align-items: flex-start }
figure { margin: 0 } figcaption { font-size: 13px; max-width: 380px; overflow-wrap: anywhere }
figure img { width: 380px; image-rendering: auto; border-radius: 4px }
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
        summary: from `embedseg_ops.evaluate.summary.summarize`.
        truth: label maps, integer ``[*spatial]``, in the summary's order; of a volume the middle plane is shown.
        prediction: label maps of the same sizes.
        images: what to draw on, ``[C, *spatial]``; None: black.
        pictures: how many images to show, the worst first.
    """
    order = sorted(enumerate(summary["image mean AP"].items()), key=lambda item: item[1][1])[:pictures]
    shown = [
        figure(name, summary, truth[i], prediction[i], None if images is None else images[i]) for i, (name, _) in order
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
    chart = Chart(Axis("IoU", levels[0], levels[-1]), Axis("AP", 0.0, 1.0))
    for values, colour, name in ((summary["AP"], "#1f6feb", "per image"), (summary["pooled AP"], "#999", "pooled")):
        chart.line(levels, values, colour, name)
    return chart.svg()


def count_chart(summary: dict[str, Any]) -> str:
    """Draw every image's number of predicted objects against the true one."""
    counts = np.array(list(summary["image objects"].values())).reshape(-1, 2)
    most = float(max(counts.max(initial=1), 1))
    chart = Chart(Axis("true objects", 0.0, most), Axis("predicted objects", 0.0, most))
    chart.line([0, most], [0, most], "#bbb")
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
