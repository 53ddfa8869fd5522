"""The memory that kernels may touch: this process's own, at its own addresses. Every access is checked, and counted."""

import bisect

import numpy as np

SECTOR = 32  # bytes: what memory moves at least
_FIRST = 4096  # the null page is nobody's


class _WholeMemory:
    def __init__(self, size: int):
        kind = f"<u{size}"
        self.__array_interface__ = {"data": (_FIRST, False), "shape": (2**47 // size,), "typestr": kind, "version": 3}


_VIEWS = {size: np.asarray(_WholeMemory(size)) for size in (1, 2, 4, 8)}


class Fault(RuntimeError):  # noqa: N818
    """What a kernel must not do."""


class Range:
    """Addresses from `begin` up to `end`, with a flag for each byte that has been written, and each sector touched."""

    def __init__(self, begin: int, size: int, defined: bool, shared: bool = False):
        self.begin, self.end, self.shared = begin, begin + size, shared
        self.defined = np.full(-(-size // 16) * 16, defined)  # 16: what one access writes at most
        self.base = begin - begin % SECTOR
        sectors = (self.end - self.base) // SECTOR + 1
        self.read, self.written = np.zeros(sectors, bool), np.zeros(sectors, bool)


class Memory:
    def __init__(self) -> None:
        self.ranges: dict[int, Range] = {}
        self.starts: list[int] = []

    def add(self, begin: int, size: int, defined: bool, shared: bool = False) -> None:
        """Allow a range; one of before that it overlaps is gone."""
        for start in [s for s, old in self.ranges.items() if s < begin + size and begin < old.end]:
            if self.ranges[start].begin == begin and self.ranges[start].end == begin + size and defined:
                self.ranges[start].defined[:] = True
                return
            del self.ranges[start]
        if size > 0:
            self.ranges[begin] = Range(begin, size, defined, shared)
        self.starts = sorted(self.ranges)

    def note(self, begin: int | None, size: int, defined: bool) -> None:
        """What is known of an allocation; that it is there, is no news where more is known."""
        known = self.ranges.get(begin or 0)
        if known is not None and known.end - known.begin == size and not defined:
            return
        if begin:
            self.add(begin, size, bool(defined))

    def clear(self) -> None:
        self.ranges, self.starts = {}, []

    def remove(self, begin: int) -> None:
        del self.ranges[begin]
        self.starts.remove(begin)

    def load(self, addresses: np.ndarray, size: int, parts: int = 1) -> list[np.ndarray]:
        """What stands at addresses, `parts` unsigned numbers of `size` bytes each."""
        for kept, chosen in self._check(addresses, size * parts):
            offsets = addresses[chosen] - np.uint64(kept.begin)
            if not (kept.defined[offsets].all() and kept.defined[offsets + np.uint64(size * parts - 1)].all()):
                raise Fault(f"a read of what nobody has written: {self._describe(kept)}")
            kept.read[(addresses[chosen] - np.uint64(kept.base)) // np.uint64(SECTOR)] = True
        places = (addresses - np.uint64(_FIRST)) // np.uint64(size)
        return [_VIEWS[size][places + np.uint64(part)] for part in range(parts)]

    def store(self, addresses: np.ndarray, values: list[np.ndarray]) -> None:
        size = values[0].dtype.itemsize
        for kept, chosen in self._check(addresses, size * len(values)):
            self._define(kept, addresses[chosen] - np.uint64(kept.begin), size * len(values))
            kept.written[(addresses[chosen] - np.uint64(kept.base)) // np.uint64(SECTOR)] = True
        places = (addresses - np.uint64(_FIRST)) // np.uint64(size)
        for part, value in enumerate(values):
            _VIEWS[size][places + np.uint64(part)] = value

    def update(self, addresses: np.ndarray, dtype: np.dtype, kind: str, operands: list[np.ndarray]) -> np.ndarray:
        """An atomic: threads on one address take turns. Returns what each found there."""
        size = dtype.itemsize
        [found] = self.load(addresses, size)
        self.store(addresses, [found])
        found, left = found.copy(), np.arange(len(addresses))
        places = (addresses - np.uint64(_FIRST)) // np.uint64(size)
        if kind == "add" and dtype.kind != "f":
            return _add_in_turn(places, found, operands[0].view(found.dtype))
        while len(left):
            _, first = np.unique(places[left], return_index=True)
            turn = left[first]
            old = _VIEWS[size][places[turn]]
            found[turn] = old
            new = _UPDATES[kind](old.view(dtype), *(operand[turn].view(dtype) for operand in operands))
            _VIEWS[size][places[turn]] = new.view(old.dtype)
            left = np.delete(left, first)
        return found

    def footprint(self) -> tuple[int, int]:
        """Bytes of distinct sectors that were read and written since the last call; not of shared memory."""
        kept = [r for r in self.ranges.values() if not r.shared]
        read, written = (SECTOR * int(sum(getattr(r, what).sum() for r in kept)) for what in ("read", "written"))
        for each in kept:
            each.read[:] = each.written[:] = False
        return read, written

    def is_shared(self, address: int) -> bool:
        place = bisect.bisect_right(self.starts, address) - 1
        return place >= 0 and self.ranges[self.starts[place]].shared

    def _check(self, addresses: np.ndarray, size: int):
        if (addresses % np.uint64(size)).any():
            raise Fault(f"a misaligned access of {size} bytes")
        left = np.arange(len(addresses))
        while len(left):
            address = int(addresses[left[0]])
            place = bisect.bisect_right(self.starts, address) - 1
            kept = self.ranges[self.starts[place]] if place >= 0 else None
            if kept is None or address + size > kept.end:
                raise Fault(f"an access of {size} bytes outside of all memory, {self._near(kept, address)}")
            mine = addresses[left]
            inside = (mine >= np.uint64(kept.begin)) & (mine <= np.uint64(kept.end - size))
            yield kept, left[inside]
            left = left[~inside]

    @staticmethod
    def _define(kept: Range, offsets: np.ndarray, size: int) -> None:
        if kept.begin % size == 0:
            kept.defined.view(f"V{size}")[offsets // np.uint64(size)] = b"\1" * size
        else:
            for byte in range(size):
                kept.defined[offsets + np.uint64(byte)] = True

    @staticmethod
    def _describe(kept: Range) -> str:
        return f"{'shared' if kept.shared else 'global'} memory of {kept.end - kept.begin} bytes"

    def _near(self, kept: Range | None, address: int) -> str:
        return "" if kept is None else f"{address - kept.end} bytes behind {self._describe(kept)}"


def _add_in_turn(places: np.ndarray, found: np.ndarray, values: np.ndarray) -> np.ndarray:
    order = np.argsort(places, kind="stable")
    place, value = places[order], values[order]
    before = np.cumsum(value, dtype=value.dtype) - value
    starts = np.r_[True, place[1:] != place[:-1]]
    before -= before[starts][np.cumsum(starts) - 1]
    result = found.copy()
    result[order] += before
    last = np.r_[starts[1:], True]
    _VIEWS[value.dtype.itemsize][place[last]] = (result[order] + value)[last]
    return result


_UPDATES = {
    "min": np.minimum, "max": np.maximum, "or": np.bitwise_or, "and": np.bitwise_and, "add": np.add,
    "exch": lambda old, value: value, "cas": lambda old, expected, value: np.where(old == expected, value, old),
}  # fmt: skip
