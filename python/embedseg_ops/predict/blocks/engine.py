"""Tasks one after the other in this process, or on the workers of a dask client.

A task computes, and returns what writes its outcome, if it has not written it itself. In this process a thread writes
while the next task computes.
"""

import importlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch

from embedseg_ops.data.progress import steps

Writing = Callable[[], None]
Task = Callable[[Any], Writing | None]


def run_tasks(
    task: Task, arguments: Sequence[Any], name: str, client: Any = None, threads: int = 0,
    progress: bool = False,
) -> None:  # fmt: skip
    """Run a task for each of its arguments; what it does must be the same if it is done twice.

    Args:
        task: picklable where a client is given.
        arguments: one a call.
        name: of the pass, on the progress bar.
        client: a `distributed.Client`: two tasks a worker are in flight, so that the scheduler's memory is bounded.
        threads: of torch in a task; 0: as they are.
        progress: show a progress bar.
    """
    call = partial(with_threads, task, threads)
    if client is None:
        with write_behind() as write:
            for argument in steps(arguments, name, "block", progress):
                write(call(argument))
        return
    for _ in steps(on_workers(partial(to_the_end, call), arguments, client), name, "block", progress, len(arguments)):
        pass


@contextmanager
def write_behind() -> Iterator[Callable[[Writing | None], None]]:
    """Yield what lets a thread write: outcome after outcome, in their order; no more than one is held at a time.

    An error while writing is raised where the next outcome is given, or at the end, and nothing is written after it.
    """
    last: Future[None] | None = None

    def write(writing: Writing | None) -> None:
        nonlocal last
        if last is not None:
            last.result()
        last = writer.submit(writing) if writing is not None else None

    with ThreadPoolExecutor(1, "embedseg-ops writing") as writer:
        yield write
        write(None)


def to_the_end(task: Task, argument: Any) -> None:
    """Call a task, and what writes its outcome."""
    writing = task(argument)
    if writing is not None:
        writing()


def with_threads(task: Task, threads: int, argument: Any) -> Writing | None:
    """Call a task with so many threads of torch."""
    before = torch.get_num_threads()
    if threads and threads != before:
        torch.set_num_threads(threads)
    try:
        return task(argument)
    finally:
        if torch.get_num_threads() != before:
            torch.set_num_threads(before)


def on_workers(task: Callable[[Any], None], arguments: Sequence[Any], client: Any) -> Iterator[None]:
    """Run a task on a client's workers; yield once for each that is done."""
    distributed: Any = importlib.import_module("distributed")
    waiting = iter(arguments)
    workers = len(client.scheduler_info(n_workers=-1)["workers"])
    first = [client.submit(task, argument, pure=False) for argument in itertools.islice(waiting, 2 * max(workers, 1))]
    running = distributed.as_completed(first)
    for future in running:
        future.result()
        for argument in itertools.islice(waiting, 1):
            running.add(client.submit(task, argument, pure=False))
        yield


def read_ahead(read: Callable[[Any], Any], arguments: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    """Yield every argument with what is read for it; the next one is read meanwhile."""
    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(read, arguments[0]) if arguments else None
        for argument, following in itertools.zip_longest(arguments, arguments[1:]):
            assert coming is not None
            value = coming.result()
            coming = reader.submit(read, following) if following is not None else None
            yield argument, value
