"""How far long work has come: a bar on the terminal for those who want one, and news for whoever listens."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")
Listener = Callable[[str, int, int], None]
_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Let `listener` hear what long work in this thread tells: its name, how many steps are done, and of how many.

    What the listener raises ends the work, so that a window can cancel it.
    """
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def tell(name: str, done: int, total: int) -> None:
    """Tell the listener, if there is one, how far work has come."""
    listener = _listener.get()
    if listener is not None:
        listener(name, done, total)


def steps(
    work: Sequence[Item] | Iterable[Item], name: str, unit: str, shown: bool, total: int | None = None, done: int = 0
) -> Iterator[Item]:
    """Yield what there is to do, one after the other, and tell how far it is.

    Args:
        work: what is yielded.
        name: of the work.
        unit: what one step is called.
        shown: show a progress bar.
        total: how many there are; None: `done` and ``len(work)``.
        done: how many were done before.
    """
    total = done + len(work) if total is None else total  # type: ignore[arg-type]
    for number, item in enumerate(tqdm(work, name, total, unit=unit, disable=not shown, initial=done), done):
        tell(name, number, total)
        yield item
    tell(name, total, total)
