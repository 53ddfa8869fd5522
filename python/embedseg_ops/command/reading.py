"""Options of what is read of an image's file."""

import argparse
from typing import Any

from embedseg_ops.command import values

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
    group.add_argument("--axes", help="names of a file's axes, letters of TZCYXS, where it has none or wrong ones")


def choice_of(options: argparse.Namespace) -> dict[str, Any]:
    """Return what was asked for, as `embedseg_ops.data.images.open_image` takes it."""
    return {name: getattr(options, name) for name in CHOICE if name in options}
