"""A run of the benchmarks as a whole: kept as JSON, shown as Markdown."""

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import growth, report, tables
from benchmarks.growth import Flatness, Point
from benchmarks.harness import Timing
from benchmarks.memory import Peak

START, END = "<!-- benchmarks -->", "<!-- /benchmarks -->"


@dataclass(frozen=True)
class Document:
    machine: dict[str, str]
    scene: dict[str, str] = field(default_factory=dict)  # empty in files from before it was kept
    rows: list[report.Result] = field(default_factory=list)
    memory: list[Peak] = field(default_factory=list)
    growth: list[Point | Flatness] = field(default_factory=list)

    @property
    def wrong(self) -> bool:
        """Anyone's output is wrong, or ours failed."""
        timings = [timing for row in self.rows for timing in row.timings]
        return any(t.note.startswith(("WRONG", "failed") if t.name.startswith("ours") else "WRONG") for t in timings)

    def json(self) -> str:
        return json.dumps(_without_nan(asdict(self)), indent=1) + "\n"

    def markdown(self) -> str:
        parts = [tables.markdown(self.rows, self.machine, self.scene).rstrip()]
        if self.memory:
            parts += ["## Memory beyond inputs and outputs", tables.peaks(self.memory)]
        if self.growth:
            parts += ["## Time per pixel", growth.markdown(self.growth)]
        return "\n\n".join(parts) + "\n"


def read(path: Path) -> Document:
    """Read what `Document.json` wrote, now or in an earlier version."""
    found = json.loads(path.read_text(encoding="utf-8"))
    return Document(
        found["machine"],
        found.get("scene", {}),
        [_result(row) for row in found["rows"]],
        [Peak(**peak) for peak in found.get("memory", [])],
        [(Point if "value" in point else Flatness)(**point) for point in found.get("growth", [])],
    )


def _result(row: dict[str, Any]) -> report.Result:
    timings = [Timing(**_with_nan(timing)) for timing in row["timings"]]
    return report.Result(**{**row, "timings": timings, "verdicts": [report.Verdict(**v) for v in row["verdicts"]]})


def insert(page: str, text: str) -> str:
    """Put text between a page's markers, in place of what is there."""
    before, start, rest = page.partition(START)
    _, end, after = rest.partition(END)
    if not start or not end:
        raise ValueError(f"the page has no place for the benchmarks: {START} … {END}")
    return f"{before}{START}\n\n{text.strip()}\n\n{END}{after}"


def _without_nan(value: object) -> object:
    """JSON knows no NaN."""
    if isinstance(value, dict):
        return {key: _without_nan(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_without_nan(part) for part in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def _with_nan(value: dict[str, Any]) -> dict[str, Any]:
    return {key: math.nan if part is None else part for key, part in value.items()}
