"""`python -m benchmarks`: every operator beside its physical limit and its peers.

The results are printed, and go where the options say; with `--from` they are those of an earlier run.
"""

import argparse
import os
import sys
from itertools import chain
from pathlib import Path

from benchmarks import document, growth, memory, nature, plots, report
from benchmarks.compare import compare
from benchmarks.document import Document
from benchmarks.harness import Effort, time_row, versions
from benchmarks.rows import MODULES
from benchmarks.scene import Scene, crowded_cells
from benchmarks.variants import Variant, everything, operator
from embedseg_ops.model.registry import DEFAULT, MODEL_HELP


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    found = document.read(options.source) if options.source else measure(options)
    write(options, found)
    comparison = compare(document.read(options.compare[0]), found, bool(options.only)) if options.compare else None
    if comparison:
        print("", comparison, sep="\n")
    return 1 if found.wrong or (comparison and comparison.failed) else 0


def parse(arguments: list[str] | None) -> argparse.Namespace:
    names = [operator(module) for module in MODULES]
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", metavar="ROW", choices=names, help=f"one of: {', '.join(names)}")
    parser.add_argument("--quick", action="store_true", help="a small scene and no slow peers, in seconds")
    parser.add_argument("--slow", action="store_true", help="also peers that take minutes")
    parser.add_argument("--seconds", type=float, default=3.0, help="to spend on each contender (default 3)")
    parser.add_argument("--scene", type=Path, metavar="FOLDER", help="a prediction on the most crowded of its images")
    parser.add_argument("--model", default=DEFAULT, help=f"what predicts it: {MODEL_HELP}")
    parser.add_argument(
        "--variants", action="store_true", help="also the rows in 3D, for D = 4 to 32, in float32 and bfloat16 (long)"
    )
    parser.add_argument("--memory", action="store_true", help="also the peak memory beyond inputs and outputs")
    parser.add_argument("--growth", action="store_true", help="also the time per pixel against size and objects (long)")
    parser.add_argument("--from", dest="source", type=Path, metavar="FILE", help="measure nothing, take this JSON")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was measured there, for --from")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables there, too")
    parser.add_argument("--plots", type=Path, metavar="FOLDER", help="draw SVGs there")
    parser.add_argument(
        "--page", type=Path, metavar="FILE", help=f"put the table and the plots between {document.START} and its end"
    )
    parser.add_argument(
        "--compare", type=Path, nargs="+", metavar="JSON", help="OLD [NEW]: fail if ours is slower in NEW, or now"
    )
    options = parser.parse_args(arguments)
    if options.compare and len(options.compare) > 1:
        if len(options.compare) > 2 or options.source:
            parser.error("--compare takes OLD and one NEW")
        options.source = options.compare[1]
    return options


def measure(options: argparse.Namespace) -> Document:
    effort = Effort.QUICK if options.quick else Effort.SLOW if options.slow else Effort.FULL
    size, objects, budget = (256, 40, 0.1) if options.quick else (1024, 500, options.seconds)
    machine = versions()
    if float(machine["load"]) > 0.5:
        print(f"others use this machine (load {machine['load']}): times will be too long", file=sys.stderr)
    scene = choose_scene(options, size, objects)
    variants = [Variant("", lambda: scene, MODULES), *(everything(size, objects) if options.variants else [])]
    rows = []
    for row in chain.from_iterable(variant.rows(options.only, effort) for variant in variants):
        print(f"{row.name} …", file=sys.stderr, flush=True)
        rows.append(report.judge(row, time_row(row, budget)))
        print(report.text(rows[-1]), flush=True)
    peaks = memory.measure(size, objects, options.only) if options.memory else []
    points = growth.measure(options.only, small=options.quick) if options.growth else []
    for found in filter(None, (peaks, points)):
        print("", *found, sep="\n")
    return Document({**versions(), "load": machine["load"]}, scene.description, rows, peaks, points)


def choose_scene(options: argparse.Namespace, size: int, objects: int) -> Scene:
    if options.scene is None:
        return crowded_cells(size, objects)
    try:
        return nature.predicted(options.scene, options.model, size if options.quick else None)
    except (OSError, ValueError) as error:
        raise SystemExit(f"python -m benchmarks: {error}") from error


def write(options: argparse.Namespace, found: Document) -> None:
    pictures = plots.write(found, options.plots) if options.plots else []
    if options.json:
        options.json.write_text(found.json(), encoding="utf-8")
    if options.markdown:
        options.markdown.write_text(found.markdown(), encoding="utf-8")
    if options.page:
        links = [f"![{file.stem}]({Path(os.path.relpath(file, options.page.parent)).as_posix()})" for file in pictures]
        text = "\n\n".join([found.markdown().strip(), *(["## Plots", *links] if links else [])])
        options.page.write_text(document.insert(options.page.read_text(encoding="utf-8"), text), encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(main())
