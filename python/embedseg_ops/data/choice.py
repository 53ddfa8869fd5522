"""Which planes and channels of an image are read, and how colours and a model's channels meet."""

from typing import Literal

from embedseg_ops.data.axes import DROPPED, described
from embedseg_ops.data.errors import DataError
from embedseg_ops.data.stored import Stored
from embedseg_ops.data.views import Colours, View

Plane = int | Literal["all"] | None
Chosen = dict[str, int | slice]
COLOUR_NAMES = ("red", "green", "blue")
OPTIONS = {"Z": "z (--z)", "T": "time (--time)"}


def arrange(
    stored: Stored, spatial_dims: int, channels: int | None, channel: int | str | None, planes: dict[str, Plane]
) -> tuple[View, str]:
    """Return an image as ``[planes, C, *spatial]``, and the names of these axes, such as ``ZCYX``.

    Args:
        stored: with a name for each axis.
        spatial_dims: 2 or 3.
        channels: how many are wanted; None: any number.
        channel: the one to take, by number or name; None: all.
        planes: of T and Z, which one or "all"; None: there must be one.

    Raises:
        DataError: what is wanted is not there, or there is a choice that nobody made.
    """
    spatial = "ZYX"[-spatial_dims:]
    if not set(spatial) <= set(stored.axes):
        hint = "; name them with axes (--axes)" if len(stored.pixels.shape) >= spatial_dims else ""
        raise DataError(f"{described(stored)}; expected a volume with axes Z, Y and X{hint}")
    leading, chosen = which_planes(stored, spatial, planes)
    axis, of_channels, colours = which_channels(stored, channels, channel)
    chosen |= of_channels | {DROPPED: 0}
    shown = [axis if name == "C" else name for name in f"{leading}C{spatial}"]
    order = tuple(stored.axes.index(name) if name else None for name in shown)
    parts = tuple(chosen.get(name, slice(None)) for name in stored.axes)
    return View(stored.pixels, parts, order, len(leading), colours), f"{leading}C{spatial}"


def which_planes(stored: Stored, spatial: str, planes: dict[str, Plane]) -> tuple[str, Chosen]:
    """Return the axes whose planes are all taken, one after another, and what is taken of T and Z."""
    leading, chosen = "", Chosen()
    for name, plane in planes.items():
        length, option = stored.length(name), OPTIONS[name]
        if name in spatial:
            if plane is not None:
                raise DataError(f"{stored.path}: {option} is for models of planes; this one takes volumes")
        elif plane == "all":
            leading += name * (name in stored.axes)
        elif plane is None and length > 1:
            raise DataError(f"{described(stored)}; choose one plane with {option}, or all, one by one")
        elif not 0 <= (plane or 0) < length:
            raise DataError(f"{described(stored)}; there is no {option} {plane}; expected one from 0 to {length - 1}")
        else:
            chosen[name] = plane or 0
    return leading, chosen


def which_channels(stored: Stored, channels: int | None, channel: int | str | None) -> tuple[str, Chosen, Colours]:
    """Return which axis the channels are ("" for none), what is taken of C and S, and what is made of colours."""
    axis, count, names, chosen = "C" * ("C" in stored.axes), stored.length("C"), stored.channel_names, Chosen()
    if "S" in stored.axes:
        samples = stored.length("S") if stored.samples is None else stored.samples
        if count > 1 and samples > 1:  # a channel's colours
            if channel is None:
                raise DataError(f"{stored.path}: has {count} channels in colour; choose one with channel (--channel)")
            chosen["C"], channel = numbered(stored, channel, count, names), None
        if count == 1 or samples > 1:
            chosen.setdefault("C", 0)
            axis, count, names = "S", samples, COLOUR_NAMES if samples == 3 else ()
        else:
            chosen["S"] = 0
    first = 0 if channel is None else numbered(stored, channel, count, names)
    taken = count if channel is None else 1
    chosen[axis] = slice(first, first + taken)
    return axis, chosen, meet(stored, axis, taken, channels, names)


def meet(stored: Stored, axis: str, count: int, channels: int | None, names: tuple[str, ...]) -> Colours:
    """Return what has to be made of `count` channels so that they are as many as are wanted."""
    if channels in (None, count):
        return "as stored"
    if axis == "S" and count == 3 and channels == 1:
        return "grey"
    if count == 1 and channels == 3:
        return "repeated"
    choice = f"; choose one with channel (--channel){listed(count, names)}" if channels == 1 else ""
    raise DataError(f"{stored.path}: {count} channels, expected {channels}{choice}")


def numbered(stored: Stored, channel: int | str, count: int, names: tuple[str, ...]) -> int:
    """Return the number of a channel, given by number or name."""
    matching = [number for number, name in enumerate(names) if name.lower() == str(channel).strip().lower()]
    if len(matching) == 1:
        return matching[0]
    if str(channel).isdecimal() and int(channel) < count:
        return int(channel)
    raise DataError(f"{stored.path}: no channel {channel!r}; it has {count}, from 0{listed(count, names)}")


def listed(count: int, names: tuple[str, ...]) -> str:
    """Return the channels with their names, if they have any."""
    return ": " + ", ".join(f"{number} {name}" for number, name in enumerate(names)) if len(names) == count else ""
