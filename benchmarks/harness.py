"""How time is taken: contenders in turn (A B A B …), threads pinned, and the very outputs that are timed checked."""

import importlib.util
import os
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import IntEnum

import torch

import embedseg_ops
from benchmarks.goals import Goal

ALL_THREADS = torch.get_num_threads()
ONE_AND_ALL = tuple(dict.fromkeys((1, ALL_THREADS)))


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


@dataclass(frozen=True)
class Row:
    name: str
    contenders: list[Contender]
    goals: list[Goal] = field(default_factory=list)


@dataclass
class Timing:
    name: str
    threads: int
    median: float = float("nan")  # seconds
    low: float = float("nan")  # quartiles
    high: float = float("nan")
    repeats: int = 0
    note: str = ""


def ours(operator: str, run: Callable[[], object], check: Callable[[object], object] | None = None) -> Contender:
    exists = hasattr(embedseg_ops, operator)
    return Contender("ours", run if exists else None, ONE_AND_ALL, check, "" if exists else "not built")


def peer(name: str, package: str, run: Callable[[], object], **options) -> Contender:
    """A contender that needs a package, or says that it is not installed."""
    installed = importlib.util.find_spec(package) is not None
    return Contender(name, run if installed else None, missing="" if installed else "not installed", **options)


def set_threads(threads: int) -> None:
    torch.set_num_threads(threads)
    if (cv2 := sys.modules.get("cv2")) is not None:
        cv2.setNumThreads(threads)
    torch.zeros(1 << 16).add_(1)  # the pool's first parallel region after a change costs; none of ours shall pay it


def time_row(row: Row, budget: float) -> list[Timing]:
    """Run every contender `budget` seconds long, in turn; check what the last runs gave."""
    entries = [(c, Timing(c.name, threads, note=c.missing)) for c in row.contenders for threads in c.threads]
    planned = [_warm_up(contender, timing, budget) for contender, timing in entries]
    samples: list[list[float]] = [[] for _ in entries]
    outputs: list[object] = [None for _ in entries]
    for turn in range(max(planned, default=0)):
        for index, (contender, timing) in enumerate(entries):
            if turn < planned[index]:
                outputs[index] = None  # a call must not pay for freeing the previous output, nor have it in its way
                set_threads(timing.threads)
                start = time.perf_counter()
                outputs[index] = contender.run()
                samples[index].append(time.perf_counter() - start)
    for (contender, timing), times, output in zip(entries, samples, outputs, strict=True):
        if times:
            _summarise(timing, times)
            _check(contender, timing, output)
    return [timing for _, timing in entries]


def _warm_up(contender: Contender, timing: Timing, budget: float) -> int:
    """Run once, and plan how many times to run; 0 where the contender cannot."""
    if contender.run is None:
        return 0
    print(f"  {contender.name}, {timing.threads} threads …", file=sys.stderr, flush=True)
    set_threads(timing.threads)
    start = time.perf_counter()
    try:
        contender.run()
    except Exception as error:  # a peer that fails is a result, not the end of the run
        timing.note = f"failed: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:120]
        return 0
    seconds = time.perf_counter() - start
    return 1 if seconds > 3 * budget else int(min(max(budget / seconds, 2), 200))


def _summarise(timing: Timing, times: list[float]) -> None:
    timing.repeats = len(times)
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
    names = ("torch", "numpy", "scipy", "cv2", "skimage", "sklearn", "cc3d", "edt", "stardist", "embedseg_ops")
    found = {name: sys.modules[name] for name in names if name in sys.modules}
    return {
        "cpu": cpu,
        "threads": str(ALL_THREADS),
        "load": f"{os.getloadavg()[0]:.2f}",
        "python": sys.version.split()[0],
        **{name: str(getattr(module, "__version__", "?")) for name, module in found.items()},
    }
