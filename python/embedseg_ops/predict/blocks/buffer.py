"""Memory that windows use one after the other, because a system needs longer to give new pages than to fill them."""

import math
import sys
import threading
from collections.abc import Sequence

import numpy as np

FREE = 2  # references to an array that nobody uses: the attribute, and the argument of the question


class Buffer(threading.local):
    """Hands out its memory again once nothing refers to what it gave before; each thread has its own.

    For example, a tensor made of the array, or a view of it, keeps the memory from being given to another.
    """

    memory = np.empty(0, np.float32)

    def empty(self, shape: Sequence[int]) -> np.ndarray:
        """Return an array, float32 ``[*shape]``, of any content."""
        size = math.prod(shape)
        if size > self.memory.size or sys.getrefcount(self.memory) > FREE:
            self.memory = np.empty(size, np.float32)
        return self.memory[:size].reshape(shape)

    def __reduce__(self) -> tuple[type["Buffer"], tuple[()]]:
        """Travel without the memory."""
        return Buffer, ()
