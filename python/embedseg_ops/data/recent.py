"""What was opened last, kept within bounds of memory and of open files."""

import os
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from embedseg_ops.data.samples import Opened

MEMORY = 2**25  # bytes of decoded pixels, for each process
FILES = 32  # no system has fewer for a process than 256


class Recent:
    """The samples that were opened last; empty in every other process, as two must not share open files."""

    def __init__(self) -> None:
        self.opened: OrderedDict[int, Opened] = OrderedDict()
        self.process = os.getpid()

    def __reduce__(self) -> Any:
        """Begin anew where it is unpickled."""
        return Recent, ()

    def get(self, number: int, open_sample: Callable[[], Opened]) -> Opened:
        """Return a sample by its number; open it if it is not open."""
        if self.process != os.getpid():  # forked
            self.opened.clear()
            self.process = os.getpid()
        if number not in self.opened:
            self.opened[number] = open_sample()
            while len(self.opened) > FILES or (len(self.opened) > 1 and self.held() > MEMORY):
                self.opened.popitem(last=False)
        self.opened.move_to_end(number)
        return self.opened[number]

    def held(self) -> int:
        """Return the bytes that the open samples take."""
        return sum(one.held for one in self.opened.values())
