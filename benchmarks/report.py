"""What is printed, and written as JSON and Markdown."""

import math
from dataclasses import asdict, dataclass, field

from benchmarks import limits
from benchmarks.goals import Goal
from benchmarks.harness import ALL_THREADS, Row, Timing


@dataclass(frozen=True)
class Verdict:
    goal: str
    value: float | None  # a ratio, or milliseconds where the goal is a time; None: nothing to compare with
    reached: bool | None


@dataclass(frozen=True)
class Result:
    name: str
    timings: list[Timing]
    verdicts: list[Verdict] = field(default_factory=list)


def judge(row: Row, timings: list[Timing]) -> Result:
    mine = next((t.median for t in timings if t.name == "ours" and t.threads == ALL_THREADS and t.repeats), None)
    others: dict[str, float] = {}
    for timing in timings:  # a peer is as fast as on its best number of threads, a limit as on ours
        if timing.repeats and (timing.name not in limits.NAMES or timing.threads == ALL_THREADS):
            others[timing.name] = min(timing.median, others.get(timing.name, math.inf))
    return Result(row.name, timings, [_verdict(goal, mine, others) for goal in row.goals])


def _verdict(goal: Goal, mine: float | None, others: dict[str, float]) -> Verdict:
    found = None if mine is None else goal.reached(mine, others)
    return Verdict(str(goal), *(found or (None, None)))


def text(result: Result) -> str:
    lines = [f"\n{result.name}"]
    for t in result.timings:
        spread = f"{milliseconds(t.median):>9} ms  [{milliseconds(t.low)}, {milliseconds(t.high)}] x {t.repeats}"
        lines.append(f"  {t.name:<34}{t.threads}t {spread if t.repeats else '':<44} {t.note}".rstrip())
    return "\n".join([*lines, *(f"  → {describe(verdict)}" for verdict in result.verdicts)])


def describe(verdict: Verdict) -> str:
    if verdict.value is None:
        return f"{verdict.goal}: nothing to compare"
    unit = "" if verdict.goal.endswith("ms") else " x"
    return f"{verdict.goal}: {verdict.value:.3g}{unit}, {'reached' if verdict.reached else 'NOT REACHED'}"


def milliseconds(seconds: float) -> str:
    return "-" if math.isnan(seconds) else f"{seconds * 1e3:.3g}" if seconds < 1 else f"{seconds * 1e3:.0f}"


def markdown(results: list[Result], machine: dict[str, str]) -> str:
    """One line a row: the limits, ours, the peers, and what is to be reached."""
    lines = [
        f"Medians in milliseconds; {machine['cpu']}, {machine['threads']} threads, torch {machine.get('torch', '?')}.",
        "",
        f"| row | ours, 1 thread | ours, {ALL_THREADS} threads | limits and others | to reach: reached |",
        "| --- | ---: | ---: | --- | --- |",
    ]
    for result in results:
        mine = {t.threads: milliseconds(t.median) for t in result.timings if t.name == "ours"}
        timed = [t for t in result.timings if t.repeats and t.name != "ours"]
        others = {t.name: f"{t.name} {milliseconds(t.median)}" for t in timed}
        goals = "<br>".join(describe(verdict) for verdict in result.verdicts)
        cells = (result.name, mine.get(1, "-"), mine.get(ALL_THREADS, "-"), " · ".join(others.values()), goals)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def document(results: list[Result], machine: dict[str, str], **more: object) -> dict[str, object]:
    return without_nan({"machine": machine, "rows": [asdict(result) for result in results], **more})


def without_nan(value: object) -> object:
    """JSON knows no NaN."""
    if isinstance(value, dict):
        return {key: without_nan(part) for key, part in value.items()}
    if isinstance(value, list):
        return [without_nan(part) for part in value]
    return None if isinstance(value, float) and math.isnan(value) else value
