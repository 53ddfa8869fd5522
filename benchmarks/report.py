"""A row's results: judged, and printed."""

import math
from dataclasses import dataclass, field, replace

from benchmarks import limits
from benchmarks.goals import Goal
from benchmarks.harness import Row, Timing


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
    amount: float = 0.0  # of work in one run, in `unit`s
    unit: str = ""

    @property
    def ours(self) -> Timing | None:
        """On as many threads as were tried."""
        return max((t for t in self.timings if t.name == "ours" and t.repeats), key=lambda t: t.threads, default=None)

    @property
    def others(self) -> dict[str, float]:
        """The medians to compare with: a peer's on its best number of threads, a limit's on ours."""
        found: dict[str, float] = {}
        for t in self.timings:
            comparable = t.name not in limits.NAMES or self.ours is None or t.threads == self.ours.threads
            if t.repeats and t.name != "ours" and comparable:
                found[t.name] = min(t.median, found.get(t.name, math.inf))
        return found


def judge(row: Row, timings: list[Timing]) -> Result:
    result = Result(row.name, timings, amount=row.amount, unit=row.unit)
    return replace(result, verdicts=[_verdict(goal, result) for goal in row.goals])


def _verdict(goal: Goal, result: Result) -> Verdict:
    found = result.ours and goal.reached(result.ours.median, result.others)
    return Verdict(str(goal), *(found or (None, None)))


def text(result: Result) -> str:
    lines = [f"\n{result.name}"]
    for t in result.timings:
        spread = f"{milliseconds(t.median):>9} ms  [{milliseconds(t.low)}, {milliseconds(t.high)}] x {t.repeats}"
        notes = f"{rate(result, t):<15} {t.note}" if result.unit else t.note
        lines.append(f"  {t.name:<39}{t.threads}t {spread if t.repeats else '':<44} {notes}".rstrip())
    return "\n".join([*lines, *(f"  → {describe(verdict)}" for verdict in result.verdicts)])


def describe(verdict: Verdict) -> str:
    if verdict.value is None:
        return f"{verdict.goal}: nothing to compare"
    unit = {"ms": "", "%": " %"}.get(verdict.goal.split()[-1], " x")
    return f"{verdict.goal}: {verdict.value:.3g}{unit}, {'reached' if verdict.reached else 'NOT REACHED'}"


def milliseconds(seconds: float) -> str:
    return "-" if math.isnan(seconds) else f"{seconds * 1e3:.3g}" if seconds < 1 else f"{seconds * 1e3:.0f}"


def rate(result: Result, timing: Timing) -> str:
    return f"{result.amount / timing.median:.3g} {result.unit}/s" if result.unit and timing.repeats else ""
