"""`python -m benchmarks`: every operator beside its physical limit and its peers."""

import argparse
import json
import sys
from pathlib import Path

from benchmarks import growth, memory, report
from benchmarks.harness import Effort, time_row, versions
from benchmarks.rows import MODULES
from benchmarks.scene import crowded_cells


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    effort = Effort.QUICK if options.quick else Effort.SLOW if options.slow else Effort.FULL
    size, objects, budget = (256, 40, 0.1) if options.quick else (1024, 500, options.seconds)
    load = versions()["load"]
    if float(load) > 0.5:
        print(f"others use this machine (load {load}): times will be too long", file=sys.stderr)
    scene = crowded_cells(size, objects)
    modules = [module for module in MODULES if options.only is None or options.only in module.__name__]
    results = []
    for module in modules:
        for row in module.rows(scene, effort):
            print(f"{row.name} …", file=sys.stderr, flush=True)
            results.append(report.judge(row, time_row(row, budget)))
            print(report.text(results[-1]), flush=True)
    more = {}
    if options.memory:
        more["memory"] = memory.measure(size, objects, options.only)
    if options.growth:
        more["growth"] = growth.measure(options.only, small=options.quick)
    for found in more.values():
        print("", *found, sep="\n")
    write(options, results, {**versions(), "load": load}, more)
    return 1 if any(t.note.startswith("WRONG") for result in results for t in result.timings) else 0


def parse(arguments: list[str] | None) -> argparse.Namespace:
    names = [module.__name__.rpartition(".")[2] for module in MODULES]
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", metavar="ROW", choices=names, help=f"one of: {', '.join(names)}")
    parser.add_argument("--quick", action="store_true", help="a small scene and no slow peers, in seconds")
    parser.add_argument("--slow", action="store_true", help="also peers that take minutes")
    parser.add_argument("--seconds", type=float, default=3.0, help="to spend on each contender (default 3)")
    parser.add_argument("--memory", action="store_true", help="also the peak memory beyond inputs and outputs")
    parser.add_argument("--growth", action="store_true", help="also the time per pixel against size and objects (long)")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--markdown", type=Path, metavar="FILE")
    return parser.parse_args(arguments)


def write(
    options: argparse.Namespace, results: list[report.Result], machine: dict[str, str], more: dict[str, list]
) -> None:
    if options.json:
        asdicts = {name: [vars(found) for found in measured] for name, measured in more.items()}
        options.json.write_text(json.dumps(report.document(results, machine, **asdicts), indent=1) + "\n")
    if options.markdown:
        lists = ("\n".join(["", *(f"- {found}" for found in measured), ""]) for measured in more.values())
        options.markdown.write_text("".join([report.markdown(results, machine), *lists]))


if __name__ == "__main__":
    raise SystemExit(main())
