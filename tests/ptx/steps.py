"""Instructions as functions of a run and of the threads that execute them."""

import re
from collections.abc import Callable

import numpy as np

from .arithmetic import compare, compute, convert
from .memory import Fault
from .program import Instruction, Kernel

Step = Callable[..., int | None]


def make_step(kernel: Kernel, instruction: Instruction) -> Step:
    """The function of a run and its threads; it returns where they jump to, None for the next instruction."""
    opcode = instruction.name[0]
    if opcode in SPECIAL:
        return SPECIAL[opcode](kernel, instruction)
    if opcode == "mov" and "{" in "".join(instruction.operands):
        return _pack(kernel, instruction)
    name, dtype = instruction.name, instruction.dtype
    kinds = [dtype] * (len(instruction.operands) - 1)
    if opcode == "setp":
        function = compare(name[1])
    elif opcode == "cvt":
        function = convert(name)
    else:
        function = compute(name, dtype)
    if opcode == "selp":
        kinds[2] = np.dtype(bool)
    elif opcode in ("shl", "shr"):
        kinds[1] = np.dtype(np.uint32)
    elif opcode == "bfi":
        kinds[2:] = [np.dtype(np.uint32)] * 2
    elif opcode == "mad" and "wide" in name:
        kinds[2] = np.dtype(f"{dtype.kind}{2 * dtype.itemsize}")
    readers = [_reader(kernel, *each) for each in zip(instruction.operands[1:], kinds, strict=True)]
    write = _writer(kernel, instruction.operands[0])

    def step(run, active):
        write(run, active, function(*(read(run, active) for read in readers)))

    return step


def _reader(kernel: Kernel, operand: str, dtype: np.dtype):
    """The function of a run and its threads that gives an operand's values, or its one value."""
    unsigned = np.dtype(f"u{dtype.itemsize}")
    if re.match(r"%(n?tid|n?ctaid|envreg)", operand):
        return lambda run, active: run.special[operand][active] if run.special[operand].ndim else run.special[operand]
    if operand.startswith("%"):
        if dtype.kind == "b":
            return lambda run, active: run.registers[operand][active]
        if np.dtype(kernel.register_dtype(operand)).itemsize == dtype.itemsize:
            return lambda run, active: run.registers[operand][active].view(dtype)
        return lambda run, active: run.registers[operand][active].astype(unsigned).view(dtype)
    if re.fullmatch(r"0[fdFD][0-9a-fA-F]+", operand):
        return _constant(unsigned.type(int(operand[2:], 16)).view(dtype))
    if re.fullmatch(r"-?(0x)?[0-9a-fA-F]+U?", operand):
        value = int(operand.rstrip("U"), 0)
        return _constant(dtype.type(value) if dtype.kind in "fb" else _wrapped(value, unsigned, dtype))
    text = np.uint64(0)  # of an assertion's message: not kept, since only the call that ends all would read it
    return lambda run, active: run.symbols.get(operand, text)


def _wrapped(value: int, unsigned: np.dtype, dtype: np.dtype):
    return unsigned.type(value % (1 << 8 * unsigned.itemsize)).view(dtype)


def _constant(value):
    return lambda run, active: value


def _writer(kernel: Kernel, register: str):
    """The function of a run, its threads and values that puts these into a register, extended as their type says."""
    own = np.dtype(kernel.register_dtype(register))

    def write(run, active, values):
        values = np.asarray(values)
        if values.dtype.kind == "f":
            values = values.view(f"u{values.dtype.itemsize}")
        if own.kind != "b" and values.dtype != own:
            values = values.astype(f"{'i' if values.dtype.kind == 'i' else 'u'}{own.itemsize}").view(own)
        if register not in run.registers:
            run.registers[register] = np.zeros(run.count, own)
        run.registers[register][active] = values

    return write


def _parts(operand: str) -> list[str]:
    return [part.strip() for part in operand.strip("{}").split(",")]


def _pack(kernel: Kernel, instruction: Instruction) -> Step:
    """Two halves to a whole, or a whole to its halves."""
    target, source = instruction.operands
    whole = instruction.dtype
    half = np.dtype(f"u{whole.itemsize // 2}")
    bits = whole.type(8 * half.itemsize)
    if target.startswith("{"):
        read, writers = _reader(kernel, source, whole), [_writer(kernel, part) for part in _parts(target)]

        def step(run, active):
            value = read(run, active)
            writers[0](run, active, value.astype(half))
            writers[1](run, active, (value >> bits).astype(half))
    else:
        low, high = (_reader(kernel, part, half) for part in _parts(source))
        write = _writer(kernel, target)

        def step(run, active):
            write(run, active, low(run, active).astype(whole) | high(run, active).astype(whole) << bits)

    return step


def _address(kernel: Kernel, instruction: Instruction, operand: str):
    base, plus = re.fullmatch(r"\[\s*([^+\s]+)\s*\+?\s*(-?\d+)?\s*\]", operand).groups()
    read, offset = _reader(kernel, base, np.dtype(np.uint64)), np.uint64(int(plus or 0) % 2**64)
    shared = "shared" in instruction.name

    def addresses(run, active):
        own = np.broadcast_to(read(run, active) + offset, active.shape)
        return own + run.shared_base[active] if shared else own

    return addresses


def _load(kernel: Kernel, instruction: Instruction) -> Step:
    from .machine import POLITE

    dtype, parameter = instruction.dtype, "param" in instruction.name
    addresses = _address(kernel, instruction, instruction.operands[1])
    writers = [_writer(kernel, part) for part in _parts(instruction.operands[0])]
    polls = not {"acquire", "volatile", "relaxed"}.isdisjoint(instruction.name)

    def step(run, active):
        places = addresses(run, active)
        values = run.memory.load(places, dtype.itemsize, len(writers))
        for write, value in zip(writers, values, strict=True):
            write(run, active, value.view(dtype))
        if not parameter:
            run.counts.read += run.count_sectors(active, places)
        return run.stop(active, POLITE) if polls else None

    return step


def _store(kernel: Kernel, instruction: Instruction) -> Step:
    if "param" in instruction.name:  # of a call
        return lambda run, active: None
    addresses = _address(kernel, instruction, instruction.operands[0])
    unsigned = np.dtype(f"u{instruction.dtype.itemsize}")
    readers = [_reader(kernel, part, unsigned) for part in _parts(instruction.operands[1])]

    def step(run, active):
        places = addresses(run, active)
        values = [np.broadcast_to(read(run, active), active.shape) for read in readers]
        run.memory.store(places, values)
        run.counts.written += run.count_sectors(active, places)

    return step


def _atomic(kernel: Kernel, instruction: Instruction) -> Step:
    returns = instruction.name[0] == "atom"
    operands = instruction.operands[1:] if returns else instruction.operands
    kind = next(word for word in instruction.name if word in ("add", "min", "max", "or", "and", "exch", "cas"))
    places_of = _address(kernel, instruction, operands[0])
    readers = [_reader(kernel, operand, instruction.dtype) for operand in operands[1:]]
    write = _writer(kernel, instruction.operands[0]) if returns else None

    def step(run, active):
        places = places_of(run, active)
        values = [np.broadcast_to(read(run, active), active.shape) for read in readers]
        found = run.memory.update(places, instruction.dtype, kind, values)
        if write is not None:
            write(run, active, found.view(instruction.dtype))
        if not run.memory.is_shared(int(places[0])):
            addresses, times = np.unique(places, return_counts=True)
            run.counts.atomics.update(dict(zip(addresses.tolist(), times.tolist(), strict=True)))
        elif "release" in instruction.name:  # of a block that arrives at the grid's barrier
            run.counts.grid_barriers += int((run.special["%ctaid.x"][active] == 0).any())

    return step


def _collective(kernel: Kernel, instruction: Instruction) -> Step:
    opcode, name, operands = instruction.name[0], instruction.name, instruction.operands
    target = operands[0].split("|")[0]
    kinds = {"vote": bool, "redux": instruction.dtype, "match": f"u{instruction.dtype.itemsize}"}
    read = _reader(kernel, operands[1], np.dtype(kinds.get(opcode, np.uint32)))
    masks = _reader(kernel, operands[-1], np.dtype(np.uint32))
    lane = _reader(kernel, operands[2], np.dtype(np.int32)) if opcode == "shfl" else None
    write = _writer(kernel, target)

    def exchange(run, active, mask):
        if opcode == "shfl":
            source = _source_lane(name[2], run.lane[active], np.broadcast_to(lane(run, active), active.shape))
            values = read(run, active - run.lane[active] + source)
            return write(run, active, values)
        own = np.broadcast_to(read(run, active), active.shape)
        table = np.zeros((int(run.warp[-1]) + 1, 32), own.dtype)
        table[run.warp[active], run.lane[active]] = own
        warp, member = table[run.warp[active]], mask[:, None] >> np.arange(32, dtype=np.uint32) & 1 != 0
        write(run, active, _combine(name, own, warp, member))

    return lambda run, active: run.meet(active, masks, exchange)


def _source_lane(mode: str, own: np.ndarray, by: np.ndarray) -> np.ndarray:
    there = {"idx": by & 31, "up": own - by, "down": own + by, "bfly": own ^ by}[mode]
    return np.where((there < 0) | (there > 31), own, there)


def _combine(name: list[str], own: np.ndarray, warp: np.ndarray, member: np.ndarray) -> np.ndarray:
    bits = np.uint32(1) << np.arange(32, dtype=np.uint32)
    if name[0] == "redux":
        if name[2] == "add":
            return np.where(member, warp, 0).sum(1, dtype=warp.dtype)
        best = {"min": np.minimum, "max": np.maximum, "or": np.bitwise_or, "and": np.bitwise_and}[name[2]]
        return best.reduce(np.where(member, warp, own[:, None]), axis=1)
    if name[0] == "match":
        return np.where(member & (warp == own[:, None]), bits, np.uint32(0)).sum(1, dtype=np.uint32)
    votes = warp & member
    if name[2] == "ballot":
        return np.where(votes, bits, np.uint32(0)).sum(1, dtype=np.uint32)
    return votes.any(1) if name[2] == "any" else (warp | ~member).all(1)


def _branch(kernel: Kernel, instruction: Instruction) -> Step:
    target = kernel.labels[instruction.operands[0]]
    return lambda run, active: target


def _trap(kernel: Kernel, instruction: Instruction) -> Step:
    def step(run, active):
        raise Fault(f"the kernel gave up: {' '.join(instruction.text.split())}")

    return step


SPECIAL = {
    "ld": _load, "st": _store, "atom": _atomic, "red": _atomic, "bra": _branch, "trap": _trap, "call": _trap,
    "shfl": _collective, "vote": _collective, "redux": _collective, "match": _collective,
    **dict.fromkeys(("ret", "exit"), lambda kernel, instruction: lambda run, active: run.end(active)),
    **dict.fromkeys(("membar", "fence"), lambda kernel, instruction: lambda run, active: None),
}  # fmt: skip


def _barrier(kernel: Kernel, instruction: Instruction) -> Step:
    if "warp" in instruction.name:
        masks = _reader(kernel, instruction.operands[0], np.dtype(np.uint32))
        return lambda run, active: run.meet(active, masks, lambda *_: None)
    return lambda run, active: run.wait_for_block(active)


SPECIAL |= {"bar": _barrier, "barrier": _barrier}
