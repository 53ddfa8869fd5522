"""Workers that are forked, spawned, or started by a server, on very many images: start, memory and open files.

``python -m benchmarks.workers [--count 10000] [--steps 20]``

A tiny model trains for some steps on images of 64² in TIFF. Times are of the processor, of one thread of the training
process. Memory is each process's share of what is in memory (PSS, Linux) amid training, beyond that with ten images.
"""

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch

from benchmarks.samples import write_folder
from embedseg_ops.data.known import Known
from embedseg_ops.data.sample_files import open_folder
from embedseg_ops.model.settings import Settings
from embedseg_ops.train.options import Options
from embedseg_ops.train.trainer import Trainer

METHODS = ("fork", "spawn", "forkserver")
FEW, SIDE, WORKERS = 10, 64, 2


@dataclass
class Found:
    """What was measured: seconds, and for each process bytes and open files."""

    start: float
    memory: list[int] = field(default_factory=list)
    files: list[int] = field(default_factory=list)


def train(folder: Path, cache: Path, method: str, steps: int) -> Found:
    """Train with workers that are started in one way; look at all processes amid the last step but one."""
    multiprocessing.set_start_method(method)
    torch.set_num_threads(1)
    begun = time.process_time()
    with Known(cache) as known:
        samples = open_folder(folder, known=known)
    found = Found(time.process_time() - begun)
    options = Options(steps=steps, batch=4, crop=32, workers=WORKERS, bf16=False)
    with tempfile.TemporaryDirectory() as out:
        trainer = Trainer(out, Settings(filters=2, dim=2), samples, [], options, "cpu")
        step = trainer.train_step

        def look(*crops: torch.Tensor) -> object:
            if trainer.step == steps - 1:
                for process in [os.getpid(), *descendants(os.getpid())]:
                    found.memory.append(pss(process))
                    found.files.append(len(os.listdir(f"/proc/{process}/fd")))
            return step(*crops)

        trainer.train_step = look
        trainer.run()
    return found


def descendants(process: int) -> list[int]:
    """Return the processes that a process started, and those that they did."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return [one for child in map(int, children) for one in (child, *descendants(child))]


def pss(process: int) -> int:
    """Return the bytes of a process in memory; of what several share, its part."""
    rollup = Path(f"/proc/{process}/smaps_rollup").read_text()
    return 1024 * int(rollup.partition("\nPss:")[2].split()[0])


def in_process(*arguments: object) -> Found:
    """Call `train` in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.workers", "--train", *map(str, arguments)]
    return Found(**json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.workers", description=__doc__)
    parser.add_argument("--count", type=int, default=10000, help="images (%(default)s)")
    parser.add_argument("--steps", type=int, default=20, help="of training (%(default)s)")
    parser.add_argument("--train", nargs=4, metavar=("FOLDER", "CACHE", "METHOD", "STEPS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.train:
        folder, cache, method, steps = options.train
        print(json.dumps(asdict(train(Path(folder), Path(cache), method, int(steps)))))
        return
    with tempfile.TemporaryDirectory() as name:
        few, many = (write_folder(Path(name) / str(count), "TIFF", SIDE, count) for count in (FEW, options.count))
        time.sleep(3)  # files that have just been written may change within the tick of the clock
        for number, method in enumerate(METHODS):
            base = in_process(few, few / "cache", method, options.steps)
            for _ in range(2 if number == 0 else 1):
                found = in_process(many, many / "cache", method, options.steps)
                print(f"{method}, {options.count} images: {shown(found, base)}", flush=True)
        print(f"the file of what is known: {(many / 'cache').stat().st_size / 2**20:.1f} MiB")


def shown(found: Found, base: Found) -> str:
    """Return figures in words."""
    memory = " + ".join(f"{(one - other) / 2**20:.0f}" for one, other in zip(found.memory, base.memory, strict=True))
    total = (sum(found.memory) - sum(base.memory)) / 2**20
    return (f"{found.start:.2f} s to begin, {total:.0f} MiB more than with {FEW} ({memory}), of "
            f"{sum(found.memory) / 2**20:.0f}; {max(found.files)} files open at most")  # fmt: skip


if __name__ == "__main__":
    main()
