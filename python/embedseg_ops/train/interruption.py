"""Ctrl-C and SIGTERM: a training stops after its step, and a second one stops it at once."""

import signal
import threading
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """Notes the signals that ask a process to end, while it is used as a context.

    Elsewhere than in the main thread, where Python does not allow it, nothing is noted.
    """

    def __init__(self) -> None:
        self.asked = False
        self.before: dict[int, object] = {}

    def __enter__(self) -> "Interruption":
        """Listen."""
        if threading.current_thread() is threading.main_thread():
            self.before = {number: signal.signal(number, self.note) for number in SIGNALS}
        return self

    def __exit__(self, *error: object) -> None:
        """Give the signals back to whom they belonged."""
        for number, handler in self.before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        self.before = {}

    def note(self, number: int, frame: FrameType | None) -> None:
        """Remember the signal; the next one is not kept."""
        self.asked = True
        self.__exit__()
