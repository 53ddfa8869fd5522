"""The parts of the panel: the sliders of the postprocessing, and what a training is asked for."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from magicgui.widgets import CheckBox, ComboBox, Container, FileEdit, FloatSlider, Label, PushButton, Slider, SpinBox

from embedseg_ops.command.sliders import sliders

SPACE = "\u2003\u2003"  # magicgui makes labels a little narrower than what is written


def heading(text: str) -> Any:
    """Return the heading of a part."""
    return Label(value=f"<b>{text}</b>")


def part(widgets: Sequence[Any] = (), layout: str = "vertical", **how: Any) -> Any:
    """Return widgets under each other with their labels, or beside each other without, and no margins around."""
    made = Container(widgets=widgets, layout=layout, labels=layout == "vertical", **how)
    made.margins = (0, 0, 0, 0)
    return made


class Sliders:
    """A slider for every option of the postprocessing, and a box beside those that may be off.

    Args:
        changed: is called with an option's name and value when somebody moves it.
    """

    def __init__(self, changed: Callable[[str, float | None], None]):
        self.changed = changed
        self.container = part()
        self.parts: dict[str, tuple[Any, Any]] = {}

    def set(self, options: Mapping[str, Any]) -> None:
        """Show these options."""
        self.container.clear()
        self.parts = {}
        for slider in sliders(options):
            kind = Slider if slider.whole else FloatSlider
            line = kind(
                min=slider.low, max=slider.high, step=slider.step, value=slider.when_on, tooltip=slider.help,
                enabled=slider.value is not None, label="" if slider.may_be_off else slider.label + SPACE,
            )  # fmt: skip
            switch = None
            shown = line
            if slider.may_be_off:
                switch = CheckBox(value=slider.value is not None, text="", tooltip=f"off: {slider.help}")
                shown = part([switch, line], "horizontal", label=slider.label + SPACE)
                switch.changed.connect(self.teller(slider.name))
            line.changed.connect(self.teller(slider.name))
            self.parts[slider.name] = (line, switch)
            self.container.append(shown)

    def teller(self, name: str) -> Callable[[Any], None]:
        """Return what tells that an option was moved or switched."""

        def tell(_: Any) -> None:
            line, switch = self.parts[name]
            on = switch is None or switch.value
            line.enabled = on
            self.changed(name, line.value if on else None)

        return tell


class Training:
    """What a fine-tuning is asked for.

    Args:
        choices: returns the layers of labels, for the list of them.
        start: is called when somebody presses the button.
    """

    def __init__(self, choices: Callable[[Any], list[Any]], start: Callable[[], None]):
        self.labels = ComboBox(choices=choices, label="labels", nullable=True)
        self.steps = SpinBox(value=100, min=1, max=100_000, label="steps", tooltip="optimiser steps of four crops")
        self.folder = FileEdit(mode="d", value=new_folder(), label="folder", tooltip="for the new model; a new one")
        self.button = PushButton(text="Train on the labels")
        self.button.changed.connect(lambda: start())
        self.container = part([self.labels, self.steps, self.folder, self.button])


def new_folder() -> Path:
    """Return a folder for a training that begins now."""
    return Path.home() / "embedseg-ops" / f"{datetime.now():%Y-%m-%d-%H%M%S}"
