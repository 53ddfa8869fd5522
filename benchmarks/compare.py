"""`--compare OLD.json`: which of our rows became slower, beyond the noise of both runs."""

import statistics
from dataclasses import dataclass

from benchmarks.document import Document
from benchmarks.harness import Timing
from benchmarks.report import milliseconds

Key = tuple[str, str, int]  # row, contender, threads


@dataclass(frozen=True)
class Noise:
    """How the times of code that did not change, limits and peers, did change: new over old."""

    low: float = 1.0
    high: float = 1.0

    def with_row(self, ratios: list[float]) -> "Noise":
        """A row's contenders run in turn: what slowed most of its others down has slowed ours down."""
        middle = statistics.median(ratios) if ratios else 1.0
        return Noise(min(self.low, middle), max(self.high, middle))

    def __str__(self) -> str:
        return f"what is not ours took {self.low:.3g} to {self.high:.3g} x as long as then (quartiles, and 1)"


@dataclass(frozen=True)
class Change:
    row: str
    old: Timing
    new: Timing
    noise: Noise

    @property
    def verdict(self) -> str:
        """Whether the runs' interquartile ranges stay apart even by what unchanged code moves."""
        if self.new.low > self.old.high * self.noise.high:
            return "SLOWER"
        return "faster" if self.new.high < self.old.low * self.noise.low else "within noise"

    def __str__(self) -> str:
        times = f"{milliseconds(self.old.median)} → {milliseconds(self.new.median)} ms"
        name = f"{self.row}, {self.new.name}, {self.new.threads}t"
        return f"{name}: {times}, {self.new.median / self.old.median:.3g} x, {self.verdict}"


@dataclass(frozen=True)
class Comparison:
    other_machine: list[str]
    other_scene: list[str]
    gone: list[str]
    noise: Noise
    changes: list[Change]

    @property
    def failed(self) -> bool:
        """Something is slower, or nothing could be compared."""
        return bool(self.other_scene) or not self.changes or any(c.verdict == "SLOWER" for c in self.changes)

    def __str__(self) -> str:
        lines = [f"ANOTHER MACHINE, so that times may differ whatever was changed: {d}" for d in self.other_machine]
        lines += [f"ANOTHER SCENE, nothing to compare: {d}" for d in self.other_scene]
        lines += [f"{name}: timed then, not now" for name in self.gone]
        slower = sum(change.verdict == "SLOWER" for change in self.changes)
        return "\n".join([*lines, *map(str, self.changes), str(self.noise), f"{slower} of {len(self.changes)} slower"])


def compare(old: Document, new: Document, part: bool = False) -> Comparison:
    """Compare our times row by row and thread by thread; the limits and the peers tell how noisy the machine is.

    `part`: the other rows were not asked for, so that they are not gone.
    """
    other_scene = _differences(old.scene, new.scene) if old.scene else []
    before, after = _timings(old), _timings(new)
    both = [] if other_scene else [key for key in after if key in before]
    expected = {row.name for row in (new if part else old).rows}
    others = {key: after[key].median / before[key].median for key in both if not _is_ours(key)}
    noise = _noise(list(others.values()))
    rows = {row: noise.with_row([ratio for key, ratio in others.items() if key[0] == row]) for row, _, _ in both}
    return Comparison(
        _differences(old.machine, new.machine, ("cpu", "threads", "python", "torch")),
        other_scene,
        ["{}, {}, {}t".format(*key) for key in before if _is_ours(key) and key not in after and key[0] in expected],
        noise,
        [Change(key[0], before[key], after[key], rows[key[0]]) for key in both if _is_ours(key)],
    )


def _timings(document: Document) -> dict[Key, Timing]:
    return {(row.name, t.name, t.threads): t for row in document.rows for t in row.timings if t.repeats}


def _is_ours(key: Key) -> bool:
    return key[1].startswith("ours")


def _noise(ratios: list[float]) -> Noise:
    if len(ratios) < 2:
        return Noise(min([1.0, *ratios]), max([1.0, *ratios]))
    low, _, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return Noise(min(low, 1.0), max(high, 1.0))


def _differences(old: dict[str, str], new: dict[str, str], keys: tuple[str, ...] | None = None) -> list[str]:
    keys = keys or tuple(dict.fromkeys((*old, *new)))
    return [f"{key} {new.get(key)}, then {old.get(key)}" for key in keys if old.get(key) != new.get(key)]
