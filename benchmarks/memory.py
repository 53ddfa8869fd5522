"""Peak memory beyond inputs and outputs: the high-water mark of a fresh process around one call."""

import ctypes
import json
import subprocess
import sys
from dataclasses import dataclass

import torch

from benchmarks.operators import CALLS, chosen
from benchmarks.scene import crowded_cells


@dataclass(frozen=True)
class Peak:
    name: str
    pixels: int
    extra: int  # bytes
    goal: int | None  # bytes

    def __str__(self) -> str:
        verdict = "" if self.goal is None else f", to reach {self.goal / 1e6:.3g}: {self.extra <= self.goal}"
        return f"memory of {self.name}: {self.extra / 1e6:.3g} MB, {self.extra / self.pixels:.3g} B/pixel{verdict}"


def measure(size: int, objects: int, only: str | None) -> list[Peak]:
    pixels = size * size
    loss = 2**20 + 4 * 16 * (objects + 1)  # 1 MB and the K×D table
    goals = {"loss forward": loss, "loss forward + backward": loss, "postprocess": 16 * pixels}
    return [Peak(name, pixels, _in_a_process(name, size, objects), goals.get(name)) for name in chosen(only)]


def _in_a_process(name: str, size: int, objects: int) -> int:
    command = [sys.executable, "-m", "benchmarks.memory", name, str(size), str(objects)]
    return int(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def extra_bytes(name: str, size: int, objects: int) -> int:
    small, scene = crowded_cells(256, 30), crowded_cells(size, objects)
    _ = small.pairs, scene.pairs
    CALLS[name](small)  # the code, every thread and autograd are paid for
    ctypes.CDLL(None).malloc_trim(0)  # freed memory that stays resident would hide what the call takes
    before = _status("VmRSS")
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # the high-water mark falls to what is resident now
    output = CALLS[name](scene)
    return max(_status("VmHWM") - before - _bytes(output), 0)


def _bytes(output: object) -> int:
    if isinstance(output, torch.Tensor):
        return output.nbytes
    return sum(_bytes(part) for part in output) if isinstance(output, tuple) else 0


def _status(field: str) -> int:
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(field))


if __name__ == "__main__":
    operator, *numbers = sys.argv[1:]
    print(json.dumps(extra_bytes(operator, *map(int, numbers))))
