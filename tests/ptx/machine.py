"""Threads that run a kernel's PTX, all those at one instruction at once, as vectors.

The lowest instruction goes first, so that a warp's threads that went apart meet again: executed so, what a GPU has to
do is counted. Drawn in an order, threads are stopped and go on one by one at random, whatever their warp: what relies
on more than barriers and collectives goes wrong sooner or later. A thread that polls (an acquiring load) lets all
others go first. A kernel that can never end is a fault.
"""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from .memory import SECTOR, Fault, Memory
from .program import Kernel
from .steps import make_step

WARP = 32
READY, POLITE, MEETING, AT_BARRIER, DONE = range(5)
STOPPED = -1  # of a step that has said itself how its threads go on
SHUFFLED_STEPS = 1000
MOST_AT_ONCE = 1 << 14  # threads, of blocks that need not be there together


@dataclass
class Counts:
    """What launches have to do; a warp's or a block's work counted once."""

    launches: int = 0
    instructions: Counter = field(default_factory=Counter)  # executed by warps, by name
    read: int = 0  # bytes of 32-byte sectors, each warp's loads for themselves
    written: int = 0
    read_once: int = 0  # of distinct sectors in a launch
    written_once: int = 0
    atomics: Counter = field(default_factory=Counter)  # threads' atomics in global memory, by address
    barriers: int = 0  # of blocks
    grid_barriers: int = 0


class Machine:
    """Runs kernels. `order` seeds the shuffling of threads; None: in step, and counted."""

    def __init__(self, memory: Memory, order: int | None = None):
        self.memory, self.counts = memory, Counts()
        self.random = None if order is None else np.random.default_rng(order)
        self._steps: dict[int, list] = {}

    def launch(self, kernel: Kernel, blocks: int, threads: int, dynamic_bytes: int, together: bool, arguments):
        """`arguments`: the bytes of each."""
        if kernel.name not in self._steps:
            self._steps[kernel.name] = [make_step(kernel, each) for each in kernel.instructions]
        at_once = blocks if together else max(1, MOST_AT_ONCE // threads)
        self.memory.footprint()
        first_blocks = list(range(0, blocks, at_once))
        if self.random is not None:
            self.random.shuffle(first_blocks)
        for first in first_blocks:
            _Run(self, kernel, range(first, min(first + at_once, blocks)), blocks, threads, dynamic_bytes, arguments)()
        self.counts.launches += 1
        read, written = self.memory.footprint()
        self.counts.read_once += read
        self.counts.written_once += written


class _Run:
    """Some blocks of a launch, that run at the same time."""

    def __init__(self, machine, kernel, blocks, all_blocks, threads, dynamic_bytes, arguments):
        self.memory, self.counts, self.random = machine.memory, machine.counts, machine.random
        self.kernel, self.steps = kernel, machine._steps[kernel.name]
        self.threads, self.count = threads, len(blocks) * threads
        self.registers: dict[str, np.ndarray] = {}
        self.pc, self.status = np.zeros(self.count, np.int32), np.full(self.count, READY, np.uint8)
        thread = np.arange(self.count)
        warps = -(-threads // WARP)
        self.lane = thread % threads % WARP
        self.warp = thread // threads * warps + thread % threads // WARP
        self.special = {
            "%tid.x": (thread % threads).astype(np.uint32), "%ntid.x": np.uint32(threads),
            "%ctaid.x": (thread // threads + blocks[0]).astype(np.uint32), "%nctaid.x": np.uint32(all_blocks),
        }  # fmt: skip
        self.special |= {f"%{name}.{axis}": np.uint32(name[0] == "n") for name in
                         ("tid", "ntid", "ctaid", "nctaid") for axis in "yz"}  # fmt: skip
        self._give_memory(len(blocks), kernel.shared_bytes + dynamic_bytes, arguments)

    def _give_memory(self, blocks: int, shared_bytes: int, arguments: list[bytes]) -> None:
        self.own = []
        self.symbols = {symbol: np.uint64(offset) for symbol, offset in self.kernel.shared.items()}
        for symbol, value in zip(self.kernel.parameters, arguments, strict=True):
            self.symbols[symbol] = self._add(np.frombuffer(value, np.uint8).copy(), True)
        workspace = self._add(np.zeros(64, np.uint8), True)  # of the grid's barrier
        self.special["%envreg1"] = np.uint32(int(workspace) >> 32)
        self.special["%envreg2"] = np.uint32(int(workspace) & 0xFFFFFFFF)
        stride = -(-shared_bytes // 64) * 64 + 64
        shared = np.full((blocks, stride), 0x5A, np.uint8)
        starts = [self._add(row[:shared_bytes], False, shared=True) for row in shared] if shared_bytes else [0]
        self.shared_base = np.repeat(np.array(starts, np.uint64), self.count // len(starts))

    def _add(self, array: np.ndarray, defined: bool, shared: bool = True) -> np.uint64:
        begin = array.__array_interface__["data"][0]
        self.memory.add(begin, array.size, defined, shared)
        self.own.append((begin, array))
        return np.uint64(begin)

    def __call__(self) -> None:
        while self._run_some():
            pass
        for begin, _ in self.own:
            self.memory.remove(begin)

    def _run_some(self) -> bool:
        ready = np.flatnonzero(self.status == READY)
        if not len(ready):
            self.status[self.status == POLITE] = READY
            ready = np.flatnonzero(self.status == READY)
        if not len(ready):
            if (self.status == DONE).all():
                return False
            raise Fault(f"the kernel is stuck: {(self.status == MEETING).sum()} threads wait for others of their warp, "
                        f"{(self.status == AT_BARRIER).sum()} at a barrier")  # fmt: skip
        steps = -1
        if self.random is not None:
            share = 2.0 ** -self.random.integers(0, 4)
            ready = ready[self.random.random(len(ready)) < share] if share * len(ready) > 2 else ready
            steps = int(self.random.integers(1, SHUFFLED_STEPS))
        if len(ready):
            self._run(ready, steps)
        return True

    def _run(self, ready: np.ndarray, steps: int) -> None:
        """The lowest instructions of some threads, until others of them have to go first."""
        pcs = self.pc[ready]
        pc = int(pcs.min())
        active = ready[pcs == pc]
        others = int(pcs[pcs > pc].min(initial=np.iinfo(np.int32).max))
        warps = self._warps(active)
        while pc < others and steps != 0:
            instruction = self.kernel.instructions[pc]
            self.counts.instructions[".".join(instruction.name)] += warps
            self.current, chosen, skipped = pc, active, active[:0]
            if instruction.guard:
                holds = self.registers[instruction.guard][active] != instruction.negated
                chosen, skipped = active[holds], active[~holds]
            target = self.steps[pc](self, chosen) if len(chosen) else None
            if target is not None and (target == STOPPED or len(skipped)):
                if target != STOPPED:
                    self.pc[chosen] = target
                self.pc[skipped] = pc + 1
                return
            pc = pc + 1 if target is None else target
            steps -= 1
        self.pc[active] = pc

    def _warps(self, active: np.ndarray) -> int:
        return int(np.count_nonzero(np.diff(self.warp[active]))) + 1

    def stop(self, active: np.ndarray, status: int) -> int:
        """Threads that go on behind this instruction when they are ready again."""
        self.pc[active], self.status[active] = self.current + (status != MEETING), status
        return STOPPED

    def meet(self, active: np.ndarray, masks, exchange) -> int:
        """Threads that wait for those of their warp that a mask names; exchange(threads that are complete, masks)."""
        self.stop(active, MEETING)
        here = np.flatnonzero((self.status == MEETING) & (self.pc == self.current))
        mask = np.broadcast_to(masks(self, here), here.shape).astype(np.uint32)
        if ((mask >> self.lane[here].astype(np.uint32)) & 1 == 0).any():
            raise Fault("a collective without the lane that asks for it")
        bits = np.zeros(int(self.warp[-1]) + 1, np.uint32)
        np.bitwise_or.at(bits, self.warp[here], np.uint32(1) << self.lane[here].astype(np.uint32))
        alive = np.zeros_like(bits)
        left = np.flatnonzero(self.status != DONE)
        np.bitwise_or.at(alive, self.warp[left], np.uint32(1) << self.lane[left].astype(np.uint32))
        if (mask & ~alive[self.warp[here]]).any():
            raise Fault("a collective names a lane that has ended, or was never there")
        complete = (mask & ~bits[self.warp[here]]) == 0
        chosen = here[complete]
        exchange(self, chosen, mask[complete])
        self.pc[chosen], self.status[chosen] = self.current + 1, READY
        return STOPPED

    def wait_for_block(self, active: np.ndarray) -> int:
        self.stop(active, AT_BARRIER)
        return self._release()

    def end(self, active: np.ndarray) -> int:
        self.stop(active, DONE)
        return self._release()

    def _release(self) -> int:
        """Blocks all of whose threads wait go on."""
        status = self.status.reshape(-1, self.threads)
        waiting = status == AT_BARRIER
        if (waiting.any(1) & (status == DONE).any(1)).any():
            raise Fault("a thread ended before a barrier")
        complete = waiting.all(1)
        status[complete] = READY
        self.counts.barriers += int(complete.sum())
        return STOPPED

    def count_sectors(self, active: np.ndarray, addresses: np.ndarray) -> int:
        """Bytes of the sectors that each warp asks for."""
        if self.memory.is_shared(int(addresses[0])):
            return 0
        key = self.warp[active].astype(np.uint64) << np.uint64(43) | addresses // np.uint64(SECTOR)
        return SECTOR * len(np.unique(key))
