"""What a row is to reach, as ratios of times taken side by side."""

from dataclasses import dataclass


@dataclass(frozen=True)
class AtMost:
    """Ours takes at most `factor` times the sum of the limits."""

    factor: float
    limits: tuple[str, ...]

    def __str__(self) -> str:
        return f"≤ {self.factor:g} x ({' + '.join(self.limits)})"

    def reached(self, mine: float, others: dict[str, float]) -> tuple[float, bool] | None:
        if any(name not in others for name in self.limits):
            return None
        ratio = mine / sum(others[name] for name in self.limits)
        return ratio, ratio <= self.factor


@dataclass(frozen=True)
class Faster:
    """Ours is `factor` times as fast as the fastest of the peers that are installed."""

    factor: float
    peers: tuple[str, ...]

    def __str__(self) -> str:
        return f"≥ {self.factor:g} x faster than {' / '.join(self.peers)}"

    def reached(self, mine: float, others: dict[str, float]) -> tuple[float, bool] | None:
        found = [others[name] for name in self.peers if name in others]
        return (min(found) / mine, min(found) / mine >= self.factor) if found else None


@dataclass(frozen=True)
class Within:
    """Ours takes at most so many seconds."""

    seconds: float

    def __str__(self) -> str:
        return f"≤ {self.seconds * 1e3:g} ms"

    def reached(self, mine: float, others: dict[str, float]) -> tuple[float, bool] | None:
        return mine * 1e3, mine <= self.seconds


@dataclass(frozen=True)
class Share:
    """A part, timed by itself, takes at most this share of ours."""

    part: str
    percent: float

    def __str__(self) -> str:
        return f"{self.part} ≤ {self.percent:g} %"

    def reached(self, mine: float, others: dict[str, float]) -> tuple[float, bool] | None:
        if self.part not in others:
            return None
        share = 100 * others[self.part] / mine
        return share, share <= self.percent


Goal = AtMost | Faster | Within | Share


def at_most(factor: float, *limits: str) -> Goal:
    return AtMost(factor, limits)


def faster(factor: float, *peers: str) -> Goal:
    return Faster(factor, peers)
