"""Which axis of an image is which: what the caller says, what the file says, and else a guess that is said."""

from dataclasses import replace

from embedseg_ops.data.errors import DataError
from embedseg_ops.data.stored import UNNAMED, Stored

NAMES = "TZCYXS"
DROPPED = "-"  # stands for an axis of length 1
FEW = 4  # channels, at most, that a guess takes an axis without a name for


def name_axes(stored: Stored, needed: str, channels: int | None = None, axes: str | None = None) -> Stored:
    """Return an image with a letter of `NAMES` for each axis that is longer than 1.

    Args:
        stored: as the file says it.
        needed: the letters of those axes that must be there: Z of volumes, and what the caller chooses from.
        channels: how many are wanted; None: any number.
        axes: the caller's names, which overrule the file's; those of length 1 may be left out.

    Raises:
        DataError: axes that do not fit, or that cannot be guessed.
    """
    names = "".join(
        DROPPED if length == 1 and name not in "ZCYXS" else name
        for name, length in zip(stored.axes, stored.pixels.shape, strict=True)
    )
    if axes is not None:
        return replace(stored, axes=overruled(stored, names, axes.upper()))
    stored = replace(stored, axes=names)
    if any(name in UNNAMED for name in names):
        stored = guess(stored, [letter for letter in "TZC" if letter in needed and letter not in names], channels)
    strange = "".join(sorted(set(stored.axes) - set(NAMES + DROPPED)))
    if strange:
        raise DataError(f"{described(stored)}, and {strange} is not understood; {way_out(stored)}")
    return stored


def overruled(stored: Stored, names: str, axes: str) -> str:
    """Return the caller's names of the axes."""
    if len(axes) < len(names):
        letters = iter(axes)
        single = [length == 1 for length in stored.pixels.shape]
        if len(axes) == single.count(False):
            axes = "".join(DROPPED if one else next(letters) for one in single)
    if len(axes) != len(names) or not are_possible(axes):
        raise DataError(f"{described(stored)}; axes={axes!r} does not fit: expected one of {NAMES} for each")
    return axes


def are_possible(axes: str) -> bool:
    """Return whether any image could have axes of these names."""
    given = axes.replace(DROPPED, "")
    return len(set(given)) == len(given) and set("YX") <= set(given) <= set(NAMES)


def guess(stored: Stored, letters: list[str], channels: int | None) -> Stored:
    """Return an image whose axes without names are `letters`, and one more the channels if it may be that."""
    lengths = stored.pixels.shape
    unnamed = [place for place, name in enumerate(stored.axes) if name in UNNAMED]
    names = list(stored.axes)
    coloured = any(name in "CS" for name in [*names, *letters])
    if len(unnamed) == len(letters) + 1 and not coloured:
        if stored.axes.endswith("QYX") and lengths[-1] <= FEW < min(lengths[place] for place in unnamed):
            return said(stored, [*names[: unnamed[0]], *letters, "Y", "X", "C"])
        few = [place for place in unnamed if lengths[place] <= FEW and names[place] == "Q"]
        fitting = [place for place in unnamed if lengths[place] == channels] or few
        if len(fitting) == 1:
            names[fitting[0]] = "C"
            unnamed.remove(fitting[0])
    if len(unnamed) != len(letters):
        raise DataError(f"{described(stored)}, some without a name; {way_out(stored)}")
    for place, letter in zip(unnamed, letters, strict=True):
        names[place] = letter
    if ("C" in names and "C" not in letters) or len(letters) > 1:
        return said(stored, names)
    return replace(stored, axes="".join(names))


def said(stored: Stored, names: list[str]) -> Stored:
    """Return an image with guessed names of its axes, and a note."""
    axes = "".join(names)
    shown = axes.replace(DROPPED, "")
    note = f"the file does not name its axes of {' x '.join(map(str, stored.pixels.shape))}; they are taken as {shown}"
    return replace(stored, axes=axes, notes=(*stored.notes, f"{note}; axes (--axes) says otherwise"))


def described(stored: Stored) -> str:
    """Return the file's name and the lengths of its axes."""
    shape = stored.pixels.shape
    lengths = [f"{'?' if name in UNNAMED else name} {length}" for name, length in zip(stored.axes, shape, strict=True)]
    return f"{stored.path}: has axes {', '.join(lengths)}"


def way_out(stored: Stored) -> str:
    """Return how to name the axes."""
    lengths = [length for length in stored.pixels.shape if length > 1]
    example = "ZYX" if len(lengths) == 3 and lengths[0] > FEW else ("TZC" + "YX")[-len(lengths) :]
    return f"name them with axes (--axes), such as {example}"
