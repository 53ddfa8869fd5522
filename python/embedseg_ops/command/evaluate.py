"""``embedseg-ops evaluate``: predicted labels against the truth."""

import argparse
import textwrap
from pathlib import Path

import numpy as np
from tqdm import tqdm

from embedseg_ops.command.batch import Batch
from embedseg_ops.command.outputs import check_outputs, is_ours
from embedseg_ops.command.speech import one_line
from embedseg_ops.data.errors import DataError
from embedseg_ops.data.samples import gathered
from embedseg_ops.data.writing import write_atomically
from embedseg_ops.evaluate.explanations import EXPLANATIONS
from embedseg_ops.evaluate.report import html_report
from embedseg_ops.evaluate.summary import Pair, find_pairs, read_pair, summarize, table, write_json

HELP = "measure predicted labels against the truth"
EXAMPLE = "evaluate truth labels --report report.html"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options of ``evaluate``."""
    parser.add_argument("truth", type=Path, help="folder of label maps")
    parser.add_argument("prediction", type=Path, help="folder of label maps of the same names")
    parser.add_argument(
        "--spatial-dims", type=int, choices=(2, 3), default=2, help="2 for images, 3 for volumes (default: %(default)s)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the measures there, too")
    parser.add_argument(
        "--report", type=Path, metavar="FILE", help="write an HTML page of measures, charts and pictures there"
    )
    parser.add_argument("--images", type=Path, metavar="FOLDER", help="folder of the images, for the report to draw on")
    parser.add_argument("--explain", action="store_true", help="say what the measures mean")
    parser.add_argument("--overwrite", action="store_true", help="replace files that something else wrote")


def run(options: argparse.Namespace) -> int:
    """Run ``embedseg-ops evaluate``; return the exit status."""
    pairs = find_pairs(options.truth, options.prediction, options.images)
    check(options, pairs)
    batch = Batch(options.debug)
    read: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray | None]] = {}
    with gathered(f"{options.truth} and {options.prediction}"):
        for pair in tqdm(pairs, desc="reading", unit="image", leave=False):
            with batch.attempt(pair.prediction):
                read[pair.name] = read_pair(pair, options.spatial_dims)
    if read:
        truth, prediction, images = map(list, zip(*read.values(), strict=True))
        names = [one_line(name) for name in read]
        summary = summarize(names, truth, prediction)
        print(table(summary))
        if options.json:
            write_json(options.json, summary)
        if options.report:
            page = html_report(summary, truth, prediction, images if options.images else None)
            write_atomically(options.report, page.encode("utf-8"))
        for path in filter(None, (options.json, options.report)):
            print(f"written: {one_line(path)}")
    if options.explain:
        print(*("", *explained()), sep="\n")
    return batch.finish(len(pairs))


def check(options: argparse.Namespace, pairs: list[Pair]) -> None:
    """Refuse outputs that would harm a file, or cannot be written, before anything is read."""
    outputs = [path for path in (options.json, options.report) if path]
    inputs = [path for pair in pairs for path in (pair.truth, pair.prediction, pair.image) if path]
    if len({path.absolute() for path in outputs}) < len(outputs):
        raise DataError(f"{options.json}: --json and --report are the same file")
    for path in outputs:
        if not path.parent.is_dir():
            raise DataError(f"{path}: there is no folder {path.parent}")
        check_outputs([path], inputs, path.parent, [path] if is_ours(path) else [], options.overwrite)


def explained() -> list[str]:
    """Return what the measures mean, in lines for a terminal."""
    indent = " " * 12
    return [
        textwrap.fill(text, 100, initial_indent=f"{name:>10}  ", subsequent_indent=indent)
        for name, text in EXPLANATIONS.items()
    ]
