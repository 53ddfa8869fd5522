"""An evaluation as one HTML file: the measures, two charts, and pictures of matches and misses, worst images first."""

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from embedseg_ops.evaluate import figures
from embedseg_ops.evaluate.charts import Axis, Chart
from embedseg_ops.evaluate.explanations import EXPLANATIONS
from embedseg_ops.version import __version__

COLOURS = {"matched": figures.MATCHED, "missed": figures.MISSED, "false": figures.FALSE}


def html_report(
    summary: dict[str, Any],
    truth: Sequence[np.ndarray],
    prediction: Sequence[np.ndarray],
    images: Sequence[np.ndarray] | None = None,
    pictures: int = 24,
) -> str:
    """Return a page that needs no other file; its template is ``report.html.j2``.

    Args:
        summary: from `embedseg_ops.evaluate.summary.summarize`.
        truth: label maps, integer ``[*spatial]``, in the summary's order; of a volume the middle plane is shown.
        prediction: label maps of the same sizes.
        images: what to draw on, ``[C, *spatial]``; None: black.
        pictures: how many images to show, the worst first.
    """
    environment = Environment(loader=PackageLoader(__package__, "."), autoescape=True, undefined=StrictUndefined)
    order = sorted(enumerate(summary["image mean AP"].items()), key=lambda item: item[1][1])[:pictures]
    shown = [
        picture_of(name, summary, truth[i], prediction[i], None if images is None else images[i])
        for i, (name, _) in order
    ]
    return environment.get_template("report.html.j2").render(
        version=__version__, summary=summary, measures=measures(summary), explanations=EXPLANATIONS, pictures=shown,
        colours={word: "#{:02x}{:02x}{:02x}".format(*colour) for word, colour in COLOURS.items()},
        precision_chart=Markup(precision_chart(summary)), count_chart=Markup(count_chart(summary)),
    )  # fmt: skip


def measures(summary: dict[str, Any]) -> list[tuple[str, float | None, str]]:
    """Return the name, the value and the explanation of every measure."""
    levels = zip(summary["thresholds"], summary["AP"], strict=True)
    rows = [(f"AP at IoU {level:.2f}", value, EXPLANATIONS["AP"]) for level, value in levels]
    others = ("mean AP", "SBD", "FBD", "DiC", "|DiC|", "area ratio")
    return [*rows, *((name, summary[name], EXPLANATIONS[name]) for name in others)]


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


def picture_of(
    name: str, summary: dict[str, Any], truth: np.ndarray, prediction: np.ndarray, image: np.ndarray | None
) -> dict[str, Any]:
    """Return one image with its matches and misses, and its numbers."""
    truth, prediction = figures.middle_plane(truth), figures.middle_plane(prediction)
    image = None if image is None else figures.drawable(image)
    scale = max(1, round(760 / max(truth.shape[1], 1)))
    picture = figures.matches(truth, prediction, image, scale=scale, gamma=figures.DIM)
    true, predicted = summary["image objects"][name]
    precision = summary["image mean AP"][name]
    return {"name": name, "url": data_url(picture), "precision": precision, "true": true, "predicted": predicted}


def data_url(picture: figures.Picture) -> str:
    """Return a picture as a PNG within a URL."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "png")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
