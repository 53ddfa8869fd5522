"""What the sliders of the postprocessing show, made of the options themselves."""

from collections.abc import Mapping
from dataclasses import dataclass

from embedseg_ops.command.options import argument_help
from embedseg_ops.ops.options import SLIDERS, TUNED, PostprocessOptions
from embedseg_ops.ops.postprocess import postprocess
from embedseg_ops.ops.ranges import field_type, may_be_none


@dataclass(frozen=True)
class Slider:
    """One option of the postprocessing.

    Args:
        name: of the option.
        help: what `postprocess` says of it.
        low: the smallest value.
        high: the largest value.
        step: between values.
        whole: whether it is a whole number.
        may_be_off: whether it may be None.
        value: to begin with; None: off.
        when_on: its value when it is switched on.
    """

    name: str
    help: str
    low: float
    high: float
    step: float
    whole: bool
    may_be_off: bool
    value: float | None
    when_on: float

    @property
    def label(self) -> str:
        """The name in words."""
        return self.name.replace("_", " ")


def sliders(options: Mapping[str, float | None]) -> list[Slider]:
    """Return a slider for each option of the postprocessing, at its value; ranges are widened for values outside."""
    help_of = argument_help(postprocess)
    found = []
    for name, (low, high, step) in SLIDERS.items():
        value = options[name]
        on = high if value is None else value
        if value is None and name in TUNED:
            on = TUNED[name]  # type: ignore[literal-required]
        found.append(
            Slider(name, help_of[name], min(low, on), max(high, on), step, field_type(PostprocessOptions, name) is int,
                   may_be_none(PostprocessOptions, name), value, on)
        )  # fmt: skip
    return found
