"""Long work in a thread beside the window, one job after the other, with progress and cancelling."""

from collections.abc import Callable
from functools import partial
from typing import Any

from napari.qt.threading import create_worker
from qtpy.QtCore import QObject, Signal

from embedseg_ops.data.progress import listening


class Cancelled(Exception):  # noqa: N818  # nothing went wrong
    """Somebody has cancelled the work."""


class Work(QObject):
    """Jobs that are done one after the other; one that waits is replaced by a newer one of the same name.

    Signals:
        told: a job's name, how many steps are done, and of how many.
        changed: whether there is work.
        failed: what a job raised, `Cancelled` among it.
    """

    told = Signal(str, int, int)
    changed = Signal(bool)
    failed = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.waiting: dict[str, tuple[Callable[[], Any], Callable[[Any], None]]] = {}
        self.worker: Any = None
        self.outcome: tuple[Any, Exception | None] = None, None

    def ask(self, name: str, job: Callable[[], Any], done: Callable[[Any], None]) -> None:
        """Do a job when those before it are done, and call `done` in the window's thread with what it returns."""
        self.waiting[name] = (job, done)
        self.go_on()

    def cancel(self) -> None:
        """End the job that is being done at its next step, and forget those that wait."""
        self.waiting.clear()
        if self.worker is not None:
            self.worker.quit()

    def go_on(self) -> None:
        """Begin the next job, if none is being done."""
        if self.worker is None and self.waiting:
            job, done = self.waiting.pop(next(iter(self.waiting)))
            self.worker = create_worker(self.attempt, job, _start_thread=False)
            self.worker.finished.connect(partial(self.end, done))  # a worker that was told to quit returns nothing
            self.worker.start()
            self.changed.emit(True)

    def attempt(self, job: Callable[[], Any]) -> None:
        """Do a job, in its thread."""
        try:
            with listening(self.listen):
                self.outcome = job(), None
        except Exception as error:
            self.outcome = None, error

    def listen(self, name: str, done: int, total: int) -> None:
        """Hear how far the job has come."""
        if self.worker.abort_requested:  # by `cancel`, or because napari is closed
            raise Cancelled
        self.told.emit(name, done, total)

    def end(self, done: Callable[[Any], None]) -> None:
        """Hand on what came out of a job."""
        self.worker = None
        value, error = self.outcome
        self.outcome = None, None
        if error is None:
            done(value)
        else:
            self.failed.emit(error)
        self.go_on()
        if self.worker is None:
            self.changed.emit(False)
