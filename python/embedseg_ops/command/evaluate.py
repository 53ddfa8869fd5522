"""``embedseg-ops evaluate``: predicted labels against the truth."""

import argparse
from pathlib import Path

from embedseg_ops.evaluate import report
from embedseg_ops.evaluate.summary import read_images, read_pairs, summarize, table, write_json

HELP = "measure predicted labels against the truth"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options of ``evaluate``."""
    parser.add_argument("truth", type=Path, help="folder of label maps")
    parser.add_argument("prediction", type=Path, help="folder of label maps of the same names")
    parser.add_argument("--spatial-dims", type=int, default=2, help="2 for images, 3 for volumes (%(default)s)")
    parser.add_argument("--json", type=Path, help="write the measures there, too")
    parser.add_argument("--report", type=Path, help="write an HTML page of measures, charts and pictures there")
    parser.add_argument("--images", type=Path, help="folder of the images, for the report to draw on")


def run(options: argparse.Namespace) -> None:
    """Run ``embedseg-ops evaluate``."""
    names, truth, prediction = read_pairs(options.truth, options.prediction, options.spatial_dims)
    summary = summarize(names, truth, prediction)
    print(table(summary))
    if options.json:
        write_json(options.json, summary)
    if options.report:
        images = read_images(options.images, names, truth) if options.images else None
        options.report.write_text(report.html_report(summary, truth, prediction, images), encoding="utf-8")
