"""Options of what is read of an image's file."""

import argparse
from typing import Any

from embedseg_ops.command import values
from embedseg_ops.data.axes import NAMES, are_possible

CHOICE = ("channel", "z", "time", "series", "level", "axes")


def add_choice(parser: argparse.ArgumentParser, one_by_one: bool) -> None:
    """Give a parser the options of `CHOICE`; whether ``all`` planes may be asked for, `one_by_one`."""
    plane, number = (
        (values.plane, "its number, from 0, or all") if one_by_one else (values.whole(0), "its number, from 0")
    )
    group = parser.add_argument_group("what is read")
    group.add_argument("--channel", help="take this channel alone: its number, from 0, or its name")
    group.add_argument("--z", type=plane, metavar="PLANE", help=f"plane of a volume for a 2D model: {number}")
    group.add_argument("--time", type=plane, metavar="POINT", help=f"time point: {number}")
    group.add_argument(
        "--series", type=values.whole(0), metavar="INT", help="one of a file's images: its number, from 0"
    )
    group.add_argument(
        "--axes", type=axes, metavar="AXES",
        help=f"names of a file's axes, letters of {NAMES}, where it has none or wrong ones",
    )  # fmt: skip


def axes(text: str) -> str:
    """Read names of axes that a file may have."""
    if not are_possible(text.upper()):
        raise argparse.ArgumentTypeError(f"expected letters of {NAMES}, each once, with Y and X, got {text!r}")
    return text


def choice_of(options: argparse.Namespace) -> dict[str, Any]:
    """Return what was asked for, as `embedseg_ops.data.images.open_image` takes it."""
    return {name: getattr(options, name) for name in CHOICE if name in options}


def check_choice(options: argparse.Namespace, spatial_dims: int) -> None:
    """Refuse a choice that no file can meet, for a model of so many spatial axes."""
    named = None if options.axes is None else options.axes.upper()
    if spatial_dims == 3 and options.z is not None:
        raise ValueError(f"--z {options.z} is for models of planes; this one takes volumes")
    if spatial_dims == 3 and named and "Z" not in named:
        raise ValueError(f"--axes {options.axes}: this model takes volumes, whose axes are Z, Y and X")
    for name, plane in {"z": options.z, "time": options.time}.items():
        if plane not in (None, 0, "all") and named and name[0].upper() not in named:
            raise ValueError(f"--{name} {plane} needs an axis {name[0].upper()}, which --axes {options.axes} lacks")
