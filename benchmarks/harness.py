"""How time is taken: contenders in turn (A B A B …), threads pinned, and the very outputs that are timed checked."""

import importlib
import os
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import IntEnum
from importlib import metadata

import torch

import embedseg_ops
from benchmarks.goals import Goal

ALL_THREADS = torch.get_num_threads()
ONE_AND_ALL = tuple(dict.fromkeys((1, ALL_THREADS)))
FEWEST, MOST = 5, 200  # runs within a budget: the quartiles of fewer say nothing, those of more nothing new
PACKAGES = (
    "torch", "numpy", "scipy", "cv2", "skimage", "sklearn", "cc3d", "edt", "stardist", "cellpose", "embedseg_ops",
)  # fmt: skip


class Effort(IntEnum):
    QUICK = 0  # a small scene, no peer that takes seconds
    FULL = 1
    SLOW = 2  # and peers that take minutes


@dataclass(frozen=True)
class Contender:
    """One way to compute a row's result."""

    name: str
    run: Callable[[], object] | None  # None: see `missing`
    threads: tuple[int, ...] = (ALL_THREADS,)
    check: Callable[[object], object] | None = None  # raises an AssertionError for a wrong output
    missing: str = ""
    prepares: bool = False  # the first call compiles, or makes its input
    traffic: int = 0  # bytes that have to be read and written at least; 0: not counted


@dataclass(frozen=True)
class Row:
    name: str
    contenders: list[Contender]
    goals: list[Goal] = field(default_factory=list)
    amount: float = 0.0  # of work in one run, in `unit`s; 0: not counted
    unit: str = ""


@dataclass
class Timing:
    name: str
    threads: int
    median: float = float("nan")  # seconds
    best: float = float("nan")  # what to look at where others use the machine
    low: float = float("nan")  # quartiles
    high: float = float("nan")
    repeats: int = 0
    note: str = ""
    traffic: int = 0  # bytes


def ours(operator: str, run: Callable[[], object], check: Callable[[object], object], traffic: int) -> Contender:
    exists = hasattr(embedseg_ops, operator)
    missing = "" if exists else "not built"
    return Contender("ours", run if exists else None, ONE_AND_ALL, check, missing, traffic=traffic)


def can_import(package: str) -> bool:
    """Whether a package is there with all that it needs; some are installed for their data alone."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            importlib.import_module(package)
        except ImportError:
            return False
    return True


def peer(name: str, package: str, run: Callable[[], object], **options) -> Contender:
    """A contender that needs a package, or says that it is not installed."""
    installed = can_import(package)
    return Contender(name, run if installed else None, missing="" if installed else "not installed", **options)


def planar(contender: Contender, axes: int) -> Contender:
    """For what its package does in 2D alone."""
    return contender if axes == 2 else replace(contender, run=None, missing="2D only")


def set_threads(threads: int) -> None:
    torch.set_num_threads(threads)
    if (cv2 := sys.modules.get("cv2")) is not None:
        cv2.setNumThreads(threads)
    torch.zeros(1 << 16).add_(1)  # the pool's first parallel region after a change costs; none of ours shall pay it


def time_row(row: Row, budget: float) -> list[Timing]:
    """Run every contender `budget` seconds long, in turn; check what the last runs gave."""
    entries = [
        (c, Timing(c.name, threads, note=c.missing, traffic=c.traffic)) for c in row.contenders for threads in c.threads
    ]
    runs = [_Runs(contender, timing) for contender, timing in entries]
    planned = [run.warm_up(budget) for run in runs]
    for turn in range(max(planned, default=0)):
        for run, times in zip(runs, planned, strict=True):
            if turn < times:
                run.once()
    for run in runs:
        if run.seconds:
            _summarise(run.timing, run.seconds)
            _check(run.contender, run.timing, run.output)
    return [timing for _, timing in entries]


class _Runs:
    """The runs of one contender on one number of threads: how long each took, and what the last one gave."""

    def __init__(self, contender: Contender, timing: Timing) -> None:
        self.contender, self.timing = contender, timing
        self.seconds: list[float] = []
        self.output: object = None

    def once(self) -> None:
        self.output = None  # a call must not pay for freeing the previous output
        set_threads(self.timing.threads)
        start = time.perf_counter()
        self.output = self.contender.run()
        self.seconds.append(time.perf_counter() - start)

    def warm_up(self, budget: float) -> int:
        """Run untimed, and plan how many times to run; a run far beyond the budget has to do as it is."""
        if self.contender.run is None:
            return 0
        print(f"  {self.contender.name}, {self.timing.threads} threads …", file=sys.stderr, flush=True)
        try:
            for _ in range(2 if self.contender.prepares else 1):
                self.once()
        except Exception as error:  # a peer that fails is a result, not the end of the run
            self.seconds.clear()
            self.timing.note = f"failed: {type(error).__name__}: {' '.join(str(error).split())}"[:120]
            return 0
        last = self.seconds[-1]
        self.seconds = [last] if last > 3 * budget else []
        return 0 if self.seconds else int(min(max(budget / last, FEWEST), MOST))


def _summarise(timing: Timing, times: list[float]) -> None:
    timing.repeats, timing.best = len(times), min(times)
    timing.median = statistics.median(times)
    timing.low, _, timing.high = statistics.quantiles(times, n=4, method="inclusive") if len(times) > 1 else times * 3


def _check(contender: Contender, timing: Timing, output: object) -> None:
    if contender.check is None:
        return
    try:
        timing.note = str(contender.check(output) or "checked")
    except AssertionError as error:
        timing.note = f"WRONG: {' '.join(str(error).split())}"[:120]


def versions() -> dict[str, str]:
    """The machine, how busy it is, and the versions of everything that is imported."""
    cpu = "unknown"
    with suppress(OSError), open("/proc/cpuinfo") as info:
        cpu = next((line.split(":")[1].strip() for line in info if line.startswith("model name")), cpu)
    return {
        "cpu": cpu,
        "threads": str(ALL_THREADS),
        "load": f"{os.getloadavg()[0]:.2f}",
        "python": sys.version.split()[0],
        **{name: version_of(name) for name in PACKAGES if name in sys.modules},
    }


def version_of(package: str) -> str:
    told = getattr(sys.modules[package], "__version__", None)
    return told or metadata.version(metadata.packages_distributions()[package][0])
