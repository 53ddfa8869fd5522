"""A run's rows as Markdown tables: ours beside the limits, the others, and what is to be reached."""

from collections.abc import Iterable, Sequence

from benchmarks import limits
from benchmarks.memory import Peak
from benchmarks.report import Result, describe, milliseconds, rate


def markdown(results: list[Result], machine: dict[str, str], scene: dict[str, str]) -> str:
    threads = int(machine["threads"])
    head = [f"Medians in milliseconds; {machine['cpu']}, {threads} threads, torch {machine.get('torch', '?')}."]
    if scene:
        head.append("The scene: {name}, {size}, {objects} objects, D = {D}, {dtype}.".format(**scene))
    titles = ("row", "ours, 1 thread", f"ours, {threads} threads", "limits")
    others = ("row", "other", "ms", "times as long as ours")
    goals = ("row", "to reach: reached")
    parts = ["\n".join(head), table(titles, "lrrl", (times(result, threads) for result in results))]
    for title, found in (
        ("## Other implementations", table(others, "llrr", (cells for result in results for cells in beside(result)))),
        ("## Goals", table(goals, "ll", ((r.name, describe(verdict)) for r in results for verdict in r.verdicts))),
    ):
        parts += [title, found] if found else []
    return "\n\n".join(parts)


def peaks(found: list[Peak]) -> str:
    """Return the peak memory of every operator as a table."""

    def verdict(peak: Peak) -> str:
        if peak.goal is None:
            return ""
        return f"≤ {peak.goal / 1e6:.3g} MB, {'reached' if peak.extra <= peak.goal else 'NOT REACHED'}"

    rows = ((p.name, f"{p.extra / 1e6:.3g}", f"{p.extra / p.pixels:.3g}", verdict(p)) for p in found)
    return table(("operator", "MB", "bytes a pixel", "to reach: reached"), "lrrl", rows)


def table(titles: Sequence[str], alignment: str, rows: Iterable[Sequence[str]]) -> str:
    """Return a table of these rows, each column aligned (l)eft or (r)ight; nothing without rows."""
    lines = [f"| {' | '.join(cells)} |" for cells in rows]
    dashes = " | ".join({"l": "---", "r": "---:"}[side] for side in alignment)
    return "\n".join([f"| {' | '.join(titles)} |", f"| {dashes} |", *lines]) if lines else ""


def times(result: Result, threads: int) -> tuple[str, ...]:
    mine = {}
    for t in result.timings:
        if t.name == "ours":
            mine[t.threads] = "<br>".join(filter(None, (milliseconds(t.median), rate(result, t))))
    bounds = [f"{name} {milliseconds(time)}" for name, time in result.others.items() if name in limits.NAMES]
    return result.name, mine.get(1, "-"), mine.get(threads, "-"), " · ".join(bounds)


def beside(result: Result) -> list[tuple[str, ...]]:
    ours = result.ours.median if result.ours else float("nan")
    peers = {name: time for name, time in result.others.items() if name not in limits.NAMES}
    return [(result.name, name, milliseconds(time), f"{time / ours:.3g}") for name, time in peers.items()]
